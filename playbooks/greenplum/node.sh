# Looks at one Greenplum node and prints facts, `key=value` a line. Changes nothing.
# POSIX sh (dash, bash, busybox). gsctl sets these variables before this text; every one but gphome may be missing or empty:
#   gphome  coordinator_data  master_data  standby_data  coordinator_port  segments  use_management
#   groups, host, address   the groups of this host in the hosts file, its name there, the address gsctl connected to
#   light                   1: once a second, while waiting
#   found_coordinator_data  in a light look, what the full one printed
#   share_...               what the coordinator's host said: a fact of that name there is a variable of that name everywhere
# The facts are listed at the end, in main.

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

# login_environment: where the coordinator's data is, as the cluster user's profile says. It is written for bash, may print
# and may hang: what it prints goes nowhere, what it reads is empty, and it has ten seconds.
login_environment() {
    found_coordinator_data=
    inside=sh
    command -v bash >/dev/null 2>&1 && inside=bash
    told=$({
        bounded 10 "$inside" -c '
            if [ -r /etc/profile ]; then . /etc/profile; fi
            if [ -r "$HOME/.bash_profile" ]; then . "$HOME/.bash_profile"; fi
            if [ -r "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi
            set +eu
            printf "gsctl_data=%s\n" "${COORDINATOR_DATA_DIRECTORY:-$MASTER_DATA_DIRECTORY}" >&8
        ' 8>&1 >/dev/null 2>&1 </dev/null
        printf 'gsctl_end\n'
    } | sed '/^gsctl_end/q')
    case $nl$told in
        *"${nl}gsctl_data=/"*)
            found_coordinator_data=${told#*gsctl_data=}
            found_coordinator_data=${found_coordinator_data%%"$nl"*}
            ;;
    esac
}

# control DIR: leaves in $timeline and $control what pg_controldata says.
control() {
    timeline= control=
    [ -x "$gphome/bin/pg_controldata" ] || return
    told=$(bounded 6 "$gphome/bin/pg_controldata" "$1" 2>/dev/null </dev/null)
    timeline=$(printf '%s\n' "$told" | sed -n "s/^Latest checkpoint's TimeLineID:[[:space:]]*\([0-9][0-9]*\).*/\1/p")
    control=$(printf '%s\n' "$told" | sed -n 's/^Database cluster state:[[:space:]]*//p')
}

# read_catalog PORT DIR: every segment, for all hosts. Blanks in a data directory would end a word: such a cluster needs
# `segments` in the hosts file.
read_catalog() {
    ask "$1" "$2" "select hostname||','||address||'='||datadir||':'||port||':'||role||':'||content from gp_segment_configuration where content >= 0 order by content, role desc"
    # Up to 5 data directories are in pg_filespace_entry.
    case $said in
        *datadir*'does not exist'*)
            ask "$1" "$2" "select hostname||','||address||'='||fselocation||':'||port||':'||role||':'||content from gp_segment_configuration, pg_filespace_entry where dbid = fsedbid and fsefsoid = 3052 and content >= 0 order by content, role desc"
            ;;
    esac
    [ "$said_rc" = 0 ] || return 1
    set -f
    share_segments=
    for word in $said; do
        case $word in
            *,*=/*:*:*:*) share_segments="$share_segments${share_segments:+ }$word" ;;
        esac
    done
    set +f
    [ -z "$share_segments" ] || fact share_segments "$share_segments"
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

# postmasters: how many of this installation run here, whoever they belong to.
count_postmasters() {
    postmasters=0
    real=$(cd "$gphome/bin" 2>/dev/null && pwd -P) || real=$gphome/bin
    for p_pid in $(LC_ALL=C ls -l /proc/[0-9]*/exe 2>/dev/null |
        sed -n -e 's|.* /proc/\([0-9]*\)/exe -> \(.*\)|\1 \2|p' | sed 's| (deleted)$||' |
        while read -r p_pid p_exe; do
            case $p_exe in
                "$gphome/bin/postgres" | "$real/postgres") echo "$p_pid" ;;
            esac
        done); do
        case $nl$(tr '\0' '\n' <"/proc/$p_pid/cmdline" 2>/dev/null)$nl in
            *"$nl-D$nl"*) postmasters=$((postmasters + 1)) ;;
        esac
    done
}

