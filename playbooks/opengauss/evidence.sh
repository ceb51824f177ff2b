# Prints the last lines of the newest om_monitor log of a node, for the report on a node that did not come up. Changes nothing.
# POSIX sh (dash, bash, busybox). gsctl sets these variables before this text; all but gausshome may be empty:
#   gausshome  env_file  gausslog  evidence_lines (8)

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

# newest DIR: its newest current log, else its newest log.
newest() {
    log=
    [ -n "$1" ] && [ -d "$1" ] || return 1
    log=$(ls -t "$1"/om_monitor-*-current.log 2>/dev/null | head -n 1)
    [ -n "$log" ] || log=$(ls -t "$1"/om_monitor-*.log 2>/dev/null | head -n 1)
    [ -n "$log" ]
}

# log_of_running: om_monitor is called as `om_monitor -L DIR`.
log_of_running() {
    dir=
    for file in $(cd /proc && grep -slxF om_monitor [0-9]*/comm); do
        case $(readlink "/proc/${file%/comm}/exe" 2>/dev/null) in
            "$gausshome/bin/om_monitor"* | "$real/om_monitor"*) ;;
            *) continue ;;
        esac
        dir=$(tr '\0' '\n' <"/proc/${file%/comm}/cmdline" 2>/dev/null | sed -n '/^-L$/{n;p;q;}')
        [ -z "$dir" ] || return 0
    done
    return 1
}

main() {
    gausshome=${gausshome%/}
    real=$(cd "$gausshome/bin" 2>/dev/null && pwd -P) || real=$gausshome/bin
    log=
    [ -z "$gausslog" ] || newest "${gausslog%/}/cm/om_monitor"
    if [ -z "$log" ] && log_of_running; then
        newest "$dir"
    fi
    if [ -z "$log" ]; then
        inside :
        said_value env_gausslog
        [ -z "$value" ] || newest "${value%/}/cm/om_monitor"
        [ -n "$gausslog" ] || gausslog=$value
    fi
    if [ -z "$log" ]; then
        if [ -n "$gausslog" ]; then
            echo "no om_monitor log in ${gausslog%/}/cm/om_monitor: om_monitor never ran here"
        else
            echo 'no om_monitor log: neither gausslog nor GAUSSLOG says where'
        fi
    elif [ -r "$log" ]; then
        echo "$log:"
        tail -n "${evidence_lines:-8}" "$log"
    else
        echo "$log: not readable"
    fi
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
