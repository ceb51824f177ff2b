# Prints the last lines of the newest om_monitor log of a node, and the last words of an agent that died, for the report on a
# node that did not come up. Changes nothing. lib.sh stands before it. gsctl sets these variables before both; all may be empty:
#   gausshome  env_file  gausslog  cm_data  evidence_lines (8)

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
    find_home
    real=$(cd "$gausshome/bin" 2>/dev/null && pwd -P) || real=$gausshome/bin
    log=
    [ -z "$gausslog" ] || newest "${gausslog%/}/cm/om_monitor" om_monitor
    if [ -z "$log" ] && log_of_running; then
        newest "$dir" om_monitor
        [ -n "$gausslog" ] || gausslog=${dir%/cm/om_monitor}
    fi
    if [ -z "$log" ]; then
        inside :
        said_value env_gausslog
        [ -z "$value" ] || newest "${value%/}/cm/om_monitor" om_monitor
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
    agent_logs "$cm_data" "$gausslog"
    if newest "$agent_log" cm_agent && [ -r "$log" ] && [ -n "$(find "$log" -mmin -2 2>/dev/null)" ]; then
        fatal=$(tail -c 65536 "$log" | LC_ALL=C grep -a FATAL | tail -n 2)
        [ -z "$fatal" ] || printf '%s:\n%s\n' "$log" "$fatal"
    fi
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
