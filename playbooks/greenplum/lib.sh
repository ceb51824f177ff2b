# What every script of this folder needs: where the installation is, which instances this node has, how they answer.
# POSIX sh (dash, bash, busybox). gsctl sets these variables before this text; any may be missing or empty:
#   gphome  coordinator_data  master_data  standby_data  coordinator_port  segments  use_management
#   groups, host, address   the groups of this host in the hosts file, its name there, the address gsctl connected to
#   light                   1: once a second, while waiting
#   found_...               what an earlier look at this host found
#   share_...               what the coordinator's host said: a fact of that name there is a variable of that name everywhere
#   dealt_segments          the words of the catalog that are about this host; undealt_segments: names of hosts that no host has
#   missing_groups          groups of hosts that could not be reached, where the run goes on without them
#   by_processes            yes: where nothing tells the segments, what runs does

nl='
'

# Old ones want other arguments.
if timeout 1 true >/dev/null 2>&1; then can_bound=yes; else can_bound=no; fi

# bounded SECONDS COMMAND...: with a time limit, where the node can set one.
bounded() {
    limit_s=$1
    shift
    if [ "$can_bound" = yes ]; then timeout "$limit_s" "$@"; else "$@"; fi
}

# use_programs: the C programs need no more than this; greenplum_path.sh is written for bash, and only gpstart and its like
# need it. The system's own directories stand before what the user's profile has put into PATH.
use_programs() {
    gphome=${gphome:-$found_gphome}
    gphome=${gphome:-/usr/local/greenplum-db}
    gphome=${gphome%/}
    PATH=$gphome/bin:/usr/bin:/bin:/usr/sbin:/sbin:$PATH
    LD_LIBRARY_PATH=$gphome/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    LC_ALL=C
    export PATH LD_LIBRARY_PATH LC_ALL
}

fact() {
    printf '%s=%s\n' "$1" "$2"
}

in_group() {
    case " $groups " in
        *" $1 "*) return 0 ;;
        *) return 1 ;;
    esac
}

# misses GROUP: a host of that group could not be reached.
misses() {
    case " $missing_groups " in
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

# version_of DIR: leaves in $version the PostgreSQL that it is of: 8 up to Greenplum 5, 9 with 6, 12 with 7.
version_of() {
    version=
    line_of "$1/PG_VERSION" 1 || return 1
    version=${line%%.*}
}

# log_dir DIR: leaves in $logs where it logs.
log_dir() {
    version_of "$1"
    case $version in
        8 | 9) logs=$1/pg_log ;;
        *) logs=$1/log ;;
    esac
}

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

# one_segment WORD: DATADIR:PORT:ROLE[:CONTENT[:STATUS]] into a line of $instances. Roles change places when a mirror takes
# over: what a directory is set up for decides, and where nothing runs in it, the catalog.
one_segment() {
    s_dir=${1%%:*}
    s_rest=${1#*:}
    s_port=${s_rest%%:*}
    s_rest=${s_rest#*:}
    s_role=${s_rest%%:*}
    s_content=- s_status=-
    case $s_rest in
        *:*:*)
            s_status=${s_rest##*:}
            s_content=${s_rest#*:}
            s_content=${s_content%%:*}
            ;;
        *:*) s_content=${s_rest#*:} ;;
    esac
    case $s_role in
        p | primary) s_role=primary ;;
        m | mirror) s_role=mirror ;;
        *) return ;;
    esac
    s_listed=$s_role
    if follows "$s_dir"; then
        s_role=mirror
    elif [ "$s_role" = mirror ] && version_of "$s_dir"; then
        # Up to 5 a mirror is marked by nothing.
        case $version/$source in
            8/*) ;;
            */catalog) ! process_of "$s_dir" || s_role=primary ;;
            *) s_role=primary ;;
        esac
    fi
    instances="$instances$s_role $s_port $s_content $s_status $s_listed $s_dir$nl"
}

