#!/bin/sh
# parallel.sh JUMPS HOSTS SCRIPT REPORT: runs SCRIPT on all hosts of the file HOSTS, by one gsctl for each line of the file JUMPS,
# which goes through the jump host of that line. Writes one JSON report of it all, and ends with the exit status of the whole.
#
# Needs GNU parallel. The jump hosts share the hosts between them, so each must reach all of them.
set -u
jumps=$1 hosts=$2 script=$3 report=$4
parts=$(mktemp -d) || exit 1
trap 'rm -rf "$parts"' EXIT
of=$(grep -c . "$jumps")
# What a part prints on standard error stays with it; its exit status is in its report.
grep . "$jumps" | parallel --will-cite --quote --jobs "$of" --line-buffer \
    gsctl -f "$hosts" -J {} --partition "{#}/$of" --json "$parts/{#}.json" --progress never -q script "$script"
# Of a part that wrote no report the merged one says that it is missing.
for part in "$parts"/*.json; do
    [ -s "$part" ] || rm -f "$part"
done
gsctl runs merge --json "$report" "$parts"/*.json
