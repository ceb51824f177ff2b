# What a pair of clusters has in its configuration files, and how it gets in and out of them. Defines functions only.

# set_or_reload: leaves in $how what gs_guc is told: a datanode that does not run cannot be reloaded, and the file is all that
# matters then.
set_or_reload() {
    how=set
    [ "$side" != standby ] || return 0
    query_role
    [ -z "$role" ] || how=reload
}

# configure, done at every entry: cluster_conf_record, pg_hba.conf and replconninfo, for every datanode of the other cluster.
configure() {
    need_node
    own_instance
    write_record
    own_key
    told "ip_$key"
    put_where_new "$own_dir/address" "${value#*/}"
    query_build
    set_or_reload
    write_rules
    # A build writes this file.
    [ "$build" = building ] || write_replconninfo
}

# shard LIST: as gs_sdr's JSON has a cluster.
shard() {
    shard=
    for entry in $1; do
        shard="$shard${shard:+, }{\"ip\": \"${entry%%/*}\", \"dataIp\": \"${entry#*/}\"}"
    done
}

# write_record: what gs_sdr's failover and switchover know the two clusters by.
write_record() {
    other_addresses
    others=$list
    addresses "$side"
    [ -n "$others" ] || fail 'the addresses of the other cluster are not known: set peers=ADDRESS,ADDRESS'
    shard "$others"
    remote="{\"port\": ${peer_port:-$dn_port}, \"shards\": [[$shard]]}"
    shard "$list"
    put_where_new "$cabin/cluster_conf_record" "{\"remoteClusterConf\": $remote, \"localClusterConf\": {\"port\": $dn_port, \"shards\": [[$shard]]}}"
}

# has_rule FILE RULE: whether it stands in it, however it is spaced.
has_rule() {
    awk '{ $1 = $1; print }' "$1" 2>/dev/null | grep -qxF "$(echo $2)"
}

# network ADDRESS: leaves in $network the one that gs_sdr lets in for it.
network() {
    case $1 in
        *:*)
            network=${1#*:}
            network=${1%%:*}:${network%%:*}::/64
            ;;
        *)
            network=${1#*.}
            network=${1%%.*}.${network%%.*}.0.0/16
            ;;
    esac
}

# rules: leaves in $rules what pg_hba.conf has for all nodes of both clusters, a line each. A walsender is let in by
# `replication` alone, never by `all`.
rules() {
    rules=
    owner=$(id -un)
    addresses "$side"
    for entry in $list $others; do
        for one in $(printf '%s\n' "${entry%%/*}" "${entry#*/}" | sort -u); do
            case $one in
                *:*) bits=128 ;;
                *) bits=32 ;;
            esac
            rules="$rules${nl}host    all    $owner    $one/$bits    trust"
            rules="$rules${nl}host    replication    $owner    $one/$bits    trust"
            rules="$rules${nl}host    all    all    $one/$bits    $hba_method"
        done
    done
    for entry in $others; do
        network "${entry#*/}"
        rules="$rules${nl}host    replication    all    $network    $hba_method"
    done
}

# write_rules: those that are not there. The node's own file is kept aside while it is built.
write_rules() {
    rules
    kept pg_hba.conf
    set --
    while IFS= read -r rule; do
        [ -n "$rule" ] || continue
        if [ -e "$kept" ]; then
            has_rule "$kept" "$rule" || printf '%s\n' "$rule" >>"$kept" || fail "cannot write $kept"
        else
            has_rule "$data_dir/pg_hba.conf" "$rule" || set -- "$@" -h "$rule"
        fi
    done <<END
$(printf '%s\n' "$rules" | awk '!seen[$0]++')
END
    [ $# -gt 0 ] || return 0
    tell gs_guc "$how" -Z datanode -D "$data_dir" "$@"
}

# replconninfo NUMBER: leaves in $has its value, without quotes; nothing where it is not set.
replconninfo() {
    has=$(sed -n "s/^[[:space:]]*replconninfo$1[[:space:]]*=[[:space:]]*'\([^']*\)'.*/\1/p" "$data_dir/postgresql.conf" 2>/dev/null | tail -n 1)
}

# write_replconninfo: the cluster's own get their two flags, those to the other cluster follow without a gap.
write_replconninfo() {
    own_key
    told "ip_$key"
    mine=${value#*/}
    there=${peer_port:-$dn_port}
    ports="localport=$((dn_port + 1)) localheartbeatport=$((dn_port + 5)) localservice=$((dn_port + 4))"
    index=1
    while [ "$index" -le 8 ]; do
        replconninfo "$index"
        case $has in
            '' | *iscrossregion=true*) break ;;
            *localport=*remoteservice=*)
                ports=$(printf '%s\n' "$has" | sed 's/.*\(localport=[0-9]* localheartbeatport=[0-9]* localservice=[0-9]*\).*/\1/')
                want="$(printf '%s\n' "$has" | sed 's/\( remoteservice=[0-9]*\).*/\1/') iscascade=true iscrossregion=false"
                [ "$has" = "$want" ] || tell gs_guc "$how" -Z datanode -D "$data_dir" -c "replconninfo$index = '$want'"
                ;;
        esac
        index=$((index + 1))
    done
    for entry in $others; do
        [ "$index" -le 8 ] || fail_as SD14 'replconninfo1 to replconninfo8 are all in use'
        want="localhost=$mine $ports remotehost=${entry#*/} remoteport=$((there + 1)) remoteheartbeatport=$((there + 5)) remoteservice=$((there + 4)) iscascade=false iscrossregion=true"
        replconninfo "$index"
        [ "$has" = "$want" ] || tell gs_guc "$how" -Z datanode -D "$data_dir" -c "replconninfo$index = '$want'"
        index=$((index + 1))
    done
}

