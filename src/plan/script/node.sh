# Which node this is: its machine, and since which start. Clones of a machine share the one, containers of a machine the other.
gs_machine='' gs_boot=''
read -r gs_machine </etc/machine-id || read -r gs_machine </var/lib/dbus/machine-id
read -r gs_boot </proc/sys/kernel/random/boot_id
printf 'gsctl-node %s %s\n' "${gs_machine:--}" "${gs_boot:--}"
