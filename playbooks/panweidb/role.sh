# The work of gs_sdr -t stop, failover and switchover on one node, one part at a time. Stands behind lib.sh, build.sh, node.sh,
# config.sh and start.sh, of which it uses what is the same.

# drop_slots PATTERN: replication slots whose names match, on the datanode here. One that cannot be dropped is said, no more.
drop_slots() {
    query_role
    [ -n "$role" ] || return 0
    for slot in $(maintenance_sql 'select slot_name from pg_catalog.pg_get_replication_slots();' | grep -E "$1"); do
        maintenance_sql "select * from pg_catalog.pg_drop_replication_slot('$slot');" >/dev/null || fact slot_left "$slot"
        fact changed yes
    done
}

# drop_archive_slots: physical slots that are neither a backup's nor a datanode's, on the new primary.
drop_archive_slots() {
    query_role
    [ "$role" = Primary ] || return 0
    for slot in $(sql "select slot_name from pg_catalog.pg_get_replication_slots() where slot_type='physical' and slot_name not in ('gs_roach_full', 'gs_roach_inc') and slot_name not like 'cn_%' and slot_name not like 'dn_%';"); do
        maintenance_sql "select * from pg_catalog.pg_drop_replication_slot('$slot');" >/dev/null || fact slot_left "$slot"
    done
}

# restore_parameters: what a start has changed, back to what it was; the first value that was written down is the old one.
# With two datanodes or fewer, most_available_sync stays on, as gs_sdr leaves it.
restore_parameters() {
    told dns
    few=no
    [ "$(echo $value | wc -w)" -gt 2 ] || few=yes
    query_role
    how=set
    [ -z "$role" ] || how=reload
    done=
    while IFS=, read -r name old by; do
        case " $done $name" in
            *" $name $name") continue ;;
        esac
        case $name in
            most_available_sync) [ "$few" = no ] || continue ;;
            synchronous_commit) ;;
            *) continue ;;
        esac
        case $old in on | off) ;; *) old=off ;; esac
        done="$done $name "
        tell gs_guc "$how" -Z datanode -D "$data_dir" -c "$name=$old"
    done <<END
$(cat "$cabin/.streaming_guc_backup" 2>/dev/null)
END
}

# forget_pair, step 3 of a stop: replconninfo and the record of the pair.
forget_pair() {
    reached 3 && return
    own_dir_others
    remove_replconninfo
    [ ! -e "$cabin/cluster_conf_record" ] || fact changed yes
    rm -f "$cabin/cluster_conf_record"
}

# shut_out, step 4 of a stop: the rules for the other cluster, and the parameters.
shut_out() {
    own_dir_others
    # Also where gs_sdr has done this step: it leaves its cluster user's right to replicate.
    [ -z "$others" ] || remove_rules
    reached 4 && return
    [ -n "$others" ] || fail_as SD35 'the addresses of the other cluster are not known any more: set peers=ADDRESS,ADDRESS'
    restore_parameters
}

# forget_user: nothing of the disaster user is left in the database.
forget_user() {
    query_role
    [ "$role" = Primary ] || return 0
    [ -n "$(sql "select value from gs_global_config where name='hadr_user_info';")" ] || return 0
    sql 'DROP GLOBAL CONFIGURATION hadr_user_info;' >/dev/null || fail 'the disaster user cannot be removed from the database'
    fact changed yes
}

# remove_cabin: with it goes what says that there is something left to do. $sdr_of is lead or others.
remove_cabin() {
    case ${sdr_of-} in
        others) ! is_lead || return 0 ;;
    esac
    first_line "$own_dir/trace"
    rm -rf "$cabin" || fail "cannot remove $cabin"
    unlock "$line"
    fact changed yes
}

# mark_maintenance: the file that keeps the cluster managers from acting meanwhile.
mark_maintenance() {
    put_where_new "$gausshome/bin/cluster_maintance" "streaming $mode"
    [ "$side" != primary ] || put_where_new "$data_dir/cluster_maintance" "streaming $mode"
}

