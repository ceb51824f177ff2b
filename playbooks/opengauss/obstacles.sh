# What will keep a stopped node down, as far as it can be told before a start. Between hints.sh and node.sh, only where a start
# follows. Changes nothing: whether something can be written is asked of the system ([ -w ]), not tried.
#
# obstacle_ID=WHERE: WORDS is certain, risk_ID=WHERE: WORDS is not. The ids are those of causes.yaml. What a check says is said only
# where nothing but that can be meant, because a start that is refused wrongly is worse than one that fails.

obstacle() {
    fact "obstacle_$1" "$2: $3"
}

risk() {
    fact "risk_$1" "$2: $3"
}

# look_for_obstacles: nothing is looked for on a node that runs: it may be about to change what is looked at.
look_for_obstacles() {
    [ "$cm_agent" = none ] && [ "$installed" = yes ] && [ "$state" != no-access ] || return 0
    ports= log_root=${env_gausslog:-$gausslog}
    check_monitor
    check_agent
    if [ "$expect_cm_server" = yes ] && [ "$cm_server" = none ]; then
        check_server
    fi
    expect_database=no
    if [ "$expect_gaussdb" = yes ] && [ "$datanodes" = 0 ]; then expect_database=yes; fi
    list_ports
    check_addresses
    ask_what_may_block
    check_ports
    if [ "$expect_database" = yes ]; then
        each_directory check_directory
    fi
}

# nearest PATH: leaves in $up the path, or the directory above it that is there.
nearest() {
    up=$1
    while [ ! -e "$up" ]; do
        case $up in
            */*) up=${up%/*} ;;
            *) up= ;;
        esac
        [ -n "$up" ] || up=/
    done
}

# check_monitor: what keeps cron from starting om_monitor.
check_monitor() {
    if [ "$om_monitor" = running ]; then
        while read -r key value _; do
            case $key/$value in
                State:/T | State:/t) obstacle OG10 "/proc/$om_monitor_pid/status" "om_monitor (pid $om_monitor_pid) is stopped by a signal" ;;
                State:/*) break ;;
            esac
        done <"/proc/$om_monitor_pid/status" 2>/dev/null
        return
    fi
    if [ "$cron" = no ]; then obstacle OG05 'crontab -l' 'no line starts om_monitor'; fi
    if [ -e "$bin/cluster_static_config" ] && [ ! -r "$bin/cluster_static_config" ]; then
        obstacle OG07 "$bin/cluster_static_config" 'not readable for the cluster user'
    fi
    if [ -n "$log_root" ]; then
        nearest "${log_root%/}/cm/om_monitor"
        [ -w "$up" ] && [ -d "$up" ] || obstacle OG09 "$up" 'the cluster user cannot write there'
    fi
    if [ "$profile" = broken ]; then risk OG11 '/etc/profile, ~/.bashrc' 'they leave the shell, or do not come to their end'; fi
    check_cron
}

# check_cron: whether a cron runs, and how many files its jobs may open. Of others' processes only the name and the limits are seen.
check_cron() {
    # With hidepid only the own processes are there, and not number 1.
    [ -r /proc/1/comm ] || return 0
    daemon=$(grep -lsxE 'crond?|systemd-cron' /proc/[0-9]*/comm | head -n 1)
    if [ -z "$daemon" ]; then
        risk OG06 'ps -e -o comm=' 'no process named cron or crond'
        return 0
    fi
    soft= hard=
    while read -r a b c soft hard _; do
        [ "$a $b $c" != 'Max open files' ] || break
        soft= hard=
    done <"${daemon%/comm}/limits" 2>/dev/null
    case $soft/$hard in
        */unlimited | /* | *[!0-9/]* | */) return 0 ;;
    esac
    least_files=${nofile_min:-640000}
    [ "$soft" -lt "$least_files" ] || return 0
    # PAM may raise it for the jobs of a user.
    for raised in $(cat /etc/security/limits.conf /etc/security/limits.d/*.conf 2>/dev/null |
        sed -n 's/^[^#]*[[:space:]]nofile[[:space:]]\{1,\}\([^[:space:]#]*\).*/\1/p'); do
        case $raised in
            *[!0-9]*) return 0 ;;
            *) [ "$raised" -lt "$least_files" ] || return 0 ;;
        esac
    done
    said_limit="cron may open $soft files, $hard at most, and om_monitor wants $least_files"
    # A profile may raise it as far as that.
    if [ "$hard" -lt "$least_files" ]; then
        obstacle OG04 "${daemon%/comm}/limits" "$said_limit"
    else
        risk OG04 "${daemon%/comm}/limits" "$said_limit"
    fi
}

