# Sends what tells why instances of this node do not come up: of gpstart what it said, of each instance that is not up what it
# answers, startup.log and its newest own log, since the start was requested. gsctl holds them against greenplum/causes.yaml and
# postgres/causes.yaml. First a result line for each such instance, as gpsegstart prints it. Changes nothing. POSIX sh.
# Comes after shared/logs.sh, lib.sh, look.sh and logs.sh. gsctl sets, besides the variables of lib.sh:
#   log_marks   what mark_logs printed before the first change; empty: nothing was started by this run

# send_gpstart: what the program said that was launched last, or that somebody ran.
send_gpstart() {
    own=$HOME/gpAdminLogs/gsctl-run.out
    if [ -n "$log_marks" ]; then
        # Begun anew for each program, so all of it is of this one. One of an earlier run says nothing now.
        if [ "$run_state" != none ]; then send_file GPADMIN "$own"; fi
    elif newest_of "$own" "$HOME"/gpAdminLogs/gpstart_*.log; then
        send_file GPADMIN "$newest"
    fi
}

# send_some CODES FILE: no more than three logs of instances.
send_some() {
    [ "$sent" -lt 3 ] || return 0
    send_file "$1" "$2"
    sent=$((sent + 1))
}

# send_probes: what the coordinator's probes say of the segments, where it is up and the cluster is not whole.
send_probes() {
    the_coordinator || return 0
    newest_csv "$c_dir"
    [ -n "$csv" ] || return 0
    probes=$(tail -c 65536 "$csv" | LC_ALL=C grep FTS: | tail -n 20)
    [ -z "$probes" ] || send_words GPCSV "$csv" "$probes"
}

# send_instance: the logs of one. What a session of ours, or of the other half of a pair, was told while it followed is no trouble.
send_instance() {
    case $role in
        mirror | standby) leave_out='in recovery mode|starting up|last replayed record at' ;;
        *) leave_out= ;;
    esac
    newest_csv "$dir"
    own=$csv
    [ -z "$own" ] || ! is_before_start "$own" || own=
    # What ends a start early is in startup.log alone. Where nothing is started, the newer one tells.
    if [ -z "$log_marks" ] && [ -n "$own" ] && [ "$own" -nt "$logs/startup.log" ]; then
        send_some GPCSV,PGLOG "$own"
        own=
    fi
    send_some STARTUP,PGSTART "$logs/startup.log"
    [ -z "$own" ] || send_some GPCSV,PGLOG "$own"
    # A full disk hides itself: nothing is written about it.
    ! full_disk "$dir" || states="$states$(say_state PG36 "$full")$nl"
    leave_out=
}

main() {
    use_programs
    find_instances
    light=1 leave_out= sent=0 admin_program=none
    launched >/dev/null
    [ "$run_state" = running ] || find_admin_program
    bad= words= states=
    rest=$instances
    while next_instance; do
        said=
        state_of "$role" "$at_port" "$dir"
        case $role/$state in
            coordinator/accepting | primary/accepting | mirror/streaming | mirror/mirror | standby/streaming | standby/mirror) continue ;;
        esac
        bad="$bad$one_line$nl"
        case $role in
            primary | mirror) echo "STATUS--DIR:$dir--STARTED:False--REASONCODE:1--REASON:$role on port $at_port is $state" ;;
            *) echo "$role on port $at_port is $state: $dir" ;;
        esac
        case $role/$state in
            primary/no-data | mirror/no-data) states="$states$(say_state GP10 "$dir is not there")$nl" ;;
            # gpstart itself starts it so for a moment.
            coordinator/utility)
                [ "$run_state" = running ] || [ "$admin_program" != none ] ||
                    states="$states$(say_state GP18 "the coordinator on port $at_port takes utility sessions only")$nl"
                ;;
            coordinator/* | primary/*)
                [ -z "$said" ] || words="$words$(send_words CONNECT "the answer of $role on port $at_port" "$said")$nl"
                ;;
        esac
    done
    if in_group coordinator || in_group standby; then send_gpstart; fi
    rest=$bad
    while next_instance; do
        send_instance
    done
    printf '%s' "$words"
    case $bad in
        coordinator\ * | *"${nl}coordinator "*) ;;
        *) send_probes ;;
    esac
    if ! in_group coordinator && newest_of "$HOME"/gpAdminLogs/gpsegstart*.log && ! is_before_start "$newest"; then
        send_file GPADMIN "$newest"
    fi
    printf '%s' "$states"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