# tally ROLE: one more segment of a kind, in the state $state. What is worst is what the kind is.
tally() {
    good=no
    case $1/$state in
        primary/accepting | mirror/recovery | mirror/mirror | mirror/accepting) good=yes ;;
    esac
    case $1 in
        primary)
            primaries_total=$((primaries_total + 1))
            if [ "$good" = yes ]; then
                primaries_up=$((primaries_up + 1))
            else
                worse "$primaries"
                primaries=$worse
            fi
            ;;
        mirror)
            mirrors_total=$((mirrors_total + 1))
            if [ "$good" = yes ]; then
                mirrors_up=$((mirrors_up + 1))
            else
                worse "$mirrors"
                mirrors=$worse
            fi
            ;;
    esac
}

# worse STATE: the worse of it and $state.
worse() {
    worse=$state
    for rank in denied no-data down silent unknown stopping starting recovery; do
        case $rank in
            "$1" | "$state")
                worse=$rank
                return
                ;;
        esac
    done
}

# seen KIND STATE UP TOTAL: for the eye, with how many are up where not all are.
seen() {
    case $2 in
        up | none | unknown) fact "${1}_seen" "$2" ;;
        *) fact "${1}_seen" "$2, $3 of $4 up" ;;
    esac
}

# name_state: one word for the node, and how many of its segments are up.
name_state() {
    of=$((primaries_total + mirrors_total)) up_here=$((primaries_up + mirrors_up))
    state=running
    case $coordinator/$standby in
        none/none | none/streaming | none/recovery | none/mirror | none/accepting | accepting/*) ;;
        *) state=partly ;;
    esac
    [ "$up_here" = "$of" ] || state=partly
    [ "$postmasters" != 0 ] || state=stopped
    [ "$source" != unknown ] || [ "$state" = stopped ] || state=unknown
    [ "$of" = 0 ] || state="$state $up_here/$of"
    [ "$installed" = yes ] || state=not-installed
}

# result_line NUMBER DIR: as gpsegstart reports a segment.
result_line() {
    if [ "$good" = yes ]; then
        fact "segment_$1" "STATUS--DIR:$2--STARTED:True--REASONCODE:0--REASON:Start Succeeded"
    else
        case $state in
            down) reason='no postmaster process' code=3 ;;
            no-data) reason='no such data directory' code=4 ;;
            denied) reason='data directory not readable' code=4 ;;
            starting) reason='the database system is starting up' code=1 ;;
            recovery) reason='the database system is in recovery mode' code=1 ;;
            stopping) reason='the database system is shutting down' code=1 ;;
            silent) reason='no answer to a connection' code=2 ;;
            *) reason="$state" code=1 ;;
        esac
        [ "$stale" != yes ] || reason="$reason (postmaster.pid is left over)"
        fact "segment_$1" "STATUS--DIR:$2--STARTED:False--REASONCODE:$code--REASON:$reason"
    fi
}

main() {
    use_programs
    [ "$light" = 1 ] || login_environment
    look_at_home
    launched
    fact launched "$run_state"
    fact launched_why "$run_why"
    find_instances
    [ "$light" = 1 ] || fact found_coordinator_data "$found_coordinator_data"
    fact segments_source "$source"
    coordinator=none standby=none primaries=none mirrors=none
    primaries_up=0 primaries_total=0 mirrors_up=0 mirrors_total=0 running=0 number=0 missing_data= own_way=yes
    if in_group coordinator && [ -z "$data" ]; then coordinator=no-data; fi
    if in_group standby && [ -z "${standby_data:-$data}" ]; then standby=no-data; fi
    # The catalog is read where nobody has told the segments; then this host's own are among them.
    case $instances in
        *coordinator\ *)
            c_line=${instances%%"$nl"*}
            c_rest=${c_line#coordinator }
            c_port=${c_rest%% *}
            c_dir=${c_rest#* -1 }
            state_of coordinator "$c_port" "$c_dir"
            coordinator=$state
            case $coordinator in
                accepting | utility)
                    if [ -z "$share_segments" ] || [ "$light" != 1 ]; then
                        if read_catalog "$c_port" "$c_dir" && [ -z "$segments" ]; then find_instances; fi
                    fi
                    ;;
            esac
            fact share_coordinator "$coordinator"
            fact share_launched "$run_state"
            share_way=own
            if [ "$use_management" != no ] && [ -x "$gphome/bin/gpstart" ]; then share_way=gpstart; fi
            fact share_way "$share_way"
            share_launched=$run_state share_coordinator=$coordinator
            if [ -n "$share_unknown" ] && [ -z "$share_segments" ]; then fact needs_catalog yes; else fact needs_catalog no; fi
            ;;
    esac
    rest=$instances
    while [ -n "$rest" ]; do
        one=${rest%%"$nl"*}
        rest=${rest#*"$nl"}
        role=${one%% *}
        one=${one#* }
        at_port=${one%% *}
        one=${one#* }
        dir=${one#* }
        pid= stale=no
        if [ "$role" = coordinator ]; then state=$coordinator; else state_of "$role" "$at_port" "$dir"; fi
        case $state in
            no-data | denied) [ -n "$missing_data" ] || missing_data=$dir ;;
        esac
        case $role in
            coordinator | standby) ;;
            *)
                tally "$role"
                number=$((number + 1))
                result_line "$number" "$dir"
                [ -z "$pid" ] || running=$((running + 1))
                ;;
        esac
        if line_of "$dir/PG_VERSION" 1; then
            # Before 7 a segment's postmaster wants options that only gpstart knows.
            case $line in
                8.* | 9.*) own_way=no ;;
            esac
        fi
        case $role in
            coordinator)
                [ "$light" = 1 ] || {
                    control "$dir"
                    fact timeline "$timeline"
                    fact control_state "$control"
                    fact share_timeline "$timeline"
                    share_timeline=$timeline
                }
                ;;
            standby)
                standby=$state
                [ "$light" = 1 ] || {
                    control "$dir"
                    fact standby_timeline "$timeline"
                    fact standby_control_state "$control"
                    if follows "$dir"; then fact standby_signal yes; else fact standby_signal no; fi
                    case $timeline/$share_timeline in
                        /* | */ | *[!0-9/]*) fact standby_ahead unknown ;;
                        *) if [ "$timeline" -gt "$share_timeline" ]; then fact standby_ahead yes; else fact standby_ahead no; fi ;;
                    esac
                }
                ;;
        esac
        if [ "$light" != 1 ] && [ -x "$gphome/bin/pg_ctl" ] && [ -d "$dir" ]; then
            # 0 runs, 3 does not, 4 is no data directory.
            bounded 6 "$gphome/bin/pg_ctl" status -D "$dir" >/dev/null 2>&1 </dev/null
            rc=$?
            case $role in
                coordinator | standby) fact "${role}_pg_ctl" "$rc" ;;
                *) fact "segment_${number}_pg_ctl" "$rc" ;;
            esac
        fi
    done
    if [ "$source" = unknown ]; then
        primaries=unknown mirrors=unknown
        fact share_unknown yes
    elif [ "$primaries_total" -gt 0 ] && [ "$primaries_up" = "$primaries_total" ]; then
        primaries=up
    fi
    if [ "$mirrors_total" -gt 0 ] && [ "$mirrors_up" = "$mirrors_total" ]; then mirrors=up; fi
    fact own_way "$own_way"
    fact way "$share_way"
    fact missing_data "$missing_data"
    fact coordinator "$coordinator"
    fact primaries "$primaries"
    fact mirrors "$mirrors"
    seen primaries "$primaries" "$primaries_up" "$primaries_total"
    seen mirrors "$mirrors" "$mirrors_up" "$mirrors_total"
    fact standby "$standby"
    fact primaries_up "$primaries_up"
    fact primaries_total "$primaries_total"
    fact mirrors_up "$mirrors_up"
    fact mirrors_total "$mirrors_total"
    count_postmasters
    fact postmasters "$postmasters"
    # Where nobody knows the segments, any postmaster may be one.
    [ "$source" != unknown ] || running=$postmasters
    fact segments_running "$running"
    # What the segments of this host come to, and what the coordinator's host says that matters for them.
    case $primaries/$mirrors in
        unknown/*) segments_are=unknown ;;
        none/none) segments_are=none ;;
        up/up | up/none | none/up) segments_are=up ;;
        *) segments_are=partly ;;
    esac
    if [ "$segments_are" = partly ] && [ "$primaries_up$mirrors_up" = 00 ] && [ "$running" = 0 ]; then segments_are=down; fi
    fact segments_are "$segments_are"
    name_state
    fact state "$state"
    fact elsewhere_launched "$share_launched"
    fact elsewhere_coordinator "$share_coordinator"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
