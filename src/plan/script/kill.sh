# gs_place: a server (dropbear, tinysshd) may run a command in the session of the connection; then gs_pid leads
# nothing. In gs_session that session, in gs_tree the processes of the command that are known so far, between spaces.
gs_place() {
    gs_session= gs_tree=
    [ -r "/proc/$gs_pid/stat" ] || return 0
    gs_line=$(cat "/proc/$gs_pid/stat" 2>/dev/null)
    set -f
    set -- ${gs_line##*) }
    set +f
    [ -n "$4" ] && [ "$3" != "$gs_pid" ] && [ "$4" != "$gs_pid" ] || return 0
    gs_session=$4 gs_tree=" $gs_pid "
    # A child may be listed before its parent.
    while gs_before=$gs_tree; gs_scan; [ "$gs_tree" != "$gs_before" ]; do :; done
}

# gs_scan: in gs_live the processes of the group, and of the session, that gs_pid leads, or where it leads none its children and
# theirs. A job-control shell gives each job a group of its own but not a session; whoever took a session of its own is a daemon
# and is left alone. One cat, no read: dash reads a byte at a time.
gs_scan() {
    gs_live= gs_part=
    IFS=$gs_nl
    set -f
    # A process name may hold a newline: what is no whole line is the first part of one.
    for gs_line in $(set +f; cat /proc/[0-9]*/stat 2>/dev/null); do
        gs_line=$gs_part$gs_line
        case $gs_line in
            *') '[A-Za-z]' '[0-9]*) gs_part= ;;
            *)
                gs_part="$gs_line "
                continue
                ;;
        esac
        IFS=' '
        gs_one=${gs_line%% *}
        set -- ${gs_line##*) }
        case $1 in
            Z | X) continue ;;
        esac
        if [ "$3" = "$gs_pid" ] || [ "$4" = "$gs_pid" ]; then
            gs_live="$gs_live $gs_one"
        elif [ "$4" = "$gs_session" ]; then
            case $gs_tree in
                *" $gs_one "*) gs_live="$gs_live $gs_one" ;;
                *" $2 "*) gs_live="$gs_live $gs_one" gs_tree="$gs_tree$gs_one " ;;
            esac
        fi
    done
    unset IFS
    set +f
}

# gs_alive: something of it runs. Without /proc only the group is known, and its zombies count.
gs_alive() {
    if [ -r /proc/self/stat ]; then
        gs_scan
        [ -n "$gs_live" ]
    else
        gs_live=
        kill -s 0 -- "-$gs_pid" 2>/dev/null || kill -s 0 "$gs_pid" 2>/dev/null
    fi
}

# gs_signal NAME: the group first, in one call that no fork can outrun, then who is left by number. This form and no other: where
# kill(1) is no builtin but that of procps, `kill -TERM -1234` means `kill -TERM -1`, everybody. busybox grumbles at the `--`,
# and does it.
gs_signal() {
    kill -s "$1" -- "-$gs_pid" || kill -s "$1" "$gs_pid"
    for gs_one in $gs_live; do
        kill -s "$1" "$gs_one"
    done
} 2>/dev/null

# gs_wait_gone TENTHS [SIGNAL]
gs_wait_gone() {
    gs_left=$1
    while gs_alive; do
        [ "$gs_left" -gt 0 ] || return 1
        [ -z "$2" ] || gs_signal "$2"
        if sleep 0.1 2>/dev/null; then
            gs_left=$((gs_left - 1))
        else
            sleep 1
            gs_left=$((gs_left - 10))
        fi
    done
}

gs_kill() {
    gs_pid=$1
    gs_place
    if ! gs_alive; then
        echo gone
        return
    fi
    gs_signal TERM
    # A stopped process hears nothing until it goes on.
    gs_signal CONT
    if gs_wait_gone 20 '' || gs_wait_gone 20 KILL; then
        echo killed
    else
        echo alive
        gs_bad=1
    fi
}
