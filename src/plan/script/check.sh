# One line a check: `ok N`, or `failed N<tab>reason`.
gs_ok() {
    printf 'ok %s\n' "$1"
}

gs_failed() {
    gs_bad=1
    printf 'failed %s\t%s\n' "$1" "$(printf '%s' "$2" | tr '\n\t' '  ')"
}

# gs_status PID: state, user id and session of a process, from files whose fields no process name can forge. A zombie has a
# name but is not running.
gs_status() {
    gs_state=
    while read -r gs_key gs_value gs_rest; do
        case $gs_key in
            State:)
                gs_state=$gs_value
                break
                ;;
        esac
    done <"$gs_proc/$1/status"
    gs_fields=$(cat "$gs_proc/$1/stat") || return 1
    gs_fields=${gs_fields##*) }
    set -- $gs_fields
    gs_session=$4
    [ -n "$gs_state" ]
} 2>/dev/null

# gs_named PID NAME: the kernel keeps 15 bytes of a name; of a longer one the arguments know the rest.
gs_named() {
    IFS=$gs_nl
    set -f
    gs_long=1
    for gs_arg in $(tr '\0' '\n' <"$gs_proc/$1/cmdline") $(readlink "$gs_proc/$1/exe"); do
        gs_arg=${gs_arg% (deleted)}
        [ "${gs_arg##*/}" != "$2" ] || gs_long=0
    done
    unset IFS
    set +f
    return $gs_long
} 2>/dev/null

# gs_real PATH: without symbolic links, as the kernel names executables.
gs_real() {
    readlink -f -- "$1" 2>/dev/null || printf '%s' "$1"
}

# gs_others_hidden: true where the node shows this user no processes but its own (hidepid of /proc): then none that is seen
# is no proof that there is none.
gs_others_hidden() {
    grep -qE ' - proc .*hidepid=([12in]|ptraceable)' "$gs_proc/self/mountinfo" && ! cat "$gs_proc/1/cmdline" >/dev/null
} 2>/dev/null

# gs_process N NAME SHORT PATH: SHORT is NAME as the kernel keeps it; PATH may be empty.
gs_process() {
    if [ ! -r "$gs_proc/self/stat" ]; then
        gs_ps "$1" "$2" "$3" "$4"
        return
    fi
    # This script, its shell and its helpers all belong to one session and would be found by a check for `sh`.
    gs_status "$$"
    gs_own=$gs_session
    gs_saw="no process named $2"
    gs_want=
    [ -z "$4" ] || gs_want=$(gs_real "$4")
    for gs_file in $(cd "$gs_proc" && grep -slxF -e "$3" [0-9]*/comm); do
        gs_pid=${gs_file%/comm}
        gs_status "$gs_pid" || continue
        [ "$gs_session" != "$gs_own" ] || continue
        case $gs_state in
            Z | X)
                gs_saw="$2 (pid $gs_pid) is a zombie"
                continue
                ;;
        esac
        [ "$2" = "$3" ] || gs_named "$gs_pid" "$2" || continue
        if [ -n "$4" ]; then
            gs_exe=$(readlink "$gs_proc/$gs_pid/exe" 2>/dev/null)
            gs_exe=${gs_exe% (deleted)}
            if [ -z "$gs_exe" ]; then
                gs_saw="$2 (pid $gs_pid) runs, but this user may not see from which executable"
                continue
            elif [ "$gs_exe" != "$4" ] && [ "$gs_exe" != "$gs_want" ]; then
                gs_saw="$2 (pid $gs_pid) runs from $gs_exe"
                continue
            fi
        fi
        gs_ok "$1"
        return
    done
    if [ "$gs_saw" = "no process named $2" ] && gs_others_hidden; then
        gs_saw="$gs_saw among this user's own; others' are hidden on this node (hidepid): log in as their owner or root"
    fi
    gs_failed "$1" "$gs_saw"
}

