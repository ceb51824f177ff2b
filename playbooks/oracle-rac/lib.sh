# What the scripts of this folder share: where Grid Infrastructure is and of which kind, what crsctl says, which of its
# daemons run, what its table of resources means. It prints nothing and changes nothing; each script calls what it needs.
# POSIX sh (dash, bash, busybox, ksh).
#
# What crsctl prints is read by the numbers of its messages: their words depend on the language, and what its exit status
# says differs from verb to verb.

nl='
'
# Another root than / is for tests: where olr.loc, oratab and /proc are looked for.
node_root=${gsctl_node_root:-}
proc=$node_root/proc
# Nothing of these may come from the login user's environment.
processes= ps_lines= running_home= other_home= suffix= head= needs= object= advice= uid= owner=

# value_of FILE KEY: what the last line `KEY=value` of a file says.
value_of() {
    value=
    [ -r "$1" ] || return 1
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            "$2="*) value=${line#*=} ;;
        esac
        line=
    done <"$1"
    value=${value%"${value##*[![:space:]]}"}
    [ -n "$value" ]
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

# ------------------------------------------------------------------------------------------------------------ the grid home

# find_grid: the grid home, and in $home_from who names it: the variable grid_home, olr.loc (Solaris and HP-UX keep it
# below /var/opt), oratab, an ohasd that runs, the environment.
find_grid() {
    if [ -z "$olr_loc" ]; then
        olr_loc=$node_root/etc/oracle/olr.loc
        if [ ! -e "$olr_loc" ] && [ -e "$node_root/var/opt/oracle/olr.loc" ]; then
            olr_loc=$node_root/var/opt/oracle/olr.loc
        fi
    fi
    home_from='the variable grid_home'
    if [ -z "$grid_home" ]; then
        if [ -n "$found_grid_home" ]; then
            grid_home=$found_grid_home home_from=$found_home_from
        elif value_of "$olr_loc" crs_home; then
            grid_home=$value home_from=$olr_loc
        elif in_oratab; then
            grid_home=$value home_from=$tab
        else
            find_running_home
            if [ -n "$running_home" ]; then
                grid_home=$running_home home_from='a running ohasd.bin'
            else
                grid_home=$GRID_HOME home_from='the environment'
            fi
        fi
    fi
    [ -n "$grid_home" ] || home_from=
    grid_home=${grid_home%/}
    # Never /bin: all of the machine would look like Oracle.
    bin=${grid_home:-/nonexistent}/bin
    real=$(cd "$bin" 2>/dev/null && pwd -P) || real=$bin
    bound=
    if timeout -k 1 1 true >/dev/null 2>&1; then
        bound="timeout -k 2 ${crsctl_timeout:-10}"
    elif timeout 1 true >/dev/null 2>&1; then
        bound="timeout ${crsctl_timeout:-10}"
    fi
}

# in_oratab: the home of an ASM instance, as in `+ASM1:/u01/app/19.0.0/grid:N`, if it has a crsctl.
in_oratab() {
    for tab in "$node_root/etc/oratab" "$node_root/var/opt/oracle/oratab"; do
        [ -r "$tab" ] || continue
        while IFS=: read -r sid value _; do
            case $sid in
                +ASM*)
                    if [ -e "$value/bin/crsctl" ] || hidden "$value/bin/crsctl"; then return 0; fi
                    ;;
            esac
        done <"$tab"
    done
    return 1
}

