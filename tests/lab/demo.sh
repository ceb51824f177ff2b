#!/bin/sh
# `make demo`: three real sshd nodes with the openGauss stand-in, stopped and started by gsctl. Changes nothing outside
# a temporary directory, and takes everything down again, also on Ctrl-C.
set -eu

cd "$(dirname "$0")/../.."
bin=${CARGO_TARGET_DIR:-target}/debug
for program in "$bin/gsctl" "$bin/examples/lab" "$bin/examples/standin"; do
    if [ ! -x "$program" ]; then
        echo "demo: $program is not built; run: make demo" >&2
        exit 2
    fi
done
case $bin in /*) ;; *) bin=$PWD/$bin ;; esac

work=$(mktemp -d "${TMPDIR:-/tmp}/gsctl-demo-XXXXXX")
lab_pid=

# The lab lives until its standard input ends.
clean_up() {
    trap - EXIT INT TERM HUP
    exec 9>&-
    if [ -n "$lab_pid" ]; then
        wait "$lab_pid" 2>/dev/null || :
    fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

mkfifo "$work/stdin"
# Opened for both, so that opening waits for nobody. The lab must not hold the end that keeps it alive.
exec 9<>"$work/stdin"
echo 'Bringing up three nodes, each a real sshd with files and processes of its own ...'
"$bin/examples/lab" up --nodes 3 <"$work/stdin" >"$work/lab" 2>"$work/lab.err" 9>&- &
lab_pid=$!
while ! grep -q '^# ready' "$work/lab" 2>/dev/null; do
    if ! kill -0 "$lab_pid" 2>/dev/null; then
        cat "$work/lab.err" >&2
        echo 'demo: the lab did not come up' >&2
        exit 1
    fi
    sleep 0.1
done
eval "$(grep '^export ' "$work/lab")"

# Nothing of the caller's own ssh setup.
HOME=$LAB_HOME
export HOME
unset SSH_AUTH_SOCK
printf 'Host *\n IdentityFile %s\n UserKnownHostsFile %s\n' "$LAB_KEY" "$LAB_KNOWN_HOSTS" >"$HOME/.ssh/config"
chmod 600 "$HOME/.ssh/config"

worst=0
run() {
    printf '\n$ gsctl %s\n' "$*"
    "$bin/gsctl" "$@" || {
        status=$?
        worst=$status
        echo "(exit status $status)"
    }
}

run hosts
run start --quiet
run status
run stop
run status
run start --json "$work/report.json"
run start
printf '\nThe report of the first start, as far as node1 and its chain:\n'
sed -n '/"chain"/,/\]/p' "$work/report.json" | sed '/\]/q'
printf '\nTaking the nodes down.\n'
exit "$worst"
