# Looks at one openGauss node and prints facts, `key=value` a line. Changes nothing, needs no root, and no openGauss program.
# lib.sh, processes.sh, view.sh, agent.sh and hints.sh stand before it, and logs.sh and obstacles.sh where a start follows. gsctl sets these variables before all; every one may be missing or empty:
#   gausshome  env_file  cm_data  nofile_min
#   light            1: once a second, while waiting: no program of openGauss, no crontab, no profile
#   node, address    which node of `cm_ctl view` this is: its number, the address gsctl connected to
#   expect_cm_server expect_gaussdb expect_datanodes found_cm_data found_agent_log: in a light look, what the full one printed
# The facts are listed at the end, in main. A fact hint_X says what to do where the fact X is not as it should be.

# yes_no FACT FILE
yes_no() {
    if [ -e "$2" ]; then fact "$1" yes; else fact "$1" no; fi
}

# hidden PATH: a directory above it that we may not search makes everything below look absent.
hidden() {
    up=$1
    while [ -n "$up" ] && [ ! -e "$up" ]; do
        case $up in
            */*) up=${up%/*} ;;
            *) return 1 ;;
        esac
    done
    [ -n "$up" ] && [ -d "$up" ] && [ ! -x "$up" ]
}

look_at_config() {
    config=
    if [ -n "$cm_data" ]; then
        config=$cm_data/cm_agent/cm_agent.conf
    elif [ -n "$found_cm_data" ]; then
        config=$found_cm_data/cm_agent/cm_agent.conf
    fi
    if [ -z "$config" ]; then
        # A light look that was not told where says nothing, and what the full one said stands.
        agent_config=unknown
        [ "$light" != 1 ] || return 0
    elif [ -r "$config" ]; then
        agent_config=ok
    elif [ -e "$config" ] || hidden "$config"; then
        agent_config=unreadable
    else
        agent_config=missing
    fi
    fact agent_config "$agent_config"
}

# look_at_nofile: om_monitor refuses to start below the limit. One that runs tells its own; else a shell set up as cron's.
look_at_nofile() {
    nofile= nofile_source=
    if [ -n "$om_monitor_pid" ]; then
        while read -r a b c soft _; do
            if [ "$a $b $c" = 'Max open files' ]; then
                nofile=$soft nofile_source=om_monitor
                break
            fi
        done 2>/dev/null <"/proc/$om_monitor_pid/limits"
    fi
    if [ -z "$nofile" ]; then
        nofile=${session_nofile:-$(ulimit -n)} nofile_source=session
    fi
    fact nofile "$nofile"
    fact nofile_source "$nofile_source"
    case $nofile in
        unlimited) fact nofile_ok yes ;;
        '' | *[!0-9]*) fact nofile_ok unknown ;;
        *) if [ "$nofile" -ge "${nofile_min:-640000}" ]; then fact nofile_ok yes; else fact nofile_ok no; fi ;;
    esac
}

# own_starter: a `cm_ctl start` of this user on this node, which may have left bin/cluster_manual_starting for itself.
own_starter() {
    starter=no
    IFS=$nl
    for line in $(printf '%s\n' "$programs" | grep -F -e ' -> '"$bin/cm_ctl" -e ' -> '"$real/cm_ctl"); do
        unset IFS
        pid=${line%% -> *}
        pid=${pid##*/proc/}
        case $nl$(arguments "${pid%/exe}")$nl in
            *"${nl}start$nl"*) starter=yes ;;
        esac
        IFS=$nl
    done
    unset IFS
}

# foreign: GAUSSHOME belongs to another user, none of whose processes count here.
foreign() {
    [ "$place" = ok ] && [ "$om_monitor$cm_agent$cm_server$datanodes" = nonenonenone0 ] || return 1
    owner=$(LC_ALL=C ls -lnd "$bin/cm_agent" 2>/dev/null) || return 1
    set -f
    set -- $owner
    set +f
    owner=$3
    [ -n "$owner" ] && [ "$owner" != "$uid" ]
}

# chain_fact FACT RUNNING EXPECTED: what does not run either should, or this node has none, or it was stopped on purpose.
chain_fact() {
    if [ "$2" = yes ]; then
        fact "$1" running
    elif [ "$3" = no ]; then
        fact "$1" none
    elif [ "$state" = stopped ]; then
        fact "$1" stopped
    else
        fact "$1" missing
    fi
}

