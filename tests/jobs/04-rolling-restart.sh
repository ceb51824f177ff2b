# A service is restarted node by node; the broken fourth one stops the run, and once it is mended the run goes on.
cat >rolling.yaml <<'END'
name: rolling
steps:
  - name: restart
    run: "echo restarted >>log"
  - name: is it well
    run: "test ! -e broken"
END
status=0
gsctl play rolling.yaml --serial 1 2>said || status=$?
test "$status" -eq 5
grep -q 'the other 2 hosts were left alone: node\[5-6\]' said
test "$(gsctl hosts --expand -w @failed)" = node4
test "$(gsctl hosts --fold -w @not-begun)" = 'node[5-6]'

gsctl -w node4 exec rm broken
gsctl play rolling.yaml --serial 1 --resume
# Each was restarted once.
gsctl exec 'test "$(cat log)" = restarted'
