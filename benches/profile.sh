#!/bin/sh
# profile.sh BIN [HOSTS...]: where gsctl's time goes on simulated hosts, as Markdown: for each kind of work and each number of hosts
# the microseconds a host that each part of the program takes, and the ten functions that take most. BIN is the directory of gsctl and fleet, built with
# symbols (`make profile`). Sampled with perf; who may not use it is told so.
set -eu
bin=$1
shift
[ $# -gt 0 ] || set -- 1 250 1000 10000
if ! perf record -o /dev/null -e cpu-clock true >/dev/null 2>&1; then
    echo 'profile.sh: perf is missing or may not be used: apt-get install linux-perf, as root' >&2
    exit 1
fi
. "$(dirname "$0")/fleet.sh"
most=0
for hosts in "$@"; do
    [ "$hosts" -le "$most" ] || most=$hosts
done
fleet_up "$bin" "$most" --no-record --rule 'all output=1000'
wait_play 1s 10

# part SYMBOL DSO: the part of the program that a function belongs to.
parts='
function part(symbol, dso) {
    if (dso ~ /kernel|vdso|unknown/) return "system calls"
    if (symbol ~ /libssh2/) return "libssh2"
    if (symbol ~ /ed25519|^fe_|ge_|cmov|table_select|x25519_sc|sc_muladd|slide|sha512|SHA512/) return "signatures"
    if (symbol ~ /x25519|fe51|fe64|ml_kem|mlkem|keccak|Keccak|SHA3|shake|scalar_|sha256|SHA256/) return "key exchange"
    if (symbol ~ /gcm|aes|AES|chacha|ChaCha|poly1305|ghash/) return "ciphers"
    if (symbol ~ /^(EVP|OPENSSL|CRYPTO|ossl|OSSL|BN_|bn_|RAND|ASN1|asn1|PEM|EC_|OBJ|evp|conf|lh_|OPENSSL_)/) return "OpenSSL, other"
    if (dso ~ /libc|ld-linux/) return "memory and strings"
    if (symbol ~ /tokio|mio::|gsctl::reactor|futures|async_channel|event_listener/) return "reactor"
    if (symbol ~ /gsctl::reporter|indicatif|unicode_width/) return "reporters"
    if (symbol ~ /gsctl::journal/) return "journal"
    if (symbol ~ /gsctl::transport|gsctl::output/) return "transport"
    if (symbol ~ /gsctl::runner|gsctl::plan|gsctl::outcome|gsctl::playbook/) return "run"
    if (symbol ~ /gsctl::/) return "reading files, and the rest of gsctl"
    if (symbol ~ /serde/) return "JSON and YAML"
    return "other"
}'

profile() {
    work=$1 hosts=$2 times=$3 wanted=$4
    shift 4
    head -n "$hosts" "$dir/hosts" >"$dir/these"
    perf record -q -e cpu-clock -F 1999 -o "$dir/data" sh -c '
        times=$1 wanted=$2 status=0
        shift 2
        while [ "$times" -gt 0 ]; do
            times=$((times - 1))
            "$@" >/dev/null 2>"$HOME/said" || status=$?
            [ "$status" = "$wanted" ] || { echo "profile.sh: $* ended with $status" >&2; tail -n 5 "$HOME/said" >&2; exit 1; }
        done' sh "$times" "$wanted" "$bin/gsctl" --no-config -F none -f "$dir/these" -i "$dir/key" --known-hosts "$dir/known_hosts" \
        --connect-timeout 5m --fanout 256 "$@"
    perf report -q -i "$dir/data" --no-children --stdio -g none --percent-limit 0 -F period,dso,symbol -t '	' 2>/dev/null |
        sed 's/^ *//; /^$/d; s/\[[k.]\] //' >"$dir/functions"
    printf '\n### %s, %s host%s\n\n| part | a host | share |\n|---|---:|---:|\n' "$work" "$hosts" "$([ "$hosts" = 1 ] || echo s)"
    # A period is nanoseconds of CPU.
    awk -F '	' -v runs="$((hosts * times))" "$parts"'{ gsub(/ +$/, "", $2); all += $1; share[part($3, $2)] += $1 }
        END { for (name in share) printf "%s\t%.1f\t%.1f\n", name, share[name] / 1000 / runs, 100 * share[name] / all
            printf "all\t%.1f\t100.0\n", all / 1000 / runs }' "$dir/functions" | sort -t '	' -k2 -rn >"$dir/parts"
    awk -F '	' '{ printf "| %s | %s µs | %s %% |\n", $1, $2, $3 }' "$dir/parts"
    awk -F '	' -v key="$work	$hosts" '{ print key "\t" $1 "\t" $2 }' "$dir/parts" >>"$dir/table"
    printf '\n| function | share |\n|---|---:|\n'
    awk -F '	' '{ all += $1; share[$3] += $1 } END { for (name in share) printf "%.1f\t%s\n", 100 * share[name] / all, name }' "$dir/functions" |
        sort -rn | head -n 10 | awk -F '	' '{ gsub(/\|/, "/", $2); printf "| `%s` | %s %% |\n", substr($2, 1, 90), $1 }'
}

# summary WORK HOSTS...: one table of all numbers of hosts.
summary() {
    wanted=$1
    shift
    printf '\n| %s |' "$wanted"
    printf ' %s |' "$@"
    printf '\n|---|'
    for hosts in "$@"; do printf -- '---:|'; done
    awk -F '	' -v wanted="$wanted" -v columns="$*" '$1 == wanted { if (!($3 in seen)) { seen[$3] = 1; names[++count] = $3 } at[$3, $2] = $4 }
        END { size = split(columns, hosts, " "); print ""
            for (row = 1; row <= count; row++) { line = "| " names[row] " |"
                for (n = 1; n <= size; n++) line = line " " ((names[row], hosts[n]) in at ? at[names[row], hosts[n]] : "0.0") " |"
                print line } }' "$dir/table"
}

export HOME="$dir/home" XDG_STATE_HOME="$dir/home"
for hosts in "$@"; do
    times=$((1 + 1000 / hosts))
    [ "$times" -le 100 ] || times=100
    profile login "$hosts" "$times" 0 -q ping
    profile exec "$hosts" "$times" 0 -q exec true
    profile stream "$hosts" "$times" 0 --stream exec true
    profile wait "$hosts" 1 5 -q play "$dir/wait.yaml"
    profile 'JSON report' "$hosts" "$times" 0 -q --json /dev/null exec true
done >"$dir/sections"
cat <<'END'
# Where a host's microseconds go

Written by `make profile`: microseconds of the client's CPU for each host, by the part of the program that took them; the columns are
numbers of simulated hosts. Sampled, with client and servers on the same cores: a system call counts where it was made from for a part
of its time, and a part below a percent comes and goes. For a wait it is a login and ten looks; where the system gives fewer
descriptors than two a host, each look logs in. One host reads the `known_hosts` of as many hosts as the last column has.
END
for work in login exec stream wait 'JSON report'; do
    summary "$work" "$@"
done
cat "$dir/sections"
