# Looks at one openGauss node and prints facts, `key=value` a line. Changes nothing, needs no root, and no openGauss program.
# POSIX sh (dash, bash, busybox). gsctl sets these variables before this text; every one may be missing or empty:
#   gausshome  env_file  cm_data  nofile_min
#   light            1: once a second, while waiting: no program of openGauss, no crontab, no profile
#   node, address    which node of `cm_ctl view` this is: its number, the address gsctl connected to
#   expect_cm_server expect_gaussdb expect_datanodes found_cm_data: in a light look, what the full one printed
# The facts are listed at the end, in main.

# >>> environment: the same text in every script of this folder that needs it (tests/it/scripts.rs compares them)
nl='
'

# inside_shell PROFILES COMMANDS: openGauss' programs need /etc/profile, ~/.bashrc and the separate environment file, which
# are written for bash. What those print goes nowhere, what they read is empty, what they leave running holds no pipe of ours
# (sed ends at the last line, not at the end of file), and all of it has ten seconds.
inside_shell() {
    inside=sh bound=
    command -v bash >/dev/null 2>&1 && inside=bash
    timeout 1 true >/dev/null 2>&1 && bound='timeout 10'
    {
        GSCTL_PROFILES=$1 GSCTL_COMMANDS=$2 GSCTL_GAUSSHOME=$gausshome GSCTL_ENV_FILE=$env_file $bound "$inside" -c '
            if [ "$GSCTL_PROFILES" = yes ]; then
                if [ -r /etc/profile ]; then . /etc/profile; fi
                if [ -r "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi
                if [ -r "$GSCTL_ENV_FILE" ]; then . "$GSCTL_ENV_FILE"; fi
                set +eu
            fi
            exec >&8 2>&1 8>&-
            echo gsctl_inside
            echo "env_gausshome=$GAUSSHOME"
            echo "env_gausslog=$GAUSSLOG"
            export GAUSSHOME="$GSCTL_GAUSSHOME"
            export PATH="$GAUSSHOME/bin:$PATH"
            export LD_LIBRARY_PATH="$GAUSSHOME/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
            eval "$GSCTL_COMMANDS"
        ' 8>&1 >/dev/null 2>&1 </dev/null
        printf '\ngsctl_rc=%s\n' "$?"
    } | sed '/^gsctl_rc=/q'
}

# inside COMMANDS: leaves in $said what they print and in $said_rc their status. A profile that hangs, or leaves the shell,
# is left out the second time, and $profile says so.
inside() {
    profile=ok
    said=$(inside_shell yes "$1")
    case $said in
        *gsctl_inside*) ;;
        *)
            profile=broken
            said=$(inside_shell no "$1")
            ;;
    esac
    said_rc=${said##*gsctl_rc=}
    said=${said%"$nl"gsctl_rc=*}
    said=${said#*gsctl_inside"$nl"}
}

# said_value KEY: from a `KEY=value` line of $said.
said_value() {
    case $nl$said in
        *"$nl$1="*)
            value=$nl$said
            value=${value#*"$nl$1="}
            value=${value%%"$nl"*}
            ;;
        *) value= ;;
    esac
}
# <<< environment

fact() {
    printf '%s=%s\n' "$1" "$2"
}

# yes_no FACT FILE
yes_no() {
    if [ -e "$2" ]; then fact "$1" yes; else fact "$1" no; fi
}

# own_uid: without id(1).
own_uid() {
    uid=
    while read -r key value _; do
        if [ "$key" = Uid: ]; then
            uid=$value
            break
        fi
    done </proc/self/status
} 2>/dev/null

# of_us PID: a live process of this user. /proc/PID/status, because a process may put what it likes into stat.
of_us() {
    while read -r key value _; do
        case $key in
            State:)
                case $value in
                    Z | X) return 1 ;;
                esac
                ;;
            Uid:)
                [ "$value" = "$uid" ]
                return
                ;;
        esac
    done <"/proc/$1/status"
    return 1
} 2>/dev/null

