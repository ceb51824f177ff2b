# What the openGauss scripts share: it stands in front of each of them. POSIX sh (dash, bash, busybox). Changes nothing.
# gsctl sets the playbook's variables before this text; any may be missing or empty.
nl='
'
# Helpers are found where the system has them, whatever the login's PATH says; programs of openGauss get the login's.
login_path=${gs_path-$PATH}
PATH=/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin:$PATH

# A variable that has no value yet may stand here as its name.
case $gausshome in '{'*) gausshome= ;; esac
case $env_file in '{'*) env_file= ;; esac

fact() {
    printf '%s=%s\n' "$1" "$2"
}

# no_look WHY: a look that fails says so; the facts printed so far count for nothing.
no_look() {
    printf 'the look failed: %s\n' "$1" >&2
    exit 1
}

# inside_shell PROFILES COMMANDS: openGauss' programs need /etc/profile, ~/.bashrc and the separate environment file, which
# are written for bash. What those print goes nowhere, what they read is empty, what they leave running holds no pipe of ours
# (sed ends at the last line, not at the end of file), and all of it has ten seconds, or $patience.
inside_shell() {
    inside=sh bound=
    command -v bash >/dev/null 2>&1 && inside=bash
    timeout 1 true >/dev/null 2>&1 && bound="timeout ${patience:-10}"
    {
        GSCTL_PROFILES=$1 GSCTL_COMMANDS=$2 GSCTL_GAUSSHOME=$gausshome GSCTL_ENV_FILE=$env_file GSCTL_PATH=$login_path \
            $bound "$inside" -c '
            PATH=$GSCTL_PATH
            if [ "$GSCTL_PROFILES" = yes ]; then
                if [ -r /etc/profile ]; then . /etc/profile; fi
                if [ -r "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi
                set +eu
                if [ -z "$GSCTL_ENV_FILE" ]; then GSCTL_ENV_FILE=$MPPDB_ENV_SEPARATE_PATH; fi
                if [ -r "$GSCTL_ENV_FILE" ]; then . "$GSCTL_ENV_FILE"; fi
                for file in "$HOME/.bash_profile" "$HOME/.profile"; do
                    if [ -z "$GAUSSHOME" ] && [ -r "$file" ]; then . "$file"; fi
                done
                set +eu
            fi
            exec >&8 2>&1 8>&-
            echo gsctl_inside
            echo "env_gausshome=$GAUSSHOME"
            echo "env_gausslog=$GAUSSLOG"
            echo "env_file=$GSCTL_ENV_FILE"
            if [ -n "$GSCTL_GAUSSHOME" ]; then GAUSSHOME=$GSCTL_GAUSSHOME; fi
            export GAUSSHOME
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

# executables: one ls for all of /proc. What it prints holds this very shell, or it is no look.
executables() {
    programs=$(QUOTING_STYLE=literal LC_ALL=C ls -l /proc/[0-9]*/exe 2>/dev/null)
    case $programs in
        *"/proc/$$/exe -> "*) ;;
        *) no_look '/proc does not show this shell itself' ;;
    esac
}

# crontab_line: leaves in $table what crontab says, and in $cron whether a line of it starts om_monitor.
crontab_line() {
    table= cron=unknown
    command -v crontab >/dev/null 2>&1 || return 0
    if table=$(LC_ALL=C crontab -l 2>&1 </dev/null); then
        table=$(printf '%s\n' "$table" | grep -v '^[[:space:]]*#' | grep om_monitor)
        [ -n "$table" ] && cron=yes || cron=no
    else
        case $table in
            *'no crontab for'* | *"can't open"*) cron=no ;;
        esac
        table=
    fi
}

# usable DIR: a GAUSSHOME that has programs.
usable() {
    case $1 in
        /*) [ -e "$1/bin/cm_agent" ] || [ -e "$1/bin/om_monitor" ] || [ -e "$1/bin/cm_ctl" ] ;;
        *) return 1 ;;
    esac
}

# find_home: GAUSSHOME where gsctl was not told: the login environment, the environment file of the cron line, a running
# om_monitor, the usual place.
find_home() {
    found=
    [ -z "$gausshome" ] || return 0
    inside :
    said_value env_gausshome
    env_gausshome=$value
    said_value env_file
    [ -z "$value" ] || env_file=$value
    if [ -z "$env_gausshome" ]; then
        crontab_line
        for word in $table; do
            word=${word%%[;)&]*}
            case $word in
                /etc/profile) ;;
                /*) [ -n "$env_gausshome" ] || { [ -f "$word" ] && [ -r "$word" ] && env_from "$word"; } ;;
            esac
        done
    fi
    if [ -n "$env_gausshome" ]; then
        found=$env_gausshome
    else
        executables
        two=
        IFS=$nl
        for line in $programs; do
            case $line in
                *' -> '*/bin/om_monitor | *' -> '*/bin/om_monitor' (deleted)')
                    pid=${line%% -> *}
                    pid=${pid##*/proc/}
                    unset IFS
                    of_us "${pid%/exe}" || continue
                    line=${line#* -> }
                    line=${line%/bin/om_monitor*}
                    # Of two clusters it cannot be known which is meant.
                    [ "${found:-$line}" = "$line" ] || two=yes
                    found=$line
                    ;;
            esac
            IFS=$nl
        done
        unset IFS
        [ -z "$two" ] || found=
        [ -n "$found" ] || ! usable /opt/huawei/install/app || found=/opt/huawei/install/app
    fi
    found=${found%/}
    gausshome=$found
}

env_from() {
    kept=$env_file
    env_file=$1
    inside :
    said_value env_gausshome
    env_gausshome=$value
    [ -n "$env_gausshome" ] || env_file=$kept
}

# newest DIR PROGRAM: leaves in $log its current log, else its newest one.
newest() {
    log=
    [ -n "$1" ] && [ -d "$1" ] || return 1
    log=$(ls -t "$1/$2"-*-current.log 2>/dev/null | head -n 1)
    [ -n "$log" ] || log=$(ls -t "$1/$2"-*.log 2>/dev/null | head -n 1)
    [ -n "$log" ]
}

# agent_logs CM_DATA GAUSSLOG: leaves in $agent_log the directory that cm_agent.conf names, else the usual one.
agent_logs() {
    agent_log=
    if [ -n "$1" ] && [ -r "$1/cm_agent/cm_agent.conf" ]; then
        agent_log=$(sed -n 's/^[[:space:]]*log_dir[[:space:]]*=[[:space:]]*//p' "$1/cm_agent/cm_agent.conf" | tail -n 1)
        case $agent_log in
            "'"*)
                agent_log=${agent_log#?}
                agent_log=${agent_log%"'"*}
                ;;
            *) agent_log=${agent_log%%#*} ;;
        esac
        agent_log=${agent_log%"${agent_log##*[! ]}"}
        case $agent_log in
            '' | /*) ;;
            *) agent_log=$1/cm_agent/$agent_log ;;
        esac
    fi
    [ -n "$agent_log" ] || [ -z "$2" ] || agent_log=${2%/}/cm/cm_agent
}
