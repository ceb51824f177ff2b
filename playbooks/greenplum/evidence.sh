# Prints a result line for each segment of this node that is not up, as gpsegstart does, and the last lines of its log, or on
# the coordinator those of gpstart. For the report on a node that did not come up. Changes nothing.
# POSIX sh (dash, bash, busybox). gsctl sets the variables of node.sh before this text.

# >>> instances: the same text in every script of this folder that needs it (tests/it/greenplum_scripts.rs compares them)
nl='
'

# bounded SECONDS COMMAND...: with a time limit, where the node can set one.
bounded() {
    limit_s=$1
    shift
    if timeout 1 true >/dev/null 2>&1; then timeout "$limit_s" "$@"; else "$@"; fi
}

# use_programs: the C programs need no more than this; greenplum_path.sh is written for bash, and only gpstart and its like
# need it.
use_programs() {
    gphome=${gphome%/}
    PATH=$gphome/bin:$PATH
    LD_LIBRARY_PATH=$gphome/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    LC_ALL=C
    export PATH LD_LIBRARY_PATH LC_ALL
}

in_group() {
    case " $groups " in
        *" $1 "*) return 0 ;;
        *) return 1 ;;
    esac
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

# line_of FILE NUMBER: leaves in $line a line of a small file.
line_of() {
    line= at=0
    [ -r "$1" ] || return 1
    while IFS= read -r text || [ -n "$text" ]; do
        at=$((at + 1))
        if [ "$at" = "$2" ]; then
            line=$text
            return 0
        fi
    done <"$1"
    return 1
} 2>/dev/null

# port_of DIR: as the running postmaster wrote it, else as configured, else as given or 5432.
port_of() {
    line_of "$1/postmaster.pid" 4
    case $line in
        '' | *[!0-9]*) line=$(sed -n "s/^[[:space:]]*port[[:space:]]*=\{0,1\}[[:space:]]*'\{0,1\}\([0-9][0-9]*\).*/\1/p" \
            "$1/postgresql.conf" 2>/dev/null | tail -n 1) ;;
    esac
    port_is=${line:-${coordinator_port:-5432}}
}

# follows DIR: it is set up to recover from another one. Greenplum 7 has the signal file, 6 and before recovery.conf.
follows() {
    [ -e "$1/standby.signal" ] || [ -e "$1/recovery.conf" ]
}

# one_segment WORD: DATADIR:PORT:ROLE[:CONTENT] into a line of $instances. Roles change places when a mirror takes over: the
# directory knows better than any list.
one_segment() {
    s_dir=${1%%:*}
    s_rest=${1#*:}
    s_port=${s_rest%%:*}
    s_rest=${s_rest#*:}
    s_role=${s_rest%%:*}
    s_content=
    case $s_rest in
        *:*) s_content=${s_rest#*:} ;;
    esac
    case $s_role in
        p | primary) s_role=primary ;;
        m | mirror) s_role=mirror ;;
        *) return ;;
    esac
    if follows "$s_dir"; then
        s_role=mirror
    elif [ "$s_role" = mirror ] && line_of "$s_dir/PG_VERSION" 1; then
        # Up to 5 a mirror is marked by nothing.
        case $line in
            8.*) ;;
            *) s_role=primary ;;
        esac
    fi
    instances="$instances$s_role $s_port ${s_content:--} $s_dir$nl"
}

# find_instances: leaves in $instances `ROLE PORT CONTENT DIR` a line, and in $source where the segments are known from.
find_instances() {
    instances= source=none
    data=${coordinator_data:-${master_data:-$found_coordinator_data}}
    if in_group coordinator && [ -n "$data" ]; then
        port_of "$data"
        instances="${instances}coordinator $port_is -1 $data$nl"
    fi
    if in_group standby && [ -n "${standby_data:-$data}" ]; then
        port_of "${standby_data:-$data}"
        instances="${instances}standby $port_is -1 ${standby_data:-$data}$nl"
    fi
    if [ -n "$segments" ]; then
        source=hosts-file
        set -f
        for word in $segments; do
            one_segment "$word"
        done
        set +f
    elif [ -n "$share_segments" ]; then
        source=catalog
        own=" $host $address $(uname -n 2>/dev/null) "
        set -f
        for word in $share_segments; do
            # HOSTNAME,ADDRESS=DATADIR:PORT:ROLE:CONTENT
            names=${word%%=*}
            case $own in
                *" ${names%%,*} "* | *" ${names#*,} "*) one_segment "${word#*=}" ;;
            esac
        done
        set +f
    elif in_group segments; then
        source=unknown
    fi
}

