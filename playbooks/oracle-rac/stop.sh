# Stops Grid Infrastructure on this node: `crsctl stop crs`, with -f where the mode is immediate. Prints what crsctl
# prints. Needs root, itself or through sudo.
# POSIX sh (dash, bash, busybox). gsctl sets these variables before this text: grid_home  olr_loc  sudo  mode

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

# order ARGUMENT...: crsctl as root, for as long as it takes: gsctl ends it when its time is over. What bash says of a
# crsctl that was killed goes nowhere.
order() {
    said=$(
        {
            ORACLE_HOME=$grid_home LC_ALL=C ${sudo:+"$sudo" -n} "$bin/crsctl" "$@" 2>&1 </dev/null
            printf '\ngsctl_rc=%s\n' "$?"
        } 2>/dev/null | sed '/^gsctl_rc=/q'
    )
    said_rc=${said##*gsctl_rc=}
    said=${said%"$nl"gsctl_rc=*}
    printf '%s\n' "$said"
}

# failed: with the words of crsctl, of which the last before `CRS-4000: Command ... failed` says most.
failed() {
    because=
    IFS=$nl
    set -f
    for line in $said; do
        case $line in
            CRS-4000* | CRS-4687*) ;;
            *) because=$line ;;
        esac
    done
    unset IFS
    set +f
    printf 'because=%s\n' "${because:-crsctl ended with exit status $said_rc}"
    ! says 4563 || printf 'hint=%s\n' 'log in as root, or let sudo run crsctl: --var sudo=sudo'
    return 1
}

main() {
    find_grid
    # crsctl waits until all is down.
    if [ "$mode" = immediate ]; then order stop crs -f; else order stop crs; fi
    if [ "$said_rc" = 0 ]; then
        echo changed=yes
    else
        failed
    fi
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
