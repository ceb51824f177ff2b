#!/bin/sh
# `make screenshot`: the page of a start on which one node stays behind, as README shows it.
set -eu

cd "$(dirname "$0")/../.."
bin=${CARGO_TARGET_DIR:-target}/debug
case $bin in /*) ;; *) bin=$PWD/$bin ;; esac
work=$(mktemp -d "${TMPDIR:-/tmp}/gsctl-screenshot-XXXXXX")
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
trap 'exit 130' INT TERM HUP

mkfifo "$work/stdin"
exec 9<>"$work/stdin"
"$bin/examples/lab" up --nodes 5 <"$work/stdin" >"$work/lab" 2>"$work/lab.err" 9>&- &
lab_pid=$!
while ! grep -q '^# ready' "$work/lab" 2>/dev/null; do
    if ! kill -0 "$lab_pid" 2>/dev/null; then
        cat "$work/lab.err" >&2
        exit 1
    fi
    sleep 0.1
done
eval "$(grep '^export ' "$work/lab")"
HOME=$LAB_HOME
export HOME
unset SSH_AUTH_SOCK

node3=$(sed -n 's/^#   node3 .* files in //p' "$work/lab")
echo 'crash_loop=1' >>"$node3/app/bin/standin.conf"

"$bin/gsctl" -i "$LAB_KEY" -o UserKnownHostsFile="$LAB_KNOWN_HOSTS" start --wait 6s --html "$work/run.html" || :
chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update \
    --disable-sync --user-data-dir="$work/profile" --virtual-time-budget=3000 --hide-scrollbars --window-size=1200,640 \
    --screenshot="$PWD/docs/run.png" "file://$work/run.html" 2>/dev/null
ls -l docs/run.png
