# Which logs of this node tell why an instance does not come up, and how long each was before the first change. Comes after
# shared/logs.sh, lib.sh and look.sh. POSIX sh.

# newest_csv DIR: leaves in $csv the newest of an instance's own logs; it begins another one at each start.
newest_csv() {
    log_dir "$1"
    csv=$(ls -t "$logs"/gpdb-*.csv 2>/dev/null | sed -n 1p)
}

# newest_of FILE...: leaves in $newest the one that was written to last.
newest_of() {
    newest=$(ls -t "$@" 2>/dev/null | sed -n 1p)
    [ -n "$newest" ]
}

# mark_logs: the node's own time, and each log of the instances that are known, with `|` between them.
mark_logs() {
    printf '%s' "$(date +%s)"
    ! newest_of "$HOME"/gpAdminLogs/gpsegstart*.log || mark_file "$newest"
    rest=$instances
    while next_instance; do
        newest_csv "$dir"
        mark_file "$logs/startup.log"
        [ -z "$csv" ] || mark_file "$csv"
    done
}

begins_of() {
    begins= by_time=no skip_old=no
    case $1 in
        GPADMIN) begins='Starting gp[a-z]+(\.py)? with args' by_time=yes ;;
    esac
}
