# The end of every script of parts: does those that $sdr_part names, one after the other, alone on this node.

main() {
    begin
    case $part in
        # Looks while waiting.
        built | connected | fetch | truncation | barrier)
            own_node
            do_part
            return
            ;;
        cluster)
            query_cluster
            fact cluster_state "$cluster_state"
            return
            ;;
    esac
    ! is_finished || return 0
    mkdir -p "$own_dir" 2>/dev/null && chmod 755 "$cabin" && chmod 700 "$own_dir" || fail "cannot make $own_dir"
    # With gsctl gone, nobody listens any more: what has begun is ended and recorded all the same.
    trap '' PIPE
    # A part that a gsctl which was killed has begun may still be at work here. It ends first.
    if command -v flock >/dev/null 2>&1; then
        exec 9>>"$own_dir/lock"
        flock 9
    fi
    for part in $sdr_part; do
        do_part
    done
}

# is_finished: whether the start was done to its last step, of which gsctl could not keep that it was: a run that goes on finds
# nothing to do then. A run of its own is refused before.
is_finished() {
    ! is_over || return 0
    told step
    [ -z "$value" ] || return 1
    told stat
    case $mode-$side-$value in
        primary-primary-archive | disaster_standby-standby-recovery | pair-primary-archive | pair-standby-recovery) return 0 ;;
        *) return 1 ;;
    esac
}

# do_part: in a script that has no parts of another kind, there is no role_part.
do_part() {
    rc=0
    start_part || rc=$?
    [ "$rc" -eq 3 ] || return 0
    ! command -v role_part >/dev/null 2>&1 || { rc=0 && role_part || rc=$?; }
    [ "$rc" -ne 3 ] || fail "there is no part $part"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
