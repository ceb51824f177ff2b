# What the logs of om_monitor and cm_agent say about an agent that dies, or that holds an instance back. Between lib.sh and
# node.sh.

# age_of PID: leaves in $age for how many seconds it has run, where the clocks of /proc agree.
age_of() {
    age=0
    read -r line <"/proc/$1/stat" || return
    read -r up _ </proc/uptime || return
    set -f
    set -- ${line##*) }
    set +f
    age=$((${up%.*} - ${20:-0} / 100))
} 2>/dev/null

# look_at_deaths: an agent that dies at once is started again each second, so now it runs and now it does not. The log of
# om_monitor counts its deaths; those before the last stop don't matter, nor do any once an agent has lived for a while.
look_at_deaths() {
    deaths=0 age=0 death=
    [ -z "$cm_agent_pid" ] || age_of "$cm_agent_pid"
    if [ -n "$om_monitor_pid" ] && [ "$age" -lt 30 ]; then
        dir=$(arguments "$om_monitor_pid" | sed -n '/^-L$/{n;p;q;}')
        # The last lines will do to see a loop; how long it has gone on is for the full look.
        if newest "$dir" om_monitor; then
            if [ "$light" = 1 ]; then lines=60; else lines=100000; fi
            count_deaths "$lines"
        fi
    fi
    fact agent_deaths "$deaths"
    [ "$deaths" -ge 3 ] || return 0
    crash="cm_agent died $deaths times, last $death"
    cm_agent=crashing
}

# count_deaths LINES: in the last lines of $log, those after the marker was last seen; and how the last one went.
count_deaths() {
    deaths=0
    IFS=$nl
    set -f
    for line in $(tail -n "$1" "$log" 2>/dev/null | grep -e cluster_manual_start=1 -e 'cm_agent have die!' |
        sed -e 's/.*cluster_manual_start=1.*/held/' -e 's/.*exit status is //' | uniq -c); do
        unset IFS
        set -- $line
        case $2 in
            held) deaths=0 ;;
            0 | *[!0-9]*) ;;
            *)
                deaths=$((deaths + $1))
                if [ $(($2 % 128)) -ne 0 ]; then death="killed by signal $(($2 % 128))"; else death="exit status $(($2 / 256))"; fi
                ;;
        esac
        IFS=$nl
    done
    unset IFS
    set +f
}

# look_at_agent_log: why cm_agent does not start an instance, or what it said last before it died.
look_at_agent_log() {
    held= held_server= fatal=
    [ -n "$agent_log" ] && newest "$agent_log" cm_agent && [ -r "$log" ] || return 0
    # What an agent said long ago is no reason for what another one does now.
    recent=$(find "$log" -mmin -2 2>/dev/null) || recent=
    [ -n "$recent" ] || return 0
    IFS=$nl
    set -f
    for line in $(tail -c 65536 "$log" 2>/dev/null | tr -d '\000' | LC_ALL=C grep -a -e 'datanodeId=' -e FATAL -e g_cmsNicDown \
        -e g_cmsDiskDamage -e 'already in use. /proc/net/tcp' -e 'agent start and stop thread start'); do
        case $line in
            *'agent start and stop thread start'*) held= held_server= fatal= ;;
            *'FATAL: '*) fatal=${line#*FATAL: } ;;
            *datanodeId=*)
                held=
                case $line in *dn_manual_stop=1*) held='Manually stopped' ;; esac
                case $line in *g_dnDiskDamage=1*) held='Disk damaged' ;; esac
                case $line in *port_conflict=1*) held='Port conflicting' ;; esac
                case $line in *g_nicDown=1*) held='Nic down' ;; esac
                ;;
            *'g_cmsNicDown is 1'*) held_server='Nic down' ;;
            *'g_cmsDiskDamage is 1'*) held_server='Disk damaged' ;;
            *'already in use. /proc/net/tcp'*)
                line=${line#*port:}
                held_server="port ${line%% *} is taken"
                ;;
        esac
    done
    unset IFS
    set +f
}
