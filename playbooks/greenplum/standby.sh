# Looks at a standby that is to be promoted, and for the coordinator that it follows. Changes nothing. Prints facts.
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

fact() {
    printf '%s=%s\n' "$1" "$2"
}

# >>> launched: the same text in node.sh and standby.sh
# launched: how the gpstart (or gpstop, gpactivatestandby) fares that act.sh has launched.
launched() {
    run_state=none run_why=
    [ -n "$HOME" ] && [ -d "$HOME/gpAdminLogs" ] || return
    mark=$HOME/gpAdminLogs/gsctl-run
    [ -e "$mark.pid" ] || return
    run_state=running
    if line_of "$mark.rc" 1; then
        fact launched_rc "$line"
        case $line in
            0) run_state=ok ;;
            *) run_state=failed ;;
        esac
        if [ "$run_state" = failed ]; then
            told=$(tail -c 20000 "$mark.out" 2>/dev/null)
            case $told in
                *'not reachable via SSH'*)
                    run_why=unreachable
                    fact launched_unreachable "$(printf '%s\n' "$told" | sed -n 's/.*Host \([^ ]*\) is unreachable.*/\1/p' |
                        tr '\n' ' ')"
                    ;;
                *tandby*activated*) run_why=activated ;;
                *'Do not have enough valid segments'*) run_why=not-enough ;;
                *'FAILED  host:'*) run_why=segments ;;
                *'Active postgres process on'*) run_why=active ;;
                *) if [ "$line" = 124 ] || [ "$line" = 137 ]; then run_why=out-of-time; else run_why=other; fi ;;
            esac
        fi
    elif line_of "$mark.pid" 1 && [ ! -d "/proc/$line" ]; then
        # The status is written first, then the process ends.
        if [ ! -e "$mark.rc" ]; then run_state=failed run_why=lost; fi
    fi
}

look_at_home() {
    place=missing installed=no
    if [ -d "$gphome/bin" ] && [ -x "$gphome/bin" ]; then
        place=ok
        [ ! -x "$gphome/bin/postgres" ] || installed=yes
    elif hidden "$gphome/bin/x"; then
        place=denied
    fi
    fact installed "$installed"
    fact gphome_dir "$place"
    for program in gpstart gpstop gpactivatestandby; do
        if [ "$use_management" != no ] && [ -x "$gphome/bin/$program" ]; then
            fact "has_$program" yes
        else
            fact "has_$program" no
        fi
    done
}
# <<< launched

# old_coordinator DIR: leaves in $old_host and $old_port whom the standby follows.
old_coordinator() {
    told=$(sed -n "s/^[[:space:]]*primary_conninfo[[:space:]]*=\{0,1\}[[:space:]]*'\(.*\)'.*/ \1/p" \
        "$1/recovery.conf" "$1/postgresql.conf" "$1/postgresql.auto.conf" 2>/dev/null | tail -n 1 | tr -d "'")
    old_host= old_port=5432
    case $told in
        *' host='*)
            old_host=${told#* host=}
            old_host=${old_host%% *}
            ;;
    esac
    case $told in
        *' port='*)
            old_port=${told#* port=}
            old_port=${old_port%% *}
            ;;
    esac
}

# lock_of PORT: whether a live process is behind the lock of a socket on this node.
lock_of() {
    lock=none
    if line_of "/tmp/.s.PGSQL.$1.lock" 1; then
        case $line in
            '' | *[!0-9]*) ;;
            *) if [ -d "/proc/$line" ]; then lock=active; else lock=stale; fi ;;
        esac
    fi
}

# look_for_the_old: by a connection, whose answer may be any but none; and, as gpactivatestandby does, by the lock file over
# there, where this user's ssh gets there.
look_for_the_old() {
    old_answer=unknown old_lock=unknown
    [ -n "$old_host" ] || return
    said=$(PGOPTIONS='' PGCONNECT_TIMEOUT=5 bounded 6 "$gphome/bin/psql" -X -w -h "$old_host" -p "$old_port" -d template1 -Atq \
        -c 'select 1' 2>&1 </dev/null)
    case $?/$said in
        0/* | *FATAL:* | *ERROR:* | *'no password supplied'*) old_answer=yes ;;
        *) old_answer=no ;;
    esac
    command -v ssh >/dev/null 2>&1 || return
    lock=$(bounded 8 ssh -n -o BatchMode=yes -o ConnectTimeout=4 "$old_host" \
        "read -r p </tmp/.s.PGSQL.$old_port.lock && [ -d /proc/\$p ] && echo gsctl_active || echo gsctl_free" 2>/dev/null </dev/null)
    case $lock in
        *gsctl_active*) old_lock=active ;;
        *gsctl_free*) old_lock=none ;;
    esac
}

main() {
    use_programs
    look_at_home
    launched
    fact launched "$run_state"
    fact launched_why "$run_why"
    # Who asks for the promotion of a host without groups means a standby.
    role=standby
    if in_group standby; then
        :
    elif in_group coordinator; then
        role=coordinator
    elif in_group segments; then
        role=other
    else
        groups="$groups standby"
    fi
    fact role "$role"
    find_instances
    case $role in
        standby) dir=${standby_data:-$data} ;;
        coordinator) dir=$data ;;
        *) return 0 ;;
    esac
    port_of "$dir"
    at_port=$port_is
    if [ -n "$dir" ] && [ -r "$dir/PG_VERSION" ]; then fact standby_data_dir ok; else fact standby_data_dir missing; fi
    if follows "$dir"; then fact standby_signal yes; else fact standby_signal no; fi
    state_of "$role" "$at_port" "$dir"
    if [ "$role" = coordinator ]; then
        lock_of "$at_port"
        fact old_lock "$lock"
    else
        # streaming hides what it answers; and one that is a hot standby accepts, but no writing.
        if [ "$state" != down ] && [ "$state" != no-data ] && [ "$state" != denied ]; then
            connect '' "$at_port" "$dir" 'select pg_is_in_recovery()'
            case $answer/$said in
                accepting/t*) state=hot-standby ;;
                accepting/*) state=accepting ;;
                *) [ "$state" = streaming ] || state=$answer ;;
            esac
        fi
        if [ "$light" != 1 ]; then
            old_coordinator "$dir"
            look_for_the_old
            fact old_at "$old_host:$old_port"
            fact old_answer "$old_answer"
            fact old_lock "$old_lock"
        fi
    fi
    fact state "$state"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
