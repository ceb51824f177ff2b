# Who has what of which a cluster has one: the step file of gs_sdr, the primary datanode. Told to all nodes, before any of
# them is judged. Stands behind lib.sh.

# own_addresses: leaves in $ip and $data the node's address and its data address, as gs_sdr wants them.
own_addresses() {
    numeric=$address
    case $address in
        *[!0-9.]*) case $address in *:*) ;; *) numeric= ;; esac ;;
    esac
    known=" $(hostname -I 2>/dev/null) "
    ip=
    for candidate in $(
        bounded cm_ctl view 2>/dev/null | awk -v number="$node" '
            /^node *:[0-9]/ { sub(/^node *:/, ""); here = $0 == number }
            here && /^sshChannel [0-9]*:/ { sub(/^sshChannel [0-9]*:/, ""); print }'
    ) $numeric $data_ip; do
        case $known in
            *" $candidate "*) ip=${ip:-$candidate} ;;
        esac
    done
    ip=${ip:-${numeric:-$data_ip}}
    data=${data_ip:-$ip}
}

find_all() {
    programs=ok cm=ok missing=
    for program in gs_ctl gs_guc gsql; do
        [ -x "$gausshome/bin/$program" ] || missing="$missing${missing:+,}$program"
    done
    [ -z "$missing" ] || programs=$missing
    [ -x "$gausshome/bin/cm_ctl" ] || cm=missing
    fact programs "$programs"
    fact cm "$cm"
    tmp_dir=ok
    if [ ! -d "$pghost" ]; then
        tmp_dir=missing
    elif [ ! -w "$pghost" ]; then
        tmp_dir=denied
    fi
    fact tmp_dir "$tmp_dir"
    if [ -d "$data_dir" ]; then fact data_dir ok; else fact data_dir missing; fi
    [ "$programs" = ok ] && [ "$cm" = ok ] || return 0
    own_key
    node=$seen
    own_addresses
    [ -z "$ip" ] || tell_all "ip_$key" "$ip/$data"
    read_step "$step_file"
    if [ -n "$step_name" ] && [ -n "$number" ]; then
        tell_all holder "$host"
        tell_all step "$number"
        tell_all step_name "$step_name"
        action=${step_file##*/.streaming_}
        tell_all action "${action%.step}"
    fi
    query_role
    fact local_role "$role"
    case $role in
        Primary | 'Main Standby')
            tell_all first "$host"
            tell_all role "$role"
            ;;
    esac
    # A switchover that was killed before its first record may have stopped the cluster: who led it has the first look.
    first_line "$own_dir/trace"
    [ "$mode" != switchover ] || [ -n "$role" ] || [ -z "$line" ] || tell_all first "$host"
    first_line "$cabin/.hadr_cluster_stat"
    [ -z "$line" ] || tell_all stat "$line"
    for name in failover switchover; do
        first_line "$cabin/.hadr_${name}_stat"
        [ -z "$line" ] || tell_all "$name" "$line"
    done
    # What gs_sdr -t query asks: whether the two clusters are really connected, now.
    case $role in
        Primary)
            if [ -n "$(sql "select 1 from pg_catalog.pg_stat_get_wal_senders() where sync_state='Async' and peer_role='Standby' and peer_state='Normal';")" ]; then
                tell_all stream yes
            fi
            lags=$(sql 'SELECT current_rpo FROM dbe_perf.global_streaming_hadr_rto_and_rpo_stat;SELECT current_rto FROM dbe_perf.global_streaming_hadr_rto_and_rpo_stat;' | sed '/^[[:space:]]*$/d')
            # The first half are the RPOs, the second the RTOs; the worst of each counts.
            printf '%s\n' "$lags" | awk '
                { n++; said[n] = $1; if ($1 !~ /^[0-9]+$/) bad = 1 }
                END {
                    if (bad || n < 2) exit
                    for (i = 1; i <= n / 2; i++) { if (said[i] + 0 > rpo + 0) rpo = said[i]; if (said[i + int(n / 2)] + 0 > rto + 0) rto = said[i + int(n / 2)] }
                    print "rpo=" rpo + 0; print "rto=" rto + 0
                }' | sed "s/^/share_${side}_/"
            ;;
        'Main Standby')
            if [ -n "$(sql "select 1 from pg_catalog.pg_stat_get_wal_receiver() where local_role='Main Standby' and state = 'Normal' and peer_role='Primary' and peer_state='Normal';")" ]; then
                tell_all stream yes
            fi
            ;;
    esac
    query_cluster
    case $cluster_state in
        unreachable | unknown) ;;
        *) tell_all cluster "$cluster_state" ;;
    esac
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(
    begin
    find_all
)
