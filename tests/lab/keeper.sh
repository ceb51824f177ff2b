# The keeper of a node without namespaces (an ordinary user has none): `sh -c SCRIPT keeper DIR SSHD`.
# It starts sshd and, when its stdin ends, kills what belongs to the node, also when the test was killed.
set -eu
dir=$1 sshd=$2

"$sshd" -f "$dir/.lab/sshd_config" -E "$dir/.lab/sshd.log"
echo $$
cat >/dev/null

trap '' TERM HUP INT
read -r listener <"$dir/.lab/sshd.pid" || exit 0
for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    if read -r stat 2>/dev/null <"$process/stat"; then
        set -- ${stat##*) }
        if [ "$2" = "$listener" ] || [ "$pid" = "$listener" ] ||
            grep -qzxF "GSCTL_LAB_NODE=$dir" "$process/environ" 2>/dev/null; then
            [ "$pid" = $$ ] || kill -KILL "$pid" 2>/dev/null || :
        fi
    fi
done
