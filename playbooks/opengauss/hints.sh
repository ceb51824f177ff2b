# What to do about a node, by what node.sh found on it. Between lib.sh and node.sh.

# hints: what to do, by what was found. The stage that is missed first shows its own.
hints() {
    case $state in
        no-access)
            if [ "$place" = denied ]; then
                remedy="the login user may not look into $gausshome: log in as the cluster user, as in \`-l omm\`"
            else
                remedy="$gausshome belongs to the user with the id $owner, and only that user's look finds its processes: log in as that user, as in \`-l omm\`"
            fi
            fact hint_state "$remedy"
            fact hint_marker "$remedy"
            ;;
        not-installed)
            if [ -z "$gausshome" ]; then
                remedy='neither ~/.bashrc, /etc/profile nor an environment file sets GAUSSHOME, and no om_monitor runs: set gausshome=DIRECTORY (or env_file=FILE) for this host in the hosts file'
            elif [ -n "$env_gausshome" ] && [ "$env_gausshome" != "$gausshome" ]; then
                remedy="the login environment says GAUSSHOME=$env_gausshome: leave gausshome out, or set gausshome=DIRECTORY for this host in the hosts file"
            else
                remedy='set gausshome=DIRECTORY for this host in the hosts file, or leave the host out with -x'
            fi
            fact hint_state "$remedy"
            fact hint_marker "there is no openGauss under ${gausshome:-any directory that is known}: $remedy"
            ;;
        unmanaged)
            remedy="nothing looks after $left: \`gsctl start\` gives them a cm_agent again; to end them, gs_ctl stop -D DIRECTORY for a gaussdb, kill PID for cm_server"
            if [ "$marker" = present ]; then
                fact hint_marker "stopped, but without cm_agent: $remedy"
            else
                fact hint_om_monitor "no om_monitor and no cm_agent: $remedy, once om_monitor is back (look for its line in crontab -l)"
            fi
            ;;
    esac
    if [ -n "$crash" ]; then
        fact hint_cm_agent "$crash${fatal:+; its own last words: $fatal}: see cm_agent-*-current.log in ${agent_log:-its log directory}"
    elif [ "$cm_agent" = none ]; then
        case $agent_binary/$agent_config in
            missing/*) fact hint_cm_agent "$bin/cm_agent is missing: install the Cluster Manager again, or copy the file from another node" ;;
            not-executable/*) fact hint_cm_agent "$bin/cm_agent is not executable: chmod u+x it" ;;
            */unreadable) fact hint_cm_agent "$config is not readable: give it back to the cluster user, with mode 600" ;;
            */missing) fact hint_cm_agent "$config is missing: is the disk mounted?" ;;
            *) [ ! -e "$bin/cluster_dilatation_status" ] || fact hint_cm_agent "$bin/cluster_dilatation_status is there: let the expansion end; if none runs, remove that file" ;;
        esac
    fi
    if [ "$om_monitor" = none ] && [ "$cron" = no ] && [ "$state" != unmanaged ]; then
        fact hint_om_monitor 'no cron line starts om_monitor: put it back with crontab -e, another node has it'
    fi
    case $held_server in
        '') ;;
        'Nic down') fact hint_cm_server 'CM says that the network card is down: is the address that cm_ctl view names for this node on an interface (ip addr)?' ;;
        'Disk damaged') fact hint_cm_server "CM cannot write below $found_cm_data: see cm_agent-*-current.log for the error number" ;;
        *) fact hint_cm_server "$held_server: end what listens there (ss -ltnp)" ;;
    esac
    case $held in
        'Manually stopped')
            fact hint_gaussdb "held by$instances: \`gsctl start\` removes it, or cm_ctl start -n NODE -D DIRECTORY"
            ;;
        'Disk damaged') fact hint_gaussdb 'CM says Disk damaged: the data directory is missing or not writable, or base, global, pg_xlog or pg_tblspc in it is empty or gone: mount or restore it' ;;
        'Port conflicting') fact hint_gaussdb 'CM says Port conflicting: something else listens on the port of the datanode or the one after it (ss -ltnp)' ;;
        'Nic down') fact hint_gaussdb 'CM says that the network card is down: is the address of the datanode on an interface (ip addr)?' ;;
        *)
            if [ -n "$instances" ]; then
                fact hint_gaussdb "held by$instances: \`gsctl start\` removes it, or cm_ctl start -n NODE -D DIRECTORY"
            elif [ "$sh_is" = dash ] && [ "$cm_agent" = running ]; then
                fact hint_gaussdb "/bin/sh is dash on this node, with which the Cluster Manager starts no datanode: make it bash (dpkg-reconfigure dash, or ln -sf bash /bin/sh), or see pg_log and system_call-current.log"
            fi
            ;;
    esac
}
