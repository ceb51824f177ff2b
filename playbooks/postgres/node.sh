# Looks at one PostgreSQL server (12 and later) and prints facts, `key=value` a line. Changes nothing.
# POSIX sh (dash, bash, busybox). gsctl sets these variables before this text; all but pgdata may be missing or empty:
#   pgdata  pgbin  pgport  pghost  pguser  dbname
#   light            1: once a second, while waiting: asks no other server and no pg_controldata
#   old_primary      promote: the server that must be down, HOST[:PORT]; else the one that this standby follows
#   primary_host primary_port primary_user slot rebuild   standby-build: what is to be built
# The facts are listed at the end, in main.

# >>> common: the same text in every script of this folder (tests/it/postgres.rs compares them)
nl='
'
# Messages in English, and nothing of the caller's about where the server is.
LC_ALL=C
export LC_ALL
unset PGHOST PGHOSTADDR PGPORT PGDATABASE PGSERVICE PGOPTIONS

# fact NAME VALUE: one line, whatever the value holds.
fact() {
    case $2 in
        *"$nl"*) printf '%s=%s\n' "$1" "$(printf '%s' "$2" | tr '\n' ' ')" ;;
        *) printf '%s=%s\n' "$1" "$2" ;;
    esac
}

# fail BECAUSE [HINT]
fail() {
    fact because "$1"
    [ -z "$2" ] || fact hint "$2"
    exit 1
}

# value_of KEY: leaves in $value what a `KEY=value` line of $answer says.
value_of() {
    case $nl$answer in
        *"$nl$1="*)
            value=$nl$answer
            value=${value#*"$nl$1="}
            value=${value%%"$nl"*}
            ;;
        *) value= ;;
    esac
}

# complaint: the line of $answer that says what went wrong.
complaint() {
    value=
    while IFS= read -r line; do
        case $line in
            *FATAL:* | *ERROR:* | *PANIC:* | *error:* | *WARNING:*) value=$line ;;
            *) [ -n "$value" ] || spare=$line ;;
        esac
    done <<COMPLAINT
$answer
COMPLAINT
    [ -n "$value" ] || value=$spare
    for noise in 'psql: error: ' 'pg_basebackup: error: ' 'pg_ctl: '; do
        value=${value#"$noise"}
    done
    spare=
}

# resolve: the data directory itself, where $pgdata is a link; and a limit for programs that may hang.
resolve() {
    pgdata=${pgdata%/}
    real=$pgdata
    if [ -L "$pgdata" ]; then
        real=$(readlink -f "$pgdata") && [ -n "$real" ] || real=$pgdata
    fi
    work=$real.gsctl
    bound=
    ! timeout 1 true >/dev/null 2>&1 || bound='timeout 20'
    dbname=${dbname:-postgres}
}

# find_server: the postmaster of the data directory. Its process has that directory as its own: a number proves nothing.
find_server() {
    server=none pid= file_port= file_socket= file_listen= file_status=
    [ -r "$real/postmaster.pid" ] || return 1
    {
        read -r pid
        read -r _
        read -r _
        read -r file_port
        read -r file_socket
        read -r file_listen
        read -r _
        read -r file_status
    } <"$real/postmaster.pid"
    case $pid in
        '' | *[!0-9]*)
            pid=
            return 1
            ;;
    esac
    name= life=
    while read -r key value _; do
        case $key in
            Name:) name=$value ;;
            State:)
                life=$value
                break
                ;;
        esac
    done 2>/dev/null <"/proc/$pid/status"
    here=$(cd "$real" && pwd -P)
    case $life:$(readlink "/proc/$pid/cwd" 2>/dev/null) in
        : | :* | Z:* | X:*) pid= ;;
        *:"$here") server=running ;;
        *:)
            # Another user's: we may not look, so the name must do.
            case $name in
                postgres | postmaster) server=running ;;
                *) pid= ;;
            esac
            ;;
        *) pid= ;;
    esac
    [ "$server" = running ]
} 2>/dev/null

