#!/bin/sh
# A stand-in for openGauss-OM's gs_sdr: it reads and writes the files that gs_sdr does, in its forms, places and modes, and
# does on the nodes what gs_sdr does, through the stand-ins of the other programs. It was written from measured runs of the
# real one, with its defects: a file of another form leads it astray in the same way.
#
#   gs_sdr.sh -t start|stop|failover|switchover|query [-m primary|disaster_standby] [-f]
#
# Environment: NODES (directories of the nodes, the one that it runs on first), PEERS (addresses of the other cluster),
# LOCALS (of this one), OMM (the cluster user), HADR_USER, HADR_PASSWORD; DIES_IN=N ends it as kill -9 would, when the work of
# step N is done and not recorded yet; WAIT is --time-out in tenths of a second.
task=start mode=primary force=no
while [ $# -gt 0 ]; do
    case $1 in
        -t) task=$2 && shift ;;
        -m) mode=$2 && shift ;;
        -f) force=yes ;;
    esac
    shift
done
own=${NODES%% *}
cabin=$own/tmp/streaming_cabin
# It sorts before most.
trace=1$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | cut -c 2-)
lock=$own/tmp/streaming_lock_$trace
case $task-$mode in
    start-primary) step_file=.streaming_start_primary.step ;;
    start-*) step_file=.streaming_start_standby.step ;;
    switchover-primary) step_file=.streaming_switchover_primary.step ;;
    switchover-*) step_file=.streaming_switchover_standby.step ;;
    *) step_file=.streaming_$task.step ;;
esac

# fail WORDS: as logExit does, lock file and all.
fail() {
    rm -f "$lock"
    echo "[GAUSS-51632] : Failed to do $1."
    exit 1
}

# each COMMAND: evaluated for every node, $n and its tools.
each() {
    for n in $NODES; do
        bin=$n/app/bin data=$n/data/dn
        eval "$1" || return 1
    done
}

# write FILE TEXT: as os.open with 0600 does: truncated and written, without an end of line.
write() {
    (umask 077 && : >>"$1")
    printf '%s' "$2" >"$1"
}

# everywhere NAME: copies a file of the own cabin to all of them, with its mode.
everywhere() {
    each '[ "$n" = "$own" ] || { mkdir -p "$n/tmp/streaming_cabin" && cp -p "$cabin/'"$1"'" "$n/tmp/streaming_cabin/"; }'
}

info() {
    write "$cabin/.hadr_$1_stat" "$2"
    everywhere ".hadr_$1_stat"
}

# read_step: -1 without a file; int() of what stands before the first `_`.
read_step() {
    step=-1
    [ -s "$cabin/$step_file" ] || return 0
    IFS= read -r line <"$cabin/$step_file" || :
    step=$(echo "${line%%_*}" | tr -d ' ')
    case $step in
        '' | *[!0-9]*) rm -f "$lock" && echo "invalid literal for int() with base 10: '$step'" && exit 1 ;;
    esac
    echo "Got the continue step:[$step] for action:[$task]."
}

# record NAME
record() {
    [ "${DIES_IN-}" != "${1%%_*}" ] || kill -9 $$
    write "$cabin/$step_file" "$1"
}