# find_instances: leaves in $instances `ROLE PORT CONTENT STATUS LISTED-ROLE DIR` a line, and in $source where the segments are
# known from: hosts-file, catalog, not-in-catalog (it is not about this host), processes, unknown, none.
find_instances() {
    instances= source=none
    data=${coordinator_data:-${master_data:-$found_coordinator_data}}
    if in_group coordinator && [ -n "$data" ]; then
        port_of "$data"
        instances="${instances}coordinator $port_is -1 - - $data$nl"
    fi
    if in_group standby && [ -n "${standby_data:-$data}" ]; then
        port_of "${standby_data:-$data}"
        instances="${instances}standby $port_is -1 - - ${standby_data:-$data}$nl"
    fi
    words=
    if [ -n "$segments" ]; then
        source=hosts-file words=$segments
    elif [ -n "$own_words$dealt_segments" ]; then
        source=catalog words=${own_words:-$dealt_segments}
    elif ! in_group segments; then
        :
    elif [ "$share_catalog" = read ]; then
        source=not-in-catalog
    else
        source=unknown
        if [ "$by_processes" = yes ]; then
            source=processes
            running_segments
        fi
    fi
    set -f
    for word in $words; do
        one_segment "$word"
    done
    set +f
}

# next_instance: takes the first line out of $rest; leaves its parts in $role, $at_port, $content, $status, $listed and $dir.
next_instance() {
    [ -n "$rest" ] || return 1
    one=${rest%%"$nl"*}
    one_line=$one
    rest=${rest#*"$nl"}
    role=${one%% *}
    one=${one#* }
    at_port=${one%% *}
    one=${one#* }
    content=${one%% *}
    one=${one#* }
    status=${one%% *}
    one=${one#* }
    listed=${one%% *}
    dir=${one#* }
}

# the_coordinator: leaves in $c_port and $c_dir where it is, if this host has it.
the_coordinator() {
    c_port= c_dir=
    rest=$instances
    while next_instance; do
        [ "$role" != coordinator ] || { c_port=$at_port c_dir=$dir; }
    done
    [ -n "$c_dir" ]
}

# postmaster_directories: the data directories of this installation's postmasters that run here, a line each.
postmaster_directories() {
    real=$(cd "$gphome/bin" 2>/dev/null && pwd -P) || real=$gphome/bin
    postgres_pids=$(
        LC_ALL=C ls -l /proc/[0-9]*/exe | sed -n -e 's| (deleted)$||' -e 's|.* /proc/\([0-9]*\)/exe -> \(.*\)|\1 \2|p' |
            while read -r p_pid p_exe; do
                case $p_exe in
                    "$gphome/bin/postgres" | "$real/postgres") printf ' %s' "$p_pid" ;;
                esac
            done
    )
    for p_pid in $postgres_pids; do
        # A session's process has nothing to say, and a busy host has thousands of them.
        read -r _ _ _ p_parent _ <"/proc/$p_pid/stat" || continue
        case "$postgres_pids " in
            *" $p_parent "*) continue ;;
        esac
        tr '\0' '\n' <"/proc/$p_pid/cmdline" | sed -n '/^-D$/{n;s|/$||;p;q;}'
    done
} 2>/dev/null

# running_segments: into $instances what runs here and is neither the coordinator nor the standby of this host.
running_segments() {
    left=$(postmaster_directories)$nl
    known=$instances
    while [ -n "$left" ]; do
        r_dir=${left%%"$nl"*}
        left=${left#*"$nl"}
        case $nl$known in
            *" - - $r_dir$nl"*) continue ;;
        esac
        [ -n "$r_dir" ] || continue
        port_of "$r_dir"
        r_role=primary
        ! follows "$r_dir" || r_role=mirror
        instances="$instances$r_role $port_is - - - $r_dir$nl"
    done
}

# process_of DIR: leaves in $pid the live postmaster of a data directory, and in $stale whether a pid file of a dead one is there.
process_of() {
    pid= stale=no
    line_of "$1/postmaster.pid" 1 || return 1
    case $line in
        '' | *[!0-9]*) return 1 ;;
    esac
    stale=yes
    is_postgres "$line" || return 1
    # After a boot the number may be that of another instance's postmaster.
    case $nl$(tr '\0' '\n' <"/proc/$line/cmdline")$nl in
        *"$nl-D$nl$1$nl"* | *"$nl-D$nl$1/$nl"*) ;;
        *"$nl-D$nl"* | "${nl}postgres:"*) return 1 ;;
    esac
    pid=$line stale=no
} 2>/dev/null

# is_postgres PID: a process of that name, and no zombie.
is_postgres() {
    p_name= p_state=
    while read -r key value _; do
        case $key in
            Name:) p_name=$value ;;
            State:)
                p_state=$value
                break
                ;;
        esac
    done <"/proc/$1/status"
    case $p_name/$p_state in
        postgres/[ZX]) return 1 ;;
        postgres/*) return 0 ;;
        *) return 1 ;;
    esac
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

# ask PORT DIR [SQL]: a utility session. Its option has another name up to 6, where the name of 7 is known too and shuts the
# session out: each try would be a FATAL in the instance's log.
ask() {
    if [ -x "$gphome/bin/psql" ]; then
        version_of "$2"
        case $version in
            8 | 9) connect '-c gp_session_role=utility' "$1" "$2" "${3:-select 1}" ;;
            *) connect '-c gp_role=utility' "$1" "$2" "${3:-select 1}" ;;
        esac
        return
    fi
    said= said_rc=1
    bounded 6 "$gphome/bin/pg_isready" -q -p "$1" >/dev/null 2>&1 </dev/null
    case $? in
        0) answer=accepting ;;
        1) answer=starting ;;
        2 | 124) answer=silent ;;
        # A mirror of 6 that is ready to follow.
        64) answer=recovery ;;
        *) answer=unknown ;;
    esac
}

# find_receivers: leaves in $receivers the postmasters that have a WAL receiver.
find_receivers() {
    receivers=' '
    for file in $(grep -l -e 'wal receiver' -e walreceiver /proc/[0-9]*/cmdline); do
        while read -r key value _; do
            case $key in
                PPid:)
                    receivers="$receivers$value "
                    break
                    ;;
            esac
        done <"${file%/cmdline}/status"
    done
} 2>/dev/null

