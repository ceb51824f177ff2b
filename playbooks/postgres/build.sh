# Builds a PostgreSQL standby, one act at a time. Each act looks first at what is done: after a kill at any point, the same
# acts from the first on end well. All that is half done lies in DATA.gsctl, next to the data directory DATA:
#   id       which build this is      what     of what: host, port and slot
#   keep/    files of the node's own, which the new data directory gets
#   data/    the new data directory, complete once data/gsctl.build holds the id
#   aside    where old data directories went         owner    the process that is at work
# Once DATA/gsctl.build holds the id, the new directory is in place.
# POSIX sh (dash, bash, busybox). gsctl sets these variables before this text; all but pgdata, primary_host and act may be empty:
#   pgdata  pgbin  pgport  pghost  pguser  dbname  primary_host  primary_port  primary_user  slot  rebuild
#   keep_files keep_old checkpoint start_options start_timeout log_file  host
#   act              keep, backup, restore, swap, start or finish
# Prints `changed`, and where it fails `because` and `hint`.

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

# alive OWNER: `PID START` is a process that still runs.
alive() {
    set -f
    set -- $1
    set +f
    [ -n "$2" ] && [ -r "/proc/$1/stat" ] || return 1
    began "$1"
    [ "$value" = "$2" ]
}

# began PID: when a process began, in ticks since boot. Its name may hold anything, also a parenthesis.
began() {
    value=
    read -r value <"/proc/$1/stat" || return 1
    value=${value##*) }
    set -f
    set -- $value
    set +f
    shift 19
    value=$1
} 2>/dev/null

# take_turn: one act at a time, also where the run that began one was killed and the act goes on without it.
take_turn() {
    mkdir -p "$work" || fail "cannot make $work" 'the login user must be able to write next to the data directory'
    began $$
    me="$$ $value"
    tries=0
    until ( set -C && printf '%s\n' "$me" >"$work/owner" ) 2>/dev/null; do
        owner=
        read -r owner 2>/dev/null <"$work/owner"
        tries=$((tries + 1))
        if alive "$owner"; then
            [ "$tries" -le 30 ] || fail "process ${owner% *} of an earlier run still builds here" \
                "wait until it has ended and run this again, or end it: kill ${owner% *}"
            sleep 1
        elif ! rm -f "$work/owner" || [ "$tries" -gt 30 ]; then
            fail "cannot write to $work" 'does it belong to another user, or is the disk full?'
        fi
    done
    trap 'rm -f "$work/owner"' EXIT
    trap 'exit 143' HUP INT TERM
}

# write_file FILE TEXT: there whole, or not at all.
write_file() {
    printf '%s\n' "$2" >"$1.new" && mv "$1.new" "$1" || fail "cannot write $1" 'is the disk full?'
}

in_place() {
    id_in "$real/gsctl.build"
    [ -n "$id" ] && [ "$value" = "$id" ]
}

complete() {
    id_in "$work/data/gsctl.build"
    [ -n "$id" ] && [ "$value" = "$id" ]
}

# not_a_primary: whatever gsctl was told, a primary that runs is not thrown away.
not_a_primary() {
    find_server || return 0
    control 'Database cluster state'
    case $value in
        'in archive recovery' | 'shut down in recovery') ;;
        *) fail "a server runs on $real that is no standby, but \`$value\`" \
            'stop it first, if it is the right one: pg_ctl stop' ;;
    esac
}

