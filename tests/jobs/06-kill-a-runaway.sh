# A program runs away on some nodes: find it, end it, and prove that it is gone.
gsctl -q -w 'node[1-2]' exec 'cp /bin/sleep runaway; setsid ./runaway 900 >/dev/null 2>&1 </dev/null &'

status=0
gsctl check --process runaway >found || status=$?
test "$status" -eq 5
test "$(grep -c ' ok ' found)" -eq 2
# By its whole command line: none of gsctl's own processes is meant by it.
test "$(gsctl exec 'pgrep -f "runaway 900" || echo none' | grep -c none)" -ge 1
gsctl exec 'pkill -f "runaway 900"; test $? -le 1'
gsctl wait --command '! pgrep -f "runaway 900"' -t 20s
gsctl wait --command 'if pgrep -x runaway; then exit 1; fi' -t 20s
status=0
gsctl check --process runaway >found || status=$?
test "$status" -eq 5
test "$(grep -c 'no process named runaway' found)" -ge 1
