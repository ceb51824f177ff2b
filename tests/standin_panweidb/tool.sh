#!/bin/sh
# A stand-in for gs_ctl, gs_guc, gs_encrypt, gsql, cm_ctl, gs_om and ping on a node of a streaming disaster recovery: one
# file, many names. It keeps what it is told in files below GAUSSHOME/sdr, and writes down each call there, so that a test
# can count them. What is a matter of the whole cluster (gs_om, `-N all`) it knows or does for its own node alone.
#
# GAUSSHOME/sdr/conf makes it misbehave:
#   fail=NAME:N       NAME (gs_ctl_build, gs_guc_set, cm_ctl_stop, ping, ...) fails N times
#   hold=NAME         NAME does not end as long as the file hold is there
#   cluster=STATE     what cm_ctl query says of the cluster, once it runs
#   connected=yes     the main standby of the other cluster streams from here
#   streaming=yes     the datanode here streams from the primary of the other cluster
#   node=N            the number of this node; the main one is node 1
#   password=TEXT     of the disaster user; any other is wrong
#   norepl=yes        the disaster user has no right to replicate
#   show_NAME=VALUE   of a parameter
#   peer_size=N       KiB of the other cluster's databases
#   stuck=yes         querybuild says Building, whatever runs
# GAUSSHOME/sdr/peer/ is what `gs_ctl build -b copy_secure_files` gets: the data directory of the other cluster.
here=${0%/*}
tool=${0##*/}
sdr=$here/../sdr
base=$(cd "$here/../.." && pwd)
server_conf=$base/cm/cm_server/cm_server.conf
agent_conf=$base/cm/cm_agent/cm_agent.conf

conf() {
    value=
    while IFS= read -r line; do
        case $line in
            "$1="*) value=${line#*=} ;;
        esac
    done <"$sdr/conf"
}

# note NAME: writes the call down, and fails or holds where the conf says so.
note() {
    echo "$*" >>"$sdr/calls"
    while IFS= read -r line; do
        case $line in
            "fail=$1:"*)
                count=$(cat "$sdr/failed-$1" 2>/dev/null)
                if [ "${count:-0}" -lt "${line##*:}" ]; then
                    echo $((${count:-0} + 1)) >"$sdr/failed-$1"
                    echo "[$tool]: injected failure of $1"
                    exit 1
                fi
                ;;
            "hold=$1") while [ -e "$sdr/hold" ]; do sleep 0.05; done ;;
        esac
    done <"$sdr/conf"
}

# role: of the datanode here. A cluster that was stopped and is no longer held down comes up as its cm_server says.
role() {
    if [ -e "$sdr/stopped" ] && [ ! -e "$here/cluster_manual_start" ]; then
        rm -f "$sdr/stopped"
        conf node
        if grep -q '^backup_open = 2' "$server_conf" 2>/dev/null; then
            if [ "$value" = 1 ]; then echo 'Main Standby' >"$sdr/role"; else echo 'Cascade Standby' >"$sdr/role"; fi
        else
            if [ "$value" = 1 ]; then echo Primary >"$sdr/role"; else echo Standby >"$sdr/role"; fi
        fi
    fi
    role=
    [ -r "$sdr/role" ] && IFS= read -r role <"$sdr/role"
}

# role_of NUMBER: of another node's datanode, as it must be by what is here.
role_of() {
    role
    conf node
    [ "$value" != "$1" ] || return
    case $role,$1 in
        Primary,* | Standby,[!1]) role=Standby ;;
        Standby,1) role=Primary ;;
        'Main Standby',* | 'Cascade Standby',[!1]) role='Cascade Standby' ;;
        'Cascade Standby',1) role='Main Standby' ;;
        *) role=Down ;;
    esac
}