# gs_ps N NAME SHORT PATH: where there is no /proc.
gs_ps() {
    gs_saw="no process named $2"
    gs_list=$(ps -A -o stat= -o comm= 2>/dev/null || ps -o stat,comm 2>/dev/null) || gs_saw='neither /proc nor ps tells'
    [ -z "$4" ] || gs_list=$(ps -A -o stat= -o args= 2>/dev/null || ps -o stat,args 2>/dev/null)
    IFS=$gs_nl
    set -f
    for gs_line in $gs_list; do
        IFS=' '
        gs_line=${gs_line#"${gs_line%%[! ]*}"}
        gs_comm=${gs_line#* }
        gs_comm=${gs_comm#"${gs_comm%%[! ]*}"}
        case $gs_line in
            Z*) continue ;;
        esac
        if [ -n "$4" ]; then
            [ "${gs_comm%% *}" = "$4" ] || continue
        else
            gs_comm=${gs_comm##*/}
            gs_comm=${gs_comm%"${gs_comm##*[! ]}"}
            [ "$gs_comm" = "$2" ] || [ "$gs_comm" = "$3" ] || continue
        fi
        unset IFS
        set +f
        gs_ok "$1"
        return
    done
    unset IFS
    set +f
    gs_failed "$1" "$gs_saw"
}

# gs_no_process N NAME SHORT PATH: the same, the other way round. What cannot be told is no answer.
gs_no_process() {
    gs_answer=$(gs_process "$1" "$2" "$3" "$4")
    case $gs_answer in
        ok*) gs_failed "$1" "$2 still runs" ;;
        *"no process named"*hidepid* | *'neither /proc nor ps'* | *'may not see'*) gs_failed "$1" "${gs_answer#failed "$1"?}" ;;
        *) gs_ok "$1" ;;
    esac
}

# gs_command N COMMAND: its output is not kept, so that a daemon that it leaves behind holds nothing open.
gs_command() {
    if [ -n "${gs_mark-}" ]; then
        # As any command of a user's: in a shell of the login's.
        gs_login "$2" </dev/null >/dev/null 2>&1
        gs_rc=$gs_s
    else
        (eval "$2") </dev/null >/dev/null 2>&1
        gs_rc=$?
    fi
    case $gs_rc in
        0) gs_ok "$1" ;;
        126) gs_failed "$1" 'exit status 126: not executable' ;;
        127) gs_failed "$1" 'exit status 127: command not found' ;;
        '~'*) gs_failed "$1" "killed by signal ${gs_rc#?}" ;;
        *) gs_failed "$1" "exit status $gs_rc" ;;
    esac
}

# gs_port N PORT HEX: 0A is LISTEN.
gs_port() {
    if [ -r "$gs_proc/net/tcp" ]; then
        gs_found=$(grep -sh ":$3 [0-9A-F]*:0000 0A " "$gs_proc/net/tcp" "$gs_proc/net/tcp6")
    else
        gs_found=$( (ss -ltn || netstat -ltn || netstat -an) 2>/dev/null | grep LISTEN | grep "[:.]$2[[:space:]]")
    fi
    if [ -n "$gs_found" ]; then
        gs_ok "$1"
    else
        gs_failed "$1" "nothing listens on TCP port $2"
    fi
}

# gs_file N PATH
gs_file() {
    if [ -e "$2" ]; then
        gs_ok "$1"
    elif [ -L "$2" ]; then
        gs_failed "$1" "$2 is a symbolic link to nowhere"
    elif gs_hidden "$2"; then
        gs_failed "$1" "$gs_why"
    else
        gs_failed "$1" "$2 is not there"
    fi
}

# gs_no_file N PATH: a symbolic link to nowhere is still a file.
gs_no_file() {
    if [ -e "$2" ] || [ -L "$2" ]; then
        gs_failed "$1" "$2 is still there"
    elif gs_hidden "$2"; then
        gs_failed "$1" "$gs_why"
    else
        gs_ok "$1"
    fi
}

# Facts from which a later look can tell that the node has booted meanwhile.
gs_boot() {
    read -r gs_id <"$gs_proc/sys/kernel/random/boot_id" && printf 'boot_id=%s\n' "$gs_id"
    read -r gs_up gs_rest <"$gs_proc/uptime" && printf 'uptime=%s\n' "${gs_up%%.*}"
} 2>/dev/null
