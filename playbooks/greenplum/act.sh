# Does one thing with the Greenplum instances of this node, as the variable `verb` says. Comes after lib.sh. POSIX sh.
#   gpstart, gpstart-without-standby, gpstop, gpactivatestandby, gpinitstandby, gprecoverseg, gprecoverseg-r
#       launch the program of that name, detached: its end is seen by look.sh
#   start-segments, start-coordinator, start-utility, start-standby, stop-coordinator, stop-rest, promote
#       pg_ctl, without waiting
#   remove-lock, remove-lock-there   the lock file of a dead coordinator, on this host or on the one that the standby follows
#   probe-scan                       has the coordinator look at its segments
# What runs already, or is stopped already, is left alone. gsctl sets, besides the variables of lib.sh: verb, limit_seconds,
# mode (fast, immediate, smart), gpstart_options, old_host, old_port. `changed=yes` says that something was done.

say() {
    printf '%s\n' "$*"
}

# refuse BECAUSE [HINT]
refuse() {
    fact because "$1"
    [ -z "$2" ] || fact hint "$2"
    return 1
}

# launch PROGRAM DATADIR PORT ARGUMENTS...: these are Python and need greenplum_path.sh, which is written for bash. They get a session
# of their own: broken off half-way by a lost connection or a Ctrl-C they would leave half a cluster. So that they end all the
# same, they have a limit.
launch() {
    [ -n "$2" ] || {
        refuse "it is not known where the coordinator's data directory is" 'set coordinator_data=DIRECTORY for this host in the hosts file'
        return 1
    }
    if [ ! -x "$gphome/bin/$1" ]; then
        refuse "$gphome/bin/$1 is not there"
        return 1
    fi
    logs=$HOME/gpAdminLogs
    mkdir -p "$logs" || return 1
    mark=$logs/gsctl-run
    rm -f "$mark.rc" "$mark.pid" "$mark.out"
    export gphome mark limit_seconds
    export GSCTL_DATA="$2" GSCTL_PORT="$3"
    program=$1
    shift 3
    : >"$mark.out" || return 1
    set -- "$program" "$@"
    detached=nohup
    command -v setsid >/dev/null 2>&1 && detached=setsid
    inside=sh
    command -v bash >/dev/null 2>&1 && inside=bash
    # The mark: process, what it is for, and when the process began.
    $detached "$inside" -c '
        { if [ -r "$gphome/greenplum_path.sh" ]; then . "$gphome/greenplum_path.sh"; fi; } >/dev/null 2>&1
        set +eu
        export GPHOME="${GPHOME:-$gphome}" COORDINATOR_DATA_DIRECTORY="$GSCTL_DATA" MASTER_DATA_DIRECTORY="$GSCTL_DATA" PGPORT="$GSCTL_PORT"
        begun=$(sed "s/^.*) //" /proc/$$/stat | cut -d" " -f20)
        printf "%s\n%s\n%s\n" "$$" "$1" "$begun" >"$mark.new"
        mv "$mark.new" "$mark.pid"
        program=$gphome/bin/$1
        shift
        if timeout 1 true >/dev/null 2>&1; then
            timeout -k 30 "${limit_seconds:-1800}" "$program" "$@"
        else
            "$program" "$@"
        fi
        rc=$?
        echo "$rc" >"$mark.rc.new"
        mv "$mark.rc.new" "$mark.rc"
    ' gsctl "$@" >"$mark.out" 2>&1 </dev/null &
    # It has written its number before we say that it runs.
    tries=0
    while [ ! -s "$mark.pid" ] && [ "$tries" -lt 50 ]; do
        sleep 0.1 2>/dev/null || sleep 1
        tries=$((tries + 1))
    done
    [ -s "$mark.pid" ] || return 1
    shift
    say "$program $* launched as process $(sed -n 1p "$mark.pid"); its output is in $mark.out"
    changed=yes
}

# pg_ctl_start DIR PORT OPTIONS: without waiting.
pg_ctl_start() {
    if process_of "$1"; then
        say "$1 runs already"
        return
    fi
    log_dir "$1"
    mkdir -p "$logs" 2>/dev/null
    told=$(bounded 20 "$gphome/bin/pg_ctl" -D "$1" -l "$logs/startup.log" -W -t 600 -o " -p $2 $3" start 2>&1 </dev/null)
    rc=$?
    [ "$rc" != 0 ] || changed=yes
    say "$1, pg_ctl start, $rc, $(printf '%s' "$told" | tail -n 1)"
}

pg_ctl_stop() {
    process_of "$1" || return 0
    told=$(bounded 20 "$gphome/bin/pg_ctl" -D "$1" -W -m "${mode:-fast}" stop 2>&1 </dev/null)
    rc=$?
    [ "$rc" != 0 ] || changed=yes
    say "$1, pg_ctl stop, $rc, $(printf '%s' "$told" | tail -n 1)"
}

