# The first process of a node with namespaces of its own: `unshare ... sh -c SCRIPT init DIR BASE NAME SSHD`.
# It gives the node its private files, starts sshd, reaps orphans (sh waits for any child) and ends when its stdin
# does, that is when the test does, however the test does; the kernel then kills all that is left in the node.
set -eu
dir=$1 base=$2 name=$3 sshd=$4

# The outer /proc is still there, so this is the number by which the test knows this process.
read -r pid rest </proc/self/stat
mount -t proc proc /proc
echo "$name" >/proc/sys/kernel/hostname
mount --bind "$dir/.lab/boot_id" /proc/sys/kernel/random/boot_id

# The lab may lie under /tmp, which goes private too: from here on everything is taken from BASE.
mount --bind "$dir" "$base"
cd "$base/.lab"
for file in passwd group shadow profile; do
    mount --bind "etc/$file" "/etc/$file"
done
if [ -e etc/sudoers ]; then mount --bind etc/sudoers /etc/sudoers; fi
mount --bind bin /usr/local/bin
mount --bind run /run
mount --bind tmp /tmp
mount --bind vartmp /var/tmp
cd /

"$sshd" -f "$base/.lab/sshd_config" -E "$base/.lab/sshd.log"
echo "$pid"
cat >/dev/null