# find_running_home: the home of an ohasd that runs here, whichever it is.
find_running_home() {
    running_home=
    see_processes
    ohasds=
    case $processes in
        visible)
            ohasds=$(
                {
                    QUOTING_STYLE=literal LC_ALL=C ls -l "$proc"/[0-9]*/exe | sed -n 's,^.*/\([0-9]*\)/exe -> ,\1 ,p'
                    cd "$proc" && for file in $(grep -sl /bin/ohasd.bin [0-9]*/cmdline); do
                        # Where the link can be read it has been.
                        [ -n "$(readlink "${file%cmdline}exe")" ] ||
                            printf '%s %s\n' "${file%/cmdline}" "$(tr '\0' '\n' <"$file" | sed q)"
                    done
                } 2>/dev/null | sed -n 's,^\([0-9]* /.*\)/bin/ohasd\.bin\( (deleted)\)*$,\1,p'
            )
            ;;
        ps) ohasds=$(printf '%s\n' "$ps_lines" | sed -n 's,^.*[[:space:]]\(/[^[:space:]]*\)/bin/ohasd\.bin\([[:space:]].*\)*$,0 \1,p') ;;
    esac
    IFS=$nl
    set -f
    for line in $ohasds; do
        unset IFS
        # One in a container of this machine has a process table of its own, and is none of this node's.
        own=$(readlink "$proc/self/ns/pid") || own=
        its=$(readlink "$proc/${line%% *}/ns/pid") || its=
        if [ -z "$own" ] || [ -z "$its" ] || [ "$own" = "$its" ]; then
            running_home=${line#* }
            break
        fi
    done 2>/dev/null
    unset IFS
    set +f
}

# find_kind: `cluster`, or `restart` for Oracle Restart: a single node without crsd, which belongs to the grid owner and is
# told from a cluster by ocr.loc. What runs is stronger than what is written. After find_processes.
find_kind() {
    kind=${found_kind:-cluster}
    if [ -z "$found_kind" ] && value_of "${olr_loc%/*}/ocr.loc" local_only; then
        case $value in
            [Tt][Rr][Uu][Ee]) if only_restart_runs; then kind=restart; fi ;;
        esac
    fi
    for file in "$bin/oracle" "$bin/crsctl"; do
        [ -e "$file" ] || continue
        set -f
        set -- $(ls -ld "$file" 2>/dev/null)
        set +f
        owner=$3
        break
    done
}

# only_restart_runs: none of the daemons that only a cluster has.
only_restart_runs() {
    case $gpnpd$gipcd$mdnsd$cssdmonitor$ctssd$crsd in
        *running*) return 1 ;;
    esac
}

# -------------------------------------------------------------------------------------------------------------------- crsctl

# ask ARGUMENT...: leaves in $said what crsctl prints and in $said_rc its status. Its time is bounded, as it hangs where
# ohasd does, and what it leaves running holds no pipe of ours (sed ends at the last line, not at the end of file). What
# goes nowhere is what bash says of a timeout that had to kill.
ask() {
    said=$(
        {
            ORACLE_HOME=$grid_home LC_ALL=C $bound "$bin/crsctl" "$@" 2>&1 </dev/null
            printf '\ngsctl_rc=%s\n' "$?"
        } 2>/dev/null | sed '/^gsctl_rc=/q'
    )
    said_rc=${said##*gsctl_rc=}
    said=${said%"$nl"gsctl_rc=*}
}

# says CODE: whether crsctl printed this message.
says() {
    case $nl$said in
        *"${nl}CRS-$1"[!0-9]*) return 0 ;;
    esac
    return 1
}

# no_answer: whether crsctl had to be ended.
no_answer() {
    case $said_rc in
        124 | 137 | 143) return 0 ;;
    esac
    return 1
}

# complaint: the first message of an answer that is no news of success, for a person.
complaint() {
    said_first=
    IFS=$nl
    set -f
    for line in $said; do
        case $line in
            CRS-4638[!0-9]* | CRS-4537[!0-9]* | CRS-4529[!0-9]* | CRS-4533[!0-9]* | CRS-4000[!0-9]* | '') ;;
            *)
                said_first=$line
                break
                ;;
        esac
    done
    unset IFS
    set +f
    if no_answer; then said_first="crsctl did not answer within ${crsctl_timeout:-10} s"; fi
}