# parse_status: what `gs_om -t status --all` said. A text of another form has no instances.
parse_status() {
    [ -e "$cabin/cluster_state_tmp" ] || fail 'check cluster status file'
    status=$(awk -F: '
        NF != 2 { next }
        { key = $1; value = $2; gsub(/^[ \t]+|[ \t]+$/, "", key); gsub(/^[ \t]+|[ \t]+$/, "", value) }
        key == "cluster_state" { print "state " value }
        key == "node" { node = value }
        key == "instance_id" { id = value }
        key == "type" { type = value }
        key == "instance_state" && type == "Datanode" { gsub(/ /, "_", value); print "dn " node " " id " " value }
    ' "$cabin/cluster_state_tmp")
    state=$(echo "$status" | sed -n 's/^state //p')
    primaries=$(echo "$status" | sed -n 's/^dn [0-9]* \([0-9]*\) Primary$/\1/p')
    mains=$(echo "$status" | sed -n 's/^dn [0-9]* \([0-9]*\) Main_Standby$/\1/p')
    cascades=$(echo "$status" | sed -n 's/^dn [0-9]* \([0-9]*\) Cascade_Standby$/\1/p')
    count=$(echo "$status" | grep -c '^dn ')
}

init_status() {
    "$own/app/bin/gs_om" -t status --all >"$cabin/cluster_state_tmp" || fail 'check cluster state'
}

# id_of NODE: of its datanode; the number of a node is in its conf.
id_of() {
    echo "600$(sed -n 's/^node=//p' "$1/app/sdr/conf")"
}

# is_primary NODE, is_main NODE: by the first look.
is_primary() {
    case " $(echo $primaries) " in *" $(id_of "$1") "*) return 0 ;; *) return 1 ;; esac
}
is_main() {
    case " $(echo $primaries $mains) " in *" $(id_of "$1") "*) return 0 ;; *) return 1 ;; esac
}

# on_primary SQL
on_primary() {
    for n in $NODES; do
        ! is_primary "$n" || { "$n/app/bin/gsql" -p 15401 -d postgres -c "$1" && return; }
    done
}

check_lock() {
    : >"$lock"
    chmod 644 "$lock"
    sleep "${LOCK_TIME:-0.1}"
    # Of several files on a node it sees only the first.
    for n in $NODES; do
        for file in "$n"/tmp/streaming_lock_*; do
            [ -e "$file" ] && [ "$file" != "$lock" ] || break
            fail "check streaming process, please execute streaming options after other process exited, if you ensure no other process is running, remove the lock file [$file] on node [$n], and try again"
        done
    done
}

check_action() {
    for file in "$cabin"/.streaming_*.step; do
        [ -e "$file" ] && [ "${file##*/}" != "$step_file" ] || continue
        fail "check action and mode, the step files ['${file##*/}'] already exist, please ensure the action is finished before doing current options"
    done
}

hadr_user() {
    [ -n "$primaries" ] || fail 'obtain primary dn when check disaster user'
    on_primary 'select usename, userepl from pg_user;' | grep -qx "$HADR_USER|t" ||
        fail 'checking disaster user, please confirm disaster user is exist and with replication role'
    for n in $NODES; do
        ! is_primary "$n" || "$n/app/bin/gsql" -p 15400 -U "$HADR_USER" -W "$HADR_PASSWORD" -c 'select 1;' >/dev/null ||
            fail 'check disaster user password'
    done
    if [ ! -e "$own/app/bin/hadr.key.cipher" ] || [ ! -e "$own/app/bin/hadr.key.rand" ]; then
        "$own/app/bin/gs_guc" generate -S default -o hadr -D "$own/app/bin" >/dev/null || fail 'generate hadr key files'
        chmod 600 "$own"/app/bin/hadr.key.*
    fi
    each '[ "$n" = "$own" ] || cp -p "$own"/app/bin/hadr.key.* "$bin/"'
    [ -z "$(on_primary "select value from gs_global_config where name='hadr_user_info';")" ] ||
        on_primary 'DROP GLOBAL CONFIGURATION hadr_user_info;'
    on_primary "ALTER GLOBAL CONFIGURATION with(hadr_user_info ='$("$own/app/bin/gs_encrypt" -f hadr "$HADR_USER|$HADR_PASSWORD")');"
}

shard() {
    text=
    for address in $1; do text="$text${text:+, }{\"ip\": \"$address\", \"dataIp\": \"$address\"}"; done
    printf '{"port": 15400, "shards": [[%s]]}' "$text"
}