arguments() {
    tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null
}

# count_process PID NAME
count_process() {
    of_us "$1" || return
    case $2 in
        om_monitor) om_monitor=running om_monitor_pid=$1 ;;
        cm_agent) cm_agent=running cm_agent_pid=$1 ;;
        cm_server) cm_server=running ;;
        gaussdb)
            case $nl$(arguments "$1")$nl in
                # The master of fenced functions lives and dies with cm_agent; it is no datanode.
                *"$nl"--fenced"$nl"*) ;;
                *) datanodes=$((datanodes + 1)) ;;
            esac
            ;;
    esac
}

# find_processes: by executable, as a name proves nothing; (deleted) is what an upgrade leaves. One ls for all of /proc.
find_processes() {
    om_monitor=none om_monitor_pid= cm_agent=none cm_agent_pid= cm_server=none datanodes=0
    IFS=$nl
    set -f
    for line in $(set +f; QUOTING_STYLE=literal LC_ALL=C ls -l /proc/[0-9]*/exe 2>/dev/null |
        grep -F -e " -> $bin/" -e " -> $real/"); do
        unset IFS
        target=${line#* -> }
        target=${target% (deleted)}
        pid=${line%% -> *}
        pid=${pid##*/proc/}
        pid=${pid%/exe}
        case $target in
            "$real"/*) count_process "$pid" "${target#"$real/"}" ;;
            "$bin"/*) count_process "$pid" "${target#"$bin/"}" ;;
        esac
    done
    unset IFS
    set +f
    # A program with file capabilities hides its executable even from its own user. Then the name and the path it was called
    # by must do.
    if [ "$om_monitor$cm_agent$cm_server" != runningrunningrunning ] || [ "$datanodes" = 0 ]; then
        find_hidden
    fi
}

find_hidden() {
    for file in $(cd /proc && grep -slxF -e om_monitor -e cm_agent -e cm_server -e gaussdb [0-9]*/comm); do
        pid=${file%/comm}
        [ -z "$(readlink "/proc/$pid/exe" 2>/dev/null)" ] || continue
        read -r name <"/proc/$pid/comm" || continue
        called=$(arguments "$pid")
        called=${called%%"$nl"*}
        case $called in
            "$bin/$name" | "$real/$name" | "$name") count_process "$pid" "$name" ;;
        esac
    done
} 2>/dev/null

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

# read_view: `cm_ctl view` as one record a node: number|name|addresses|cmDataPath|cm_server|datanodes. It writes `key:value` and
# `key :value`, and heads some nodes twice.
read_view() {
    records= v_node=
    IFS=$nl
    set -f
    for line in $said; do
        unset IFS
        case $line in
            *:*) ;;
            *) continue ;;
        esac
        key=${line%%:*}
        key=${key%"${key##*[! ]}"}
        value=${line#*:}
        value=${value#"${value%%[! ]*}"}
        case $key in
            node)
                if [ "$value" != "$v_node" ]; then
                    end_record
                    v_node=$value v_name= v_addresses= v_data= v_server=no v_datanodes=0
                fi
                ;;
            nodeName) v_name=$value ;;
            sshChannel*) v_addresses="$v_addresses $value" ;;
            cmDataPath) v_data=$value ;;
            cmServer\ *) v_server=yes ;;
            datanodeCount)
                case $value in
                    '' | *[!0-9]*) ;;
                    *) v_datanodes=$value ;;
                esac
                ;;
        esac
    done
    unset IFS
    set +f
    end_record
}

end_record() {
    [ -z "$v_node" ] || records="$records$v_node|$v_name|$v_addresses|$v_data|$v_server|$v_datanodes$nl"
}

