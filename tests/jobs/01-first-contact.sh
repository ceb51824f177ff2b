# Eight nodes that nobody has talked to yet: one on a port of its own, one behind a jump host, no key known. Who is there?
gsctl ping --host-key-policy accept-new >answers
test "$(grep -c ' ok ' answers)" -eq 8
# From now on the keys are known, that of the jump host among them.
gsctl --host-key-policy strict ping
gsctl exec --gather uname -s | grep -q '^Linux$'