# look_at_files: is openGauss here, may we look, and which markers are there.
look_at_files() {
    installed=no place=missing
    if [ -d "$bin" ] && [ -x "$bin" ]; then
        place=ok
        ! usable "$gausshome" || installed=yes
    elif hidden "$bin/x"; then
        place=denied
    fi
    fact installed "$installed"
    fact gausshome_dir "$place"
    fact uid "$uid"
    marker=absent
    if [ -e "$bin/cluster_manual_start" ]; then
        marker=present
    elif [ "$installed" = no ]; then
        marker=unknown
    fi
    instances= markers=0
    for file in "$bin"/instance_manual_start_*; do
        if [ -e "$file" ] || [ -L "$file" ]; then
            markers=$((markers + 1)) instances="$instances $file"
        fi
    done
    fact instance_markers "$markers"
    yes_no paused "$bin/cluster_manual_pause"
    yes_no dilatation "$bin/cluster_dilatation_status"
    if [ -x "$bin/cm_agent" ] && [ -f "$bin/cm_agent" ]; then
        agent_binary=ok
    elif [ -e "$bin/cm_agent" ]; then
        agent_binary=not-executable
    else
        agent_binary=missing
    fi
    fact agent_binary "$agent_binary"
}

# look_for_left_start: the file is for as long as a start of a paused cluster lasts. An empty one that no cm_ctl start of this
# node is there for was left by a start that was killed.
look_for_left_start() {
    yes_no starting_flag "$bin/cluster_manual_starting"
    own_starter
    if [ -e "$bin/cluster_manual_starting" ] && [ ! -s "$bin/cluster_manual_starting" ] && [ "$starter" = no ]; then
        fact starting_left yes
    else
        fact starting_left no
    fi
}

look_deeply() {
    look_by_cm_ctl
    fact env_gausshome "$env_gausshome"
    fact profile "$profile"
    fact cm_node "$cm_node"
    fact expect_cm_server "$expect_cm_server"
    fact expect_gaussdb "$expect_gaussdb"
    fact expect_datanodes "$expect_datanodes"
    fact found_cm_data "$found_cm_data"
    agent_logs "${cm_data:-$found_cm_data}" "${env_gausslog:-$gausslog}"
    found_agent_log=$agent_log
    fact found_agent_log "$found_agent_log"
    # Only where a start follows.
    if command -v mark_logs >/dev/null; then
        marks=$(mark_logs "${env_gausslog:-$gausslog}")
        fact found_log_marks "$marks"
        fact clock_OG90 "${marks%%|*}"
    fi
    look_at_nofile
    crontab_line
    fact cron "$cron"
    sh_is=$(readlink -f /bin/sh 2>/dev/null)
    fact found_sh "${sh_is##*/}"
    found_sh=${sh_is##*/}
}

# name_state: openGauss' own four states, from our own facts, and those in which it is not for us to say.
name_state() {
    case $installed/$cm_agent/$marker in
        no/*) [ "$place" = denied ] && state=no-access || state=not-installed ;;
        */none/present)
            [ -z "$left" ] && state=stopped || state=unmanaged
            ;;
        */none/*)
            [ -n "$left" ] && [ "$om_monitor" = none ] && state=unmanaged || state=starting
            ;;
        */running/absent) state=running ;;
        */crashing/absent) state=starting ;;
        *) state=stopping ;;
    esac
    ! foreign || state=no-access
}

main() {
    gausshome=${gausshome%/}
    found= cron=unknown crash= held= held_server= fatal= owner=
    own_uid
    [ "$light" = 1 ] || find_home
    fact gausshome "$gausshome"
    [ -z "$found" ] || fact found_gausshome "$found"
    [ -z "$found" ] || [ -z "$env_file" ] || fact found_env_file "$env_file"
    bin=$gausshome/bin
    [ -n "$gausshome" ] || bin=/nonexistent/bin
    real=$(cd "$bin" 2>/dev/null && pwd -P) || real=$bin
    look_at_files
    find_processes
    look_for_left_start
    [ "$light" = 1 ] || look_deeply
    sh_is=$found_sh agent_log=$found_agent_log
    look_at_config
    look_at_deaths
    name_state
    [ "$state" != no-access ] || marker=unknown
    least=1
    case $expect_datanodes in
        '' | *[!0-9]* | 0) ;;
        *) least=$expect_datanodes ;;
    esac
    [ "$cm_server" = running ] && server_up=yes || server_up=no
    [ "$datanodes" -ge "$least" ] && database_up=yes || database_up=no
    if [ "$cm_agent" != none ] && [ "$server_up$database_up" != yesyes ] || [ "$deaths" -gt 0 ]; then
        look_at_agent_log
        [ "$database_up" = no ] && [ "$expect_gaussdb" != no ] || held=
        [ "$server_up" = no ] && [ "$expect_cm_server" != no ] || held_server=
    fi
    fact agent_crash "$crash${crash:+${fatal:+; its last words: $fatal}}"
    fact gaussdb_held "$held"
    fact cm_server_held "$held_server"
    fact left_running "$([ "$cm_agent" != none ] || printf '%s' "$left")"
    fact marker "$marker"
    fact om_monitor "$om_monitor"
    fact cm_agent "$cm_agent"
    chain_fact cm_server "$server_up" "$expect_cm_server"
    chain_fact gaussdb "$database_up" "$expect_gaussdb"
    fact datanodes_running "$datanodes"
    hints
    # Only where a start follows.
    [ "$light" = 1 ] || ! command -v look_for_obstacles >/dev/null || look_for_obstacles
    fact state "$state"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
