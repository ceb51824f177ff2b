# The keeper of a node without namespaces (an ordinary user has none): `sh -c SCRIPT keeper DIR SSHD`.
# It starts sshd and, when its stdin ends, kills what belongs to the node, also when the test was killed.
set -eu
dir=$1 sshd=$2

"$sshd" -f "$dir/.lab/sshd_config" -E "$dir/.lab/sshd.log"
echo $$
cat >/dev/null

trap '' TERM HUP INT
read -r listener <"$dir/.lab/sshd.pid" || listener=none
known=" $listener "
# Children may come before their parents, so each generation takes a pass: sshd, its monitor, its session, a shell.
for pass in 1 2 3 4; do
    for process in /proc/[0-9]*; do
        pid=${process#/proc/}
        read -r stat 2>/dev/null <"$process/stat" || continue
        set -- ${stat##*) }
        case $known in
        *" $pid "*) ;;
        *" $2 "*) known="$known$pid " ;;
        *) ! grep -qzxF "GSCTL_LAB_NODE=$dir" "$process/environ" 2>/dev/null || known="$known$pid " ;;
        esac
    done
done
for pid in $known; do
    [ "$pid" = $$ ] || [ "$pid" = none ] || kill -KILL "$pid" 2>/dev/null || :
done
