#!/bin/sh
# quick.sh BIN: instructions that gsctl takes for a login, a command, its events and a look of a wait, beside those of the bare loop
# for a login and a command in the same run. BIN is the directory of gsctl, bare and fleet. Counted under callgrind, so that neither
# clock nor load has a part in it. Fails where a ratio is more than 5 % above the one in quick.tsv.
#
# Each is the difference between two runs, so that what is done once a run does not count.
set -eu
bin=$1 here=$(dirname "$0")
few=8 many=40
if ! command -v valgrind >/dev/null; then
    echo "quick.sh: there is no valgrind, so nothing was counted: apt-get install valgrind" >&2
    exit 1
fi
. "$here/fleet.sh"
fleet_up "$bin" "$many"
port=$(sed -n 's/^ready //p' "$dir/ready")
head -n "$few" "$dir/hosts" >"$dir/few"
head -n "$many" "$dir/hosts" >"$dir/many"

# count STATUS WORD...: instructions of a program that reads the file `input` and ends with this status.
count() {
    wanted=$1
    shift
    status=0
    HOME="$dir/home" XDG_STATE_HOME="$dir/home" valgrind --tool=callgrind --callgrind-out-file="$dir/out" "$@" \
        <"$dir/input" >"$dir/said" 2>&1 || status=$?
    if [ "$status" != "$wanted" ]; then
        echo "quick.sh: $* ended with $status, not $wanted" >&2
        tail -n 20 "$dir/said" >&2
        exit 1
    fi
    sed -n 's/^totals: \([0-9]*\).*/\1/p' "$dir/out" | tail -n 1
}

# gsctl STATUS HOSTS WORD...
gsctl() {
    wanted=$1 hosts=$2
    shift 2
    : >"$dir/input"
    # No limit of time: under callgrind everything takes fifty times as long.
    count "$wanted" "$bin/gsctl" --no-config -F none -f "$dir/$hosts" -i "$dir/key" --known-hosts "$dir/known_hosts" \
        --connect-timeout 5m --fanout "$few" --progress never -q "$@"
}

bare() {
    sed -n 's/.*address=\([0-9.]*\).*/\1/p' "$dir/$1" >"$dir/input"
    count 0 "$bin/bare" "$port" sim "$dir/key" "$few"
}

# looks NUMBER: a wait with so many looks at each of a few hosts.
looks() {
    wait_play 1ms "$1"
    gsctl 5 few play "$dir/wait.yaml"
}

# each BIG SMALL: a host's part.
each() {
    echo $((($1 - $2) / (many - few)))
}

base=$(each "$(bare many)" "$(bare few)")
login=$(each "$(gsctl 0 many ping)" "$(gsctl 0 few ping)")
exec=$(each "$(gsctl 0 many exec true)" "$(gsctl 0 few exec true)")
told=$(each "$(gsctl 0 many --jsonl /dev/null exec true)" "$(gsctl 0 few --jsonl /dev/null exec true)")
look=$((($(looks 60) - $(looks 10)) / (50 * few)))

failed=0
printf '%-8s %14s %8s %8s\n' 'a host' instructions ratio limit
printf '%-8s %14s %8s\n' bare "$base" 1.000
for row in "login $login" "exec $exec" "events $told" "look $look"; do
    set -- $row
    ratio=$(awk "BEGIN { printf \"%.3f\", $2 / $base }")
    was=$(sed -n "s/^$1	//p" "$here/quick.tsv")
    limit=$(awk "BEGIN { printf \"%.3f\", ${was:-0} * 1.05 }")
    printf '%-8s %14s %8s %8s\n' "$1" "$2" "$ratio" "$limit"
    if awk "BEGIN { exit !($ratio > $limit) }"; then
        echo "quick.sh: $1 takes $ratio times what the bare loop takes: more than 5 % above $was of benches/quick.tsv" >&2
        failed=1
    fi
done
exit "$failed"
