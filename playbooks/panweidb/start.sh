# The work of gs_sdr -t start on one node, one part at a time. $sdr_part says which. A part looks whether its work is done, and
# then leaves it alone; `changed=yes` says that it was not, `because=` and `hint=` why it could not be done. Stands behind
# lib.sh, build.sh, node.sh, config.sh and user.sh.

# make_cabin, step 1: the directory on every node, and the first look at the cluster on the one that keeps it.
make_cabin() {
    mkdir -p "$cabin" && chmod 755 "$cabin" || fail "cannot make $cabin"
    [ -w "$cabin" ] || fail "$cabin belongs to another user"
    told holder
    [ -n "$value" ] || told first
    [ -n "$value" ] || fail 'no node has a primary datanode, nor the step file of a start: which node is to keep the record?'
    is_lead || return 0
    if [ "$mode" = primary ] || [ "$mode" = disaster_standby ] || [ "$mode" = pair ]; then
        reached 2 && return
    elif [ -e "$cabin/cluster_state_tmp" ]; then
        # A switchover that was killed before its first record may have stopped the cluster.
        reached 0 && return
        query_role
        [ -n "$role" ] || return 0
    fi
    first_look
}

# first_look: what gs_sdr reads the roles from, at every later entry.
first_look() {
    command -v gs_om >/dev/null 2>&1 || fail "gs_om is not found: is GPHOME set in the environment file, and env_file in the hosts file?"
    rc=0
    ${bound:+timeout 120} gs_om -t status --all >"$own_dir/status" 2>"$own_dir/status.err" </dev/null 9>&- || rc=$?
    said=$(cat "$own_dir/status" "$own_dir/status.err")
    [ "$rc" -eq 0 ] || fail "\`gs_om -t status --all\` failed with exit status $rc: $(last_words)"
    rm -f "$own_dir/status.err"
    cmp -s "$own_dir/status" "$cabin/cluster_state_tmp" && rm -f "$own_dir/status" && return
    chmod 644 "$own_dir/status" && mv -f "$own_dir/status" "$cabin/cluster_state_tmp" || fail "cannot write $cabin/cluster_state_tmp"
    fact changed yes
}

# read_roles: tells all nodes what the first look saw: number of the node, of the datanode, and its role.
read_roles() {
    is_lead || return 0
    hint="remove $cabin/cluster_state_tmp and the step file, if the cluster is as it was before the start; else see what gs_sdr says"
    [ -e "$cabin/cluster_state_tmp" ] || fail "the first look at the cluster, $cabin/cluster_state_tmp, is not there"
    read_status "$cabin/cluster_state_tmp"
    [ -n "$dns" ] || fail "$cabin/cluster_state_tmp is not what \`gs_om -t status --all\` prints: there is no datanode in it"
    tell_all dns "$dns"
    tell_all nodes "$nodes"
    case $mode in primary | disaster_standby | pair) ;; *) return 0 ;; esac
    if ! reached 2; then
        hint=
        [ "$state" = Normal ] || fail "the cluster is not Normal: $state"
        case $dns in
            *Main_Standby* | *Cascade_Standby*) fail "there is a main or cascade standby already: $dns" ;;
        esac
    fi
    case $dns in
        *:Primary*) ;;
        *) fail "there is no primary datanode in $cabin/cluster_state_tmp: $dns" ;;
    esac
}

# read_status FILE: leaves in $state, $nodes and $dns what `gs_om -t status --all` said.
read_status() {
    nodes=$(
        awk -F: '
            NF != 2 { next }
            { key = $1; value = $2; gsub(/[ \t]/, "", key); gsub(/[ \t]/, "", value) }
            key == "node" { node = value }
            key == "node_name" { out = out (out == "" ? "" : " ") node ":" value }
            END { print out }
        ' "$1"
    )
    state=$(sed -n 's/^[[:space:]]*cluster_state[[:space:]]*:[[:space:]]*\([^[:space:]]*\).*/\1/p' "$1" | sed -n 1p)
    dns=$(
        awk -F: '
            NF != 2 { next }
            { key = $1; value = $2; gsub(/^[ \t]+|[ \t]+$/, "", key); gsub(/^[ \t]+|[ \t]+$/, "", value) }
            key == "node" { node = value }
            key == "instance_id" { id = value }
            key == "type" { type = value }
            key == "instance_state" && type == "Datanode" { gsub(/ /, "_", value); out = out (out == "" ? "" : " ") node ":" id ":" value }
            END { print out }
        ' "$1"
    )
}

