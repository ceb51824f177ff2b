# A cluster is to be started while one of its nodes is down: the refusal says how to go on, and the report who is missing.
status=0
gsctl start 2>said || status=$?
test "$status" -eq 7
grep -q -e '--allow-unreachable 1' said
grep -q 'nothing was changed' said

status=0
gsctl start --allow-unreachable 1 --accept degraded --json report.json 2>said || status=$?
# The others are up; a host that cannot be reached is 4, and named.
test "$status" -eq 4
grep -q 'UNREACHABLE node3' said
gsctl -x node3 status | grep -c running | grep -qx 3
