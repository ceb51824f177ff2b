#!/bin/sh
# A stand-in for gs_ctl, gs_guc, gsql, cm_ctl and ping on a node of a streaming disaster recovery: one file, many names.
# It keeps what it is told in files below GAUSSHOME/sdr, and writes down each call there, so that a test can count them.
#
# GAUSSHOME/sdr/conf makes it misbehave:
#   fail=NAME:N       NAME (gs_ctl_build, gs_guc_set, cm_ctl_stop, ping, ...) fails N times
#   hold=NAME         NAME does not end as long as the file hold is there
#   cluster=STATE     what cm_ctl query says of the cluster, once it runs
#   connected=yes     the main standby of the other cluster streams from here
#   node=N            the number of this node
here=${0%/*}
tool=${0##*/}
sdr=$here/../sdr
base=$(cd "$here/../.." && pwd)

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

role() {
    role=
    [ -r "$sdr/role" ] && IFS= read -r role <"$sdr/role"
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

gs_ctl() {
    value_of -D "$@"
    dir=$found
    value_of -M "$@"
    as=$found
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
            [ ! -e "$sdr/building" ] || state=Building
            printf '\tdb_state                       : %s\n\tbuild_mode                     : Full\n\tprocess_schedule               : 42%%\n' "$state"
            ;;
        build)
            note gs_ctl_build "$@"
            : >"$sdr/role"
            : >"$sdr/building"
            # What comes from the other cluster is not fit for this one.
            echo 'of the other cluster' >"$dir/pg_hba.conf"
            echo 'of the other cluster' >"$dir/pg_ident.conf"
            echo 'gs_ctl: build completed'
            rm -f "$sdr/building"
            case $as in
                cascade_standby) echo 'Cascade Standby' >"$sdr/role" ;;
            esac
            ;;
        start)
            note gs_ctl_start "$@"
            case $as in
                hadr_main_standby) echo 'Main Standby' >"$sdr/role" ;;
                cascade_standby) echo 'Cascade Standby' >"$sdr/role" ;;
            esac
            # As a daemon that keeps what it was given: nobody may wait for its output to end.
            sleep 300 &
            echo "$!" >>"$sdr/daemons"
            ;;
        *) exit 1 ;;
    esac
}

gs_guc() {
    verb=$1
    value_of -Z "$@"
    kind=$found
    value_of -D "$@"
    file=$found/postgresql.conf
    hba=$found/pg_hba.conf
    [ "$kind" = datanode ] || file=$sdr/$kind.conf
    value_of -h "$@"
    rule=$found
    value_of -c "$@"
    setting=$found
    case $verb in
        check)
            setting=$(sed -n "s/^$setting = //p" "$file" 2>/dev/null | tail -n 1)
            value_of -c "$@"
            printf 'expected guc information: node: %s=NULL: [%s]\ngs_guc check: node: %s=%s: [%s]\n\nTotal GUC values: 1. Failed GUC values: 0.\nThe value of parameter %s is same on all instances.\n    %s=%s\n' \
                "$found" "$file" "$found" "$setting" "$file" "$found" "$found" "${setting:-NULL}"
            exit 0
            ;;
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
    if [ -n "$rule" ]; then
        echo "$rule" >>"$hba"
    else
        key=${setting%%[ =]*}
        text=${setting#"$key"}
        text=${text# }
        text=${text#=}
        text=${text# }
        { grep -v "^$key = " "$file" 2>/dev/null; echo "$key = $text"; } >"$file.new"
        mv "$file.new" "$file"
    fi
    echo 'Success to perform gs_guc!'
}

cm_ctl() {
    case $1 in
        view)
            conf node
            printf 'node :%s\nnodeName:%s\nsshChannel 1:0.0.0.0\n' "$value" "$(hostname)"
            ;;
        query)
            if [ -e "$here/cluster_manual_start" ]; then
                printf "cm_ctl: can't connect to cm_server.\nMaybe cm_server is not running, or timeout expired. Please try again.\n"
                exit 255
            fi
            conf cluster
            role
            printf '[   Cluster State   ]\n\ncluster_state   : %s\nredistributing  : No\nbalanced        : Yes\ncurrent_az      : AZ_ALL\n\n[  Datanode State   ]\n\n1  node1 6001 P %s Normal\n' "${value:-Normal}" "${role:-Down}"
            ;;
        stop)
            note cm_ctl_stop "$@"
            : >"$sdr/role"
            printf '0\n2\n2\n' >"$here/cluster_manual_start"
            echo 'cm_ctl: stop node successfully.'
            ;;
        ddb)
            case $2 in
                --get)
                    [ -e "$sdr/dcc" ] || exit 1
                    printf 'Key: %s, Value: %s\n' "$3" "$(cat "$sdr/dcc")"
                    ;;
                --put)
                    note cm_ctl_ddb "$@"
                    printf '%s' "$4" >"$sdr/dcc"
                    ;;
            esac
            ;;
        *) exit 1 ;;
    esac
}

gsql() {
    value_of -c "$@"
    case $found in
        *current_rto*)
            conf connected
            [ "$value" != yes ] || echo '0|0'
            ;;
        *gs_hadr_local* | *wal_senders*)
            conf connected
            [ "$value" != yes ] || echo 1
            ;;
        *'slot_type'*) [ ! -e "$sdr/slots" ] || cat "$sdr/slots" ;;
        *pg_drop_replication_slot*)
            note gsql_drop "$@"
            rm -f "$sdr/slots"
            ;;
    esac
}

cd "$base" || exit 1
case $tool in
    gs_ctl) gs_ctl "$@" ;;
    gs_guc) gs_guc "$@" ;;
    cm_ctl) cm_ctl "$@" ;;
    gsql) gsql "$@" ;;
    ping) note ping "$@" ;;
esac
