# What carries a command on the node has the command's public id in its arguments: the login shell that was given it, /bin/sh, sudo.
# gs_pid, gs_start, gs_boot and gs_leads (who leads its session) are what the wrapper said of itself, or 0. gs_same: over the connection that it was said over.

# gs_look PID: reads /proc/PID/stat; fails where there is no such process.
gs_look() {
    gs_line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    set -f
    set -- ${gs_line##*) }
    set +f
    gs_state=$1 gs_parent=$2 gs_group=$3 gs_session=$4 gs_began=${20}
    [ -n "$gs_session" ]
}

# gs_is_it: the process of that number is the one that the wrapper was.
gs_is_it() {
    [ "$gs_pid" -gt 1 ] && gs_look "$gs_pid" && { [ "$gs_start" = 0 ] || [ "$gs_began" = "$gs_start" ]; }
}

# gs_named: in gs_ids the processes whose arguments have the id, between spaces. The id comes to grep on standard input, as it must not
# find itself.
gs_named() {
    gs_ids=' '
    [ -n "$gs_id" ] || return 0
    for gs_file in $(printf '%s\n' "$gs_id" | grep -slFf - /proc/[0-9]*/cmdline); do
        gs_file=${gs_file#/proc/}
        gs_ids="$gs_ids${gs_file%/cmdline} "
    done
}

# gs_find: where it is. In gs_lead who leads its session and group, and nobody else's; in gs_tree what belongs to it, as far as that is
# known; in gs_sessions their sessions. A server like dropbear runs a command in the session of the connection, which is not ours.
gs_find() {
    gs_named
    gs_tree=$gs_ids gs_lead= gs_sessions=' ' gs_top=
    if gs_is_it; then
        gs_tree="$gs_tree$gs_pid " gs_top=$gs_pid
    elif [ "$gs_same" = 1 ] && [ "$gs_leads" -gt 1 ] && ! gs_look "$gs_leads"; then
        # Who led it is gone, and its number is not in use: what has it as group or session is what it left.
        gs_lead=$gs_leads
    fi
    for gs_one in $gs_tree; do
        gs_look "$gs_one" || continue
        gs_sessions="$gs_sessions$gs_session "
        [ "$gs_session" != "$gs_one" ] || gs_lead=$gs_one gs_top=$gs_one
    done
}

# gs_scan: in gs_live what runs of it: who is in the group or session that it leads, or it itself, its children and theirs.
# A job-control shell gives each job a group of its own but not a session; whoever took a session of its own is a daemon and is left
# alone. One cat, no read: dash reads a byte at a time. Fails where this very shell is not seen.
gs_scan() {
    gs_live= gs_part= gs_self=1
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
        [ "$gs_one" != "$$" ] || gs_self=0
        case $1 in
            Z | X) continue ;;
        esac
        if [ -n "$gs_lead" ] && { [ "$3" = "$gs_lead" ] || [ "$4" = "$gs_lead" ]; }; then
            gs_live="$gs_live $gs_one"
            continue
        fi
        case $gs_tree in
            *" $gs_one "*)
                # A number that was given to another one meanwhile is not ours any more.
                [ "$gs_one" != "$gs_pid" ] || [ "$gs_start" = 0 ] || [ "${20}" = "$gs_start" ] || continue
                gs_live="$gs_live $gs_one"
                ;;
            *" $2 "*)
                case $gs_sessions in
                    *" $4 "*) gs_live="$gs_live $gs_one" gs_tree="$gs_tree$gs_one " ;;
                esac
                ;;
        esac
    done
    unset IFS
    set +f
    return $gs_self
}

# gs_grow: a child may be listed before its parent.
gs_grow() {
    gs_before=
    until [ "$gs_tree" = "$gs_before" ]; do
        gs_before=$gs_tree
        gs_scan || return 1
    done
}

# gs_signal NAME: to what the scan a moment ago has found. The group first, in one call that no fork can outrun, then who is left by number.
# This form and no other: where kill(1) is no builtin but that of procps, `kill -TERM -1234` means `kill -TERM -1`, everybody.
# busybox grumbles at the `--`, and does it.
gs_signal() {
    case " $gs_live " in
        *" $gs_lead "*) [ -z "$gs_lead" ] || kill -s "$1" -- "-$gs_lead" ;;
    esac
    for gs_one in $gs_live; do
        kill -s "$1" "$gs_one"
    done
} 2>/dev/null