# value_of OPTION ARGUMENTS...
value_of() {
    wanted=$1
    shift
    found=
    while [ $# -gt 1 ]; do
        if [ "$1" = "$wanted" ]; then
            found=$2
            return
        fi
        shift
    done
}

# password ARGUMENTS...: whether -P or -W is the right one.
password() {
    conf password
    right=$value
    [ -n "$right" ] || return 0
    value_of -P "$@"
    [ -n "$found" ] || value_of -W "$@"
    [ "$found" = "$right" ] && return 0
    echo "$tool: FATAL:  Invalid username/password,login denied."
    return 1
}

gs_ctl() {
    value_of -D "$@"
    dir=$found
    value_of -M "$@"
    as=$found
    value_of -b "$@"
    kind=$found
    case $1 in
        query)
            role
            if [ -z "$role" ]; then
                echo '[gs_ctl]: getconninfo_from_conf: could not connect to server'
                exit 1
            fi
            printf ' HA state:           \n\tlocal_role                     : %s\n\tstatic_connections             : 2\n\tdb_state                       : Normal\n\tdetail_information             : Normal\n\n' "$role"
            ;;
        querybuild)
            state='Build completed'
            [ ! -e "$sdr/buildfailed" ] || state='Build failed'
            conf stuck
            [ ! -e "$sdr/building" ] && [ "$value" != yes ] || state=Building
            printf '\tdb_state                       : %s\n\tbuild_mode                     : Full\n\tprocess_schedule               : 42%%\n' "$state"
            ;;
        build)
            if [ "$kind" = copy_secure_files ]; then
                note gs_ctl_copy "$@"
                password "$@" || exit 1
                if [ ! -d "$sdr/peer/gs_secure_files" ]; then
                    echo 'gs_ctl: could not connect to the remote server'
                    exit 1
                fi
                rm -rf "$dir/gs_secure_files"
                cp -R "$sdr/peer/gs_secure_files" "$dir/gs_secure_files"
                exit 0
            fi
            : >"$sdr/building"
            : >"$sdr/buildfailed"
            : >"$sdr/role"
            rm -f "$sdr/stopped"
            (note gs_ctl_build "$@") || { rm -f "$sdr/building"; exit 1; }
            # What comes from the other cluster is not fit for this one.
            if [ "$as" = hadr_main_standby ]; then
                echo 'of the other cluster' >"$dir/pg_hba.conf"
                echo 'of the other cluster' >"$dir/pg_ident.conf"
            fi
            echo 'gs_ctl: build completed'
            rm -f "$sdr/building" "$sdr/buildfailed"
            case $as in
                cascade_standby) echo 'Cascade Standby' >"$sdr/role" ;;
            esac
            ;;
        start)
            note gs_ctl_start "$@"
            case $as in
                hadr_main_standby) echo 'Main Standby' >"$sdr/role" ;;
                cascade_standby) echo 'Cascade Standby' >"$sdr/role" ;;
                pending) echo Pending >"$sdr/role" ;;
            esac
            rm -f "$sdr/stopped"
            # As a daemon that keeps what it was given: nobody may wait for its output to end.
            sleep 300 &
            echo "$!" >>"$sdr/daemons"
            ;;
        notify)
            note gs_ctl_notify "$@"
            [ "$as" != primary ] || echo Primary >"$sdr/role"
            ;;
        *) exit 1 ;;
    esac
}

# set_parameter FILE TEXT
set_parameter() {
    key=${2%%[ =]*}
    text=${2#"$key"}
    while :; do
        case $text in
            ' '* | '='*) text=${text#?} ;;
            *) break ;;
        esac
    done
    mkdir -p "${1%/*}"
    { grep -v "^$key = " "$1" 2>/dev/null; [ -z "$text" ] || echo "$key = $text"; } >"$1.new"
    mv "$1.new" "$1"
}

