# Which logs of this node tell why a daemon does not come up, and how long each was before the first change. POSIX sh (dash,
# bash, busybox, ksh), after shared/logs.sh and lib.sh.

# newest_of PATTERN: leaves in $log the file that was written to last. A pattern, as a trace stands in a directory that is named
# after the node, in the words of the node.
newest_of() {
    IFS=
    set -- $1
    unset IFS
    log=$1
    # Nearly always there is but one, or none.
    [ "$#" -le 1 ] || log=$(ls -t "$@" 2>/dev/null | sed -n 1p)
    [ -e "$log" ] || log=
}

# log_of CODE: leaves in $log the log of that code; false where there is none. After find_traces.
log_of() {
    log=
    case $1 in
        CRSALERT) log=$alert_log ;;
        OHASDTRC) find_trace ohasd && newest_of "$trace" ;;
        OCSSDTRC) find_trace cssd && newest_of "$trace" ;;
        AGENTTRC) find_trace agent && newest_of "$trace" ;;
        ROOTAGENTTRC) find_trace rootagent && newest_of "$trace" ;;
        CRSDTRC) find_trace crsd && newest_of "$trace" ;;
        ASMALERT) newest_of "${oracle_base:-/nonexistent}/diag/asm/+asm/+ASM*/trace/alert_+ASM*.log" ;;
        *) find_trace "$1" && newest_of "$trace" ;;
    esac
    [ -n "$log" ]
}

# mark_logs: the node's own time, and each log, with `|` between them.
mark_logs() {
    [ -n "$suffix" ] || find_traces
    printf '%s' "$(date +%s)"
    for code in CRSALERT OHASDTRC OCSSDTRC AGENTTRC ROOTAGENTTRC ASMALERT CRSDTRC gpnpd gipcd mdnsd ctssd evmd; do
        ! log_of "$code" || mark_file "$log"
    done
}

begins_of() {
    begins= by_time=yes skip_old=no
    case $1 in
        # 12c and later, and 11.2.
        CRSALERT) begins='OHASD.*CRS-8500|CRS-2112' ;;
        OHASDTRC*) begins='OHASD Daemon Starting' ;;
        OCSSDTRC) begins='Starting CSS daemon' ;;
    esac
    # The news of drivers and of incidents, of which there is much.
    leave_out='CRS-10001[^0-9]|CRS-850[03][^0-9]|^Errors in file|^Incident details in|^[[:space:]]*$'
}
