# Looks at one node of Oracle Grid Infrastructure and prints facts, `key=value` a line. Changes nothing, needs no root.
# POSIX sh (dash, bash, busybox). gsctl sets these variables before this text; every one may be missing or empty:
#   grid_home  olr_loc  sudo  crsctl_timeout (10)
#   asm_needed, listener  any: a node without is fine
#   light            1: once a second, while waiting: processes, and of crsctl only what they leave open
#   found_grid_home  in a light look, what the full one printed
# The facts are listed at the end, in main.

# >>> grid: the same text in every script of this folder (tests/it/oracle_scripts.rs compares them)
nl='
'

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

# find_grid: where Grid Infrastructure is: as we were told, as an earlier look found it, as olr.loc says, as the
# environment does.
find_grid() {
    olr_loc=${olr_loc:-/etc/oracle/olr.loc}
    [ -n "$grid_home" ] || grid_home=$found_grid_home
    if [ -z "$grid_home" ]; then
        if value_of "$olr_loc" crs_home; then
            grid_home=$value
        else
            grid_home=$GRID_HOME
        fi
    fi
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

# says CODE: whether crsctl printed this message. The code, as the words depend on the language.
says() {
    case $nl$said in
        *"${nl}CRS-$1"[!0-9]*) return 0 ;;
    esac
    return 1
}

# complaint: the first message that is no news of success, for a person.
complaint() {
    said_first=
    IFS=$nl
    set -f
    for line in $said; do
        case $line in
            CRS-4638* | CRS-4537* | CRS-4529* | CRS-4533* | CRS-4000* | '') ;;
            *)
                said_first=$line
                break
                ;;
        esac
    done
    unset IFS
    set +f
    case $said_rc in
        124 | 137 | 143) said_first="crsctl did not answer within ${crsctl_timeout:-10} s" ;;
    esac
}

# service FACT UP DOWN: one line of `crsctl check crs`. Where ohasd can't be asked nothing else is.
service() {
    if says "$2"; then
        service=online
    elif says "$3" || says 4639; then
        service=offline
    else
        service=unknown
    fi
    [ "$service" = online ] || not_online="$not_online${not_online:+, }$1"
    printf '%s=%s\n' "$1" "$service"
}

# check_crs: `crsctl check crs` as facts: each service, and in check_crs `online` where all of them are.
check_crs() {
    ask check crs
    not_online=
    service has 4638 4639
    service crs 4537 4535
    service css 4529 4530
    service evm 4533 4534
    complaint
    check_crs=online
    case $said_rc in
        124 | 137 | 143) check_crs='no answer' ;;
        126 | 127) check_crs='no crsctl' ;;
        *) [ -z "$not_online" ] || check_crs="not online: $not_online" ;;
    esac
    printf 'check_rc=%s\ncheck_error=%s\n' "$said_rc" "$said_first"
    # Last, so that a reader that has it has everything.
    printf 'check_crs=%s\n' "$check_crs"
}
# <<< grid

fact() {
    printf '%s=%s\n' "$1" "$2"
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

# alive PID: no zombie. /proc/PID/status, because a process may put what it likes into stat.
alive() {
    while read -r key value _; do
        if [ "$key" = State: ]; then
            case $value in
                Z | X) return 1 ;;
            esac
            return 0
        fi
    done <"/proc/$1/status"
    return 1
} 2>/dev/null

# argument PID NUMBER: counted from 1.
argument() {
    tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null | sed -n "$2{p;q;}"
}

# count_process PID NAME
count_process() {
    case $2 in
        ohasd.bin | oraagent.bin | orarootagent.bin | mdnsd.bin | gpnpd.bin | gipcd.bin | cssdmonitor | cssdagent) ;;
        ocssd.bin | octssd.bin | evmd.bin | crsd.bin | tnslsnr) ;;
        osysmond.bin | ologgerd | diskmon.bin | evmlogger.bin | scriptagent.bin) ;;
        *) return ;;
    esac
    alive "$1" || return
    case $2 in
        ohasd.bin) ohasd=running ;;
        oraagent.bin) oraagent=running ;;
        orarootagent.bin) orarootagent=running ;;
        mdnsd.bin) mdnsd=running ;;
        gpnpd.bin) gpnpd=running ;;
        gipcd.bin) gipcd=running ;;
        cssdmonitor) cssdmonitor=running ;;
        cssdagent) cssdagent=running ;;
        ocssd.bin) cssd=running ;;
        octssd.bin) ctssd=running ;;
        evmd.bin) evmd=running ;;
        crsd.bin) crsd=running ;;
        tnslsnr)
            name=$(argument "$1" 2)
            case $name in
                # They serve ASM and the management database, no client.
                ASMNET* | MGMTLSNR) ;;
                *) listeners=running listener_names="$listener_names${listener_names:+,}$name" ;;
            esac
            ;;
    esac
    daemons=$((daemons + 1))
}

