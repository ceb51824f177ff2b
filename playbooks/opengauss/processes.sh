# Which programs of openGauss run on this node, as this user. After lib.sh; $bin and $real are GAUSSHOME/bin and where that leads.

# count_process PID NAME
count_process() {
    of_us "$1" || return
    case $2 in
        om_monitor) om_monitor=running om_monitor_pid=$1 ;;
        cm_agent) cm_agent=running cm_agent_pid=$1 ;;
        cm_server) cm_server=running left="$left${left:+, }cm_server (pid $1)" ;;
        gaussdb)
            called=$nl$(arguments "$1")$nl
            case $called in
                # The master of fenced functions lives and dies with cm_agent; it is no datanode.
                *"$nl"--fenced"$nl"*) ;;
                *)
                    datanodes=$((datanodes + 1))
                    case $called in
                        *"$nl-D$nl"*)
                            called=${called#*"$nl-D$nl"}
                            called=" in ${called%%"$nl"*}"
                            ;;
                        *) called= ;;
                    esac
                    left="$left${left:+, }gaussdb (pid $1$called)"
                    ;;
            esac
            ;;
    esac
}

# find_processes: by executable, as a name proves nothing; (deleted) is what an upgrade leaves.
find_processes() {
    om_monitor=none om_monitor_pid= cm_agent=none cm_agent_pid= cm_server=none datanodes=0 left=
    executables
    IFS=$nl
    set -f
    for line in $(printf '%s\n' "$programs" | grep -F -e " -> $bin/" -e " -> $real/"); do
        unset IFS
        target=${line#* -> }
        target=${target% (deleted)}
        pid=${line%% -> *}
        pid=${pid##*/proc/}
        pid=${pid%/exe}
        case $target in
            "$real"/*) count_process "$pid" "${target#"$real/"}" ;;
            "$bin"/*) count_process "$pid" "${target#"$bin/"}" ;;
        esac
    done
    unset IFS
    set +f
    # A program with file capabilities hides its executable even from its own user. Then the name and the path it was called
    # by must do.
    if [ "$om_monitor$cm_agent$cm_server" != runningrunningrunning ] || [ "$datanodes" = 0 ]; then
        find_hidden
    fi
}

find_hidden() {
    for file in $(cd /proc && grep -slxF -e om_monitor -e cm_agent -e cm_server -e gaussdb [0-9]*/comm); do
        pid=${file%/comm}
        [ -z "$(readlink "/proc/$pid/exe" 2>/dev/null)" ] || continue
        read -r name <"/proc/$pid/comm" || continue
        called=$(arguments "$pid")
        called=${called%%"$nl"*}
        case $called in
            "$bin/$name" | "$real/$name" | "$name") count_process "$pid" "$name" ;;
        esac
    done
} 2>/dev/null