# remove_replconninfo: as it was before, on the node's own replconninfo and on those to the other cluster.
remove_replconninfo() {
    set_or_reload
    index=1
    while [ "$index" -le 8 ]; do
        replconninfo "$index"
        case $has in
            *iscrossregion=false*) tell gs_guc "$how" -Z datanode -D "$data_dir" -c "replconninfo$index = '$(printf '%s\n' "$has" | sed 's/ iscascade=.*//')'" ;;
            *iscrossregion=true*) tell gs_guc "$how" -Z datanode -D "$data_dir" -c "replconninfo$index" ;;
        esac
        index=$((index + 1))
    done
}

# remove_rules: those for the other cluster, and all of them: gs_sdr leaves its cluster user's right to replicate.
remove_rules() {
    own_dir_others
    addresses own
    keep=" $(echo "$list" | tr '/' ' ' | tr '\n' ' ') "
    owner=$(id -un)
    set --
    for one in $others; do
        case $keep in *" $one "*) continue ;; esac
        case $one in
            *:*) bits=128 ;;
            *) bits=32 ;;
        esac
        network "$one"
        for rule in "all $owner $one/$bits" "replication $owner $one/$bits" "all all $one/$bits" "replication all $network"; do
            awk '{ $1 = $1; print }' "$data_dir/pg_hba.conf" 2>/dev/null | grep -qF "host $rule " || continue
            set -- "$@" -h "host    $(echo "$rule" | sed 's/ /    /g')"
        done
    done
    [ $# -gt 0 ] || return 0
    tell gs_guc set -Z datanode -D "$data_dir" "$@"
    query_role
    [ -z "$role" ] || quietly gs_ctl reload -D "$data_dir" || :
}

# own_dir_others: leaves in $others the data addresses of the other cluster. The record goes before the rules do, so they are
# kept beside it.
own_dir_others() {
    recorded_peers
    if [ -n "$list" ]; then
        put_where_new "$own_dir/others" "$list"
    elif [ -e "$own_dir/others" ]; then
        list=$(cat "$own_dir/others")
    elif [ -n "$peers" ]; then
        list=$(echo "$peers" | tr ',' ' ')
    fi
    others=$list
}

# set_run_mode: what tells a datanode that it takes part, and on which side. $sdr_as is primary or standby.
set_run_mode() {
    case ${sdr_as:-$side} in
        primary) want=cluster_primary ;;
        *) want=cluster_standby ;;
    esac
    has=$(sed -n "s/^[[:space:]]*stream_cluster_run_mode[[:space:]]*=[[:space:]]*//p" "$data_dir/postgresql.conf" 2>/dev/null | tail -n 1 | tr -d "' ")
    [ "$has" = "$want" ] || tell gs_guc set -Z datanode -D "$data_dir" -c "stream_cluster_run_mode = '$want'"
}

# set_most_available: with two datanodes or fewer, a primary must not wait for its only standby. Not worth a failure.
set_most_available() {
    told dns
    [ "$(echo $value | wc -w)" -le 2 ] || return 0
    query_role
    [ -n "$role" ] || return 0
    for name in most_available_sync synchronous_commit; do
        [ "$(sql "show $name;" | tr -d ' ')" = on ] || quietly gs_guc reload -Z datanode -D "$data_dir" -c "$name=on" || :
    done
}

# put_key KEY VALUE: into the store of the cluster managers, where a key that is so already is left alone.
put_key() {
    case $(bounded cm_ctl ddb --get "$1" 2>/dev/null) in
        *"Key: $1"*"Value: $2"*) return 0 ;;
    esac
    tries=1
    until quietly cm_ctl ddb --put "$1" "$2" && [ -n "$said" ]; do
        [ "$tries" -lt "${ddb_tries:-3}" ] || fail_as SD21 "\`cm_ctl ddb --put $1 $2\` failed with exit status $rc: $(last_words)"
        tries=$((tries + 1))
        sleep 1
    done
    fact changed yes
}

# set_backup_key: what the cluster managers agree on: 0 is a primary, 2 a standby.
set_backup_key() {
    is_lead || return 0
    case ${sdr_as:-$side} in
        primary) want=0 ;;
        *) want=2 ;;
    esac
    put_key "/$(id -un)/CMServer/backup_open" "$want"
}

# stop_node: every node of a cluster stops itself.
stop_node() {
    need_node
    query_role
    if [ -n "$role" ] || [ ! -e "$gausshome/bin/cluster_manual_start" ]; then
        tell cm_ctl stop -n "$node" -m i -t 1800
    fi
}

# set_backup_open: as which the cluster manager here comes up.
set_backup_open() {
    case ${sdr_as-} in
        primary) want=0 ;;
        standby) want=2 ;;
        # A start leaves the primary as it is.
        *) [ "$side" = standby ] || return 0 && want=2 ;;
    esac
    name=$(hostname)
    tell gs_guc set -Z cmserver -N "$name" -I all -c "backup_open=$want"
    tell gs_guc set -Z cmagent -N "$name" -I all -c "agent_backup_open=$want"
}

# write_info NAME VALUE: what gs_sdr -t query reads, on this node.
write_info() {
    put_where_new "$cabin/.hadr_$1_stat" "$2"
}