# find_processes: by executable, as a name proves nothing; (deleted) is what a patch leaves. One ls for all of /proc.
find_processes() {
    ohasd=none oraagent=none orarootagent=none mdnsd=none gpnpd=none gipcd=none cssdmonitor=none cssdagent=none
    cssd=none ctssd=none asm=none evmd=none crsd=none listeners=none listener_names= asm_instance= daemons=0
    seen=' '
    IFS=$nl
    set -f
    for line in $(set +f; QUOTING_STYLE=literal LC_ALL=C ls -l /proc/[0-9]*/exe 2>/dev/null |
        grep -F -e " -> $bin/" -e " -> $real/"); do
        unset IFS
        target=${line#* -> }
        target=${target% (deleted)}
        pid=${line%% -> *}
        pid=${pid##*/proc/}
        pid=${pid%/exe}
        seen="$seen$pid "
        case $target in
            "$real"/*) count_process "$pid" "${target#"$real/"}" ;;
            "$bin"/*) count_process "$pid" "${target#"$bin/"}" ;;
        esac
    done
    unset IFS
    set +f
    find_hidden
}

# find_hidden: another user's executable can't be read without root, and one with the setuid bit not even by its own
# user. Then the path it was called by must do. ASM's processes have no path there; theirs is the only name looked for.
find_hidden() {
    for file in $(cd /proc && grep -slF -e "$bin/" -e "$real/" -e asm_pmon_+ [0-9]*/cmdline); do
        pid=${file%/cmdline}
        called=$(argument "$pid" 1)
        case $called in
            asm_pmon_+*)
                case $(readlink "/proc/$pid/exe") in
                    '' | "$bin/oracle"* | "$real/oracle"*) ;;
                    *) continue ;;
                esac
                alive "$pid" || continue
                asm=running asm_instance=${called#asm_pmon_} daemons=$((daemons + 1))
                continue
                ;;
        esac
        case $seen in
            *" $pid "*) continue ;;
        esac
        [ -z "$(readlink "/proc/$pid/exe")" ] || continue
        case $called in
            "$real"/*) count_process "$pid" "${called#"$real/"}" ;;
            "$bin"/*) count_process "$pid" "${called#"$bin/"}" ;;
        esac
    done
} 2>/dev/null

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

# presence FACT FILE
presence() {
    if [ -z "$2" ]; then
        fact "$1" unknown
    elif [ -e "$2" ]; then
        fact "$1" ok
    elif hidden "$2"; then
        fact "$1" unknown
    else
        fact "$1" missing
    fi
}

# first_word FILE
first_word() {
    word=
    [ -r "$1" ] || return
    read -r word _ <"$1" || :
} 2>/dev/null

# look_at_marks: what init.ohasd reads, in a directory named after the node.
look_at_marks() {
    host=$(hostname 2>/dev/null || uname -n)
    marks=${olr_loc%/*}/scls_scr/${host%%.*}/root
    first_word "$marks/ohasdrun"
    ohasdrun=$word
    first_word "$marks/ohasdstr"
    case $word in
        enable) autostart=enabled ;;
        disable) autostart=disabled ;;
        *) autostart=unknown ;;
    esac
}

# name_as_key: ora.cluster_interconnect.haip becomes ora_cluster_interconnect_haip.
name_as_key() {
    key= rest=$name
    while :; do
        case $rest in
            *[!A-Za-z0-9_]*)
                part=${rest%%[!A-Za-z0-9_]*}
                key=$key${part}_
                rest=${rest#"$part"?}
                ;;
            *)
                key=$key$rest
                return
                ;;
        esac
    done
}

# instance LINE: `      1        ONLINE  ONLINE       rac1                     Started`, which may lack the server, the
# details, or both.
instance() {
    set -f
    set -- "$1" $1
    set +f
    case $2 in
        '' | *[!0-9]*) return 1 ;;
    esac
    target=$3 res_state=$4
    case $target in
        ONLINE | OFFLINE) ;;
        *) return 1 ;;
    esac
    after=${1#*"$3"}
    after=${after#*"$4"}
    blanks=${after%%[! ]*}
    after=${after#"$blanks"}
    after=${after%"${after##*[![:space:]]}"}
    details=
    # Where there is no server its column is blank, and the details stand far to the right.
    if [ "${#blanks}" -gt 14 ]; then
        details=$after
    else
        case $after in
            *' '*)
                details=${after#* }
                details=${details#"${details%%[! ]*}"}
                ;;
        esac
    fi
}

# look_at_resources: `crsctl stat res -t -init`, a resource on two lines.
look_at_resources() {
    ask stat res -t -init
    name= stopping=no stack=unknown not_online=
    IFS=$nl
    set -f
    for line in $said; do
        unset IFS
        set +f
        case $line in
            ora.*) name=${line%%[[:space:]]*} ;;
            ' '*)
                if [ -n "$name" ] && instance "$line"; then
                    name_as_key
                    fact "res_$key" "$res_state"
                    fact "res_${key}_target" "$target"
                    fact "res_${key}_details" "$details"
                    judge_resource
                    name=
                fi
                ;;
        esac
        IFS=$nl
        set -f
    done
    unset IFS
    set +f
    fact not_online "$not_online"
}

judge_resource() {
    case $name in
        # OFFLINE wherever there is no Exadata storage, no ACFS: that is normal.
        ora.diskmon | ora.drivers.acfs) return ;;
        ora.crsd | ora.cssd | ora.asm | ora.evmd | ora.ctssd)
            case $details/$target/$res_state in
                *STOPPING* | */OFFLINE/ONLINE | */OFFLINE/INTERMEDIATE) stopping=yes ;;
            esac
            ;;
    esac
    if [ "$name" = ora.cssd ]; then
        case $target/$res_state in
            OFFLINE/OFFLINE) stack=stopped ;;
            *) stack=wanted ;;
        esac
    fi
    [ "$res_state" = ONLINE ] || not_online="$not_online${not_online:+, }$name${details:+ ($details)}"
}