common() {
    write "$cabin/cluster_conf_record" "{\"remoteClusterConf\": $(shard "$PEERS"), \"localClusterConf\": $(shard "$LOCALS")}"
    everywhere cluster_conf_record
    how=set
    [ "$step" -gt 5 ] || how=reload
    set --
    for address in $LOCALS $PEERS; do
        set -- "$@" -h "host    all    $OMM    $address/32    trust" -h "host    replication    $OMM    $address/32    trust" \
            -h "host    all    all    $address/32    sha256"
    done
    for address in $PEERS; do
        rest=${address#*.}
        set -- "$@" -h "host    replication    all    ${address%%.*}.${rest%%.*}.0.0/16    sha256"
    done
    for n in $NODES; do
        "$n/app/bin/gs_guc" "$how" -D "$n/data/dn" "$@" >/dev/null || "$n/app/bin/gs_guc" set -D "$n/data/dn" "$@" >/dev/null || fail 'update streaming pg_hba'
        how2=set
        [ "$mode" != primary ] || how2=reload
        index=1
        ports='localport=15401 localheartbeatport=15405 localservice=15404'
        while :; do
            has=$(sed -n "s/^replconninfo$index = //p" "$n/data/dn/postgresql.conf" | tail -n 1)
            case $has in
                '' | *iscrossregion=true*) break ;;
            esac
            ports=$(echo "$has" | sed 's/.*\(localport=[0-9]* localheartbeatport=[0-9]* localservice=[0-9]*\).*/\1/')
            has=$(echo "$has" | sed "s/^'//; s/\( remoteservice=[0-9]*\).*/\1/")
            "$n/app/bin/gs_guc" "$how2" -Z datanode -D "$n/data/dn" -c "replconninfo$index = '$has iscascade=true iscrossregion=false'" >/dev/null || fail 'set repl infos'
            index=$((index + 1))
        done
        number=$(sed -n 's/^node=//p' "$n/app/sdr/conf")
        mine=$(echo $LOCALS | cut -d ' ' -f "$number")
        for address in $PEERS; do
            "$n/app/bin/gs_guc" "$how2" -Z datanode -D "$n/data/dn" -c "replconninfo$index = 'localhost=$mine $ports remotehost=$address remoteport=15401 remoteheartbeatport=15405 remoteservice=15404 iscascade=false iscrossregion=true'" >/dev/null || fail 'set repl infos'
            index=$((index + 1))
        done
    done
}

check_parameters() {
    [ -e "$cabin/.streaming_guc_backup" ] || write "$cabin/.streaming_guc_backup" ''
    [ -n "$primaries" ] || return 0
    for name in enable_dcf:off synchronous_commit:on most_available_sync:on; do
        [ "$name" != most_available_sync:on ] || [ "$count" -le 2 ] || continue
        is=$(on_primary "show ${name%:*};")
        [ "$is" != "${name#*:}" ] || continue
        [ "$name" != enable_dcf:off ] || fail "check [show enable_dcf;], Actual value: [$is], expect value: [off]"
        echo "${name%:*},$is,$trace" >>"$cabin/.streaming_guc_backup"
        each '"$bin/gs_guc" reload -Z datanode -N all -I all -c "${name%:*}=on" >/dev/null'
    done
    everywhere .streaming_guc_backup
}

secure_files() {
    each 'rm -rf "$data/gs_secure_files" && (umask 077 && mkdir "$data/gs_secure_files") && cp "$own/om/version.cfg" "$data/gs_secure_files/" &&
        printf "%s" "$OMM" >"$data/gs_secure_files/.cluster_user_record" && cp "$own"/app/bin/hadr.key.* "$data/gs_secure_files/"' || fail 'copy secure dir to all dn data dir'
}

fetch() {
    got=
    for n in $NODES; do
        [ -n "$got" ] || ! "$n/app/bin/gs_ctl" build -D "$n/data/dn" -M standby -b copy_secure_files -U "$HADR_USER" -P "$HADR_PASSWORD" \
            -C 'localhost=x localport=15401 remotehost=x remoteport=15401' >/dev/null || got=$n/data/dn/gs_secure_files
    done
    [ -n "$got" ] || fail 'build files from cluster'
    [ -e "$got/hadr.key.cipher" ] || fail 'copy secure file dir'
    [ "$(sed -n 3p "$got/version.cfg")" = "$(sed -n 3p "$own/om/version.cfg")" ] || fail 'check version. Different version of cluster and disaster recovery'
    [ "$(cat "$got/.cluster_user_record")" = "$OMM" ] || fail 'check cluster user consistency'
    each 'cp "$got"/hadr.key.* "$bin/"'
    rm -rf "$got"
}