unmark_maintenance() {
    rm -f "$gausshome/bin/cluster_maintance" "$data_dir/cluster_maintance" || fail "cannot remove $gausshome/bin/cluster_maintance"
}

# told_term, step 1 of a failover: how far the datanode here is.
told_term() {
    reached 1 && return
    query_role
    [ -n "$role" ] || return 0
    term=$(maintenance_sql 'select term from pg_last_xlog_replay_location();' | tr -d ' ')
    case $term in
        '' | *[!0-9]*) fail "the term of the datanode here is not to be had: \`$term\`" ;;
    esac
    tell_all "term_$node" "$term"
}

# set_term, step 1 of a failover: beyond every term that there was, so that no old primary is believed.
set_term() {
    is_lead || return 0
    file=$cabin/.max_term_record
    if ! reached 1; then
        highest=$(set | sed -n "s/^share_${side}_term_[0-9]*='\{0,1\}\([0-9]*\)'\{0,1\}\$/\1/p" | sort -n | tail -n 1)
        [ "${highest:-0}" -gt 0 ] || fail 'no datanode has told its term'
        highest=$((highest + 100))
        ddb_tries=5
        put_key "/$(id -un)/CMServer/status_key/dn_term/0" "$highest"
        put_key "/$(id -un)/CMServer/backup_open" 0
        put_where_new "$file" "$highest"
    fi
    first_line "$file"
    [ -n "$line" ] || reached 5 || fail "$file, the term of the new primary, is not there"
    tell_all max_term "$line"
}

# promote, step 5 of a failover: the main standby becomes the primary.
promote() {
    reached 5 && return
    is_main || return 0
    told max_term
    query_role
    [ -n "$role" ] || tell gs_ctl start -D "$data_dir" -M pending -t 600
    [ "$role" = Primary ] || tell gs_ctl notify -D "$data_dir" -M primary -T "$value" -t 600
}

# begin_truncation, step 1 of a switchover: the primary writes no more. Asked on the ordinary port, as gs_sdr does.
begin_truncation() {
    reached 1 && return
    query_role
    [ "$role" = Primary ] || return 0
    [ "$(sql 'select * from gs_streaming_dr_in_switchover();' | tr -d ' ')" = t ] || fail 'gs_streaming_dr_in_switchover() does not answer t'
    fact changed yes
}

# query_truncation: whether all that was written has got there.
query_truncation() {
    truncation=none
    if reached 1; then
        truncation=done
    else
        query_role
        [ "$role" != Primary ] || [ "$(sql 'select * from gs_streaming_dr_service_truncation_check();' | tr -d ' ')" != t ] || truncation=done
    fi
    fact truncation "$truncation"
}

# query_barrier: whether the standby here has seen the end of what the primary wrote.
query_barrier() {
    barrier=none
    if reached 0; then
        barrier=seen
    else
        [ "$(maintenance_sql 'select * from gs_streaming_dr_get_switchover_barrier();' | tr -d ' ')" != t ] || barrier=seen
    fi
    fact barrier "$barrier"
}

# forbid_writes: while the roles change. What cm_server was told by the operator is kept, once, and given back.
forbid_writes() {
    kept=$pghost/.switch_readonly_stat_file
    cm_data=$(bounded cm_ctl view 2>/dev/null | sed -n 's/^cmDataPath *://p' | sed -n 1p)
    has=$(sed -n 's/^[[:space:]]*enable_transaction_read_only[[:space:]]*=[[:space:]]*\([a-z]*\).*/\1/p' "$cm_data/cm_server/cm_server.conf" 2>/dev/null | tail -n 1)
    if [ -n "$has" ]; then
        [ -e "$kept" ] || put "$kept" "{\"enable_transaction_read_only\": \"$has\"}"
        tell gs_guc set -Z cmserver -N "$(hostname)" -I all -c 'enable_transaction_read_only=off'
    fi
    tell gs_guc set -Z datanode -D "$data_dir" -c 'default_transaction_read_only=on'
}

