# A look at one node of a cluster: facts, `key=value` a line. Stands behind lib.sh and build.sh, after find.sh has told who
# has what.

# state: leaves in $state what `gs_sdr -t query` says of the cluster: not the bare record, but what holds now.
query_state() {
    told stat
    state=${value:-normal}
    told stream && stream=$value
    told role && first_role=$value
    told cluster && cluster=$value
    case $state in
        archive | archive_fail)
            state=archive_fail
            case $cluster-$first_role-$stream in
                Normal-Primary-yes | Degraded-Primary-yes) state=archive ;;
            esac
            ;;
        recovery | recovery_fail)
            state=recovery_fail
            case $cluster-$first_role-$stream in
                'Normal-Main Standby-yes' | 'Degraded-Main Standby-yes') state=recovery ;;
            esac
            ;;
    esac
}

# query_advice: what is to be done next about the cluster's state, by the step file that is there.
query_advice() {
    told action
    action=$value
    case $state-$action in
        *-start_primary) advice='a start is not finished: run sdr-start-primary (or sdr-establish) again, it goes on where it was' ;;
        *-start_standby) advice='a start is not finished: run sdr-start-standby (or sdr-establish) again, it goes on where it was' ;;
        *-stop) advice='a stop is not finished: run sdr-stop again, it goes on where it was' ;;
        *-failover) advice='a failover stands half-way: run sdr-failover again, it goes on where it was' ;;
        *-switchover_*) advice='a switchover stands half-way: run sdr-switchover again, it goes on where it was' ;;
        promote-* | promote_fail-*) advice='the promotion has not ended well: run sdr-failover again' ;;
        switchover-*) advice='a switchover stands half-way: run sdr-switchover again' ;;
        archive_fail-*) advice='no standby cluster streams from here: is it up, and does its main standby get through to the primary here?' ;;
        recovery_fail-*) advice='nothing comes from the primary cluster: is it up and reachable? If it is lost, sdr-failover makes this one the primary' ;;
        backup_fail-*) advice='no main standby has connected: run sdr-start-standby on the other cluster, then sdr-start-primary again' ;;
        restore_fail-*) advice='the build has failed: run sdr-start-standby again' ;;
        normal-) advice='there is no disaster recovery here: sdr-establish sets one up' ;;
        full_backup-* | restore-*) advice='a start is not finished, and no node has its step file: run it again' ;;
        *) advice= ;;
    esac
}

