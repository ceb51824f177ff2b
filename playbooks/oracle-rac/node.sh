# Looks at one node of Oracle Grid Infrastructure, a cluster's or an Oracle Restart, and prints facts, `key=value` a line.
# Changes nothing, needs no root. POSIX sh (dash, bash, busybox), after lib.sh. gsctl sets these variables before this
# text; every one may be missing or empty:
#   grid_home  olr_loc  oracle_base  sudo  crsctl_timeout (10)
#   asm_needed, listener  any: a node without is fine
#   given_up_after   seconds for which nothing must happen until ohasd is said to have given up on a resource (10)
#   light            1: once a second, while waiting: processes, and of crsctl only the table of resources
#   found_*          in a light look, what the full one printed
# The facts are listed at the end, in main.

fact() {
    printf '%s=%s\n' "$1" "$2"
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

# look_at_marks: what init.ohasd reads, in a directory named after the node, in lower case whatever the node calls itself.
look_at_marks() {
    host=$(hostname 2>/dev/null || uname -n)
    host=${host%%.*}
    marks=
    for name in "$(printf '%s\n' "$host" | tr '[:upper:]' '[:lower:]')" "$host"; do
        for user in root "$owner"; do
            [ -n "$marks" ] || [ ! -d "${olr_loc%/*}/scls_scr/$name/$user" ] || marks=${olr_loc%/*}/scls_scr/$name/$user
        done
    done
    first_word "${marks:-/nonexistent}/ohasdrun"
    ohasdrun=$word
    first_word "${marks:-/nonexistent}/ohasdstr"
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

print_resource() {
    name_as_key
    fact "res_$key" "$res_state"
    fact "res_${key}_target" "$target"
    fact "res_${key}_details" "$details"
}

# look_at_privileges: whether `crsctl start` may be run as it will be: a cluster's by root, Oracle Restart's by its owner.
look_at_privileges() {
    object=crs needs=root privileged=no
    [ "$kind" != restart ] || object=has needs=${owner:-root}
    if [ "$uid" = 0 ] || { [ "$kind" = restart ] && [ "$(id -un 2>/dev/null)" = "$needs" ]; }; then
        privileged=yes
    elif [ "$sudo" = sudo ]; then
        as=
        [ "$needs" = root ] || as="-u $needs"
        ! $bound sudo -n $as -l "$bin/crsctl" start "$object" >/dev/null 2>&1 </dev/null || privileged=yes
    fi
    fact root "$privileged"
    fact crsctl_object "$object"
    fact needs_user "$needs"
}

# look_at_table: asks for the resources; whether there is an answer. One that does not come is not waited for twice.
look_at_table() {
    states=' ' targets=' ' not_online= stack=unknown missing_resource= said_table=
    ask_for_resources
    said_table=$said
    read_resources
}

# stage FACT RESOURCE: what its process and crsctl say together. A process that runs need not be of use; what crsctl calls
# ONLINE runs where its process can't be seen.
stage() {
    eval "is=\$$1"
    state_of "$2"
    if [ "$by_table" = yes ]; then
        case $state in
            ONLINE) is=running ;;
            '') is=hidden ;;
            OFFLINE) is=none ;;
            INTERMEDIATE) is=intermediate ;;
            STARTING) is=starting ;;
            *) is=unknown ;;
        esac
    else
        case $is:$state in
            *:INTERMEDIATE) is=intermediate ;;
            *:STARTING | running:OFFLINE) is=starting ;;
            running:UNKNOWN) is=unknown ;;
        esac
    fi
    eval "$1=\$is"
}

# judge_stages: each stage of the chain.
judge_stages() {
    by_table=no
    case $processes in
        hidden | unreadable) by_table=yes ;;
        # crsctl speaks with an ohasd that is nowhere to be seen.
        *) if [ "$daemons$has" = 0online ]; then by_table=yes; fi ;;
    esac
    if [ "$by_table" = yes ]; then
        daemons=unknown
        if [ "$has" = online ] || [ "$states" != ' ' ]; then ohasd=running; else ohasd=hidden; fi
        [ "$listeners" = running ] || listeners=hidden
    elif [ "$ohasd" = running ] && [ "$has" = offline ]; then
        ohasd='no answer'
    fi
    if [ "$kind" = restart ]; then
        gpnpd=unneeded gipcd=unneeded mdnsd=unneeded cssdmonitor=unneeded ctssd=unneeded storage=unneeded crsd=unneeded
        stage cssd ora.cssd
        stage evmd ora.evmd
        judge_local asm ora.asm
        set -- $listener_resources
        judge_local listeners "$1"
    else
        stage gpnpd ora.gpnpd
        stage gipcd ora.gipcd
        stage mdnsd ora.mdnsd
        stage cssdmonitor ora.cssdmonitor
        stage cssd ora.cssd
        stage ctssd ora.ctssd
        stage asm ora.asm
        stage evmd ora.evmd
        stage crsd ora.crsd
        ask_without_table
        judge_storage
    fi
    # What reads the OCR has ASM, here or (Flex ASM) on another node, or none is used.
    case $asm in
        none | hidden) if [ "$crsd" = running ] || [ "$asm_needed" = any ]; then asm=elsewhere; fi ;;
    esac
    case $listeners in
        running) ;;
        *) [ "$listener" != any ] || listeners=unneeded ;;
    esac
}

# judge_local FACT RESOURCE: what a node of Oracle Restart has only if somebody wanted it.
judge_local() {
    stage "$1" "$2"
    [ "$states" != ' ' ] || return 0
    case $state:$wanted in
        :* | OFFLINE:OFFLINE) eval "[ \"\$$1\" = running ] || $1=unneeded" ;;
    esac
}

# ask_without_table: ocssd runs long before it is of use, and so does crsd, which also ends and runs again while it can't
# read the OCR. Where the table of resources did not tell, they are asked as long as nothing has come after them.
ask_without_table() {
    [ "$states" = ' ' ] && [ "$by_table" = no ] && [ "$installed" = yes ] && [ "$hangs" = no ] || return 0
    if [ "$cssd$ctssd" = runningnone ]; then
        ask check css
        says 4529 || cssd=starting
    fi
    if [ "$crsd$listeners" = runningnone ] && [ "$listener" != any ]; then
        ask check crs
        says 4537 || crsd=starting
    fi
}

# judge_storage: ora.storage (12c and later) has no process: it is the OCR's disk group, reachable. crsd needs it.
judge_storage() {
    storage=none
    stage storage ora.storage
    case $state:$wanted in
        ONLINE:*) storage=running ;;
        OFFLINE:OFFLINE) storage=unneeded ;;
        :)
            if [ "$states" != ' ' ]; then
                storage=unneeded
            elif [ "$crsd" = running ]; then
                storage=running
            fi
            ;;
    esac
}

# is_up: whether every stage is.
is_up() {
    for one in "$ohasd" "$gpnpd" "$gipcd" "$mdnsd" "$cssdmonitor" "$cssd" "$ctssd" "$evmd" "$crsd" "$asm" "$storage" "$listeners"; do
        case $one in
            running | unneeded | elsewhere) ;;
            *) return 1 ;;
        esac
    done
}

# watch_silence: a resource that is wanted, OFFLINE and without a process may only be between two tries. Whether nothing
# happens for as long as $given_up_after says.
watch_silence() {
    first_missing=$missing_resource
    until=$(($(date +%s) + ${given_up_after:-10}))
    while [ "$(date +%s)" -lt "$until" ]; do
        sleep 1
        find_processes
        look_at_table || return 1
        [ "$stack/$missing_resource" = "idle/$first_missing" ] || return 1
    done
}

# name_state: in words what the node is doing.
name_state() {
    if [ "$daemons" = 0 ] && [ "$installed" = no ]; then
        state=not-installed
    elif [ "$daemons" = 0 ]; then
        state=down
    elif [ "$by_table" = yes ] && [ "$ohasd" = hidden ]; then
        # Neither its processes nor crsctl say anything of it.
        state=unknown
    elif [ "$ohasd" = none ]; then
        state=partial
    elif [ "$stack" = stopping ]; then
        state=stopping
    elif [ "$by_table/$check_crs" = yes/online ]; then
        state=running
    elif is_up; then
        case $check_crs in
            '' | online) state=running ;;
            *) state=partial ;;
        esac
    elif [ "$stack" = stopped ]; then
        state=stack-stopped
    elif [ "$silent" = yes ]; then
        state=given-up
        [ "$check_crs" != online ] || state=partial
    else
        state=starting
        case $check_crs:$crsd:$cssd:$ctssd:$evmd in
            online:*intermediate*) state=partial ;;
        esac
    fi
}

# advise_on_node: what a person is to know beside the hint of the first missing stage.
advise_on_node() {
    case $processes in
        hidden) advise 'processes are hidden on this node (hidepid): what is said here is what crsctl says; log in as root to see them' ;;
        unreadable) advise 'this node is not Linux, and ps -ef says nothing: what is said here is what crsctl says' ;;
    esac
    if [ -n "$other_home" ]; then
        advise "$home_from names $grid_home, but what runs is $other_home: say which with --var grid_home=DIRECTORY"
    fi
    case $silent:$state in
        yes:*) advise "ohasd starts $missing_resource no more: \`gsctl start --system oracle-rac\` runs \`crsctl start $again\` as $needs" ;;
        *:stack-stopped) advise "the stack was stopped below ohasd: \`gsctl start --system oracle-rac\` runs \`crsctl start $again\` as $needs" ;;
    esac
    [ -z "$not_online" ] || advise "wanted and not ONLINE: $not_online"
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
    other_home=$found_other_home
    find_processes
    find_kind
    look_at_marks
    value_of "$olr_loc" olrconfig_loc
    presence olr "$value"

    states=' ' targets=' ' not_online= stack=unknown missing_resource= said_table= listener_resources= heard=no
    check_crs= has= hangs=no silent=no
    if [ "$installed" = yes ]; then
        if [ "$light" = 1 ]; then look_lightly; else look_fully; fi
    else
        object=crs needs=root
        [ "$light" = 1 ] || fact root no
    fi
    again=cluster
    [ "$kind" != restart ] || again='resource -all'
    judge_stages
    name_state
    advise_on_node
    say_all
}

# look_lightly: the table of resources, if there is an ohasd to ask.
look_lightly() {
    if [ "$ohasd" = running ] || [ "$processes" = hidden ] || [ "$processes" = unreadable ]; then
        [ -z "$bound" ] || [ "${crsctl_timeout:-10}" -lt 5 ] || bound="${bound% *} 5"
        if ! look_at_table; then
            if no_answer; then hangs=yes; fi
            if says 4639; then has=offline; fi
            complaint
            way_out
            advise "crsctl stat res says: ${said_first:-nothing}${way:+ ($way)}"
        fi
    fi
}

# look_fully: all that crsctl says.
look_fully() {
    check_crs
    # crsctl speaks with an ohasd, and none of this home runs: then it is another home's.
    if [ "$ohasd/$has" = none/online ]; then
        find_running_home
        if [ -n "$running_home" ] && [ "$running_home" != "$grid_home" ] && [ "$running_home/bin" != "$real" ]; then
            other_home=$running_home
            find_processes
        fi
    fi
    if [ "$kind" = restart ] && [ -z "$marks" ]; then look_at_marks; fi
    look_at_privileges
    # One that hangs is not asked again.
    if [ "$check_crs" = 'no answer' ]; then
        hangs=yes
        return
    fi
    if [ "$autostart" = unknown ]; then
        ask config "$object"
        if says 4621; then autostart=disabled; elif says 4622; then autostart=enabled; fi
    fi
    if look_at_table && [ "$stack" = idle ]; then
        if watch_silence; then silent=yes; fi
    fi
    said=$said_table
    each_resource print_resource
}

say_all() {
    # Of a stack that is at work already, what it wrote before tells as well.
    case $state in
        down | partial | stack-stopped | given-up) ! command -v mark_logs >/dev/null || fact found_log_marks "$(mark_logs)" ;;
    esac
    fact installed "$installed"
    fact grid_home_dir "$place"
    fact found_grid_home "$grid_home"
    fact found_home_from "$home_from"
    fact found_other_home "$other_home"
    fact found_kind "$kind"
    fact home "$grid_home${home_from:+ ($home_from)}${other_home:+, but $other_home runs}"
    fact kind "$kind"
    fact uid "$uid"
    fact processes "$processes"
    fact ohasdrun "$ohasdrun"
    fact autostart "$autostart"
    fact not_online "$not_online"
    fact stack "$stack"
    fact missing_resource "$missing_resource"

    # The chain in its order, then what runs beside it.
    fact ohasd "$ohasd"
    fact gpnpd "$gpnpd"
    fact gipcd "$gipcd"
    fact mdnsd "$mdnsd"
    fact cssdmonitor "$cssdmonitor"
    fact cssd "$cssd"
    fact ctssd "$ctssd"
    fact asm "$asm"
    fact storage "$storage"
    fact evmd "$evmd"
    fact crsd "$crsd"
    fact listeners "$listeners"
    fact oraagent "$oraagent"
    fact orarootagent "$orarootagent"
    fact cssdagent "$cssdagent"
    fact asm_instance "$asm_instance"
    fact listener_names "$listener_names"
    fact daemons "$daemons"

    if [ "$light" != 1 ]; then
        find_traces
        for daemon in ohasd agent rootagent gpnpd gipcd mdnsd cssd ctssd evmd crsd; do
            find_trace "$daemon"
            fact "${daemon}_trace" "$trace"
        done
        fact alert_log "${alert_log:-the alert log of Clusterware}"
        fact start_again "$again"
    fi
    fact advice "$advice"
    fact state "$state"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