# set_rule FILE RULE: adds it; one without a method takes away what there is of it.
set_rule() {
    plain=$(echo "$2" | awk '{ $1 = $1; print }')
    case $(echo "$plain" | wc -w) in
        4) awk -v rule="$plain" '{ line = $0; $1 = $1; if (index($0, rule " ") != 1) print line }' "$1" >"$1.new" && mv "$1.new" "$1" ;;
        *) awk '{ $1 = $1; print }' "$1" 2>/dev/null | grep -qxF "$plain" || echo "$2" >>"$1" ;;
    esac
}

gs_guc() {
    verb=$1
    if [ "$verb" = generate ]; then
        note gs_guc_generate "$@"
        value_of -D "$@"
        dir=$found
        value_of -o "$@"
        printf 'cipher %s' "$$" >"$dir/$found.key.cipher"
        printf 'rand %s' "$$" >"$dir/$found.key.rand"
        exit 0
    fi
    value_of -Z "$@"
    kind=$found
    value_of -D "$@"
    [ -n "$found" ] || found=$base/data/dn
    file=$found/postgresql.conf
    hba=$found/pg_hba.conf
    case $kind in
        cmserver) file=$server_conf ;;
        cmagent) file=$agent_conf ;;
        coordinator)
            echo 'ERROR: there is no coordinator'
            exit 1
            ;;
    esac
    case $verb in
        set | reload) note "gs_guc_$verb" "$@" ;;
        *) exit 1 ;;
    esac
    if [ "$verb" = reload ]; then
        role
        if [ -z "$role" ]; then
            echo 'Failed to perform gs_guc!'
            exit 1
        fi
    fi
    while [ $# -gt 1 ]; do
        case $1 in
            -h) set_rule "$hba" "$2" ;;
            -c)
                # gs_guc checks what it is given.
                case $2 in
                    wal_keep_segments*[!0-9\ =a-z_]*)
                        echo "ERROR: invalid value for parameter"
                        exit 1
                        ;;
                esac
                set_parameter "$file" "$2"
                ;;
        esac
        shift
    done
    echo 'Success to perform gs_guc!'
}