# who: what this node is in the cluster, for the steps that are for some nodes only.
who() {
    need_node
    own_instance
    told dns
    [ -n "$instance" ] || fail "node $node has no datanode in the first look: $value"
    main=no
    ! is_main || main=yes
    hint='set GPHOME in the environment file, or gphome=DIRECTORY in the hosts file'
    [ -z "$hadr_user" ] || [ -r "${GPHOME-}/version.cfg" ] || [ "$mode" = stop ] || [ "$mode" = failover ] || [ "$mode" = switchover ] ||
        fail "version.cfg is not found in \$GPHOME (${GPHOME:-not set}), by which the two clusters are compared"
    hint=
    fact instance "$instance"
    fact main "$main"
    # An operator who names the main standby, and another one than gs_sdr would build, must hear of it.
    case " $groups " in
        *' main '*) [ "$main" = yes ] || [ "$side" != standby ] || fail "this host is in the group [main], but its datanode was $at_first at the first look: the primary becomes the main standby" ;;
    esac
}

# take_lock: the name of gs_sdr's lock file is told; one of a gsctl that was killed goes.
take_lock() {
    is_lead || return 0
    told trace
    first_line "$own_dir/trace"
    [ -z "$line" ] || [ "$line" = "$value" ] || rm -f "$pghost/streaming_lock_$line"
    put "$own_dir/trace" "$value"
}

# be_alone: looked at once the own lock file is there, as gs_sdr does.
be_alone() {
    foreign_locks
    hint='wait until it is over; if no gs_sdr and no gsctl works on this cluster, remove the file'
    [ -z "$locks" ] || fail "gs_sdr is at work on this cluster, or left its lock file behind: $locks on $host"
}

# check_parameters, step 2: what must be so on the primary. What can be changed is told to all nodes, which write it down first.
check_parameters() {
    reached 2 && return
    is_main || return 0
    told dns
    wanted='enable_dcf:off synchronous_commit:on'
    [ "$(echo $value | wc -w)" -gt 2 ] || wanted="$wanted most_available_sync:on"
    changes=
    for name in $wanted; do
        is=$(sql "show ${name%:*};" | tr -d ' ')
        [ -n "$is" ] || fail "\`show ${name%:*};\` has no answer"
        [ "$is" != "${name#*:}" ] || continue
        [ "$name" != enable_dcf:off ] || fail "enable_dcf is $is: streaming disaster recovery does not go with DCF"
        changes="$changes${changes:+ }${name%:*}:$is"
    done
    tell_all changes "$changes"
}

# change_parameters, step 2: the old values written down, then the new ones set.
change_parameters() {
    reached 2 && return
    told trace
    trace=$value
    file=$cabin/.streaming_guc_backup
    [ -e "$file" ] || put "$file" ''
    told changes
    for name in $value; do
        grep -q "^${name%:*}," "$file" || put "$file" "$(cat "$file"; echo "${name%:*},${name#*:},$trace")$nl"
        tell gs_guc reload -Z datanode -D "$data_dir" -c "${name%:*}=on"
    done
}

# query_keep, step 3 of the primary: what wal_keep_segments is before it is raised.
query_keep() {
    reached 3 && return
    is_main || return 0
    value=$(sql 'show wal_keep_segments;' | tr -d ' ')
    case $value in
        '' | *[!0-9]*) fail "\`show wal_keep_segments;\` answers \`$value\`" ;;
    esac
    tell_all keep "$instance:$value"
}

# keep_settings, step 3 of the primary: written down, as gs_sdr does; a value that a broken run has raised is not the old one.
keep_settings() {
    reached 3 && return
    is_lead || return 0
    file=$cabin/.wal_keep_segments_record
    told keep
    [ -n "$value" ] || fail 'no node has told what wal_keep_segments is'
    first_line "$file"
    case $line in
        "${value%%:*}":[0-9]*) [ "${value#*:}" != "$wal_keep" ] || return 0 ;;
    esac
    put_where_new "$file" "$value$nl"
}

