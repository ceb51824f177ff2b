#!/bin/sh
# A stand-in for crontab(1): -l lists, -r removes, FILE or - installs. Nothing here runs the jobs.
table=@BASE@/cron/$(id -un)
case ${1-} in
-l) cat "$table" 2>/dev/null || { echo "no crontab for $(id -un)" >&2; exit 1; } ;;
-r) rm -f "$table" ;;
*) cat -- "${1:--}" >"$table" ;;
esac