# decisive: the line of a story of crsctl that says why it failed. It stands early, between news of what was tried and
# what was cleaned up, and is followed by frames and notes on the installation.
decisive() {
    because= last= first=
    IFS=$nl
    set -f
    for line in $said; do
        case $line in
            CRS-1705[!0-9]* | CRS-1714[!0-9]* | CRS-5017[!0-9]* | CRS-5055[!0-9]* | CRS-2674[!0-9]* | CRS-2675[!0-9]* | CRS-2883[!0-9]*)
                [ -n "$because" ] || because=$line
                ;;
            ORA-*)
                case $because in
                    '') because=$line ;;
                    # It says of which resource, and the lines below it what.
                    CRS-5017*ORA-*) ;;
                    CRS-5017*) because="$because $line" ;;
                esac
                ;;
            CRS-267[2367][!0-9]* | CRS-2679[!0-9]* | CRS-2681[!0-9]* | CRS-279[0-5][!0-9]* | CRS-4000[!0-9]* | CRS-4687[!0-9]*) ;;
            CRS-4123[!0-9]* | CRS-4133[!0-9]* | CRS-4406[!0-9]* | CRS-41053[!0-9]* | PRV* | '' | '*'*) ;;
            *)
                [ -n "$first" ] || first=$line
                ;;
        esac
        [ -z "$line" ] || last=$line
    done
    unset IFS
    set +f
    [ -n "$because" ] || because=${first:-$last}
    if no_answer; then because='crsctl did not come back'; fi
}

# way_out: what to do about what crsctl said, where that is known.
way_out() {
    way=
    if no_answer; then
        way="it hangs where ohasd or crsd does: see $(trace_of ohasd); a slow node: --var crsctl_timeout=60"
    elif says 6706; then
        if [ "$kind" = restart ]; then
            way='as root: roothas.sh -prepatch, then roothas.sh -postpatch (in crs/install of the grid home)'
        else
            way='as root: rootcrs.sh -unlock, clscfg -localpatch, rootcrs.sh -lock (in crs/install and bin of the grid home), then start it again'
        fi
    elif says 2796; then
        way='`gsctl stop --system oracle-rac --mode immediate` goes on all the same (crsctl stop crs -f)'
    elif says 2675 || says 2799; then
        way='`crsctl stat res -t` shows what still runs; `gsctl stop --system oracle-rac --mode immediate` ends it too'
    elif says 4563; then
        if [ "$uid" = 0 ]; then
            way="crsctl does not take this root for one with privileges: is it confined (container, sudo rule), and does the grid home belong to $owner, as it should?"
        elif [ "$sudo" = sudo ]; then
            way="sudo ran crsctl as somebody else: it must let it run as ${needs:-root}"
        else
            way="log in as ${needs:-root} (\`-l ${needs:-root}\`), or let sudo run crsctl: --var sudo=sudo"
        fi
    elif says 4692; then
        way='it was started with -excl, for repairs: when they are done, `gsctl stop` and `gsctl start` bring it back into the cluster'
    elif says 4544; then
        way="ohasd runs, but its sockets cannot be used: were the files of /var/tmp/.oracle removed, or do they belong to others? Keep tmp cleaners off them, and start the stack again: see $(trace_of ohasd)"
    elif says 4047; then
        way='no Clusterware is configured here: Oracle Restart has its own commands (crsctl check has), else root.sh was not run or the node was deconfigured'
    elif says 4046; then
        way='the configuration of Clusterware is not valid: was root.sh run to its end on this node?'
    elif says 4124; then
        way="see $(trace_of ohasd) and the OLR (ocrcheck -local as root)"
    elif says 1705 || says 1714; then
        way="cssd does not find its voting files: are the disks there, owned by the grid owner? See $(trace_of cssd)"
    elif says 4639; then
        way=
    else
        case $said in
            *'error while loading shared libraries'*)
                way='crsctl is a script that sets LD_LIBRARY_PATH: is it the one in bin of the grid home, and is lib beside it whole and readable?'
                ;;
            *) [ "$said_rc" != 127 ] && [ "$said_rc" != 126 ] || way="is $grid_home/bin/crsctl there, and may $(id -un 2>/dev/null) run it?" ;;
        esac
    fi
}