# usable DIR: has the programs of a server, in the data directory's own version where there is one.
usable() {
    [ -x "$1/pg_ctl" ] && [ -x "$1/postgres" ] || return 1
    version=$("$1/postgres" -V 2>/dev/null </dev/null)
    version=${version#*PostgreSQL\) }
    version=${version%% *}
    [ -n "$version" ] || return 1
    bin=$1
    [ -z "$data_version" ] || [ "${version%%.*}" = "${data_version%%.*}" ]
}

# find_programs: $pgbin, else those that run, else of the data directory's version, else any. Leaves $bin, $version, $fits.
find_programs() {
    bin= version= fits=no data_version=
    [ ! -r "$real/PG_VERSION" ] || read -r data_version <"$real/PG_VERSION"
    if [ -n "$pgbin" ]; then
        ! usable "${pgbin%/}" || fits=yes
        return
    fi
    if [ -n "$pid" ]; then
        exe=$(readlink "/proc/$pid/exe" 2>/dev/null)
        if [ -n "$exe" ] && usable "${exe%/*}"; then
            fits=yes
            return
        fi
    fi
    if [ -n "$data_version" ]; then
        for dir in "/usr/lib/postgresql/$data_version/bin" "/usr/pgsql-$data_version/bin"; do
            if usable "$dir"; then
                fits=yes
                return
            fi
        done
    fi
    dir=$(pg_config --bindir 2>/dev/null </dev/null)
    if [ -n "$dir" ] && usable "$dir"; then
        fits=yes
        return
    fi
    dir=$(command -v postgres 2>/dev/null)
    # What is on PATH may be a link into the directory with all the others.
    dir=$(readlink -f "$dir" 2>/dev/null)
    if [ -n "$dir" ] && usable "${dir%/*}"; then
        fits=yes
        return
    fi
    newest=0 newest_dir=
    for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin /opt/pgsql/bin; do
        usable "$dir" || continue
        number=${version%%[!0-9]*}
        if [ "${number:-0}" -gt "$newest" ]; then
            newest=$number newest_dir=$dir
        fi
    done
    [ -z "$newest_dir" ] || { usable "$newest_dir" && fits=yes; }
}

# where_it_listens: the socket or address, and port, that the server itself wrote down.
where_it_listens() {
    server_port=${pgport:-${file_port:-5432}}
    server_host=$pghost
    [ -n "$server_host" ] || server_host=$file_socket
    if [ -z "$server_host" ]; then
        case $file_listen in
            '' | '*' | 0.0.0.0 | ::) server_host=localhost ;;
            *) server_host=$file_listen ;;
        esac
    fi
}

# sql TEXT: leaves in $answer what it prints. No password is asked for: ~/.pgpass has it, or none is needed.
sql() {
    answer=$(PGCONNECT_TIMEOUT=5 PGAPPNAME=gsctl PGOPTIONS='-c statement_timeout=10000' $bound "$bin/psql" -X -A -t -q -w \
        -v ON_ERROR_STOP=1 -h "$server_host" -p "$server_port" ${pguser:+-U "$pguser"} -d "$dbname" -c "$1" 2>&1 </dev/null)
}

# control KEY: from pg_controldata.
control() {
    value=$("$bin/pg_controldata" -D "$real" 2>/dev/null </dev/null | sed -n "s/^$1: *//p")
}

# id_in FILE: the id of the build that a directory came from.
id_in() {
    value=
    [ ! -r "$1" ] || read -r value <"$1"
}
# <<< common

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

own_uid() {
    uid=
    while read -r key value _; do
        if [ "$key" = Uid: ]; then
            uid=$value
            break
        fi
    done </proc/self/status
} 2>/dev/null

