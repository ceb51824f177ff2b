# What is typed wrong is said before anybody is contacted, with the way out.
wrong() {
    expected=$1 want=$2 status=0
    shift 2
    gsctl "$@" >/dev/null 2>said || status=$?
    test "$status" -eq "$expected" || { cat said; return 1; }
    grep -q -e "$want" said || { cat said; return 1; }
}
wrong 2 '`exec uptime`' -w node1 uptime
wrong 2 '`push SRC... DEST`' cp a b
wrong 2 'there is no group `primry`' -g primry ping
wrong 6 'group `empty` has no hosts' -g empty ping
wrong 6 'hint: ' -w 'node1&node2' ping
wrong 2 'there is no such file' -f nowhere ping
wrong 2 'is an empty range' -w 'node[3-1]' ping
wrong 2 'hint: ' -i nokey ping
wrong 2 '--sudo=postgres --' exec --sudo postgres -- id
wrong 2 '--wait' --wiat 3s start
# A host that is not there is named, with what to look at.
status=0
gsctl -w node1,nobody.invalid --connect-attempts 1 exec true 2>said || status=$?
test "$status" -eq 4
grep -q 'UNREACHABLE nobody.invalid' said
test "$(gsctl runs | grep -c exec)" -eq 1
