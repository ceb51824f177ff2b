# Sends what tells why a node does not come up: the logs of the program that is missing, since the start was requested, and
# what must be looked at otherwise. gsctl holds them against playbooks/opengauss/causes.yaml. Changes nothing, needs no root.
# shared/logs.sh, lib.sh, processes.sh, logs.sh and send.sh stand before it. gsctl sets these variables before all; any may be empty:
#   gausshome  env_file  gausslog  cm_data
#   log_marks   what mark_logs printed before the first change; empty: nothing was started by this run

# no_monitor: nothing starts om_monitor but cron.
no_monitor() {
    crontab_line
    if [ "$cron" = no ]; then
        say_state OG05 'no line of the crontab starts om_monitor'
    elif [ -r /proc/1/comm ] && ! (cd /proc && grep -qsxE 'crond?|systemd-cron' [0-9]*/comm); then
        # With hidepid only the own processes are there, and not number 1.
        say_state OG06 'no process named cron or crond'
    fi
    if [ "$profile" = broken ]; then
        say_state OG11 'the login profiles do not come to their end'
    elif [ -n "$looked_inside" ] && [ -z "$env_gausshome" ]; then
        say_state OG11 'GAUSSHOME is empty after /etc/profile and ~/.bashrc'
    fi
}

# data_directory: of the datanode that cm_agent starts: it writes the whole command into its log.
data_directory() {
    data=
    log_of AGENT "$1" && [ -r "$log" ] || return 1
    data=$(tail -c 262144 "$log" | LC_ALL=C sed -n 's/.*DN START system(command:.*gaussdb  *-D  *\(.*[^ ]\)  *-M .*/\1/p' | tail -n 1)
    [ -n "$data" ]
}

# server_log: the datanode's own log; it begins another file at each start.
server_log() {
    directory=$(LC_ALL=C sed -n "s/^[[:space:]]*log_directory[[:space:]]*=[[:space:]]*//p" "$data/postgresql.conf" 2>/dev/null | tail -n 1)
    directory=${directory%%#*}
    directory=${directory%"${directory##*[! 	]}"}
    directory=${directory#\'}
    directory=${directory%\'}
    case $directory in
        /*) ;;
        *) directory=$data/${directory:-pg_log} ;;
    esac
    if [ -e "$directory" ] && [ ! -r "$directory" ]; then
        printf '>> PGLOG unreadable %s\n' "$directory"
        return
    fi
    log=$(ls -t "$directory"/postgresql-*.log 2>/dev/null | head -n 1)
    [ -n "$log" ] || return 0
    # An older file is of an earlier start.
    ! is_before_start "$log" || return 0
    # A full disk hides itself: the log is there, and empty.
    if [ ! -s "$log" ] && full_disk "$log"; then
        say_state OG75 "$full, and $log is empty"
    fi
    send_file PGLOG "$log" 32768
}

# cluster_words: what cm_ctl says of the cluster, and what in CM's configuration keeps it from ever becoming Normal.
cluster_words() {
    patience=4
    inside '"$GAUSSHOME/bin/cm_ctl" query -Cv; echo gsctl_view; "$GAUSSHOME/bin/cm_ctl" view | sed -n "s/^cmDataPath *: *//p"'
    send_words CMD 'cm_ctl query -Cv' "$(printf '%s\n' "${said%%gsctl_view*}" | sed '/^env_/d')"
    printf '%s\n' "$cm_data" "${said#*gsctl_view}" | sort -u | while IFS= read -r path; do
        conf=$path/cm_server/cm_server.conf
        [ -n "$path" ] && [ -r "$conf" ] || continue
        line=$(LC_ALL=C sed -n 's/^[[:space:]]*\(delay_arbitrate_max_cluster_timeout.*\)/\1/p' "$conf" | tail -n 1)
        [ -z "$line" ] || send_words CMD "$conf" "$line"
    done
}

main() {
    gausshome=${gausshome%/}
    looked_inside= env_gausshome=
    own_uid
    find_home
    bin=$gausshome/bin
    [ -n "$gausshome" ] || bin=/nonexistent/bin
    real=$(cd "$bin" 2>/dev/null && pwd -P) || real=$bin
    # Stopped on purpose, and nobody asked for a start: what the logs say of the stop is no trouble.
    if [ -z "$log_marks" ] && [ -e "$bin/cluster_manual_start" ]; then
        return 0
    fi
    find_processes
    omm_dir= agent_dir= server_dir=
    ! marked OMM || omm_dir=$mark_dir
    ! marked AGENT || agent_dir=$mark_dir
    ! marked CMS || server_dir=$mark_dir
    if [ -z "$omm_dir$agent_dir" ] || [ "$om_monitor" = none ]; then
        inside :
        looked_inside=yes
        said_value env_gausshome
        env_gausshome=$value
        said_value env_gausslog
        [ -n "$gausslog" ] || gausslog=$value
        agent_logs "$cm_data" "$gausslog"
        [ -n "$agent_dir" ] || agent_dir=$agent_log
        [ -n "$server_dir" ] || [ -z "$gausslog" ] || server_dir=${gausslog%/}/cm/cm_server
        if [ -z "$omm_dir" ]; then
            monitor_logs "$gausslog"
        fi
    fi
    if [ "$om_monitor" = none ]; then
        no_monitor
        # Cron tries it each minute, whoever asks for a start.
        log_marks=
        send_log OMM "$omm_dir"
    elif [ "$cm_agent" = none ]; then
        send_log OMM "$omm_dir"
        send_log AGENT "$agent_dir"
        send_log DNERR "$agent_dir"
    else
        [ "$datanodes" = 0 ] || cluster_words
        # One that dies again and again runs now and then.
        send_log OMM "$omm_dir"
        send_log AGENT "$agent_dir"
        if [ "$cm_server" = none ]; then send_log CMS "$server_dir"; fi
        if [ "$datanodes" = 0 ]; then
            send_log DNERR "$agent_dir"
            ! data_directory "$agent_dir" || server_log
        else
            # All of it runs here: what is wrong then is the cluster's.
            if [ "$cm_server" != none ]; then
                send_log KEY_EVENT "$server_dir"
                send_log CMS "$server_dir"
            fi
            ! data_directory "$agent_dir" || server_log
        fi
    fi
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
