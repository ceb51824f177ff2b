# A directory of every node, side by side on this machine.
gsctl pull conf collected
test "$(ls collected | wc -l)" -eq 3
diff -r collected/node1 collected/node2
if diff -r collected/node1 collected/node3 >difference; then exit 1; fi
grep -q 'shared_buffers' difference
