# Sends the newest log of a PostgreSQL server, which tells why it does not come up. Changes nothing.
# POSIX sh (dash, bash, busybox). gsctl sets these variables before this text; all but pgdata may be missing or empty:
#   pgdata  log_file

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

# send_log CODES FILE: the end of a log, for gsctl to hold against playbooks/postgres/causes.yaml: no NUL, no line beyond 600
# bytes, each behind a blank.
send_log() {
    if [ ! -r "$2" ]; then
        printf '>> %s unreadable %s\n' "$1" "$2"
        return
    fi
    written=$(stat -c %Y "$2" 2>/dev/null)
    age=
    [ -z "$written" ] || age=$(($(date +%s) - written))
    printf '>> %s newest:%s %s\n' "$1" "$age" "$2"
    tail -c 65536 "$2" | tr -d '\000' | cut -b 1-600 | sed 's/^/ /'
}

main() {
    resolve
    log= start=
    # The logging collector writes down where its file is, relative to the data directory.
    if [ -r "$real/current_logfiles" ]; then
        read -r _ log <"$real/current_logfiles"
        case $log in
            /*) ;;
            ?*) log=$real/$log ;;
        esac
    fi
    for file in "$log_file" "$real.log"; do
        [ -z "$start" ] || break
        [ ! -f "$file" ] || start=$file
    done
    # What the server says before its collector runs is on its standard error alone.
    if [ -n "$start" ] && [ -n "$log" ]; then
        if [ "$start" -nt "$log" ]; then
            send_log PGSTART "$start"
            send_log PGLOG "$log"
        else
            send_log PGLOG "$log"
            send_log PGSTART "$start"
        fi
    elif [ -n "$start$log" ]; then
        send_log PGSTART,PGLOG "$start$log"
    else
        echo "no log is known for $real: see journalctl, or log_directory"
    fi
    if full=$(df -P "$real" 2>/dev/null | awk 'NR == 2 && $5 == "100%" { print $6 }') && [ -n "$full" ]; then
        printf '>> PG36: %s is full\n' "$full"
    fi
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