# match FIELD WORDS: leaves the record in $mine if exactly one node has one of the words in that field.
match() {
    [ -z "$mine" ] || return
    field=$1 words=" $2 " hits=0
    IFS=$nl
    set -f
    for record in $records; do
        IFS='|'
        set -- $record
        unset IFS
        case $field in
            number) has=$1 ;;
            name) has=$2 ;;
            address) has=$3 ;;
            any) has=any ;;
        esac
        for one in $has; do
            case $words in
                *" $one "*)
                    hits=$((hits + 1)) hit=$record
                    break
                    ;;
            esac
        done
    done
    unset IFS
    set +f
    [ "$hits" -ne 1 ] || mine=$hit
}

own_addresses() {
    ip -o addr show 2>/dev/null | sed 's/.* inet6\{0,1\} \([^ /]*\).*/\1/' | tr '\n' ' '
    hostname -I 2>/dev/null
}

# find_node: which node of the view this is. Several may share a machine, so what gsctl knows comes first.
find_node() {
    mine=
    [ -z "$node" ] || match number "$node"
    if [ -n "$address" ]; then
        match address "$address"
        match name "$address"
    fi
    # sshd tells which address the connection came to.
    server=${SSH_CONNECTION% *}
    [ "$server" = "$SSH_CONNECTION" ] || match address "${server##* }"
    match any any
    [ -n "$mine" ] || match address "$(own_addresses | tr '\n' ' ')"
    [ -n "$mine" ] || match name "$(hostname 2>/dev/null || uname -n)"
}

# look_by_cm_ctl: what the node should run, and what cm_ctl itself thinks.
look_by_cm_ctl() {
    inside '
        echo "env_nofile=$(ulimit -n)"
        if [ -x "$GAUSSHOME/bin/cm_ctl" ]; then
            "$GAUSSHOME/bin/cm_ctl" check -B cm_agent -T "$GAUSSHOME/bin/cm_agent" >/dev/null 2>&1
            echo "env_check=$?"
            echo env_view=
            "$GAUSSHOME/bin/cm_ctl" view
        fi'
    said_value env_gausshome
    env_gausshome=$value
    said_value env_nofile
    session_nofile=$value
    said_value env_check
    cm_check=$value
    records=
    case $said in
        *"${nl}env_view=$nl"*)
            said=${said#*"${nl}env_view=$nl"}
            read_view
            ;;
    esac
    find_node
    cm_node=unknown expect_cm_server=unknown expect_gaussdb=unknown expect_datanodes=
    if [ -n "$mine" ]; then
        IFS='|'
        set -f
        set -- $mine
        unset IFS
        set +f
        cm_node=$1 found_cm_data=$4 expect_cm_server=$5 expect_datanodes=$6
        [ "$expect_datanodes" = 0 ] && expect_gaussdb=no || expect_gaussdb=yes
    elif [ -n "$records" ]; then
        # Nobody knows which, but often every node is alike.
        case $records in
            *'|no|'*) ;;
            *) expect_cm_server=yes ;;
        esac
        case $records in
            *"|0$nl"*) ;;
            *) expect_gaussdb=yes ;;
        esac
    fi
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
        [ "$light" = 1 ] || fact agent_config unknown
    elif [ -r "$config" ]; then
        fact agent_config ok
    elif [ -e "$config" ] || hidden "$config"; then
        fact agent_config unreadable
    else
        fact agent_config missing
    fi
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
    deaths=0 age=0
    [ -z "$cm_agent_pid" ] || age_of "$cm_agent_pid"
    if [ -n "$om_monitor_pid" ] && [ "$age" -lt 30 ]; then
        dir=$(arguments "$om_monitor_pid" | sed -n '/^-L$/{n;p;q;}')
        log=
        [ -z "$dir" ] || log=$(ls -t "$dir"/om_monitor-*-current.log 2>/dev/null | head -n 1)
        if [ -n "$log" ]; then
            IFS=$nl
            set -f
            for line in $(tail -n 60 "$log" 2>/dev/null | grep -e cluster_manual_start=1 -e 'cm_agent have die!'); do
                case $line in
                    *cluster_manual_start=1*) deaths=0 ;;
                    *'exit status is 0') ;;
                    *) deaths=$((deaths + 1)) ;;
                esac
            done
            unset IFS
            set +f
        fi
    fi
    fact agent_deaths "$deaths"
}