# check_agent: what keeps om_monitor from starting cm_agent, and cm_agent from living.
check_agent() {
    case $agent_binary in
        missing) obstacle OG14 "$bin/cm_agent" 'it is missing' ;;
        not-executable) obstacle OG14 "$bin/cm_agent" 'it is not executable' ;;
    esac
    case $agent_config in
        missing | unreadable) obstacle OG13 "$config" "it is $agent_config" ;;
    esac
    if [ -e "$bin/cluster_dilatation_status" ]; then obstacle OG15 "$bin/cluster_dilatation_status" 'it is there'; fi
    for library in $missing_libraries; do
        case $library in
            cm_agent:*) obstacle OG19 "ldd $bin/cm_agent" "${library#*:} is not found" ;;
            gaussdb:*) [ "$expect_gaussdb" = no ] || obstacle OG68 "ldd $bin/gaussdb" "${library#*:} is not found" ;;
        esac
    done
}

# check_server: what keeps cm_agent from starting cm_server.
check_server() {
    [ -z "$cm_port" ] || ports="$ports $cm_port:OG23:OG28"
    for replaced in "$bin"/instance_replace_cmserver_*; do
        [ ! -e "$replaced" ] || obstacle OG27 "$replaced" 'it is there'
    done
    for place in "$found_cm_data" "${log_root%/}"; do
        # What is missing is told by cm_agent.conf, or made.
        if [ -n "$place" ] && [ -d "$place" ] && [ ! -w "$place" ]; then
            obstacle OG26 "$place" 'the cluster user cannot write there, or it is mounted read-only'
        fi
    done
}

# list_ports: the ports that this node needs, as $ports, and where it is to listen on them, as $own.
list_ports() {
    if [ "$expect_database" = yes ]; then
        for port in $dn_ports; do
            ports="$ports $port:OG35:OG35 $((port + 1)):OG35:OG35"
        done
    fi
    own=
    for listen in $listens; do
        case $listen in
            '*' | 0.0.0.0 | ::) listen=127.0.0.1 ;;
        esac
        for entry in $ports; do
            case " $own " in
                *" $listen:${entry%%:*} "*) ;;
                *) own="$own $listen:${entry%%:*}" ;;
            esac
        done
    done
}

# check_ports: who listens on a port that this node needs. The kernel's tables, which any user may read, are long on a busy node: where
# the ports could be asked, they are read only if something answered.
check_ports() {
    [ -n "$ports" ] || return 0
    [ -z "$asked" ] || [ -n "$opened" ] || return 0
    taken=$(sed -n 's/^ *[0-9]*: \([0-9A-F:]*\) [0-9A-F:]* 0A .*/\1/p' /proc/net/tcp /proc/net/tcp6 2>/dev/null)
    taken=$nl$taken$nl
    # One fork for all: most are free.
    numbers=
    for entry in $ports; do
        numbers="$numbers ${entry%%:*}"
    done
    set -- $(printf '%04X ' $numbers)
    for entry in $ports; do
        port=${entry%%:*} hex=$1
        shift
        case $taken in
            *:"$hex$nl"*) ;;
            *) continue ;;
        esac
        other=00000000000000000000000000000000
        ids=${entry#*:}
        for listen in 0.0.0.0 $listens; do
            address_in_hex "$listen" || continue
            case $taken in
                *"$nl$in_hex:$hex$nl"*) port_taken "${ids%:*}" && break ;;
                *"${nl}0000000000000000FFFF0000$in_hex:$hex$nl"* | *"$nl$other:$hex$nl"*) port_taken "${ids#*:}" && break ;;
            esac
        done
    done
}

# address_in_hex ADDRESS: leaves in $in_hex how /proc/net/tcp writes an IPv4 address: its bytes backwards.
address_in_hex() {
    case $1 in
        *[!0-9.]* | '') return 1 ;;
    esac
    IFS=.
    set -- $1
    unset IFS
    [ $# = 4 ] || return 1
    in_hex=$(printf '%02X%02X%02X%02X' "$4" "$3" "$2" "$1")
}