# gs_lives: something of what the last scan has found is there still.
gs_lives() {
    for gs_one in $gs_live; do
        ! gs_look "$gs_one" || [ "$gs_state" = Z ] || [ "$gs_state" = X ] || return 0
    done
    return 1
}

# gs_wait_gone TENTHS [SIGNAL]: 1: something is left. 2: nobody can tell. A scan of all processes takes a busy node long: one now and
# then for what was started meanwhile, and one where all that was known is gone.
gs_wait_gone() {
    gs_left=$1
    while :; do
        if [ $((gs_left % 5)) = 0 ] || ! gs_lives; then
            gs_grow || return 2
            [ -n "$gs_live" ] || return 0
        fi
        [ "$gs_left" -gt 0 ] || return 1
        [ -z "$2" ] || gs_signal "$2"
        if sleep 0.1 2>/dev/null; then
            gs_left=$((gs_left - 1))
        elif sleep 1 2>/dev/null; then
            gs_left=$((gs_left - 10))
        else
            gs_left=$((gs_left - 1))
        fi
    done
}

# gs_reader: a process that has the id is the shell that runs the command, and not only the login shell that is to start it.
gs_reader() {
    for gs_one in $gs_ids; do
        case $(cat "/proc/$gs_one/cmdline" 2>/dev/null | tr '\0' ' ') in
            '/bin/sh -c set +aefuvxC;'*) return 0 ;;
        esac
    done
    return 1
}

# Without /proc: the group alone is known, and its zombies count.
gs_blind() {
    gs_live= gs_lead=$gs_pid
    if [ "$gs_same" != 1 ] || [ "$gs_pid" -le 1 ]; then
        gs_unknown 'there is no /proc'
        return
    fi
    gs_alone() { kill -s 0 -- "-$gs_pid" 2>/dev/null || kill -s 0 "$gs_pid" 2>/dev/null; }
    gs_alone || { echo gone; return; }
    for gs_name in TERM CONT KILL KILL; do
        { kill -s "$gs_name" -- "-$gs_pid" || kill -s "$gs_name" "$gs_pid"; } 2>/dev/null
        [ "$gs_name" = TERM ] || sleep 1
        gs_alone || { echo killed; return; }
    done
    echo alive
    gs_bad=1
}

# gs_unknown WHY
gs_unknown() {
    printf 'unknown\t%s\n' "$1"
    gs_bad=1
}

gs_kill() {
    if [ ! -r /proc/self/stat ]; then
        gs_blind
        return
    fi
    for gs_helper in cat grep; do
        if ! command -v "$gs_helper" >/dev/null 2>&1; then
            gs_unknown "there is no $gs_helper on the node"
            return
        fi
    done
    gs_now=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
    if [ "$gs_boot" != 0 ] && [ -n "$gs_now" ] && [ "$gs_now" != "$gs_boot" ]; then
        # Whatever has that number now, the command ended with the node.
        echo gone
        return
    fi
    if [ "$gs_same" != 1 ] && [ "$gs_pid" -gt 1 ] && { [ "$gs_start" = 0 ] || [ "$gs_boot" = 0 ] || [ -z "$gs_now" ]; }; then
        # A number alone says nothing over another connection; the id does.
        gs_pid=0
    fi
    gs_find
    gs_has_begun=1
    [ "$gs_pid" -gt 1 ] || gs_reader || gs_has_begun=0
    if ! gs_grow; then
        gs_unknown 'the processes of the node cannot be listed'
        return
    fi
    if [ -z "$gs_live" ]; then
        echo gone
        return
    fi
    gs_signal TERM
    # A stopped process hears nothing until it goes on.
    gs_signal CONT
    gs_wait_gone 20 ''
    case $? in
        1) gs_wait_gone 20 KILL ;;
    esac
    case $? in
        0) if [ "$gs_has_begun" = 1 ]; then echo killed; else echo 'never begun'; fi ;;
        1)
            echo alive
            gs_bad=1
            ;;
        *) gs_unknown 'the processes of the node cannot be listed' ;;
    esac
}