look_at_cron() {
    if ! command -v crontab >/dev/null 2>&1; then
        fact cron unknown
    elif table=$(LC_ALL=C crontab -l 2>&1 </dev/null); then
        if printf '%s\n' "$table" | grep -v '^[[:space:]]*#' | grep -q om_monitor; then fact cron yes; else fact cron no; fi
    else
        case $table in
            *'no crontab for'* | *"can't open"*) fact cron no ;;
            *) fact cron unknown ;;
        esac
    fi
}

# chain_fact FACT RUNNING EXPECTED: what does not run either should, or this node has none.
chain_fact() {
    if [ "$2" = yes ]; then
        fact "$1" running
    elif [ "$3" = no ]; then
        fact "$1" none
    else
        fact "$1" missing
    fi
}

main() {
    gausshome=${gausshome%/}
    bin=$gausshome/bin
    real=$(cd "$bin" 2>/dev/null && pwd -P) || real=$bin
    own_uid

    # Is it here, and may we look?
    installed=no place=missing
    if [ -d "$bin" ] && [ -x "$bin" ]; then
        place=ok
        if [ -e "$bin/cm_agent" ] || [ -e "$bin/om_monitor" ] || [ -e "$bin/cm_ctl" ]; then
            installed=yes
        fi
    elif hidden "$bin/x"; then
        place=denied
    fi
    fact installed "$installed"
    fact gausshome_dir "$place"
    fact uid "$uid"

    # Marker files.
    marker=absent
    if [ -e "$bin/cluster_manual_start" ]; then
        marker=present
    elif [ "$place" = denied ]; then
        marker=unknown
    fi
    fact marker "$marker"
    markers=0
    for file in "$bin"/instance_manual_start_*; do
        if [ -e "$file" ] || [ -L "$file" ]; then markers=$((markers + 1)); fi
    done
    fact instance_markers "$markers"
    yes_no paused "$bin/cluster_manual_pause"
    yes_no starting_flag "$bin/cluster_manual_starting"
    yes_no dilatation "$bin/cluster_dilatation_status"
    if [ -x "$bin/cm_agent" ] && [ -f "$bin/cm_agent" ]; then
        fact agent_binary ok
    elif [ -e "$bin/cm_agent" ]; then
        fact agent_binary not-executable
    else
        fact agent_binary missing
    fi

    # Processes, and which of them there should be.
    find_processes
    if [ "$light" != 1 ]; then
        look_by_cm_ctl
        fact env_gausshome "$env_gausshome"
        fact profile "$profile"
        fact cm_check "$cm_check"
        fact cm_node "$cm_node"
        fact expect_cm_server "$expect_cm_server"
        fact expect_gaussdb "$expect_gaussdb"
        fact expect_datanodes "$expect_datanodes"
        fact found_cm_data "$found_cm_data"
        look_at_nofile
        look_at_cron
    fi
    look_at_config
    look_at_deaths
    fact om_monitor "$om_monitor"
    fact cm_agent "$cm_agent"
    [ "$cm_server" = running ] && up=yes || up=no
    chain_fact cm_server "$up" "$expect_cm_server"
    case $expect_datanodes in
        '' | *[!0-9]* | 0) least=1 ;;
        *) least=$expect_datanodes ;;
    esac
    [ "$datanodes" -ge "$least" ] && up=yes || up=no
    chain_fact gaussdb "$up" "$expect_gaussdb"
    fact datanodes_running "$datanodes"

    # openGauss' own four states, from our own facts.
    case $installed/$cm_agent/$marker in
        */running/absent) fact state running ;;
        */running/*) fact state stopping ;;
        no/*) fact state not-installed ;;
        */present) fact state stopped ;;
        *) fact state starting ;;
    esac
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