# service FACT UP DOWN: one line of `crsctl check`. Where ohasd can't be asked nothing else is.
service() {
    if says "$2"; then
        service=online
    elif says "$3" || says 4639; then
        service=offline
    else
        service=unknown
    fi
    [ "$service" = online ] || services_off="$services_off${services_off:+, }$1"
    [ "$1" != has ] || has=$service
    printf '%s=%s\n' "$1" "$service"
}

# check_crs: `crsctl check crs` as facts: each service, and in check_crs `online` where all of them are; what crsctl said
# where they are not is in check_error, and with what to do about it in $advice.
check_crs() {
    services_off= advice=
    if [ "$kind" != restart ]; then
        ask check crs
        if says 4047 && only_restart_runs; then
            not_here=$said
            ask check has
            if says 4638 || says 4639; then kind=restart; else said=$not_here; fi
        fi
    fi
    if [ "$kind" = restart ]; then
        check_restart
    else
        service has 4638 4639
        if says 4692; then
            # Open, but in exclusive mode: to this node alone.
            services_off=crs
            echo crs=exclusive
        else
            service crs 4537 4535
        fi
        service css 4529 4530
        service evm 4533 4534
    fi
    complaint
    check_crs=online
    if no_answer; then
        check_crs='no answer'
    elif [ -n "$services_off" ]; then
        check_crs="not online: $services_off"
        case $said_rc:$said in
            12[67]:*CRS-*) ;;
            12[67]:*) if [ -e "$bin/crsctl" ]; then check_crs='crsctl fails'; else check_crs='no crsctl'; fi ;;
        esac
    fi
    if [ "$check_crs" != online ]; then
        way_out
        advise "crsctl check ${object:-crs} says: ${said_first:-nothing}${way:+ ($way)}"
    fi
    printf 'check_rc=%s\ncheck_error=%s\n' "$said_rc" "$said_first"
    # Last, so that a reader that has it has everything.
    printf 'check_crs=%s\n' "$check_crs"
}

# check_restart: Oracle Restart is asked in three words.
check_restart() {
    all= rc=0 object=has
    for word in has css evm; do
        ask check "$word"
        all=$all$nl$said
        [ "$said_rc" = 0 ] || rc=$said_rc
        # What hangs once is not asked again.
        if no_answer || says 4639; then break; fi
    done
    said=$all said_rc=$rc
    service has 4638 4639
    echo crs=unneeded
    service css 4529 4530
    service evm 4533 4534
}

# advise TEXT: adds to what a person is told beside the hint of a stage.
advise() {
    advice="$advice; $1"
}

# ------------------------------------------------------------------------------------------------------------------ processes

# see_processes: how this node shows its processes: `visible` in /proc as on Linux, by `ps` where /proc has no links to
# executables (AIX, Solaris, HP-UX), `hidden` where others' can't be seen (hidepid), or not at all: `unreadable`.
see_processes() {
    [ -z "$processes" ] || return 0
    if [ -e "$proc/self/exe" ] || [ -h "$proc/self/exe" ]; then
        if cat "$proc/1/cmdline" >/dev/null 2>&1; then processes=visible; else processes=hidden; fi
        return
    fi
    ps_lines=$(LC_ALL=C ps -ef 2>/dev/null) || ps_lines=
    if [ -n "$ps_lines" ]; then processes=ps; else processes=unreadable; fi
}

# alive PID: no zombie. /proc/PID/status, because a process may put what it likes into stat.
alive() {
    while read -r key value _; do
        if [ "$key" = State: ]; then
            case $value in
                Z | X) return 1 ;;
            esac
            return 0
        fi
    done <"$proc/$1/status"
    return 1
} 2>/dev/null

