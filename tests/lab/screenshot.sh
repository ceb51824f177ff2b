#!/bin/sh
# `make screenshot`: the page of a start on which one node stays behind, as README shows it.
set -eu

cd "$(dirname "$0")/../.."
. tests/lab/up.sh
lab_up 5

node3=$(sed -n 's/^#   node3 .* files in //p' "$work/lab")
echo 'crash_loop=1' >>"$node3/app/bin/standin.conf"

"$bin/gsctl" -i "$LAB_KEY" -o UserKnownHostsFile="$LAB_KNOWN_HOSTS" start --wait 6s --html "$work/run.html" || :
chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update \
    --disable-sync --user-data-dir="$work/profile" --virtual-time-budget=3000 --hide-scrollbars --window-size=1200,640 \
    --screenshot="$PWD/docs/run.png" "file://$work/run.html" 2>/dev/null
ls -l docs/run.png