# keep_act: begins a build, and puts aside what is the node's own.
keep_act() {
    not_a_primary
    what="$primary_host:${primary_port:-5432}:$slot"
    rm -rf "$work.trash"
    id_in "$work/what"
    if [ -e "$work/finished" ] || [ "$rebuild" = yes ] || { [ -n "$id" ] && [ "$value" != "$what" ]; }; then
        # Not the files kept: they may be the only ones.
        rm -rf "$work/id" "$work/data" "$work/finished" "$work/aside"
        id=
    fi
    if [ -z "$id" ]; then
        rm -rf "$work/data"
        write_file "$work/what" "$what"
        id=$(date -u +%Y%m%dT%H%M%SZ)-$$
        write_file "$work/id" "$id"
        fact changed yes
    fi
    mkdir -p "$work/keep" || fail "cannot make $work/keep"
    chmod 700 "$work" "$work/keep"
    ! in_place || return 0
    for file in $keep_files; do
        case $file in
            */* | .*) fail "\`$file\` in keep_files is no name of a file in the data directory" ;;
        esac
        [ -f "$real/$file" ] || continue
        cp -p "$real/$file" "$work/keep/$file.new" && mv "$work/keep/$file.new" "$work/keep/$file" ||
            fail "cannot copy $real/$file to $work/keep" 'is the disk full?'
    done
}

# need_slot: replication slots are made once; one that is there is taken as it is.
need_slot() {
    [ -n "$slot" ] || return 0
    if ! answer=$("$bin/psql" -X -A -t -q -w -d "$conninfo replication=true" \
        -c "CREATE_REPLICATION_SLOT $slot PHYSICAL RESERVE_WAL" 2>&1 </dev/null); then
        case $answer in
            *'already exists'*) ;;
            *)
                complaint
                fail "the replication slot \`$slot\` cannot be made: $value" 'see max_replication_slots on the primary'
                ;;
        esac
    fi
}

conninfo_of() {
    conninfo=
    for pair in "host=$primary_host" "port=${primary_port:-5432}" "user=$primary_user" "application_name=$host"; do
        value=${pair#*=}
        [ -n "$value" ] || continue
        conninfo="$conninfo ${pair%%=*}='$(printf '%s' "$value" | sed "s/[\\\\']/\\\\&/g")'"
    done
}

backup_act() {
    if in_place || complete; then return 0; fi
    [ -n "$id" ] || fail "no build was begun in $work"
    rm -rf "$work/data"
    conninfo_of
    need_slot
    if ! answer=$("$bin/pg_basebackup" -D "$work/data" -d "$conninfo" -X stream -R -w -c "${checkpoint:-fast}" \
        ${slot:+-S "$slot"} 2>&1 </dev/null); then
        printf '%s\n' "$answer" >&2
        rm -rf "$work/data"
        hint='see what pg_basebackup printed'
        case $answer in
            *'no pg_hba.conf entry'*) hint="pg_hba.conf of the primary needs a line: host replication ${primary_user:-USER} ADDRESS/32 METHOD" ;;
            *'No space left'*) hint='the disk of the data directory must hold the old data and the new: keep_old=no does not help before the swap' ;;
            *'number of requested standby connections exceeds'*) hint='raise max_wal_senders on the primary' ;;
            *'exists but is not empty'*) hint='a tablespace directory is not empty on this node: empty it first' ;;
        esac
        complaint
        fail "pg_basebackup failed: $value" "$hint"
    fi
    [ -f "$work/data/standby.signal" ] || fail 'pg_basebackup made no standby.signal' 'PostgreSQL 12 or later is needed'
    # A primary that was a standby once still has its own slot's name in this file, and the copy would ask for that.
    if [ -z "$slot" ]; then
        printf "%s\n" "primary_slot_name = ''" >>"$work/data/postgresql.auto.conf" || fail "cannot write to $work/data"
    fi
    write_file "$work/data/gsctl.build" "$id"
    fact changed yes
}

restore_act() {
    ! in_place || return 0
    complete || fail "there is no complete base backup in $work/data"
    for file in "$work/keep"/*; do
        [ -f "$file" ] || continue
        name=${file##*/}
        case $name in
            *.new) continue ;;
        esac
        if ! cmp -s "$file" "$work/data/$name"; then
            cp -p "$file" "$work/data/$name.new" && mv "$work/data/$name.new" "$work/data/$name" ||
                fail "cannot copy $file to $work/data" 'is the disk full?'
            fact changed yes
        fi
    done
}

swap_act() {
    ! in_place || return 0
    complete || fail "there is no complete base backup in $work/data"
    not_a_primary
    if [ "$server" = running ]; then
        answer=$("$bin/pg_ctl" stop -D "$real" -m fast -w -t 60 2>&1 </dev/null) ||
            fail "the old standby does not stop: $answer" 'stop it by hand: pg_ctl stop -m immediate'
    fi
    old=
    if [ -d "$real" ] && ! rmdir "$real" 2>/dev/null; then
        [ -f "$real/PG_VERSION" ] || fail "$real is not empty, and no data directory" 'empty it, or name another one'
        old=$real.old-$(date -u +%Y%m%dT%H%M%SZ)
        [ ! -e "$old" ] || old=$old-$$
        printf '%s\n' "$old" >>"$work/aside"
        mv "$real" "$old" || fail "cannot rename $real" 'is it a mount point? Then it must be a directory below one'
    fi
    if ! mv "$work/data" "$real"; then
        [ -z "$old" ] || mv "$old" "$real"
        fail "cannot rename $work/data to $real"
    fi
    fact changed yes
}

start_act() {
    in_place || fail "the new data directory is not in place at $real"
    ! find_server || return 0
    log=${log_file:-$real.log}
    if ! answer=$("$bin/pg_ctl" start -D "$real" -w -t "${start_timeout:-60}" -l "$log" \
        ${start_options:+-o "$start_options"} 2>&1 </dev/null); then
        answer=$(tail -n 20 "$log" 2>/dev/null)
        printf '%s\n' "$answer" >&2
        complaint
        fail "the server does not start: $value" "see $log"
    fi
    fact changed yes
}

finish_act() {
    if in_place || [ -e "$work/finished" ]; then
        : >"$work/finished"
        if [ "$keep_old" = no ] && [ -r "$work/aside" ]; then
            while IFS= read -r old; do
                case $old in
                    "$real.old-"*) rm -rf "$old" ;;
                esac
            done <"$work/aside"
        fi
        fact changed yes
    fi
    # In this order: at no moment does a half removed build look like one to go on with.
    rm -f "$real/gsctl.build"
    if [ -e "$work/finished" ] || [ -z "$id" ]; then
        rm -rf "$work.trash"
        mv "$work" "$work.trash" && rm -rf "$work.trash"
    fi
}

main() {
    resolve
    find_server
    find_programs
    [ "$fits" = yes ] || fail 'no programs of this version were found' 'set pgbin=DIRECTORY'
    take_turn
    id_in "$work/id"
    id=$value
    case $act in
        keep) keep_act ;;
        backup) backup_act ;;
        restore) restore_act ;;
        swap) swap_act ;;
        start) start_act ;;
        finish) finish_act ;;
        *) fail "there is no act \`$act\`" ;;
    esac
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