# arguments PID: leaves in $called the path that it was called by, and in $second what comes next. One process for both, as this
# is done for each daemon, once a second.
arguments() {
    called= second=
    IFS=$nl
    set -f
    set -- $(tr '\0' '\n' 2>/dev/null <"$proc/$1/cmdline")
    unset IFS
    set +f
    called=$1 second=$2
}

# program_of PATH: in $program its name, if it lies in the grid home, or in the one that runs instead.
program_of() {
    program=
    case $1 in
        "$real"/*) program=${1#"$real/"} ;;
        "$bin"/*) program=${1#"$bin/"} ;;
        *)
            [ -n "$other_home" ] || return 1
            case $1 in
                "$other_home"/bin/*) program=${1#"$other_home/bin/"} ;;
                *) return 1 ;;
            esac
            ;;
    esac
}

# count_process PID: adds a process of $program.
count_process() {
    case $program in
        ohasd.bin) fact_of=ohasd ;;
        oraagent.bin) fact_of=oraagent ;;
        orarootagent.bin) fact_of=orarootagent ;;
        mdnsd.bin) fact_of=mdnsd ;;
        gpnpd.bin) fact_of=gpnpd ;;
        gipcd.bin) fact_of=gipcd ;;
        cssdmonitor) fact_of=cssdmonitor ;;
        cssdagent) fact_of=cssdagent ;;
        ocssd.bin) fact_of=cssd ;;
        octssd.bin) fact_of=ctssd ;;
        evmd.bin) fact_of=evmd ;;
        crsd.bin) fact_of=crsd ;;
        tnslsnr) fact_of=listeners ;;
        osysmond.bin | ologgerd | diskmon.bin | evmlogger.bin | scriptagent.bin) fact_of= ;;
        *) return ;;
    esac
    [ "$processes" = ps ] || alive "$1" || return
    if [ "$fact_of" = listeners ]; then
        [ "$processes" = ps ] || arguments "$1"
        case $second in
            # They serve ASM and the management database, no client.
            ASMNET* | MGMTLSNR) ;;
            *) listeners=running listener_names="$listener_names${listener_names:+,}$second" ;;
        esac
    elif [ -n "$fact_of" ]; then
        eval "$fact_of=running"
    fi
    daemons=$((daemons + 1))
}

# find_processes: which daemons run.
find_processes() {
    ohasd=none oraagent=none orarootagent=none mdnsd=none gpnpd=none gipcd=none cssdmonitor=none cssdagent=none
    cssd=none ctssd=none asm=none evmd=none crsd=none listeners=none listener_names= asm_instance= daemons=0
    # A running ohasd may have been looked for already; what is looked at is looked at now.
    [ "$processes" != ps ] || processes=
    see_processes
    case $processes in
        visible | hidden)
            by_executable
            by_name
            ;;
        ps) by_ps ;;
    esac
}

# by_executable: as a name proves nothing; (deleted) is what a patch leaves. One ls for all of /proc.
by_executable() {
    seen=' '
    IFS=$nl
    set -f
    for line in $(set +f; QUOTING_STYLE=literal LC_ALL=C ls -l "$proc"/[0-9]*/exe 2>/dev/null |
        grep -F -e " -> $bin/" -e " -> $real/" -e " -> ${other_home:-/nonexistent}/bin/"); do
        unset IFS
        target=${line#* -> }
        target=${target% (deleted)}
        pid=${line%% -> *}
        pid=${pid%/exe}
        pid=${pid##*/}
        program_of "$target" || continue
        case $program in
            # Which one it is its name says.
            oracle*) continue ;;
        esac
        seen="$seen$pid "
        count_process "$pid"
    done
    unset IFS
    set +f
}

