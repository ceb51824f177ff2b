# Sends what tells why a node does not come up: the resources that are wanted and not ONLINE, then the logs of the first daemon
# that is missing, since the start was requested, and what must be looked at otherwise. gsctl holds them against
# oracle-rac/causes.yaml. Changes nothing, needs no root. POSIX sh (dash, bash, busybox), after shared/logs.sh, lib.sh and logs.sh.
# gsctl sets these variables before all; every one may be missing or empty:
#   grid_home  olr_loc  crsctl_timeout  oracle_base
#   log_marks   what mark_logs printed before the first change; empty: nothing was started by this run

# send_log CODES: the log of the first of them.
send_log() {
    ! log_of "${1%%,*}" || send_file "$1" "$log"
}

# first_missing: leaves in $missing the first daemon that does not run, or is of no use.
first_missing() {
    missing=
    for one in ohasd gpnpd gipcd mdnsd cssdmonitor cssd ctssd asm storage evmd crsd listeners; do
        case $kind/$one in
            restart/gpnpd | restart/gipcd | restart/mdnsd | restart/cssdmonitor | restart/ctssd | restart/storage | restart/crsd) continue ;;
        esac
        [ "$one" != storage ] || storage=running
        eval "running=\$$one"
        state_of "ora.$one"
        case $one/$running/$state:$wanted in
            # Not every cluster has it, and with Flex ASM it is on another node.
            asm/none/:* | asm/none/OFFLINE:OFFLINE) continue ;;
            */running/ | */running/ONLINE:* | */running/:*) continue ;;
        esac
        missing=$one
        return
    done
}

# cannot_reach_cssd: crsctl's own words say that nobody can speak with cssd.
cannot_reach_cssd() {
    case $answer in
        *ORA-29701* | *'no listener at (ADDRESS=(PROTOCOL=ipc'*) return 0 ;;
    esac
    return 1
}

# without_ohasd: what is known of a node on which ohasd does not run.
without_ohasd() {
    if [ "$processes" = visible ] && ! (cd "$proc" && grep -qsl /init.ohasd [0-9]*/cmdline); then
        say OR05 'no process of init.ohasd'
    fi
    # It keeps a stack down after a boot; one that was asked for now starts all the same.
    if [ -z "$log_marks" ]; then
        ask config "$object"
        ! says 4621 || say OR04 "$(printf '%s\n' "$said" | grep CRS-4621)"
    fi
}

# say ID WORDS: a state; they come last, as a log tells more.
say() {
    told="$told$(say_state "$1" "$2")$nl"
}

main() {
    find_grid
    own_uid
    find_processes
    find_kind
    object=crs told=
    [ "$kind" != restart ] || object=has
    # All of this has ten seconds.
    [ -z "$bound" ] || [ "${crsctl_timeout:-10}" -lt 4 ] || bound="${bound% *} 4"
    ask_for_resources
    answer=$said asked='crsctl stat res -t -init'
    [ "$kind" != restart ] || asked='crsctl stat res -t'
    if read_resources; then
        echo "wanted and not ONLINE: ${not_online:-nothing}"
    else
        complaint
        echo "crsctl stat res: ${said_first:-nothing}"
    fi
    find_traces
    [ -n "$alert_log" ] || echo 'no alert log of Clusterware was found: set oracle_base=DIRECTORY'
    first_missing
    # Where cssd runs its sockets are gone, and what the logs say of those who want it follows from that. Where it does not,
    # its log says why.
    unreached=no
    if cannot_reach_cssd; then
        unreached=yes
        [ "$cssd" != running ] || unreached=sent
    fi
    [ "$unreached" != sent ] || send_words CMD "$asked" "$answer"
    case $missing in
        ohasd)
            without_ohasd
            send_log OHASDTRC
            send_log CRSALERT
            ;;
        gpnpd | gipcd | mdnsd)
            send_log CRSALERT
            send_log OHASDTRC
            send_log "$missing"
            send_log AGENTTRC
            ;;
        cssdmonitor | cssd)
            send_log CRSALERT
            send_log OCSSDTRC
            send_log OHASDTRC
            send_log ROOTAGENTTRC,AGENTTRC
            ;;
        ctssd | evmd)
            send_log CRSALERT
            send_log "$missing"
            ;;
        asm | storage | crsd)
            send_log CRSALERT
            send_log ASMALERT
            send_log AGENTTRC
            if [ "$missing" = crsd ]; then send_log CRSDTRC; else send_log ROOTAGENTTRC,AGENTTRC; fi
            ;;
        *) send_log CRSALERT ;;
    esac
    # Multicast DNS: mdnsd wants the port for itself.
    if [ "$missing" = mdnsd ] && grep -qs ':14E9 ' "$proc/net/udp" "$proc/net/udp6"; then
        say OR20 'UDP port 5353 is bound, and mdnsd does not run'
    fi
    for place in "$grid_home" "$oracle_base"; do
        [ -z "$place" ] || ! full_disk "$place" || say OR31 "$full"
    done
    case $unreached in
        yes) send_words CMD "$asked" "$answer" ;;
        no)
            if [ -n "$missing" ] && [ -z "$told" ]; then
                ask check "$object"
                send_words CMD "crsctl check $object" "$said"
            fi
            ;;
    esac
    printf '%s' "$told"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