# look_at_data: what is where the data directory should be.
look_at_data() {
    data=ok data_owner=
    if [ ! -e "$real" ]; then
        data=missing
        ! hidden "$real" || data=denied
    elif [ ! -d "$real" ]; then
        data=foreign
    elif [ ! -r "$real" ] || [ ! -x "$real" ]; then
        data=denied
    elif [ ! -f "$real/PG_VERSION" ]; then
        data=empty
        [ -z "$(ls -A "$real" 2>/dev/null)" ] || data=foreign
    fi
    if [ -d "$real" ]; then
        set -f
        set -- $(ls -ldn "$real" 2>/dev/null)
        set +f
        if [ "$3" = "$uid" ]; then data_owner=self; else data_owner=other; fi
    fi
    parent=${real%/*}
    up=${parent:-/}
    while [ ! -e "$up" ] && [ -n "$up" ]; do
        up=${up%/*}
    done
    if [ -d "${up:-/}" ] && [ -w "${up:-/}" ]; then parent=writable; else parent=denied; fi
    mount_point=no
    while read -r _ _ _ _ mounted _; do
        [ "$mounted" != "$real" ] || mount_point=yes
    done 2>/dev/null </proc/self/mountinfo
}

# member TEXT KEY: one value of a `key=value key='value'` connection string.
member() {
    value=$(printf '%s\n' " $1" | sed -n "s/.*[[:space:]]$2 *= *'\([^']*\)'.*/\1/p;t
s/.*[[:space:]]$2 *= *\([^[:space:]']*\).*/\1/p")
}

# find_upstream CONNINFO: HOST:PORT, or several with a comma. The string itself may hold a password: it goes no further.
find_upstream() {
    upstream_host= upstream_port=
    case $1 in
        '' | postgres*://*) return ;;
    esac
    member "$1" hostaddr
    upstream_host=$value
    if [ -z "$upstream_host" ]; then
        member "$1" host
        upstream_host=$value
    fi
    member "$1" port
    upstream_port=${value:-5432}
}

# ask_upstream: does the server that this one follows still answer? Rejecting is an answer: it lives.
ask_upstream() {
    upstream_answers=unknown
    if [ -n "$old_primary" ]; then
        case $old_primary in
            \[*\]:*) upstream_host=${old_primary%]:*} upstream_host=${upstream_host#\[} upstream_port=${old_primary##*:} ;;
            *:*:*) upstream_host=$old_primary upstream_port=5432 ;;
            *:*) upstream_host=${old_primary%:*} upstream_port=${old_primary##*:} ;;
            *) upstream_host=$old_primary upstream_port=5432 ;;
        esac
    fi
    if [ -z "$upstream_host" ]; then
        upstream_answers=none
        return
    fi
    hosts=$upstream_host, ports=$upstream_port,
    while [ -n "$hosts" ]; do
        $bound "$bin/pg_isready" -q -d "$dbname" -h "${hosts%%,*}" -p "${ports%%,*}" -t 3 </dev/null >/dev/null 2>&1
        case $? in
            0 | 1) upstream_answers=yes ;;
            2) [ "$upstream_answers" = yes ] || upstream_answers=no ;;
        esac
        hosts=${hosts#*,}
        # One port may be for all hosts.
        [ -z "${ports#*,}" ] || ports=${ports#*,}
    done
}

# ask_server: what the server says about itself.
ask_server() {
    where_it_listens
    ready_rc=2
    "$bin/pg_isready" -q -d "$dbname" -h "$server_host" -p "$server_port" -t 3 </dev/null >/dev/null 2>&1
    ready_rc=$?
    case $ready_rc in
        0) ;;
        1)
            answers=starting
            case $file_status in
                stopping*) answers=stopping ;;
                standby*) answers=closed ;;
            esac
            return
            ;;
        *)
            answers=no
            return
            ;;
    esac
    # One row of many lines. Functions that are only for one of the two roles stand in branches of a case.
    sql "select concat(
        'recovery=', pg_is_in_recovery(),
        E'\\ntimeline=', case when pg_is_in_recovery()
            then coalesce((select received_tli from pg_stat_wal_receiver),
                (select nullif(min_recovery_end_timeline, 0) from pg_control_recovery()),
                (select timeline_id from pg_control_checkpoint()))::text
            else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int::text end,
        E'\\nsystem=', (select system_identifier from pg_control_system()),
        E'\\nreceiver=', (select status from pg_stat_wal_receiver),
        E'\\nsender=', (select sender_host || ':' || sender_port from pg_stat_wal_receiver),
        E'\\nslot=', (select slot_name from pg_stat_wal_receiver),
        E'\\nlag_bytes=', case when pg_is_in_recovery() then greatest(0, pg_wal_lsn_diff(
            coalesce((select latest_end_lsn from pg_stat_wal_receiver), pg_last_wal_receive_lsn()),
            pg_last_wal_replay_lsn())) end,
        E'\\nlag_seconds=', case when not pg_is_in_recovery() then null
            when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
                and exists (select from pg_stat_wal_receiver where status = 'streaming') then 0
            else greatest(0, round(extract(epoch from now() - pg_last_xact_replay_timestamp()))) end,
        E'\\nreplicas=', (select count(*) from pg_stat_replication where state = 'streaming'),
        E'\\nreplication=', (select string_agg(concat_ws(' ', coalesce(nullif(application_name, ''), '?'),
                host(client_addr), state, sync_state, pg_wal_lsn_diff(case when pg_is_in_recovery()
                then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end, replay_lsn) || ' bytes behind'),
            ', ' order by application_name) from pg_stat_replication),
        E'\\nconninfo=', (select setting from pg_settings where name = 'primary_conninfo'))"
    if [ $? -ne 0 ]; then
        answers=denied
        complaint
        sql_error=$value
        case $sql_error in
            *'starting up'* | *'not yet accepting'* | *'recovery mode'*) answers=starting ;;
            *'shutting down'*) answers=stopping ;;
        esac
        return
    fi
    answers=yes
    value_of timeline
    timeline=$value
    value_of system
    system_id=$value
    value_of replicas
    replicas=$value
    value_of replication
    replication=$value
    value_of recovery
    if [ "$value" = f ]; then
        role=primary stream=primary
        return
    fi
    role=standby
    value_of receiver
    stream=${value:-disconnected}
    value_of lag_bytes
    lag_bytes=$value
    value_of lag_seconds
    lag_seconds=$value
    value_of slot
    used_slot=$value
    value_of conninfo
    find_upstream "$value"
    value_of sender
    sender=$value
}