run_mode() {
    each '"$bin/gs_guc" set -Z datanode -N all -I all -c "stream_cluster_run_mode = '"'$1'"'" >/dev/null'
}

dcc() {
    set -- "/$OMM/CMServer/backup_open" "$1"
    "$own/app/bin/cm_ctl" ddb --put "$1" "$2" >/dev/null || fail 'set dcc'
}

stop_nodes() {
    each '[ -e "$bin/cluster_manual_start" ] || "$bin/cm_ctl" stop -n "$(sed -n "s/^node=//p" "$n/app/sdr/conf")" -m i -t 1800 >/dev/null' || :
}

backup_open() {
    each '"$bin/gs_guc" set -Z cmserver -N all -I all -c "backup_open='"$1"'" >/dev/null'
    each '"$bin/gs_guc" set -Z cmagent -N all -I all -c "agent_backup_open='"$1"'" >/dev/null'
}

build_one() {
    tries=0
    while [ "$tries" -lt 3 ]; do
        tries=$((tries + 1))
        "$1/app/bin/gs_ctl" build -D "$1/data/dn" $2 >/dev/null 2>&1 || continue
        case $("$1/app/bin/gs_ctl" querybuild -D "$1/data/dn") in *'Build completed'*) return 0 ;; esac
    done
    info cluster restore_fail
    fail 'build dns.Error:full build from remote cluster'
}

build() {
    for n in $NODES; do
        is_main "$n" || continue
        id=$(id_of "$n")
        for file in pg_hba.conf pg_ident.conf; do
            [ -e "$n/tmp/streaming_cabin/${id}_$file" ] || cp "$n/data/dn/$file" "$n/tmp/streaming_cabin/${id}_$file"
        done
        build_one "$n" "-M hadr_main_standby -r 7200 -q -Q force_copy_from_local -U $HADR_USER -P $HADR_PASSWORD -t 1209600"
        for file in pg_hba.conf pg_ident.conf; do
            mv "$n/tmp/streaming_cabin/${id}_$file" "$n/data/dn/$file"
        done
        "$n/app/bin/gs_ctl" start -D "$n/data/dn" -M hadr_main_standby >/dev/null 2>&1 || fail 'start main standby'
    done
    for n in $NODES; do
        is_main "$n" || build_one "$n" '-M cascade_standby -b standby_full -r 7200 -t 1209600'
    done
}

cluster_state() {
    "$own/app/bin/cm_ctl" query | sed -n 's/^cluster_state *: //p'
}

start_cluster() {
    each '"$bin/cm_ctl" start -t 300 >/dev/null'
}

wait_connected() {
    tries=0
    until [ -n "$(on_primary "select 1 from pg_catalog.pg_stat_get_wal_senders();")" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt "${WAIT:-20}" ]; then
            info cluster backup_fail
            fail 'check main standby connection. Because Waiting timeout'
        fi
        sleep 0.1
    done
}

wal_keep() {
    for n in $NODES; do
        ! is_primary "$n" || "$n/app/bin/gs_guc" reload -Z datanode -D "$n/data/dn" -c "wal_keep_segments = $1" >/dev/null || fail 'set wal_keep_segments'
    done
}

