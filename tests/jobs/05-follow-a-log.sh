# Lines of a log on all nodes as they come, until Ctrl-C; then none of the tails is left.
# A shell lets what it starts with & ignore Ctrl-C: here it is as on a terminal.
env --default-signal=INT gsctl exec --stream 'echo first >>app.log; tail -n 100 -F app.log' >lines 2>said &
follower=$!
until [ "$(grep -c ': first$' lines)" -eq 3 ]; do sleep 0.1; done
gsctl exec 'echo second >>app.log'
until [ "$(grep -c ': second$' lines)" -eq 3 ]; do sleep 0.1; done
kill -INT "$follower"
status=0
wait "$follower" || status=$?
test "$status" -eq 130
grep -q 'killed on the node' said
gsctl exec 'if pgrep -x tail; then exit 1; fi'