cm_ctl() {
    case $1 in
        view)
            conf node
            printf 'node :%s\nnodeName:%s\nsshChannel 1:0.0.0.0\ncmDataPath :%s\n' "$value" "$(hostname)" "$base/cm"
            ;;
        query)
            role
            if [ -e "$here/cluster_manual_start" ]; then
                printf "cm_ctl: can't connect to cm_server.\nMaybe cm_server is not running, or timeout expired. Please try again.\n"
                exit 255
            fi
            conf cluster
            printf '[   Cluster State   ]\n\ncluster_state   : %s\nredistributing  : No\nbalanced        : Yes\ncurrent_az      : AZ_ALL\n\n[  Datanode State   ]\n\n1  node1 6001 P %s Normal\n' "${value:-Normal}" "${role:-Down}"
            ;;
        stop)
            note cm_ctl_stop "$@"
            : >"$sdr/role"
            : >"$sdr/stopped"
            printf '0\n2\n2\n' >"$here/cluster_manual_start"
            echo 'cm_ctl: stop node successfully.'
            ;;
        start)
            note cm_ctl_start "$@"
            rm -f "$here/cluster_manual_start"
            role
            echo 'cm_ctl: start cluster successfully.'
            ;;
        ddb)
            case $2 in
                --get)
                    [ -e "$sdr/dcc" ] || exit 1
                    printf 'Key: %s, Value: %s\n' "$3" "$(cat "$sdr/dcc")"
                    ;;
                --put)
                    note cm_ctl_ddb "$@"
                    case $3 in
                        */dn_term/*) printf '%s' "$4" >"$sdr/term" ;;
                        *) printf '%s' "$4" >"$sdr/dcc" ;;
                    esac
                    printf 'cm_ctl: exec ddb command success.\nKey: %s, Value: %s\n' "$3" "$4"
                    ;;
            esac
            ;;
        *) exit 1 ;;
    esac
}

gs_om() {
    role
    if [ -e "$here/cluster_manual_start" ]; then
        echo "[GAUSS-51600] : Failed to obtain the cluster status."
        exit 1
    fi
    conf cluster
    printf '%s\n\ncluster_state             : %s\nredistributing            : No\nbalanced                  : Yes\ncurrent_az                : AZ_ALL\n\n' \
        '-----------------------------------------------------------------------' "${value:-Normal}"
    for number in 1 2; do
        role_of "$number"
        printf 'node                      : %s\nnode_name                 : node%s\n' "$number" "$number"
        printf '    instance_id               : %s\n    node_ip                   : 10.0.0.%s\n    type                      : CMServer\n    instance_state            : Standby\n' "$number" "$number"
        printf '    instance_id               : 600%s\n    data_path                 : %s\n    type                      : Datanode\n    instance_state            : %s\n    HA_state                  : Normal\n    reason                    : Normal\n\n' \
            "$number" "$base/data/dn" "$role"
    done
}

gsql() {
    value_of -c "$@"
    sql=$found
    value_of -f "$@"
    [ -z "$found" ] || sql=$(cat "$found")
    value_of --output "$@"
    [ -z "$found" ] || exec >"$found"
    role
    if [ -z "$role" ]; then
        echo 'failed to connect Unknown' >&2
        exit 2
    fi
    value_of -U "$@"
    [ -z "$found" ] || password "$@" || exit 2
    case $sql in
        *pg_database_size*)
            conf peer_size
            echo "$value"
            ;;
        *dbe_perf.global_streaming*)
            conf connected
            [ "$value" != yes ] || printf '3\n7\n'
            ;;
        *current_rto*)
            conf connected
            [ "$value" != yes ] || echo '0|0'
            ;;
        *gs_hadr_local* | *wal_senders*)
            conf connected
            [ "$value" != yes ] || echo 1
            ;;
        *wal_receiver*)
            conf streaming
            [ "$value" != yes ] || echo 1
            ;;
        *pg_user*)
            conf norepl
            if [ "$value" = yes ]; then printf 'omm|t\nhadr|f\n'; else printf 'omm|t\nhadr|t\n'; fi
            ;;
        *gs_global_config*) [ ! -e "$sdr/hadr_user_info" ] || cat "$sdr/hadr_user_info" ;;
        'DROP GLOBAL'*)
            note gsql_drop_config
            rm -f "$sdr/hadr_user_info"
            ;;
        'ALTER GLOBAL'*)
            note gsql_keep_config
            printf '%s' "$sql" | sed "s/.*='\(.*\)');.*/\1/" >"$sdr/hadr_user_info"
            ;;
        'show '*)
            name=${sql#show }
            name=${name%;}
            set_by=$(sed -n "s/^$name = //p" "$base/data/dn/postgresql.conf" 2>/dev/null | tail -n 1)
            conf "show_$name"
            echo "${set_by:-${value:-on}}"
            ;;
        *'slot_type'*) [ ! -e "$sdr/slots" ] || cat "$sdr/slots" ;;
        *pg_drop_replication_slot*)
            note gsql_drop "$@"
            rm -f "$sdr/slots"
            ;;
        *pg_get_replication_slots*) [ ! -e "$sdr/slots" ] || cat "$sdr/slots" ;;
        *pg_last_xlog_replay_location*) echo 5 ;;
        *in_switchover* | *truncation_check* | *switchover_barrier*)
            note gsql_switchover "$sql"
            echo t
            ;;
        *'select 1'*) echo 1 ;;
    esac
}

cd "$base" || exit 1
case $tool in
    gs_ctl) gs_ctl "$@" ;;
    gs_guc) gs_guc "$@" ;;
    gs_om) gs_om "$@" ;;
    # With the key, so that a wrong key shows.
    gs_encrypt) echo "encrypted-with-$(cat "$here/hadr.key.cipher" | tr ' ' '-')" ;;
    cm_ctl) cm_ctl "$@" ;;
    gsql) gsql "$@" ;;
    ping) note ping "$@" ;;
esac