# port_taken ID: says who has the port; false where it is free by now, or has one of ours after all, which came up meanwhile.
port_taken() {
    tries=3 holder=
    while [ -z "$holder" ]; do
        set -- "$1" $(awk -v port=":$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10, $8; exit }' /proc/net/tcp /proc/net/tcp6 2>/dev/null)
        [ $# = 3 ] || return 1
        holder=$(LC_ALL=C ls -l /proc/[0-9]*/fd 2>/dev/null |
            awk -v wanted="socket:[$2]" '/^\/proc\// { of = $1 } index($0, wanted) { print of; exit }')
        holder=${holder#/proc/}
        holder=${holder%%/*}
        if [ -z "$holder" ] && [ "$3" != "$uid" ]; then
            obstacle "$1" /proc/net/tcp "port $port is taken by a process of another user"
            return
        fi
        # It may have begun or ended between the two looks. Where it stays unknown, it may be one of ours.
        tries=$((tries - 1))
        if [ -z "$holder" ] && [ "$tries" = 0 ]; then
            risk "$1" /proc/net/tcp "port $port is taken by a process that cannot be looked into"
            return
        fi
    done
    case $(readlink "/proc/$holder/exe" 2>/dev/null) in
        # Nothing can be read of what has ended.
        "$real"/* | "$bin"/* | '') return 1 ;;
    esac
    name=
    read -r name 2>/dev/null <"/proc/$holder/comm"
    obstacle "$1" /proc/net/tcp "port $port is taken by $name (pid $holder)"
}

# check_addresses: whether the node has the addresses that it is to listen on.
check_addresses() {
    wanted=
    for listen in $listens; do
        case $listen in
            # IPv6 has several spellings of one address.
            127.* | 0.0.0.0 | *[!0-9.]*) ;;
            *) wanted="$wanted $listen" ;;
        esac
    done
    [ -n "$wanted" ] || return 0
    here=$(ip -o addr show up 2>/dev/null)
    # Every node has this one: else it is not known.
    case $here in
        *' 127.0.0.1/'*) ;;
        *) return 0 ;;
    esac
    for listen in $wanted; do
        case $here in
            *" $listen/"* | *" $listen "*) ;;
            *)
                # The kernel may be told that it does not matter.
                [ "$(cat /proc/sys/net/ipv4/ip_nonlocal_bind 2>/dev/null)" = 1 ] || obstacle OG28 'ip addr' "no interface that is up has the address $listen"
                ;;
        esac
    done
}

# each_directory COMMAND: for each data directory of this node. Paths may hold blanks.
each_directory() {
    IFS=$tab
    set -f
    for data in $dn_paths; do
        unset IFS
        set +f
        [ -z "$data" ] || "$1"
        IFS=$tab
        set -f
    done
    unset IFS
    set +f
}

# find_peers: leaves in $peers where the other nodes will listen for this one: cm_server, and the datanode's port for its replicas.
find_peers() {
    peers= most=12
    IFS=$nl
    set -f
    for record in $records; do
        unset IFS
        if [ "$record" != "$mine" ] && [ -n "$mine" ]; then
            IFS='|'
            set -- $record
            unset IFS
            server_port=$7 replica_ports=${11}
            set -- $8
            for port in $server_port $replica_ports; do
                [ "$port" = "$server_port" ] || port=$((port + 1))
                [ "$most" -gt 0 ] && [ -n "$1" ] || break
                peers="$peers $1:$port" most=$((most - 1))
            done
        fi
        IFS=$nl
    done
    unset IFS
    set +f
}

# ask_what_may_block: a disk that does not answer, a node behind a firewall. Side by side, in a second, and only where bash is there.
ask_what_may_block() {
    aside= asked=
    command -v bash >/dev/null 2>&1 || return 0
    set --
    [ -z "$found_cm_data" ] || set -- "$@" "$found_cm_data"
    [ -z "$log_root" ] || set -- "$@" "$log_root"
    if [ "$expect_database" = yes ]; then
        IFS=$tab
        set -f
        set -- "$@" $dn_paths $xlog_paths
        unset IFS
        set +f
    fi
    find_peers
    asked=yes
    aside=$(LC_ALL=C GSCTL_PEERS="$peers $own" timeout 1 bash -c '
        trap "kill \$(jobs -p); exit" TERM
        echo begun
        for peer in $GSCTL_PEERS; do
            (exec 3<>"/dev/tcp/${peer%:*}/${peer##*:}" && echo "bash: /dev/tcp/${peer%:*}/${peer##*:}: open") 2>&1 &
        done
        (
            for place in "$@"; do
                shift
                if [ -n "$place" ] && [ -e "$place" ]; then
                    echo "there $place"
                    set -- "$@" "$place"
                fi
            done
            [ $# = 0 ] || { df -P "$@" && df -Pi "$@"; }
            echo answered
        ) &
        wait' bash "$@" 2>/dev/null </dev/null)
    # Without timeout(1) there is no limit, so nothing was asked.
    case $aside in
        '') asked= ;;
        *) read_aside ;;
    esac
}

# read_aside: how full the disks are, and which nodes answered: a refusal will do.
read_aside() {
    silent= left_peers=" $peers " places= left_places= opened=
    IFS=$nl
    set -f
    for line in $aside; do
        unset IFS
        case $line in
            'there '*) places="$places${line#there }$nl" ;;
            bash:*/dev/tcp/*)
                peer=${line#*/dev/tcp/}
                peer=${peer%%: *}
                peer=${peer%/*}:${peer##*/}
                answered "${line##*: }"
                ;;
            Filesystem*Inodes*) which=inodes left_places=$places ;;
            Filesystem*) which=blocks left_places=$places ;;
            *[%-]' '/*)
                # One line for each place, in their order.
                place=${left_places%%"$nl"*}
                left_places=${left_places#*"$nl"}
                set -- $line
                disk_left "$@"
                ;;
        esac
        IFS=$nl
    done
    unset IFS
    set +f
    silent="$silent $left_peers"
    set -- $silent
    [ $# = 0 ] || risk OG85 "connect to $*" 'no answer within a second, where a refusal was to be expected'
}

# answered WORDS: what came of a connection to $peer, which is another node's port, or one of our own that should be free.
answered() {
    case $left_peers in
        *" $peer "*)
            left_peers="${left_peers%% "$peer" *} ${left_peers#* "$peer" }"
            case $1 in
                'No route to host' | 'Network is unreachable' | *prohibited*) silent="$silent $peer" ;;
            esac
            ;;
        *) [ "$1" != open ] || opened="$opened $peer" ;;
    esac
}

# disk_left FILESYSTEM TOTAL USED FREE PERCENT MOUNT: less than a megabyte, or no inode, is not enough to start with. What df calls
# 100% may be a disk of ten terabytes with many gigabytes left.
disk_left() {
    case $2$4 in
        *[!0-9]*) return ;;
    esac
    [ "$2" -gt 0 ] || return
    case $which/$place in
        blocks/"$found_cm_data") full=OG31 ;;
        blocks/*) full=OG65 ;;
        inodes/"$found_cm_data" | inodes/"$log_root") full=OG26 ;;
        *) full=OG39 ;;
    esac
    if [ "$which" = blocks ] && [ "$4" -lt 1024 ]; then
        [ "$full/$expect_database" = OG65/no ] || obstacle "$full" "df -P $place" "$6 is full: $4 kB are left"
    elif [ "$which" = inodes ] && [ "$4" -eq 0 ]; then
        obstacle "$full" "df -Pi $place" "$6 has no inodes left"
    elif [ "$which" = blocks ] && [ "${5%\%}" -ge 85 ] && [ "$expect_database" = yes ]; then
        case $place in
            "$found_cm_data" | "$log_root") ;;
            *) risk OG89 "df -P $place" "$6 is $5 full, and from 85% on the Cluster Manager makes the database read-only" ;;
        esac
    fi
}

# check_directory: $data is what a datanode needs: there, ours, and whole.
check_directory() {
    # A file system that does not answer holds up whoever asks it.
    case $asked/$nl$aside$nl in
        yes/*"${nl}answered$nl"*) ;;
        yes/*)
            risk OG36 "df -P $data" 'no answer within a second: it, or another directory of this node, hangs'
            return
            ;;
    esac
    if [ ! -e "$data" ]; then
        if hidden "$data"; then
            obstacle OG37 "$data" 'a directory above it may not be searched'
        else
            obstacle OG36 "$data" 'it is not there'
        fi
        return
    fi
    set -f
    set -- $(LC_ALL=C ls -ldn "$data/" 2>/dev/null)
    set +f
    if [ -n "$3" ] && [ "$3" != "$uid" ] && [ "$uid" != 0 ]; then
        obstacle OG37 "$data" "it belongs to the user with the id $3, and not to $uid"
        return
    fi
    if [ ! -d "$data" ] || [ ! -r "$data" ] || [ ! -w "$data" ] || [ ! -x "$data" ]; then
        obstacle OG37 "$data" 'the cluster user may not read and write there, or it is mounted read-only'
        return
    fi
    is_real=no
    if [ -e "$data/postgresql.conf" ] || [ -e "$data/PG_VERSION" ]; then is_real=yes; fi
    case $is_real$1 in
        yesd???------*) ;;
        yes* | nod????w* | nod???????w*) obstacle OG59 "$data" "its mode is ${1%[.+@]}, and group and others may have no part in it" ;;
    esac
    # A build empties it first.
    if [ -e "$data/build_completed.start" ]; then
        risk OG43 "$data/build_completed.start" 'a build is under way, or was broken off'
        return
    fi
    shared=no
    read_settings
    if [ "$shared" = no ]; then
        for part in base global pg_xlog; do
            check_part "$part" || return 0
        done
        if [ ! -e "$data/pg_tblspc" ]; then
            obstacle OG40 "$data/pg_tblspc" 'it is missing, which the Cluster Manager calls Disk damaged'
            return
        fi
        for link in "$data"/pg_tblspc/*; do
            if [ -L "$link" ] && [ ! -e "$link" ]; then obstacle OG40 "$link" 'a tablespace whose link leads nowhere'; fi
        done
        [ -e "$data/global/pg_control" ] || obstacle OG62 "$data/global/pg_control" 'it is missing'
    fi
    check_version
    check_pid_file
    # A shell reads byte by byte, for which /proc/sys is not made.
    set -- $(cat /proc/sys/kernel/shmmax /proc/sys/kernel/shmall /proc/sys/kernel/sem 2>/dev/null)
    shmmax=$1 shmall=$2
    [ $# != 6 ] || check_semaphores "$3" "$4" "$6"
    check_memory
}

# check_part NAME: a directory of the data directory, or what its link leads to, is there and not empty.
check_part() {
    part=$data/$1
    if [ -L "$part" ] && [ ! -e "$part" ]; then
        obstacle OG40 "$part" 'its link leads nowhere, which the Cluster Manager calls Disk damaged'
    elif [ ! -d "$part" ]; then
        obstacle OG40 "$part" 'it is missing, which the Cluster Manager calls Disk damaged'
    elif [ ! -r "$part" ] || [ ! -w "$part" ] || [ ! -x "$part" ]; then
        obstacle OG37 "$part" 'the cluster user may not read and write there, or it is mounted read-only'
    else
        set -- "$part"/*
        [ ! -e "$1" ] && [ ! -L "$1" ] || return 0
        obstacle OG40 "$part" 'it is empty, which the Cluster Manager calls Disk damaged'
    fi
    return 1
}

# read_settings: what of postgresql.conf is needed here.
read_settings() {
    shared_buffers= max_connections= hba_file=
    [ -r "$data/postgresql.conf" ] || return 0
    IFS=$nl
    set -f
    for line in $(grep -E '^[[:space:]]*(shared_buffers|max_connections|hba_file|enable_dss)[[:space:]]*=' "$data/postgresql.conf" 2>/dev/null); do
        unset IFS
        value=${line#*=}
        value=${value%%#*}
        key=${line%%=*}
        set -- $key
        key=$1
        set -- $value
        value=${1#\'}
        value=${value%\'}
        case $key in
            shared_buffers) shared_buffers=$value ;;
            max_connections) max_connections=$value ;;
            hba_file) hba_file=$value ;;
            enable_dss)
                case $value in on | ON | true | yes | 1) shared=yes ;; esac
                ;;
        esac
        IFS=$nl
    done
    unset IFS
    set +f
    if [ -z "$hba_file" ] && [ ! -e "$data/pg_hba.conf" ]; then obstacle OG47 "$data/pg_hba.conf" 'it is missing'; fi
}

# check_version: every openGauss writes 9.2.
check_version() {
    if [ -e "$data/PG_VERSION" ]; then
        version=9.2
        read -r version 2>/dev/null <"$data/PG_VERSION"
        case $version in
            9.2*) ;;
            *) obstacle OG61 "$data/PG_VERSION" "it says $version, which is not openGauss" ;;
        esac
    elif [ "$is_real" = yes ] && [ "$shared" = no ]; then
        obstacle OG61 "$data/PG_VERSION" 'it is missing'
    fi
}

# check_pid_file: cm_agent takes it away after twenty vain tries, so it costs time and no more.
check_pid_file() {
    file=$data/postmaster.pid
    [ -e "$file" ] && [ -r "$file" ] || return 0
    if [ ! -s "$file" ]; then
        risk OG56 "$file" 'it is empty: left by a crash, or a full disk'
        return
    fi
    owner=
    read -r owner 2>/dev/null <"$file"
    case $owner in
        '' | *[!0-9]*) return ;;
    esac
    # Nobody's, or another user's, is no hindrance.
    of_us "$owner" || return 0
    name=
    read -r name 2>/dev/null <"/proc/$owner/comm"
    risk OG56 "$file" "it names the pid $owner, which is alive: $name"
}

# check_memory: what the shared memory of this directory's server needs, against the limits of the kernel.
check_memory() {
    case $shared_buffers in
        *[!0-9kMGB]* | '' | [!0-9]*) return 0 ;;
        *kB) kilobytes=${shared_buffers%kB} ;;
        *MB) kilobytes=$((${shared_buffers%MB} * 1024)) ;;
        *GB) kilobytes=$((${shared_buffers%GB} * 1048576)) ;;
        *[!0-9]*) return 0 ;;
        *) kilobytes=$((shared_buffers * 8)) ;;
    esac
    # The largest numbers stand for no limit, and are too long for a shell.
    case $shmmax in
        '' | ????????????????*) ;;
        *) [ "$((shmmax / 1024))" -ge "$kilobytes" ] || obstacle OG50 /proc/sys/kernel/shmmax "it is $shmmax, and shared_buffers is $shared_buffers" ;;
    esac
    case $shmall in
        '' | ????????????????*) ;;
        *)
            if [ "$((shmall * 4))" -lt "$kilobytes" ] && page=$(getconf PAGESIZE 2>/dev/null) && [ "$((shmall * (page / 1024)))" -lt "$kilobytes" ]; then
                obstacle OG50 /proc/sys/kernel/shmall "it is $shmall pages, and shared_buffers is $shared_buffers"
            fi
            ;;
    esac
    while read -r key available _; do
        [ "$key" != MemAvailable: ] || break
        available=
    done </proc/meminfo 2>/dev/null
    if [ -n "$available" ] && [ "$available" -lt "$kilobytes" ]; then
        risk OG48 /proc/meminfo "$((available / 1024)) MB are available, and shared_buffers is $shared_buffers"
    fi
}

# check_semaphores SEMMSL SEMMNS SEMMNI: a set of 17 for each 16 connections. What others use counts; the server's own leftovers are used again.
check_semaphores() {
    used= others_sets=0 others_semaphores=0
    # Where nobody has any, there is but the heading.
    { read -r _ && read -r used _; } 2>/dev/null </proc/sysvipc/sem
    if [ -n "$used" ]; then
        used=$(awk -v uid="$uid" 'NR > 1 && $5 != uid { sets++; all += $4 } END { print sets + 0, all + 0 }' /proc/sysvipc/sem 2>/dev/null)
        others_sets=${used% *} others_semaphores=${used#* }
    fi
    case $max_connections in
        '' | *[!0-9]*) sets=1 ;;
        *) sets=$((max_connections / 16 + 1)) ;;
    esac
    [ "$((others_sets + sets))" -gt "$3" ] || [ "$((others_semaphores + sets * 17))" -gt "$2" ] || [ "$1" -lt 17 ] || return 0
    obstacle OG51 /proc/sys/kernel/sem "it allows $1 in a set, $2 in all and $3 sets; others use $others_sets sets of $others_semaphores semaphores, and $sets more sets of 17 are needed"
}