look() {
    for name in cluster failover switchover establish; do
        first_line "$cabin/.hadr_${name}_stat"
        [ "$name" != cluster ] || [ -n "$line" ] || line=normal
        fact "hadr_${name}_stat" "$line"
    done
    first_line "$cabin/.hadr_cluster_stat"
    forbids=
    case $line in
        *archive*) forbids=archive ;;
        *recovery*) forbids=recovery ;;
    esac
    fact forbids "$forbids"
    read_step "$step_file"
    fact step "$number"
    fact step_name "$step_name"
    damaged=
    [ -n "$number" ] || damaged=$step_file
    fact step_damaged "$damaged"
    if is_over; then
        # The last of its steps.
        case $mode-$side in
            switchover-primary) value=4 ;;
            switchover-*) value=5 ;;
            *) value=8 ;;
        esac
    else
        told step
    fi
    fact cluster_step "${value:-0}"
    entered=no
    reached 2 && entered=yes
    [ "$mode" != failover ] && [ "$mode" != switchover ] || { reached 0 && entered=yes; }
    fact entered "$entered"
    fact side "$side"
    told step primary
    pair_entered=${value:+yes}
    told step standby
    [ -z "$value" ] || pair_entered=yes
    told stat primary
    [ "$value" != switchover ] || pair_entered=yes
    fact pair_entered "${pair_entered:-no}"
    told holder
    rival=
    [ -z "$step_name" ] || [ -z "$value" ] || [ "$value" = "$host" ] || rival="$step_file (and the one of $value)"
    fact rival_step "$rival"
    lead=no
    ! is_lead || is_over || lead=yes
    fact lead "$lead"
    others=
    for file in "$cabin"/.streaming_*.step; do
        [ -e "$file" ] || continue
        [ "$file" = "$step_file" ] || [ "$file" = "$cabin/.streaming_query.step" ] || others="$others${others:+, }$file"
    done
    fact other_step "$others"
    foreign_locks
    fact lock "$locks"
    first_line "$own_dir/trace"
    own_lock=
    [ -z "$line" ] || [ ! -e "$pghost/streaming_lock_$line" ] || own_lock=$pghost/streaming_lock_$line
    fact own_lock "$own_lock"
    # What a run that was killed has begun here goes on to its end.
    at_work=
    ! command -v flock >/dev/null 2>&1 || [ ! -e "$own_dir/lock" ] || flock -n "$own_dir/lock" true 2>/dev/null || at_work=yes
    fact at_work "$at_work"
    if [ "$lead" = yes ] && [ "$mode" != any ]; then
        new_trace
        tell_all trace "$trace"
    fi
    # On any node: one that was killed while it removed them has left some.
    told stat
    if [ -d "$cabin" ] || [ -n "$value" ]; then fact cabin present; else fact cabin absent; fi
    if [ -s "$cabin/cluster_conf_record" ]; then fact conf_record present; else fact conf_record absent; fi
    upgrade=no
    for file in "$pghost"/binary_upgrade/*; do
        [ ! -e "$file" ] || upgrade=yes
    done
    fact upgrade "$upgrade"
    query_build
    fact build "$build"
    cluster_state=unknown disaster=no role=
    query_cluster
    query_role
    fact dr_standby "$disaster"
    fact local_role "$role"
    main_standby=none
    if [ "$role" = Primary ]; then query_connected; fi
    fact main_standby "$main_standby"
    cm_data=$(bounded cm_ctl view 2>/dev/null | sed -n 's/^cmDataPath *://p' | sed -n 1p)
    open=no
    grep -q '^[[:space:]]*agent_backup_open *= *[12]' "$cm_data/cm_agent/cm_agent.conf" 2>/dev/null && open=yes
    fact backup_open "$open"
    for name in rpo rto; do
        told "$name"
        fact "$name" "$value"
    done
    query_state
    fact sdr_state "$state"
    progress=
    case $state in
        promote | promote_fail) told failover && progress=${value:-0%} ;;
        switchover) told switchover && progress=${value:-0%} ;;
    esac
    fact progress "$progress"
    query_advice
    fact advice "$advice"
    [ "$mode" != any ] || tell_all advice "$advice"
    fact under_way "${action:-none}"
    line=$state
    told rpo
    [ -z "$value" ] || line="$line, RPO $value s"
    told rto
    [ -z "$value" ] || line="$line, RTO $value s"
    [ -z "$progress" ] || line="$line, $progress done"
    told step_name
    [ -z "$action" ] || line="$line; ${action%_*} under way: $value"
    fact disaster_recovery "$line"
    answers=no
    [ "$mode" != failover ] || query_old_primary
    fact old_primary "$answers"
    # Last, so that a reader that has it has everything.
    fact cluster_state "$cluster_state"
}

# query_old_primary: leaves in $answers whether the primary of the other cluster is alive: it sends, or takes connections.
query_old_primary() {
    told stream
    [ -z "$value" ] || answers='it still sends to this cluster'
    port=${peer_port:-$(sed -n 's/^{"remoteClusterConf": {"port": \([0-9]*\).*/\1/p' "$cabin/cluster_conf_record" 2>/dev/null)}
    command -v bash >/dev/null 2>&1 && [ -n "$bound" ] || return 0
    recorded_peers
    # Asked as every client begins (whether it may speak TLS): what answers is a database, and no way station.
    for peer in $list; do
        [ "$answers" = no ] || return 0
        said=$(timeout 4 bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf "\0\0\0\010\004\322\026\057" >&3 && head -c 1 <&3' "$peer" "${port:-$dn_port}" 2>/dev/null </dev/null)
        case $said in
            S | N) answers="$peer answers on port ${port:-$dn_port}" ;;
        esac
    done
}

# recorded_peers: leaves in $list the data addresses of the other cluster, as cluster_conf_record has them.
recorded_peers() {
    list=$(sed -n '1s/, "localClusterConf".*//p' "$cabin/cluster_conf_record" 2>/dev/null | tr '{' '\n' | sed -n 's/.*"dataIp": "\([^"]*\)".*/\1/p')
}

# query_connected: whether the main standby of the other cluster streams from the datanode here.
query_connected() {
    main_standby=none
    [ -n "$(sql 'select 1 from pg_catalog.gs_hadr_local_rto_and_rpo_stat();')" ] || return 0
    [ -n "$(sql "select 1 from pg_catalog.pg_stat_get_wal_senders() where sync_state='Async' and peer_role='Standby' and peer_state='Normal';")" ] || return 0
    main_standby=connected
}

[ -n "${sdr_part-}" ] || (
    begin
    look
)
