# A smoke test in CI: host keys from a secret, a report for the CI server, a page and the output as artefacts.
printf '%s\n' "$KNOWN_HOSTS_SECRET" >ci_known_hosts
status=0
gsctl -o UserKnownHostsFile=ci_known_hosts --host-key-policy strict --color never --progress never --deadline 2m \
    --junit junit.xml --html run.html --output-dir output check --command 'test -e healthy' || status=$?
test "$status" -eq 5
grep -q 'failures="1"' junit.xml
grep -q 'node2' run.html
test -e output/node1.stdout
# What the hosts answered is told in words; gsctl's own protocol stays its own.
if grep -q 'failed 0' junit.xml output/*; then exit 1; fi
# A secret that is not there is no known host.
status=0
gsctl -o UserKnownHostsFile=missing --host-key-policy strict ping || status=$?
test "$status" -eq 4