# look_at_root: whether `crsctl start crs` may be run as it will be.
look_at_root() {
    if [ "$uid" = 0 ]; then
        fact root yes
    elif [ "$sudo" = sudo ] && $bound sudo -n -l "$bin/crsctl" start crs >/dev/null 2>&1 </dev/null; then
        fact root yes
    else
        fact root no
    fi
}

main() {
    find_grid
    own_uid

    # Is it here, and may we look?
    place=missing installed=no
    if [ -n "$grid_home" ]; then
        if [ -d "$bin" ] && [ -x "$bin" ]; then
            place=ok
            [ ! -e "$bin/crsctl" ] || installed=yes
        elif hidden "$bin/x"; then
            place=denied
        fi
    elif hidden "$olr_loc"; then
        place=denied
    fi
    fact installed "$installed"
    fact grid_home_dir "$place"
    fact found_grid_home "$grid_home"
    fact uid "$uid"
    # With hidepid nobody but root sees the daemons: then no process means nothing.
    if [ "$uid" = 0 ] || cat /proc/1/cmdline >/dev/null 2>&1; then
        fact processes visible
    else
        fact processes hidden
    fi

    look_at_marks
    value_of "$olr_loc" olrconfig_loc
    presence olr "$value"
    find_processes

    stopping=no stack=unknown check_crs=
    if [ "$light" != 1 ]; then
        look_at_root
        if [ "$installed" = yes ]; then
            check_crs
            # One that hangs is not asked again.
            if [ "$check_crs" != 'no answer' ]; then
                if [ "$autostart" = unknown ]; then
                    ask config crs
                    if says 4621; then autostart=disabled; elif says 4622; then autostart=enabled; fi
                fi
                look_at_resources
            fi
        fi
    fi
    fact ohasdrun "$ohasdrun"
    fact autostart "$autostart"

    # ocssd runs long before it is of use: while it looks for its voting disks, or for the other nodes. Nothing comes
    # after it until then, so only then is it asked.
    if [ "$cssd$ctssd" = runningnone ] && [ "$installed" = yes ]; then
        ask check css
        says 4529 || cssd=starting
    fi
    # crsd runs, and ends, and runs again, while it can't read the OCR. The listeners are what it starts.
    if [ "$crsd$listeners" = runningnone ] && [ "$listener" != any ] && [ "$installed" = yes ]; then
        ask check crs
        says 4537 || crsd=starting
    fi
    # What reads the OCR has ASM, here or (Flex ASM) on another node, or none is used.
    if [ "$asm" = none ]; then
        if [ "$crsd" = running ] || [ "$asm_needed" = any ]; then asm=elsewhere; fi
    fi
    [ "$listeners" = running ] || [ "$listener" != any ] || listeners=unneeded
    up=yes
    for one in "$ohasd" "$gpnpd" "$gipcd" "$mdnsd" "$cssdmonitor" "$cssd" "$ctssd" "$evmd" "$crsd"; do
        [ "$one" = running ] || up=no
    done
    [ "$asm" != none ] || up=no
    [ "$listeners" != none ] || up=no

    # Processes, in the order of the chain, then those beside it.
    fact ohasd "$ohasd"
    fact gpnpd "$gpnpd"
    fact gipcd "$gipcd"
    fact mdnsd "$mdnsd"
    fact cssdmonitor "$cssdmonitor"
    fact cssd "$cssd"
    fact ctssd "$ctssd"
    fact asm "$asm"
    fact evmd "$evmd"
    fact crsd "$crsd"
    fact listeners "$listeners"
    fact oraagent "$oraagent"
    fact orarootagent "$orarootagent"
    fact cssdagent "$cssdagent"
    fact asm_instance "$asm_instance"
    fact listener_names "$listener_names"
    fact daemons "$daemons"

    if [ "$daemons" = 0 ] && [ "$installed" = no ]; then
        fact state not-installed
    elif [ "$daemons" = 0 ]; then
        fact state down
    elif [ "$ohasd" = none ]; then
        fact state partial
    elif [ "$stopping" = yes ]; then
        fact state stopping
    elif [ "$up" = yes ]; then
        case $check_crs in
            '' | online) fact state running ;;
            *) fact state partial ;;
        esac
    elif [ "$stack" = stopped ]; then
        fact state stack-stopped
    else
        fact state starting
    fi
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