# by_name: another user's executable can't be read without root, and one with the setuid bit not even by its own user.
# Then the path it was called by must do. ASM's processes have no path there; theirs is the only name looked for.
by_name() {
    for file in $(cd "$proc" && grep -slF -e "$bin/" -e "$real/" -e "${other_home:-/nonexistent}/bin/" \
        -e asm_pmon_+ [0-9]*/cmdline); do
        pid=${file%/cmdline}
        case $seen in
            *" $pid "*) continue ;;
        esac
        arguments "$pid"
        executable=$(readlink "$proc/$pid/exe")
        case $called in
            asm_pmon_+*)
                if [ -n "$executable" ]; then
                    program_of "$executable" || continue
                    case $program in
                        oracle*) ;;
                        *) continue ;;
                    esac
                fi
                alive "$pid" || continue
                asm=running asm_instance=${called#asm_pmon_} daemons=$((daemons + 1))
                continue
                ;;
        esac
        [ -z "$executable" ] || continue
        if program_of "$called"; then count_process "$pid"; fi
    done
} 2>/dev/null

# by_ps: `ps -ef`: the command stands after the processor time, which is the seventh word, or the eighth where the start
# is a day of the year.
by_ps() {
    IFS=$nl
    set -f
    for line in $ps_lines; do
        unset IFS
        set -- $line
        [ "$#" -lt 8 ] || {
            shift 6
            while [ "$#" -gt 1 ]; do
                case $1 in
                    *[0-9]:[0-9][0-9]) break ;;
                esac
                shift
            done
            second=$3
            case $2 in
                asm_pmon_+*) asm=running asm_instance=${2#asm_pmon_} daemons=$((daemons + 1)) ;;
                *) if program_of "$2"; then count_process 0; fi ;;
            esac
        }
        IFS=$nl
    done
    unset IFS
    set +f
}

# ------------------------------------------------------------------------------------------------------ the table of resources

# instance LINE: `      1        ONLINE  ONLINE       rac1                     Started`, or without its number; the server, the
# details, or both may be missing.
instance() {
    set -f
    set -- "$1" $1
    set +f
    numbered=no
    case $2 in
        '') return 1 ;;
        *[!0-9]*) ;;
        *)
            numbered=yes
            line=$1
            shift 2
            set -- "$line" "$@"
            ;;
    esac
    case $2 in
        ONLINE | OFFLINE) ;;
        *) return 1 ;;
    esac
    case $3 in
        ONLINE | OFFLINE | INTERMEDIATE | UNKNOWN) ;;
        *) return 1 ;;
    esac
    target=$2 res_state=$3
    after=${1#*"$2"}
    after=${after#*"$3"}
    blanks=${after%%[! ]*}
    after=${after#"$blanks"}
    after=${after%"${after##*[![:space:]]}"}
    server= details=
    # Where there is no server its column is blank, and the details stand far to the right.
    if [ "${#blanks}" -gt 14 ]; then
        details=$after
    else
        server=${after%%[[:space:]]*}
        case $after in
            *' '*)
                details=${after#* }
                details=${details#"${details%%[! ]*}"}
                ;;
        esac
    fi
}

# each_resource FUNCTION: calls it for every resource of the table in $said, with $name, $target, $res_state, $server and
# $details set. A resource has two lines, and more where its details are longer than their column: these go on, cut in the
# middle of a word, below it.
each_resource() {
    name= entry=no heard=no
    IFS=$nl
    set -f
    for line in $said; do
        unset IFS
        set +f
        case $line in
            ora.*)
                [ "$entry" = no ] || "$1"
                entry=no name=${line%%[[:space:]]*} heard=yes
                ;;
            '                                                     '*)
                rest=${line#"${line%%[! ]*}"}
                details=$details${rest%"${rest##*[![:space:]]}"}
                ;;
            ' '*)
                if [ -n "$name" ]; then
                    [ "$entry" = no ] || "$1"
                    entry=no
                    if instance "$line"; then entry=yes; fi
                fi
                ;;
            *)
                [ "$entry" = no ] || "$1"
                entry=no name=
                ;;
        esac
        IFS=$nl
        set -f
    done
    unset IFS
    set +f
    [ "$entry" = no ] || "$1"
}