# state_of ROLE PORT DIR: leaves in $state one of no-data, denied, down, starting, recovery, mirror, utility, accepting,
# streaming, stopping, silent, unknown. One that follows is streaming where it has a WAL receiver, whatever else it says.
state_of() {
    pid= stale=no
    if [ ! -e "$3/PG_VERSION" ]; then
        if hidden "$3/PG_VERSION"; then state=denied; else state=no-data; fi
        return
    fi
    if [ ! -r "$3/PG_VERSION" ]; then
        state=denied
        return
    fi
    if ! process_of "$3"; then
        state=down
        return
    fi
    answer=
    if [ "$1" != coordinator ] || [ ! -x "$gphome/bin/psql" ]; then
        ask "$2" "$3"
    elif tr '\0' '\n' <"/proc/$pid/cmdline" | grep -q '^gp_role=utility$'; then
        # It would refuse an ordinary session, and log that.
        ask "$2" "$3"
        [ "$answer" != accepting ] || answer=utility
    else
        connect '' "$2" "$3" 'select 1'
    fi
    state=$answer
    case $1/$state in
        standby/recovery | standby/starting | standby/accepting | mirror/recovery)
            [ -n "$receivers" ] || find_receivers
            case $receivers in
                *" $pid "*) ! follows "$3" || state=streaming ;;
            esac
            ;;
    esac
}

# reason_of TEXT: leaves in $reason the first FATAL or ERROR, on one line.
reason_of() {
    reason=$(printf '%s\n' "$1" | sed -n -e 's/.*FATAL: *//p' -e 's/.*ERROR: *//p' -e 's/^psql: *//p' | sed -n 1p)
}