start() {
    [ "$force" = no ] || rm -f "$cabin"/.streaming_start_*.step
    read_step
    if [ "$step" -lt 2 ]; then
        each 'mkdir -p "$n/tmp/streaming_cabin" && chmod 755 "$n/tmp/streaming_cabin"'
        check_action
        if [ "$step" -le 0 ] && [ -e "$cabin/.hadr_cluster_stat" ]; then
            case $(cat "$cabin/.hadr_cluster_stat") in
                *archive*) rm -f "$lock" && echo 'Current cluster is already in archive, start is forbidden.' && exit 1 ;;
                *recovery*) rm -f "$lock" && echo 'Current cluster is already in recovery, start is forbidden.' && exit 1 ;;
            esac
        fi
        init_status
        [ "${DIES_IN-}" != 1 ] || kill -9 $$
    fi
    parse_status
    [ "$mode" != primary ] || hadr_user
    if [ "$step" -lt 2 ]; then
        [ "$state" = Normal ] || fail 'check cluster status'
        [ -z "$mains$cascades" ] || fail 'check instance status, there are already main standby or cascade standby'
        check_parameters
        record 2_check_cluster_step
    fi
    common
    if [ "$step" -lt 3 ]; then
        if [ "$mode" = primary ]; then
            secure_files
            rm -f "$cabin/.wal_keep_segments_record"
            write "$cabin/.wal_keep_segments_record" "$(for id in $primaries; do echo "$id:$(on_primary 'show wal_keep_segments;')"; done)"
            echo >>"$cabin/.wal_keep_segments_record"
        else
            fetch
        fi
        record 3_set_wal_segments_step
    fi
    if [ "$step" -lt 4 ]; then
        [ "$mode" != primary ] || wal_keep 16384
        record 4_set_wal_segments_step
    fi
    if [ "$step" -lt 5 ]; then
        if [ "$mode" = primary ]; then
            run_mode cluster_primary
            dcc 0
        else
            run_mode cluster_standby
            dcc 2
            stop_nodes
        fi
        record 5_set_wal_segments_step
    fi
    if [ "$step" -lt 6 ]; then
        [ "$mode" = primary ] || backup_open 2
        record 6_set_guc_step
    fi
    if [ "$step" -lt 7 ]; then
        [ "$mode" = primary ] || { info cluster restore && build; }
        record 7_build_dn_instance_step
    fi
    if [ "$step" -lt 8 ]; then
        if [ "$mode" = primary ]; then
            info cluster full_backup
            wait_connected
            info cluster archive
        else
            start_cluster
            if [ "$(cluster_state)" = Normal ]; then info cluster recovery; else info cluster recovery_fail; fi
        fi
        record 8_start_cluster_step
    fi
    [ "${DIES_IN-}" != 9 ] || kill -9 $$
    if [ "$mode" = primary ] && [ -e "$cabin/.wal_keep_segments_record" ]; then
        [ -s "$cabin/.wal_keep_segments_record" ] || fail 'obtain record wal_keep_segments'
        while IFS= read -r line; do
            case $line in
                *:*) wal_keep "${line#*:}" ;;
                *) rm -f "$lock" && echo 'list index out of range' && exit 1 ;;
            esac
        done <"$cabin/.wal_keep_segments_record"
    fi
    each 'rm -rf "$data/gs_secure_files"'
    rm -f "$cabin/$step_file"
    echo 'Successfully do streaming disaster recovery start.'
}

peers_recorded() {
    [ -e "$cabin/cluster_conf_record" ] || fail 'check cluster conf, cluster_conf_record is lost'
    case $(cat "$cabin/cluster_conf_record") in
        '{"remoteClusterConf": {"port": '[0-9]*', "shards": [[{"ip": "'*'", "dataIp": "'*'"}'*']]}, "localClusterConf": {"port": '[0-9]*']]}}') ;;
        *) rm -f "$lock" && echo 'Expecting value' && exit 1 ;;
    esac
    recorded=$(sed 's/"localClusterConf.*//; s/"dataIp": "\([^"]*\)"/\n@\1\n/g' "$cabin/cluster_conf_record" | sed -n 's/^@//p')
}

remove_replconninfo() {
    for n in $NODES; do
        for index in 1 2 3 4; do
            has=$(sed -n "s/^replconninfo$index = //p" "$n/data/dn/postgresql.conf" | tail -n 1)
            case $has in
                *iscrossregion=false*) "$n/app/bin/gs_guc" "$1" -Z datanode -D "$n/data/dn" -c "replconninfo$index = $(echo "$has" | sed 's/ iscascade=.*/'"'"'/')" >/dev/null ;;
                *iscrossregion=true*) "$n/app/bin/gs_guc" "$1" -Z datanode -D "$n/data/dn" -c "replconninfo$index" >/dev/null ;;
            esac
        done
    done
}