# each ROLES VERB...: for the instances of these roles.
each() {
    wanted=$1
    shift
    rest=$instances
    while next_instance; do
        case " $wanted " in
            *" $role "*) "$@" ;;
        esac
    done
}

# start_as ROLE: with the options that gpstart gives. 6 and before know no gp_role on the command line but utility.
start_as() {
    version_of "$dir"
    case $version/$1 in
        [89]/utility) pg_ctl_start "$dir" "$at_port" '-c gp_role=utility' ;;
        [89]/dispatch) pg_ctl_start "$dir" "$at_port" -E ;;
        [89]/*) pg_ctl_start "$dir" "$at_port" ;;
        *) pg_ctl_start "$dir" "$at_port" "-c gp_role=$1" ;;
    esac
}

stop_one() {
    pg_ctl_stop "$dir"
}

promote_one() {
    if ! process_of "$dir"; then
        say "$dir: no postmaster runs"
        failed=1
        return
    fi
    told=$(bounded 50 "$gphome/bin/pg_ctl" -D "$dir" -W promote 2>&1 </dev/null)
    rc=$?
    if [ "$rc" = 0 ]; then changed=yes; else failed=1; fi
    say "$told"
}

# remove_lock PORT: on this host, unless a live postgres holds it.
remove_lock() {
    lock=/tmp/.s.PGSQL.$1.lock
    [ -e "$lock" ] || return 0
    line_of "$lock" 1
    if is_postgres "$line"; then
        refuse "a postgres lives behind $lock, as process $line"
        return 1
    fi
    if rm -f "$lock" && [ ! -e "$lock" ]; then
        say "removed $lock: its process $line is dead"
        changed=yes
    else
        refuse "$lock can't be removed" 'it belongs to whoever ran the coordinator: remove it as that user'
        return 1
    fi
}

# remove_lock_there: the same over ssh, as gpactivatestandby goes there.
remove_lock_there() {
    lock=/tmp/.s.PGSQL.$old_port.lock
    told=$(bounded 20 ssh -n -o BatchMode=yes -o ConnectTimeout=5 "$old_host" \
        "if read -r p <$lock; then case \$(grep -l -x 'Name:[[:space:]]*postgres' /proc/\$p/status 2>/dev/null) in '') rm -f $lock; test -e $lock || echo gsctl_removed ;; esac; fi" 2>/dev/null </dev/null)
    case $told in
        *gsctl_removed*)
            say "removed $lock on $old_host: its process is dead"
            changed=yes
            ;;
        *)
            refuse "the stale $lock on $old_host can't be removed from here" "remove it there, then promote again"
            return 1
            ;;
    esac
}

probe_scan() {
    the_coordinator || return 1
    connect '' "$c_port" "$c_dir" 'select gp_request_fts_probe_scan()'
    return 0
}

main() {
    use_programs
    case $verb in
        # Who asks for the promotion of a host without groups means a standby.
        promote | gpactivatestandby) in_group standby || groups="$groups standby" ;;
    esac
    find_instances
    failed=0 changed=no
    # The coordinator's port and directory, for the programs that want them.
    rest=$instances at_port=
    ! next_instance || case $role in
        coordinator | standby) ;;
        *) at_port= ;;
    esac
    c_port=${at_port:-${coordinator_port:-5432}}
    set -f
    # shellcheck disable=SC2086
    case $verb in
        gpstart) launch gpstart "$data" "$c_port" -a -d "$data" $gpstart_options || failed=1 ;;
        gpstart-without-standby) launch gpstart "$data" "$c_port" -a -S -y -d "$data" $gpstart_options || failed=1 ;;
        gpstop) launch gpstop "$data" "$c_port" -a -M "${mode:-fast}" -d "$data" || failed=1 ;;
        gpactivatestandby)
            launch gpactivatestandby "${standby_data:-$data}" "$c_port" -a -d "${standby_data:-$data}" || failed=1
            ;;
        gpinitstandby) launch gpinitstandby "$data" "$c_port" -a -n || failed=1 ;;
        gprecoverseg) launch gprecoverseg "$data" "$c_port" -a -d "$data" || failed=1 ;;
        gprecoverseg-r) launch gprecoverseg "$data" "$c_port" -a -r -d "$data" || failed=1 ;;
        start-segments) each 'primary mirror' start_as execute ;;
        start-coordinator) each coordinator start_as dispatch ;;
        start-utility) each coordinator start_as utility ;;
        start-standby) each standby start_as dispatch ;;
        stop-coordinator) each coordinator stop_one ;;
        stop-rest) each 'coordinator standby primary mirror' stop_one ;;
        promote) each standby promote_one ;;
        remove-lock) remove_lock "$c_port" || failed=1 ;;
        remove-lock-there) remove_lock_there || failed=1 ;;
        probe-scan) probe_scan || failed=1 ;;
        *)
            say "unknown verb $verb"
            failed=1
            ;;
    esac
    fact changed "$changed"
    return "$failed"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
