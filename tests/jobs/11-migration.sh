# What was typed for pssh, clush and Ansible yesterday.
sed -n 's/^node.* address=\([^ ]*\) port=\([^ ]*\) user=\([^ ]*\).*/\3@\1:\2/p' hosts >names
gsctl pssh -h names -i -t 20 'echo through' >lines
test "$(grep -c '\[SUCCESS\]' lines)" -eq 3
# clush -b, -w and -x.
gsctl -w 'node[1-3]' -x node2 exec --gather 'echo through' >lines
grep -q '^node\[1,3\] (2 hosts)$' lines
# An inventory of Ansible, as it is; --limit is -g and -x.
{
    echo '[db]'
    sed -n 's/^\(node[0-9]*\) address=\([^ ]*\) port=\([^ ]*\) user=\([^ ]*\).*/\1 ansible_host=\2 ansible_port=\3 ansible_user=\4/p' hosts
} >inventory
test "$(grep -c ansible_host inventory)" -eq 3
gsctl -f inventory -g db -x node1 exec --gather 'echo through' | grep -q '^node\[2-3\] (2 hosts)$'
# Options of other tools are answered with gsctl's word for them.
status=0
gsctl exec -b uptime 2>said || status=$?
test "$status" -eq 2
grep -q -e '--gather' said