# conninfo_of: how the primary is reached for replication. A password comes from ~/.pgpass.
conninfo_of() {
    conninfo=
    for pair in "host=$primary_host" "port=${primary_port:-5432}" "user=$primary_user" "application_name=$host" \
        connect_timeout=5; do
        value=${pair#*=}
        [ -n "$value" ] || continue
        conninfo="$conninfo ${pair%%=*}='$(printf '%s' "$value" | sed "s/[\\\\']/\\\\&/g")'"
    done
}

# ask_primary: may this node replicate from it? Asked as pg_basebackup will.
ask_primary() {
    primary=error primary_error=
    $bound "$bin/pg_isready" -q -d "$dbname" -h "$primary_host" -p "${primary_port:-5432}" -t 5 </dev/null >/dev/null 2>&1
    case $? in
        1) primary=starting ;;
        2) primary=no-answer ;;
        *)
            conninfo_of
            if answer=$($bound "$bin/psql" -X -A -t -q -w -d "$conninfo replication=true" -c IDENTIFY_SYSTEM \
                2>&1 </dev/null); then
                primary=ok
                primary_system=${answer%%|*}
            else
                complaint
                primary_error=$value
                case $primary_error in
                    *'no pg_hba.conf entry'*) primary=no-entry ;;
                    *'password authentication failed'* | *'no password supplied'* | *'authentication failed'*) primary=login ;;
                    *'must be superuser or replication role'* | *'permission denied'*) primary=no-right ;;
                    *'role "'*'does not exist'*) primary=login ;;
                esac
            fi
            ;;
    esac
    fact primary "$primary"
    fact primary_error "$primary_error"
}

