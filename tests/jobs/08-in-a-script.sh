# A shell script that acts on what the hosts said: exit statuses, names, one value from the report.
status=0
gsctl --json report.json exec 'test -e ready' || status=$?
case $status in
    0) echo 'all are ready'; exit 1 ;;
    5) waiting=$(gsctl hosts --expand -w @failed) ;;
    *) exit 1 ;;
esac
test "$waiting" = node2
for host in $waiting; do
    gsctl -w "$host" exec touch ready
done
gsctl -w "$waiting" exec test -e ready
gsctl -q exec test -e ready
# Output without names in front, however many hosts there are.
test "$(gsctl exec -N cat name | sort | tr '\n' ' ')" = 'node1 node2 node3 '