# ask_for_resources: the resources that ohasd has.
ask_for_resources() {
    if [ "$kind" = restart ]; then ask stat res -t; else ask stat res -t -init; fi
}

# read_resources: what the table in $said means. $stack: stopping, stopped (crsctl stop cluster), starting, idle (what is
# missing nobody starts any more), up, or unknown. $missing_resource: the first one that is not there. $not_online: what is
# wanted and not ONLINE. state_of asks for one.
read_resources() {
    states=' ' targets=' ' not_online= stack=unknown missing_resource= listener_resources=
    stopping=no starting=no
    each_resource note_resource
    [ "$heard" = yes ] || return 1
    case $said in
        *NAME*TARGET*STATE*) head=11.2 ;;
        *) head=12 ;;
    esac
    stack=up
    # The resources that the chain is made of, in its order.
    order='ora.gpnpd ora.gipcd ora.mdnsd ora.cssdmonitor ora.cssd ora.ctssd ora.asm ora.storage ora.evmd ora.crsd'
    [ "$kind" != restart ] || order="ora.cssd ora.asm ora.evmd$listener_resources"
    for name in $order; do
        state_of "$name"
        case $state:$wanted:$name in
            OFFLINE:ONLINE:ora.asm | OFFLINE:ONLINE:ora.storage)
                # crsd has read the OCR: with Flex ASM the instance is on another node.
                case $states in
                    *' ora.crsd=ONLINE '*) continue ;;
                esac
                ;;
            OFFLINE:ONLINE:*) ;;
            # Neither is there everywhere.
            OFFLINE:OFFLINE:ora.asm | OFFLINE:OFFLINE:ora.storage | OFFLINE:OFFLINE:*.lsnr) continue ;;
            OFFLINE:OFFLINE:*) ;;
            *) continue ;;
        esac
        stack=idle missing_resource=$name
        break
    done
    state_of ora.cssd
    if [ "$stopping" = yes ]; then
        stack=stopping
    elif [ "$state$wanted" = OFFLINEOFFLINE ]; then
        stack=stopped
    elif [ "$starting" = yes ]; then
        stack=starting
    elif [ "$stack" = idle ]; then
        # A process of it is on its way up, or of no use; either is no silence.
        process_of "$missing_resource"
        [ "$process" = none ] || stack=starting
    fi
}

note_resource() {
    case $details in
        *STOPPING*)
            stopping=yes
            ;;
        *STARTING* | *CLEANING*)
            starting=yes
            [ "$res_state" != OFFLINE ] || res_state=STARTING
            ;;
    esac
    # The server is named as soon as it is being started there.
    if [ "$numbered/$target/$res_state" = yes/ONLINE/OFFLINE ] && [ -n "$server" ]; then
        starting=yes res_state=STARTING
    fi
    case $name/$target/$res_state in
        ora.crsd/OFFLINE/ONLINE | ora.cssd/OFFLINE/ONLINE | ora.asm/OFFLINE/ONLINE | ora.evmd/OFFLINE/ONLINE | ora.ctssd/OFFLINE/ONLINE) stopping=yes ;;
        ora.crsd/OFFLINE/INTERMEDIATE | ora.cssd/OFFLINE/INTERMEDIATE) stopping=yes ;;
    esac
    states="$states$name=$res_state " targets="$targets$name=$target "
    case $name in
        *.lsnr) listener_resources="$listener_resources $name" ;;
    esac
    # Nobody needs the drivers where there is no ACFS.
    if [ "$target" = ONLINE ] && [ "$res_state" != ONLINE ] && [ "$name" != ora.drivers.acfs ]; then
        said_of=$details
        [ "$res_state" != INTERMEDIATE ] || said_of="INTERMEDIATE${details:+, $details}"
        not_online="$not_online${not_online:+, }$name${said_of:+ ($said_of)}"
    fi
}