# look_at_build: is there a standby to be built, one half built, or one that is what it should be?
look_at_build() {
    build=needed
    if [ "$rebuild" = yes ]; then
        :
    elif [ -e "$work/id" ] && [ ! -e "$work/finished" ]; then
        build=resume
    elif [ "$role.$stream" = standby.streaming ] && [ "$used_slot" = "$slot" ]; then
        for known in "$sender" "$upstream_host:$upstream_port"; do
            [ "$known" != "$primary_host:${primary_port:-5432}" ] || build=done
        done
    fi
    fact build "$build"
}

main() {
    resolve
    own_uid
    look_at_data
    find_server
    if [ "$light" = 1 ] && [ -n "$found_bin" ]; then
        bin=$found_bin fits=yes
    else
        find_programs
        fact found_bin "$bin"
        fact version "$version"
        fact data_version "$data_version"
    fi
    if [ "$fits" = yes ]; then
        fact installed yes
    elif [ -n "$bin" ]; then
        fact installed other-version
    else
        fact installed no
    fi
    fact uid "$uid"
    fact data "$data"
    fact data_owner "$data_owner"
    fact parent "$parent"
    fact mount_point "$mount_point"

    # The server: its process, then what it says, then what its files say.
    role=unknown answers=no stream=unknown timeline= system_id= lag_bytes= lag_seconds= replicas= replication= sql_error=
    ready_rc= upstream_host= upstream_port= sender= used_slot= pg_ctl_rc= control_state= state=
    if [ "$light" != 1 ] && [ -n "$bin" ]; then
        "$bin/pg_ctl" status -D "$real" </dev/null >/dev/null 2>&1
        pg_ctl_rc=$?
        # A process that we may not look into may still be seen by pg_ctl.
        [ "$pg_ctl_rc" != 0 ] || server=running
        if [ "$data" = ok ]; then
            control 'Database cluster state'
            control_state=$value
            control "Latest checkpoint's TimeLineID"
            timeline=$value
            control 'Database system identifier'
            system_id=$value
        fi
        fact pg_ctl_rc "$pg_ctl_rc"
        fact control_state "$control_state"
    fi
    standby_signal=no
    [ ! -e "$real/standby.signal" ] || standby_signal=yes
    if [ "$server" = running ]; then
        [ -z "$bin" ] || ask_server
        if [ "$role" = unknown ]; then
            case $answers in
                starting | stopping) role=$answers ;;
                closed) role=standby ;;
                *)
                    case $control_state in
                        'in production') role=primary ;;
                        'in archive recovery') role=standby ;;
                    esac
                    ;;
            esac
        fi
    else
        role=down stream=down
    fi
    case $data in
        missing | empty | foreign) role=none stream=none ;;
    esac
    fact server "$server"
    fact pid "$pid"
    fact ready_rc "$ready_rc"
    fact answers "$answers"
    fact sql_error "$sql_error"
    fact standby_signal "$standby_signal"
    fact role "$role"
    # What a server that is down was, and will be again.
    case $server/$standby_signal/$control_state in
        running/* | */) fact last_role '' ;;
        */yes/* | *recovery*) fact last_role standby ;;
        *) fact last_role primary ;;
    esac
    if [ -n "$timeline" ] || [ "$light" != 1 ]; then fact timeline "$timeline"; fi
    if [ -n "$system_id" ] || [ "$light" != 1 ]; then fact system_id "$system_id"; fi
    fact stream "$stream"
    fact lag_bytes "$lag_bytes"
    fact lag_seconds "$lag_seconds"
    fact replicas "$replicas"
    fact replication "$replication"
    upstream=$sender
    [ -n "$upstream" ] || [ -z "$upstream_host" ] || upstream=$upstream_host:$upstream_port
    fact upstream "$upstream"
    if [ "$light" != 1 ] && [ -n "$bin" ]; then
        if [ -n "$primary_host" ]; then
            ask_primary
            look_at_build
        elif [ "$role" = standby ]; then
            ask_upstream
            fact upstream_answers "$upstream_answers"
        fi
    fi
    case $data/$role in
        denied/*) fact state denied ;;
        *) fact state "$role" ;;
    esac
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
