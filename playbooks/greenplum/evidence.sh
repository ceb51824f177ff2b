# Prints a result line for each segment of this node that is not up, as gpsegstart does, and the last lines of its log, or on
# the coordinator those of gpstart. For the report on a node that did not come up. Changes nothing. Comes after lib.sh. POSIX sh.

# last_lines FILE [PATTERN]
last_lines() {
    [ -r "$1" ] || return
    found=$(sed -e '/-\[DEBUG\]:-/d' "$1" 2>/dev/null | grep -E "${2:-.}" | grep -v -E 'in recovery mode|starting up' | tail -n "${evidence_lines:-4}")
    [ -n "$found" ] || return
    echo "$1:"
    printf '%s\n' "$found" | sed 's/^/  /'
}

# server_log DIR: the newest of an instance's own logs.
server_log() {
    log_dir "$1"
    newest=$(ls -t "$logs"/gpdb-*.csv 2>/dev/null | sed -n 1p)
    last_lines "$logs/startup.log"
    [ -z "$newest" ] || last_lines "$newest" 'FATAL|PANIC'
}

main() {
    use_programs
    find_instances
    if in_group coordinator || in_group standby; then
        last_lines "$HOME/gpAdminLogs/gsctl-run.out"
    fi
    rest=$instances
    while next_instance; do
        state_of "$role" "$at_port" "$dir"
        case $role/$state in
            coordinator/accepting | primary/accepting | mirror/streaming | mirror/mirror | standby/streaming | standby/mirror) continue ;;
        esac
        case $role in
            primary | mirror) echo "STATUS--DIR:$dir--STARTED:False--REASONCODE:1--REASON:$role on port $at_port is $state" ;;
            *) echo "$role on port $at_port is $state: $dir" ;;
        esac
        server_log "$dir"
    done
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