remove_hba() {
    for n in $NODES; do
        for address in $recorded; do
            rest=${address#*.}
            "$n/app/bin/gs_guc" set -D "$n/data/dn" -h "host    all    all    $address/32" -h "host    all    $OMM    $address/32" \
                -h "host    replication    all    ${address%%.*}.${rest%%.*}.0.0/16" >/dev/null
        done
    done
}

restore_parameters() {
    sort -u "$cabin/.streaming_guc_backup" 2>/dev/null | while IFS=, read -r key old by; do
        [ "$key" != most_available_sync ] || [ "$count" -gt 2 ] || continue
        [ -z "$key" ] || each '"$bin/gs_guc" reload -Z datanode -N all -I all -c "$key=$old" >/dev/null'
    done
}

stop() {
    read_step
    if [ "$step" -lt 2 ]; then
        [ -d "$cabin" ] || { rm -f "$lock" && echo 'No need to stop because the cluster is not a disaster cluster.' && exit 1; }
        init_status
        check_action
    fi
    parse_status
    if [ "$step" -lt 2 ]; then
        [ "$state" = Normal ] || fail 'check cluster status'
        [ -z "$mains" ] || fail 'check cluster type, standby cluster is not supported for stop'
        record 2_check_cluster_step
    fi
    recorded=$PEERS
    if [ "$step" -lt 3 ]; then
        remove_replconninfo reload
        each 'rm -f "$n/tmp/streaming_cabin/cluster_conf_record"'
        record 3_remove_config_step
    fi
    if [ "$step" -lt 4 ]; then
        remove_hba
        restore_parameters
        record 4_remove_pg_hba_step
    fi
    [ "$step" -ge 5 ] || record 5_update_config_step
    on_primary 'DROP GLOBAL CONFIGURATION hadr_user_info;'
    each 'rm -rf "$n/tmp/streaming_cabin"'
    echo 'Successfully do streaming disaster recovery stop.'
}

is_disaster() {
    grep -q '^agent_backup_open = [12]' "$own/cm/cm_agent/cm_agent.conf" 2>/dev/null
}

maintenance() {
    each 'write "$bin/cluster_maintance" "streaming '"$1"'"'
}

# promote: steps 0 to 5 of failover, for a switchover as well.
promote() {
    maintenance "$1"
    [ "$1" = switchover ] || info cluster promote
    if [ "$step" -lt 0 ]; then
        info "$1" 10%
        init_status
        parse_status
        record 0_check_cluster_status_done_for_failover
    fi
    if [ "$step" -lt 1 ]; then
        "$own/app/bin/cm_ctl" ddb --put "/$OMM/CMServer/status_key/dn_term/0" 105 >/dev/null
        dcc 0
        write "$cabin/.max_term_record" 105
        record 1_start_etcd_done_for_failover
    fi
    if [ "$step" -lt 2 ]; then
        [ "$1" = switchover ] || info "$1" 30%
        stop_nodes
        record 2_stop_cluster_done_for_failover
    fi
    if [ "$step" -lt 3 ]; then
        backup_open 0
        run_mode cluster_primary
        record 3_set_backup_open_for_failover
    fi
    if [ "$1" = failover ] && [ "$step" -lt 4 ]; then
        info "$1" 50%
        remove_replconninfo set
        remove_hba
        info "$1" 70%
        record 4_remove_hba_repl_done_for_failover
    fi
    if [ "$step" -lt 5 ]; then
        info "$1" 80%
        if [ "$1" = failover ]; then
            [ -e "$cabin/.max_term_record" ] || fail 'read max term'
            for n in $NODES; do
                is_main "$n" || continue
                "$n/app/bin/gs_ctl" start -D "$n/data/dn" -M pending -t 600 >/dev/null 2>&1
                "$n/app/bin/gs_ctl" notify -D "$n/data/dn" -M primary -T "$(cat "$cabin/.max_term_record")" -t 600 >/dev/null
            done
        fi
        record 5_start_primary_dn_done
    fi
    start_cluster
    init_status
    parse_status
}

failover() {
    check_action
    read_step
    [ "$step" -ge 3 ] || is_disaster || fail 'streaming disaster cluster failover, Because the primary cluster does not support failover'
    [ "$step" -ge 0 ] || init_status
    parse_status
    peers_recorded
    promote failover
    on_primary 'DROP GLOBAL CONFIGURATION hadr_user_info;'
    restore_parameters
    info failover 100%
    info cluster normal
    rm -f "$cabin/$step_file"
    each 'rm -f "$bin/cluster_maintance"'
    each 'rm -rf "$n/tmp/streaming_cabin"'
    echo 'Successfully do streaming disaster recovery failover.'
}

switchover() {
    check_action
    read_step
    if [ "$mode" = primary ]; then
        is_disaster || [ "$step" -ge 3 ] || fail 'streaming disaster cluster switchover, Because the primary cluster [drClusterMode] parameter must be disaster_standby'
        [ "$step" -ge 2 ] || init_status
        parse_status
        peers_recorded
        info cluster switchover
        promote switchover
        info cluster archive
    else
        ! is_disaster || [ "$step" -ge 3 ] || fail 'streaming disaster cluster switchover, Because the disaster_standby cluster [drClusterMode] parameter must be primary'
        [ "$step" -ge 2 ] || init_status
        parse_status
        peers_recorded
        maintenance switchover
        each 'cp -p "$bin/cluster_maintance" "$data/cluster_maintance"'
        info cluster switchover
        if [ "$step" -lt 1 ]; then
            info switchover 10%
            on_primary 'select * from gs_streaming_dr_in_switchover();' >/dev/null
            on_primary 'select * from gs_streaming_dr_service_truncation_check();' >/dev/null
            record 1_streaming_disaster_set_master_in_switchover
        fi
        if [ "$step" -lt 2 ]; then
            info switchover 30%
            dcc 2
            stop_nodes
            record 2_stop_cluster_for_switchover
        fi
        if [ "$step" -lt 3 ]; then
            backup_open 2
            run_mode cluster_standby
            record 3_set_backup_open_2_done
        fi
        if [ "$step" -lt 4 ]; then
            info switchover 50%
            each 'rm -f "$bin/cluster_maintance" "$data/cluster_maintance"'
            start_cluster
            record 4_start_cluster_done
        fi
        info cluster recovery
    fi
    each 'rm -f "$n/tmp/streaming_cabin/.hadr_switchover_stat"'
    rm -f "$cabin/$step_file"
    echo 'Successfully do streaming disaster recovery switchover.'
}

query() {
    stat=normal
    [ ! -e "$cabin/.hadr_cluster_stat" ] || stat=$(cat "$cabin/.hadr_cluster_stat")
    mkdir -p "$cabin"
    "$own/app/bin/gs_om" -t status --all >"$own/tmp/query_status" 2>/dev/null
    now=$(cat "$own/tmp/query_status")
    case $stat in
        archive | archive_fail)
            stat=archive_fail
            for n in $NODES; do
                ! "$n/app/bin/gs_ctl" query -D "$n/data/dn" 2>/dev/null | grep -q ': Primary' ||
                    [ -z "$("$n/app/bin/gsql" -c 'select 1 from pg_catalog.pg_stat_get_wal_senders();')" ] || stat=archive
            done
            ;;
        recovery | recovery_fail)
            stat=recovery_fail
            for n in $NODES; do
                ! "$n/app/bin/gs_ctl" query -D "$n/data/dn" 2>/dev/null | grep -q ': Main Standby' ||
                    [ -z "$("$n/app/bin/gsql" -c 'select 1 from pg_catalog.pg_stat_get_wal_receiver();')" ] || stat=recovery
            done
            ;;
    esac
    failover='' switchover=''
    [ "$stat" != promote ] || failover=$(cat "$cabin/.hadr_failover_stat" 2>/dev/null || echo 0%)
    [ "$stat" != switchover ] || switchover=$(cat "$cabin/.hadr_switchover_stat" 2>/dev/null || echo 0%)
    echo "{'hadr_cluster_stat': '$stat', 'hadr_failover_stat': '$failover', 'hadr_switchover_stat': '$switchover'}"
}

[ "$task" != query ] || { query && exit 0; }
check_lock
$task
rm -f "$lock"
