# Where the logs of a node are, and what was written to them since the start was requested. After lib.sh and processes.sh.
#
# CM's logs go on in the same file across restarts, so that yesterday's trouble stands in the newest file too. So their inode and
# size are taken before the first change, and only what is after that is read (shared/logs.sh, send.sh).

# log_of CODE DIR: leaves in $log the current log of that code.
log_of() {
    case $1 in
        OMM) newest "$2" om_monitor ;;
        AGENT) newest "$2" cm_agent ;;
        CMS) newest "$2" cm_server ;;
        KEY_EVENT) newest "$2" key_event ;;
        *)
            log=$2/system_call-current.log
            [ -e "$log" ] || log=
            [ -n "$log" ]
            ;;
    esac
}

# monitor_logs GAUSSLOG: leaves in $omm_dir where om_monitor logs: it is called as `om_monitor -L DIR`.
monitor_logs() {
    omm_dir=
    [ -z "$om_monitor_pid" ] || omm_dir=$(arguments "$om_monitor_pid" | sed -n '/^-L$/{n;p;q;}')
    [ -n "$omm_dir" ] || [ -z "$1" ] || omm_dir=${1%/}/cm/om_monitor
}

# mark_logs GAUSSLOG: `CODE:inode:size:DIR` for each log, behind the node's own time, with `|` between them.
mark_logs() {
    monitor_logs "$1"
    printf '%s' "$(date +%s)"
    mark_log OMM "$omm_dir"
    mark_log AGENT "$agent_log"
    mark_log DNERR "$agent_log"
    [ -z "$1" ] || mark_log CMS "${1%/}/cm/cm_server"
    [ -z "$1" ] || mark_log KEY_EVENT "${1%/}/cm/cm_server"
}

mark_log() {
    case $2 in
        '' | *'|'*) return ;;
    esac
    log= inode=0 size=0
    if log_of "$1" "$2" && [ -r "$log" ]; then
        inode=$(ls -id "$log") && inode=${inode%% /*}
        size=$(wc -c <"$log")
    fi
    printf '|%s:%s:%s:%s' "$1" "${inode##* }" "${size##* }" "$2"
} 2>/dev/null
