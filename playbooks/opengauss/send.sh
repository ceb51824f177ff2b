# Sends what was written to the logs of CM since mark_logs (logs.sh) was asked. After shared/logs.sh, before evidence.sh.
# CM's logs are marked by their directory: each start may go on in another file.

# marked CODE: leaves in $mark_inode, $mark_size and $mark_dir what was noted about a log; false where nothing was.
marked() {
    mark_inode=0 mark_size=0 mark_dir=
    set -f
    IFS='|'
    for entry in $log_marks; do
        case $entry in
            "$1":*)
                entry=${entry#*:}
                mark_inode=${entry%%:*}
                entry=${entry#*:}
                mark_size=${entry%%:*} mark_dir=${entry#*:}
                ;;
        esac
    done
    unset IFS
    set +f
    [ -n "$mark_dir" ]
}

mark_of() {
    # The server's own log is a new file at each start.
    marked "$1" || { [ "$1" = PGLOG ] && [ -n "$log_marks" ]; }
}

begins_of() {
    begins= by_time=yes skip_old=no
    case $1 in
        # What keeps om_monitor itself from running, cron makes it say once a minute.
        OMM) [ "$om_monitor" = none ] || begins='cm_agent start, pid is' ;;
        AGENT) begins='agent start and stop thread start' ;;
        # Much of it tells no time.
        DNERR) skip_old=yes ;;
    esac
}

# send_log CODE DIR
send_log() {
    log_of "$1" "$2" || return 0
    send_file "$1" "$log"
}
