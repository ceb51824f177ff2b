# Which node has another file than the rest, how does it differ, and put it right.
gsctl -q exec 'echo limit=50 >app.conf'
gsctl -q -w node3 exec 'echo limit=10 >app.conf'

gsctl exec --diff cat app.conf >differences
grep -q '^node3 (1 host), differs from node\[1-2,4\]$' differences
grep -q '^+limit=10$' differences

printf 'limit=50\n' >app.conf
gsctl push app.conf . >changes
grep -q '^node3 *written ' changes
gsctl exec --diff cat app.conf | grep -q 'all the same'
