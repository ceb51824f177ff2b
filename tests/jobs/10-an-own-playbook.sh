# A playbook of one's own: checked, shown, run, and run again without a change.
mkdir book
cat >book/probe.sh <<'END'
if [ -e /tmp/service ]; then echo state=up; else echo state=down; fi
END
cat >book/service.yaml <<'END'
name: service
summary: place the service where it is missing
probes:
  node: { script: probe.sh }
steps:
  - name: look
    probe: node
  - name: place it
    when: { state: down }
    touch: /tmp/service
  - name: is it there
    run: test -e /tmp/service
END
gsctl play book/service.yaml --syntax-check
gsctl play book/service.yaml --list-hosts | grep -q 'node\[1-2\]'
gsctl play book/service.yaml --dry-run | grep -q 'known only at the node'
gsctl play book/service.yaml 2>said
grep -q '2 ok (2 changed)' said
gsctl play book/service.yaml 2>said
if grep -q changed said; then exit 1; fi
# An error names line and column before anybody is contacted.
sed 's/probe: node/prob: node/' book/service.yaml >book/wrong.yaml
status=0
gsctl play book/wrong.yaml --syntax-check 2>said || status=$?
test "$status" -eq 2
grep -q 'line 7' said
grep -q 'did you mean' said
gsctl exec test -e /tmp/service
