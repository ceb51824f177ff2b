#!/bin/sh
# `make demo`: three real sshd nodes with the openGauss stand-in, stopped and started by gsctl. Changes nothing outside
# a temporary directory, and takes everything down again, also on Ctrl-C.
set -eu

cd "$(dirname "$0")/../.."
. tests/lab/up.sh

echo 'Bringing up three nodes, each a real sshd with files and processes of its own ...'
lab_up 3
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