allow_writes() {
    kept=$pghost/.switch_readonly_stat_file
    query_role
    how=set
    [ -z "$role" ] || how=reload
    has=$(sed -n "s/^[[:space:]]*default_transaction_read_only[[:space:]]*=[[:space:]]*//p" "$data_dir/postgresql.conf" 2>/dev/null | tail -n 1 | tr -d "' ")
    [ "$has" != on ] || tell gs_guc "$how" -Z datanode -D "$data_dir" -c 'default_transaction_read_only=off'
    [ -e "$kept" ] || return 0
    value=$(sed -n 's/.*"enable_transaction_read_only": "\([a-z]*\)".*/\1/p' "$kept")
    tell gs_guc "$how" -Z cmserver -N "$(hostname)" -I all -c "enable_transaction_read_only=${value:-on}"
    rm -f "$kept"
}

# progress VALUE: what gs_sdr -t query shows of a failover or a switchover.
progress() {
    write_info "$mode" "$1"
}

# look_first, step 0 of a promotion.
look_first() {
    reached 0 && return
    progress 10%
    ! is_lead || first_look
}

# stop_promoted, step 2 of a promotion.
stop_promoted() {
    reached 2 && return
    if [ "$mode" = failover ]; then
        drop_slots '^dn_[0-9]+_hadr$'
        progress 30%
    fi
    stop_node
}

# open_primary, step 3 of a promotion: it comes up as a primary cluster.
open_primary() {
    reached 3 && return
    sdr_as=primary
    set_backup_open
    set_run_mode
}

# leave_pair, step 4 of a failover.
leave_pair() {
    reached 4 && return
    progress 50%
    own_dir_others
    [ -n "$others" ] || fail_as SD35 'the addresses of the other cluster are not known any more: set peers=ADDRESS,ADDRESS'
    remove_replconninfo
    remove_rules
    progress 70%
}

# become_primary, step 5 of a promotion.
become_primary() {
    reached 5 && return
    progress 80%
    [ "$mode" = switchover ] || promote
}

# end_sessions, step 1 of a switchover: the old primary is started anew, and takes no more.
end_sessions() {
    reached 1 && return
    progress 10%
    stop_node
}

# stop_switched, step 2 of a switchover: the old primary goes down, to come up as a standby cluster.
stop_switched() {
    reached 2 && return
    progress 30%
    stop_node
}

# tell_standby, step 2 of a switchover: what the cluster managers agree on, before one of them stops.
tell_standby() {
    reached 2 && return
    sdr_as=standby
    set_backup_key
}

# open_standby, step 3 of a switchover.
open_standby() {
    reached 3 && return
    sdr_as=standby
    set_backup_open
    set_run_mode
    forbid_writes
}

role_part() {
    case $part in
        forget) forget_pair ;;
        shut_out) shut_out ;;
        drop_slots) reached 5 || drop_slots '^dn_[0-9]+_hadr$' ;;
        old_slots) drop_slots '^dn_[0-9]+_hadr$' ;;
        archive_slots) drop_archive_slots ;;
        forget_user) forget_user ;;
        restore) restore_parameters ;;
        remove_cabin) remove_cabin ;;
        mark) mark_maintenance ;;
        unmark) unmark_maintenance ;;
        first) look_first ;;
        term) told_term ;;
        max_term) set_term ;;
        stop_promoted) stop_promoted ;;
        open_primary) open_primary ;;
        leave_pair) leave_pair ;;
        become_primary) become_primary ;;
        all_done) progress 100% ;;
        end_sessions) end_sessions ;;
        truncate) begin_truncation ;;
        truncation) query_truncation ;;
        barrier) query_barrier ;;
        tell_standby) tell_standby ;;
        stop_switched) stop_switched ;;
        open_standby) open_standby ;;
        half) reached 4 || progress 50% ;;
        allow) allow_writes ;;
        end_switch)
            rm -f "$cabin/.hadr_switchover_stat"
            end_start
            ;;
        *) return 3 ;;
    esac
    return 0
}