# state_of RESOURCE: in $state and $wanted; empty where the table does not have it.
state_of() {
    state= wanted=
    case $states in
        *" $1="*)
            state=${states##*" $1="}
            state=${state%% *}
            wanted=${targets##*" $1="}
            wanted=${wanted%% *}
            ;;
    esac
}

# process_of RESOURCE: in $process whether its daemon runs.
process_of() {
    case $1 in
        *.lsnr) process=$listeners ;;
        ora.storage) process=none ;;
        *) eval "process=\${${1#ora.}:-none}" ;;
    esac
}

# --------------------------------------------------------------------------------------------------------------------- traces

# find_base: where diag/ lies. 18c and later keep it in orabasetab, all of them in crsconfig_params.
find_base() {
    [ -z "$oracle_base" ] || return 0
    if [ -r "$grid_home/install/orabasetab" ]; then
        while IFS=: read -r home base _; do
            [ "$home" != "$grid_home" ] || oracle_base=$base
        done <"$grid_home/install/orabasetab"
    fi
    [ -z "$oracle_base" ] || return 0
    ! value_of "$grid_home/crs/install/crsconfig_params" ORACLE_BASE || oracle_base=$value
}

# find_traces: in $traces the directory of the traces, in $alert_log the alert log, if there is one, and in $suffix `trc`
# (12c and later, below ORACLE_BASE) or `log` (11.2, in the grid home, a directory for each daemon).
find_traces() {
    find_base
    oracle_base=${oracle_base%/}
    suffix=
    for file in "$grid_home"/lib/libhasgen[0-9]*.so; do
        [ -e "$file" ] || continue
        release=${file##*/libhasgen}
        release=${release%.so}
        if [ "$release" = 11 ]; then suffix=log; else suffix=trc; fi
    done
    new=${oracle_base:-/nonexistent}/diag/crs old=${grid_home:-/nonexistent}/log
    alert_log=$(ls -t "$new"/*/crs/trace/alert.log "$old"/*/alert*.log 2>/dev/null | sed q)
    if [ -z "$suffix" ]; then
        case $alert_log in
            "$old"/*) suffix=log ;;
            '')
                # The head of the table of resources tells them apart.
                if [ "$head" = 11.2 ]; then suffix=log; else suffix=trc; fi
                ;;
            *) suffix=trc ;;
        esac
    fi
    if [ "$suffix" = log ]; then
        traces="${grid_home:-GRID_HOME}/log/*"
    else
        traces="${oracle_base:-ORACLE_BASE}/diag/crs/*/crs/trace"
    fi
}

# trace_of DAEMON: prints where it writes what it does.
trace_of() {
    find_trace "$1"
    echo "$trace"
}

# find_trace DAEMON: the same, in $trace.
find_trace() {
    [ -n "$suffix" ] || find_traces
    case $suffix/$1 in
        log/cssd) trace="$traces/cssd/ocssd.log" ;;
        log/ctssd) trace="$traces/ctssd/octssd.log" ;;
        log/agent) trace="$traces/agent/ohasd/oraagent_*/oraagent_*.log" ;;
        log/rootagent) trace="$traces/agent/ohasd/orarootagent_root/orarootagent_root.log" ;;
        log/*) trace="$traces/$1/$1.log" ;;
        trc/cssd) trace="$traces/ocssd.trc" ;;
        trc/ctssd) trace="$traces/octssd.trc" ;;
        trc/agent) trace="$traces/ohasd_oraagent_*.trc" ;;
        trc/rootagent) trace="$traces/ohasd_orarootagent_root.trc" ;;
        *) trace="$traces/$1.trc" ;;
    esac
}

# own_uid: the number of the login user.
own_uid() {
    uid=
    while read -r key value _; do
        if [ "$key" = Uid: ]; then
            uid=$value
            break
        fi
    done <"$proc/self/status"
    # There is no such file but on Linux.
    [ -n "$uid" ] || uid=$(id -u)
} 2>/dev/null