# check_fit, before the standby is stopped: ways to the other cluster, and room for its data.
check_fit() {
    reached 5 && return
    check_ways
    needs=$(
        told size primary
        echo "$value"
    )
    if [ -z "$needs" ] && [ -n "$hadr_user" ]; then
        read_password
        other_addresses
        for entry in $list; do
            [ -z "$needs" ] || break
            needs=$(bounded gsql -h "${entry#*/}" -p "${peer_port:-$dn_port}" -d postgres -U "$hadr_user" -W "$password" -A -t \
                -c 'select (sum(pg_database_size(oid)) / 1024)::bigint from pg_database;' 2>/dev/null | tr -d ' ')
            case $needs in *[!0-9]*) needs= ;; esac
        done
    fi
    [ -n "$needs" ] || return 0
    free=$(df -Pk "$data_dir" 2>/dev/null | awk 'NR == 2 { print $4 }')
    has=$(du -sk "$data_dir" 2>/dev/null | awk '{ print $1 }')
    [ -n "$free" ] || return 0
    hint='make room, then run this playbook again'
    [ "$((free + ${has:-0}))" -ge "$needs" ] ||
        fail "no room for the other cluster's data in $data_dir: it has $needs KiB, here are $((free + ${has:-0})) with what the build replaces"
}

# stop_for_build, step 5 of the standby. What is known of an earlier build is not of this start's.
stop_for_build() {
    [ "$side" = standby ] || return 0
    query_build
    [ "$build" = building ] || rm -f "$build_file"
    stop_node
}

# raise_wal, step 4 of the primary.
raise_wal() {
    reached 4 && return
    is_main || return 0
    tell gs_guc reload -Z datanode -D "$data_dir" -c "wal_keep_segments = $wal_keep"
}

# connected: whether the main standby of the other cluster is there.
connected() {
    query_role
    main_standby=none
    [ "$role" != Primary ] || query_connected
    fact main_standby "$main_standby"
}

# clean, step 9. The step file goes last: with it goes what says that there is something left to do.
clean() {
    told keep_back
    entries=$value
    rm -rf "$data_dir/gs_secure_files"
    if is_main && [ "$side" = primary ]; then
        for entry in $entries; do
            [ "${entry%%:*}" = "$instance" ] || continue
            tell gs_guc reload -Z datanode -D "$data_dir" -c "wal_keep_segments = ${entry#*:}"
        done
    fi
    rm -f "$build_file" "$own_dir/build.log"
}

# tell_keep, step 9 of the primary: what the node that keeps the record has written down.
tell_keep() {
    is_lead || return 0
    file=$cabin/.wal_keep_segments_record
    [ -e "$file" ] || return 0
    hint="write the value that wal_keep_segments had into it, as in \`6001:16\` (number of the datanode, value)"
    [ -s "$file" ] || fail "$file is empty"
    values=
    while IFS= read -r line; do
        case ${line#*:} in
            '' | *[!0-9]*) fail "$file is damaged: \`$line\`" ;;
        esac
        case $line in
            [0-9]*:*) values="$values${values:+ }$line" ;;
            *) fail "$file is damaged: \`$line\`" ;;
        esac
    done <"$file"
    tell_all keep_back "$values"
}

# end_start: the step file goes, and what is gsctl's own.
end_start() {
    if is_lead && [ -e "$step_file" ]; then
        rm -f "$step_file" || fail "cannot remove $step_file"
        fact changed yes
    fi
    unlock_build
    first_line "$own_dir/trace"
    rm -rf "$own_dir"
    unlock "$line"
}

start_part() {
    case $part in
        cabin) make_cabin ;;
        roles) read_roles ;;
        who) who ;;
        lock) take_lock ;;
        alone) be_alone ;;
        user) check_user ;;
        keys) place_keys ;;
        keep_user) keep_user ;;
        parameters) check_parameters ;;
        change) change_parameters ;;
        common) configure ;;
        secure) secure_files ;;
        query_keep) query_keep ;;
        keep) keep_settings ;;
        fetch) fetch ;;
        place) place_fetched ;;
        fit) check_fit ;;
        wal) raise_wal ;;
        run_mode) reached 5 || set_run_mode ;;
        sync) reached 5 || set_most_available ;;
        dcc) reached 5 || set_backup_key ;;
        stop) reached 5 || stop_for_build ;;
        open) reached 6 || set_backup_open ;;
        build) begin_build ;;
        built) built ;;
        finish) finish_build ;;
        record) record "$sdr_step" ;;
        connected) connected ;;
        tell_keep) tell_keep ;;
        clean) clean ;;
        end) end_start ;;
        *) return 3 ;;
    esac
    return 0
}