# process_of DIR: leaves in $pid the live postmaster of a data directory, and in $stale whether a pid file of a dead one is there.
process_of() {
    pid= stale=no
    line_of "$1/postmaster.pid" 1 || return 1
    case $line in
        '' | *[!0-9]*) return 1 ;;
    esac
    stale=yes p_name= p_state=
    while read -r key value _; do
        case $key in
            Name:) p_name=$value ;;
            State:)
                p_state=$value
                break
                ;;
        esac
    done <"/proc/$line/status"
    case $p_name/$p_state in
        postgres/[ZX]) return 1 ;;
        postgres/*) ;;
        *) return 1 ;;
    esac
    # After a boot the number may be that of another instance's postmaster.
    case $nl$(tr '\0' '\n' <"/proc/$line/cmdline")$nl in
        *"$nl-D$nl$1$nl"* | *"$nl-D$nl$1/$nl"*) ;;
        *"$nl-D$nl"* | "${nl}postgres:"*) return 1 ;;
    esac
    pid=$line stale=no
} 2>/dev/null

# classify STATUS TEXT: leaves in $answer what psql heard.
classify() {
    case $1 in
        0)
            answer=accepting
            return
            ;;
        124 | 137 | 143)
            answer=silent
            return
            ;;
    esac
    case $2 in
        *'mirror or uninitialized mode'*) answer=mirror ;;
        *'only utility mode connections are allowed'*) answer=utility ;;
        *'in recovery mode'*) answer=recovery ;;
        *'Hot standby mode is disabled'*) answer=recovery ;;
        *'not yet accepting connections'* | *'starting up'*) answer=starting ;;
        *'shutting down'*) answer=stopping ;;
        # It is past its startup; only not for us.
        *'too many clients already'* | *'connection slots are reserved'* | *'no pg_hba.conf entry'* | \
            *'authentication failed'* | *'no password supplied'* | *' does not exist'*) answer=accepting ;;
        # The process is there, its socket not yet.
        *'No such file or directory'* | *'Connection refused'*) answer=starting ;;
        *'timeout expired'*) answer=silent ;;
        *) answer=unknown ;;
    esac
}

# connect OPTIONS PORT DIR SQL: leaves $said, $said_rc and $answer.
connect() {
    socket=
    line_of "$3/postmaster.pid" 5 && case $line in
        /*) socket=$line ;;
    esac
    said=$(PGOPTIONS=$1 PGCONNECT_TIMEOUT=5 bounded 6 "$gphome/bin/psql" -X -w ${socket:+-h "$socket"} -p "$2" -d template1 \
        -Atq -c "$4" 2>&1 </dev/null)
    said_rc=$?
    classify "$said_rc" "$said"
}

# ask PORT DIR [SQL]: a utility session, for which even a mirror has an answer.
ask() {
    if [ -x "$gphome/bin/psql" ]; then
        connect '-c gp_role=utility' "$1" "$2" "${3:-select 1}"
        # Up to 6 the parameter has another name.
        case $said in
            *'parameter "gp_role"'*) connect '-c gp_session_role=utility' "$1" "$2" "${3:-select 1}" ;;
        esac
        return
    fi
    said=
    bounded 6 "$gphome/bin/pg_isready" -q -p "$1" >/dev/null 2>&1 </dev/null
    case $? in
        0) answer=accepting ;;
        1) answer=starting ;;
        2 | 124) answer=silent ;;
        *) answer=unknown ;;
    esac
}

# state_of ROLE PORT DIR: leaves in $state one of no-data, denied, down, starting, recovery, mirror, utility, accepting,
# streaming, stopping, silent, unknown.
state_of() {
    if [ ! -e "$3/PG_VERSION" ]; then
        if hidden "$3/PG_VERSION"; then state=denied; else state=no-data; fi
        return
    fi
    if ! process_of "$3"; then
        state=down
        return
    fi
    answer=
    if [ "$1" = coordinator ] && [ -x "$gphome/bin/psql" ]; then
        connect '' "$2" "$3" 'select 1'
    else
        ask "$2" "$3"
    fi
    state=$answer
    [ "$1" != standby ] || ! receives "$pid" || state=streaming
}

# receives PID: a postmaster with a WAL receiver. A standby that has one says `starting up` for as long as it lives.
receives() {
    for file in $(grep -lx "PPid:[[:space:]]*$1" /proc/[0-9]*/status); do
        case $(tr '\0' ' ' <"${file%/status}/cmdline") in
            *walreceiver* | *'wal receiver'*) return 0 ;;
        esac
    done
    return 1
} 2>/dev/null
# <<< instances

last_lines() {
    [ -r "$1" ] || return
    echo "$1:"
    tail -n "${evidence_lines:-4}" "$1" | sed 's/^/  /'
}

main() {
    use_programs
    find_instances
    if in_group coordinator; then
        last_lines "$HOME/gpAdminLogs/gsctl-run.out"
    fi
    rest=$instances
    while [ -n "$rest" ]; do
        one=${rest%%"$nl"*}
        rest=${rest#*"$nl"}
        role=${one%% *}
        one=${one#* }
        at_port=${one%% *}
        one=${one#* }
        dir=${one#* }
        state_of "$role" "$at_port" "$dir"
        case $role/$state in
            coordinator/accepting | primary/accepting | mirror/recovery | mirror/mirror | mirror/accepting) continue ;;
            standby/streaming | standby/recovery | standby/mirror | standby/accepting) continue ;;
        esac
        case $role in
            primary | mirror) echo "STATUS--DIR:$dir--STARTED:False--REASONCODE:1--REASON:$role on port $at_port is $state" ;;
            *) echo "$role on port $at_port is $state: $dir" ;;
        esac
        last_lines "$dir/log/startup.log"
    done
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
