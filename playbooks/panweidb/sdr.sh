# The work of gs_sdr -t start on one node, one part at a time, and a look at how far it is: facts, `key=value` a line.
# POSIX sh (dash, bash, busybox). $sdr_part says which part: look (the default), cabin, check, common, keep, wal, dcc, stop, guc,
# build, built, finish, none, connected, cluster, started, clean. A part looks whether its work is done, and then leaves it
# alone; `changed=yes` says that it was not, `because=` and `hint=` why it could not be done. $sdr_as is what is built.
# gsctl sets these variables before this text, too; those that may be empty say so:
#   gausshome pghost data_dir dn_port mode host address user  env_file() node() data_ip() peers() peer_port() hadr_user()
#   hadr_password_file() hba_method wal_keep

nl='
'

fact() {
    printf '%s=%s\n' "$1" "$2"
}

# fail WORDS: why the part is not done.
fail() {
    fact because "$1"
    fact hint "${hint:-mend that, and run this playbook again: what is done is not done again}"
    exit 1
}

# environment: openGauss' programs need what /etc/profile, ~/.bashrc and the separate environment file set, which are
# written for bash. What those print goes nowhere, what they read is empty, and they have ten seconds.
environment() {
    inside=sh bound=
    command -v bash >/dev/null 2>&1 && inside=bash
    timeout 1 true >/dev/null 2>&1 && bound='timeout 10'
    said=$(
        GSCTL_ENV_FILE=$env_file $bound "$inside" -c '
            if [ -r /etc/profile ]; then . /etc/profile; fi
            if [ -r "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi
            if [ -r "$GSCTL_ENV_FILE" ]; then . "$GSCTL_ENV_FILE"; fi
            exec >&8
            echo "env_PATH=$PATH"
            echo "env_LD_LIBRARY_PATH=$LD_LIBRARY_PATH"
            echo "env_GAUSSLOG=$GAUSSLOG"
            echo gsctl_end
        ' 8>&1 >/dev/null 2>&1 </dev/null | sed '/^gsctl_end$/q'
    )
    said_value env_PATH && [ -n "$value" ] && PATH=$value
    said_value env_LD_LIBRARY_PATH && LD_LIBRARY_PATH=$value
    said_value env_GAUSSLOG && [ -n "$value" ] && GAUSSLOG=$value && export GAUSSLOG
    GAUSSHOME=$gausshome PGHOST=$pghost
    PATH=$gausshome/bin:$PATH
    LD_LIBRARY_PATH=$gausshome/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export GAUSSHOME PGHOST PATH LD_LIBRARY_PATH
}

# said_value KEY: leaves in $value what a `KEY=value` line of $said says.
said_value() {
    value=
    case $nl$said in
        *"$nl$1="*) ;;
        *) return 1 ;;
    esac
    value=$nl$said
    value=${value#*"$nl$1="}
    value=${value%%"$nl"*}
}

# bounded PROGRAM...: with ten seconds, where there is timeout(1). For looks: a look that hangs says nothing.
bounded() {
    if [ -n "$bound" ]; then timeout 10 "$@" </dev/null 9>&-; else "$@" </dev/null 9>&-; fi
}

# tell PROGRAM...: runs it; where it fails, its last words are why the part is not done. What it leaves running, as gs_ctl
# start does, must hold neither a pipe of ours nor the lock.
tell() {
    rc=0
    "$@" </dev/null >"$cabin/.gsctl_said" 2>&1 9>&- || rc=$?
    said=$(cat "$cabin/.gsctl_said")
    rm -f "$cabin/.gsctl_said"
    if [ "$rc" -eq 0 ]; then
        [ "$2" = check ] || fact changed yes
        return 0
    fi
    printf '%s\n' "$said" | tail -n 5 >&2
    fail "\`$1 $2\` failed with exit status $rc: $(printf '%s\n' "$said" | tail -n 1)"
}

# put FILE TEXT: the whole of it or nothing, on the disk, for its owner only.
put() {
    umask 077
    printf '%s' "$2" >"$1.gsctl-new" || fail "cannot write $1"
    sync "$1.gsctl-new" 2>/dev/null || sync
    mv -f "$1.gsctl-new" "$1" || fail "cannot write $1"
}

# first_line FILE
first_line() {
    line=
    [ -r "$1" ] && IFS= read -r line <"$1"
    return 0
}

# query_step: leaves in $step the number that is recorded, 0 for none, and in $step_name the whole.
query_step() {
    first_line "$step_file"
    step_name=$line step=${line%%_*}
    case $step in
        '' | *[!0-9]*) step=0 ;;
    esac
}

# record NAME: the original's step file, which says how far this node is. Never backwards.
record() {
    query_step
    [ "$step" -lt "${1%%_*}" ] || return 0
    put "$step_file" "$1"
    fact changed yes
}

# is_done NUMBER
is_done() {
    query_step
    [ "$step" -ge "$1" ]
}

# role: leaves in $role what the datanode here is: Primary, Standby, Main Standby, Cascade Standby, Pending, or nothing.
query_role() {
    role=$(bounded gs_ctl query -D "$data_dir" 2>/dev/null | sed -n 's/^[[:space:]]*local_role[[:space:]]*:[[:space:]]*//p' | sed -n '1{s/[[:space:]]*$//;p;}')
}

# sql TEXT
sql() {
    bounded gsql -d postgres -p "$dn_port" -A -t -c "$1" 2>/dev/null
}

# query_cluster: leaves in $cluster_state what cm_ctl says, and in $disaster whether there is a main or cascade standby.
query_cluster() {
    said=$(bounded cm_ctl query -v -C -i -d 2>&1)
    rc=$?
    cluster_state=$(printf '%s\n' "$said" | sed -n 's/^cluster_state[[:space:]]*:[[:space:]]*\([^[:space:]]*\).*/\1/p' | sed -n 1p)
    if [ -z "$cluster_state" ]; then
        case $said in
            *"can't connect to cm_server"*) cluster_state=unreachable ;;
            *) if [ "$rc" -eq 255 ]; then cluster_state=unreachable; else cluster_state=unknown; fi ;;
        esac
    fi
    case $said in
        *'Main Standby'* | *'Cascade Standby'*) disaster=yes ;;
        *) disaster=no ;;
    esac
}

# age PID: when it was started, so that another process of that number is not taken for it.
age() {
    sed -n 's/.*) //p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

# query_build: leaves in $build none, building, completed, failed or interrupted, and in $build_rc why it failed.
query_build() {
    build_rc=
    first_line "$build_file"
    case $line in
        completed) build=completed ;;
        failed\ *) build=failed build_rc=${line#failed } ;;
        running\ *)
            build=interrupted
            pid=${line#running }
            [ "$(age "${pid% *}")" != "${pid#* }" ] || build=building
            ;;
        starting) build=interrupted ;;
        *) build=none ;;
    esac
}

look() {
    # What the light looks of a wait need is in parts of their own.
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
    for name in cluster failover switchover establish; do
        first_line "$cabin/.hadr_${name}_stat"
        [ "$name" != cluster ] || [ -n "$line" ] || line=normal
        fact "hadr_${name}_stat" "$line"
    done
    query_step
    fact step "$step"
    fact step_name "$step_name"
    entered=no
    [ "$step" -lt 2 ] || entered=yes
    fact entered "$entered"
    others=
    for file in "$cabin"/.streaming_*.step; do
        [ -e "$file" ] || continue
        [ "$file" = "$step_file" ] || [ "$file" = "$cabin/.streaming_query.step" ] || others="$others${others:+, }$file"
    done
    fact other_step "$others"
    lock=
    for file in "$pghost"/streaming_lock_*; do
        [ ! -e "$file" ] || lock="$lock${lock:+, }$file"
    done
    fact lock "$lock"
    upgrade=no
    for file in "$pghost"/binary_upgrade/*; do
        [ ! -e "$file" ] || upgrade=yes
    done
    fact upgrade "$upgrade"
    query_build
    fact build "$build"
    cluster_state=unknown disaster=no role=
    if [ "$cm" = ok ]; then
        query_cluster
    fi
    [ "$programs" != ok ] || query_role
    fact dr_standby "$disaster"
    fact local_role "$role"
    main_standby=none rto= rpo=
    if [ "$role" = Primary ]; then
        query_connected
        numbers=$(sql 'select current_rto, current_rpo from pg_catalog.gs_hadr_local_rto_and_rpo_stat();' | sed -n 1p)
        case $numbers in
            *'|'*) rto=${numbers%%'|'*} rpo=${numbers#*'|'} ;;
        esac
    fi
    fact main_standby "$main_standby"
    fact rto "$rto"
    fact rpo "$rpo"
    # Last, so that a reader that has it has everything.
    fact cluster_state "$cluster_state"
}

# Step 1.
make_cabin() {
    mkdir -p "$cabin" && chmod 700 "$cabin" || fail "cannot make $cabin"
    [ -w "$cabin" ] || fail "$cabin belongs to somebody else"
    is_done 2 && return
    bounded cm_ctl query -v -C -i -d >"$cabin/cluster_state_tmp" 2>&1
    return 0
}

# guc_value NAME: of the datanode, from its file.
guc_value() {
    tell gs_guc check -Z datanode -D "$data_dir" -c "$1"
    value=$(printf '%s\n' "$said" | sed -n "s/^[[:space:]]*$1=\\([^:]*\\)\$/\\1/p" | tail -n 1)
}

# Step 2.
check_cluster() {
    is_done 2 && return
    [ -x "$gausshome/bin/cm_ctl" ] || fail "cm_ctl is missing: $gausshome/bin/cm_ctl"
    query_cluster
    [ "$cluster_state" = Normal ] || fail "the cluster is $cluster_state, not Normal"
    [ "$disaster" = no ] || fail 'the cluster has a main or cascade standby already'
    guc_value enable_dcf
    [ "$value" != on ] || fail 'enable_dcf is on: streaming disaster recovery does not go with DCF'
    record 2_check_cluster_step
}

# has_rule FILE: whether $rule stands in it, however it is spaced.
has_rule() {
    awk '{ $1 = $1; print }' "$1" 2>/dev/null | grep -qxF "$rule"
}

# Done at every entry: pg_hba.conf and replconninfo for every datanode of the other cluster.
configure() {
    # A build writes these files; the node's own pg_hba.conf is kept aside meanwhile, and put back after it.
    kept=$cabin/dn_pg_hba.conf
    query_build
    how=set
    [ "$mode" != primary ] || how=reload
    # What reloads a datanode that does not run fails; the file is all that matters then.
    query_role
    [ -n "$role" ] || how=set
    mine=${data_ip:-$address}
    there=${peer_port:-$dn_port}
    rest=$peers,
    while [ -n "$rest" ]; do
        peer=${rest%%,*}
        rest=${rest#*,}
        [ -n "$peer" ] || continue
        case $peer in
            *:*) bits=128 ;;
            *) bits=32 ;;
        esac
        rule="host all all $peer/$bits $hba_method"
        if [ -e "$kept" ]; then
            has_rule "$kept" || printf '%s\n' "$rule" >>"$kept" || fail "cannot write $kept"
        else
            has_rule "$data_dir/pg_hba.conf" || tell gs_guc "$how" -Z datanode -D "$data_dir" -h "$rule"
        fi
        [ "$build" != building ] || continue
        index=1 free=
        while [ "$index" -le 8 ]; do
            has=$(sed -n "s/^[[:space:]]*replconninfo$index[[:space:]]*=[[:space:]]*//p" "$data_dir/postgresql.conf" 2>/dev/null | tail -n 1)
            case $has in
                *"remotehost=$peer "*'iscrossregion=true'*)
                    free=
                    break
                    ;;
                '' | "''"*) [ -n "$free" ] || free=$index ;;
            esac
            index=$((index + 1))
        done
        [ "$index" -gt 8 ] || continue
        [ -n "$free" ] || fail 'replconninfo1 to replconninfo8 are all in use'
        tell gs_guc "$how" -Z datanode -D "$data_dir" -c "replconninfo$free = 'localhost=$mine localport=$((dn_port + 1)) localheartbeatport=$((dn_port + 5)) localservice=$((dn_port + 4)) remotehost=$peer remoteport=$((there + 1)) remoteheartbeatport=$((there + 5)) remoteservice=$((there + 4)) iscascade=false iscrossregion=true'"
    done
}

# Step 3. The primary keeps what wal_keep_segments is; the first value, not one that a broken run left.
keep_settings() {
    is_done 3 && return
    if [ "$mode" = primary ]; then
        if [ ! -e "$cabin/.wal_keep_segments_record" ]; then
            guc_value wal_keep_segments
            put "$cabin/.wal_keep_segments_record" "${value:-128}"
        fi
        mkdir -p "$cabin/gs_secure_files" || fail "cannot make $cabin/gs_secure_files"
        for file in hadr.key.cipher hadr.key.rand; do
            [ ! -r "$gausshome/bin/$file" ] || cp "$gausshome/bin/$file" "$cabin/gs_secure_files/" || fail "cannot copy $file"
        done
    else
        query_role
        if [ "$role" = Primary ]; then
            # Logical slots would hold back a standby. One that cannot be dropped is no reason to stop: the build drops it.
            for slot in $(sql "select slot_name from pg_get_replication_slots() where slot_type='logical'"); do
                sql "select * from pg_drop_replication_slot('$slot');" >/dev/null
            done
        fi
    fi
    record 3_set_wal_segments_step
}

# Step 4.
raise_wal() {
    is_done 4 && return
    query_role
    if [ "$mode" = primary ] && [ "$role" = Primary ]; then
        guc_value wal_keep_segments
        [ "$value" = "$wal_keep" ] || tell gs_guc reload -Z datanode -D "$data_dir" -c "wal_keep_segments = $wal_keep"
    fi
    record 4_set_wal_segments_step
}

# Step 5, for the whole cluster: what the cluster managers agree on.
set_dcc() {
    is_done 5 && return
    case $mode in
        primary) want=0 ;;
        *) want=2 ;;
    esac
    key=/$(id -un)/CMServer/backup_open
    case $(bounded cm_ctl ddb --get "$key" 2>/dev/null) in
        *"Key: $key"*"Value: $want"*) ;;
        *) tell cm_ctl ddb --put "$key" "$want" ;;
    esac
}

# own_node: the number of this node in cm_ctl view, by its address.
own_node() {
    [ -n "$node" ] && return
    node=$(
        bounded cm_ctl view 2>/dev/null | awk -v address="$address" -v name="$(hostname 2>/dev/null)" '
            /^node *:[0-9]/ { sub(/^node *:/, ""); number = $0 }
            /^nodeName:/ { sub(/^nodeName:/, ""); if ($0 == name) named = number }
            /^sshChannel [0-9]*:/ { sub(/^sshChannel [0-9]*:/, ""); if ($0 == address) found = number }
            END { print found ? found : named }
        '
    )
    [ -n "$node" ] || fail 'cm_ctl view does not tell which node this is: set node=NUMBER for it in the hosts file'
}

# Step 5, on every node of the standby.
stop_node() {
    is_done 5 && return
    if [ "$mode" != primary ]; then
        query_role
        if [ -n "$role" ] || [ ! -e "$gausshome/bin/cluster_manual_start" ]; then
            own_node
            tell cm_ctl stop -n "$node" -m i -t 1800
        fi
    fi
    record 5_set_wal_segments_step
}

# Step 6.
set_guc() {
    is_done 6 && return
    if [ "$mode" != primary ]; then
        name=$(hostname)
        tell gs_guc set -Z cmserver -N "$name" -I all -c 'backup_open=2'
        tell gs_guc set -Z cmagent -N "$name" -I all -c 'agent_backup_open=2'
    fi
    record 6_set_guc_step
}

# Step 7: begins the build and lets it go on by itself: it may take days, and gsctl may come and go meanwhile.
begin_build() {
    is_done 7 && return
    query_build
    case $build in
        completed | building) return ;;
    esac
    if command -v ping >/dev/null 2>&1; then
        answers=
        rest=$peers,
        while [ -n "$rest" ] && [ -z "$answers" ]; do
            peer=${rest%%,*}
            rest=${rest#*,}
            [ -z "$peer" ] || ! ping -c 1 -W 5 "$peer" >/dev/null 2>&1 || answers=$peer
        done
        [ -n "$answers" ] || fail "none of the other cluster's nodes answers: $peers"
    fi
    # Once kept they stay kept: a build that broke off may have changed the files.
    for file in pg_hba.conf pg_ident.conf; do
        [ ! -e "$cabin/dn_$file" ] || continue
        if [ -e "$data_dir/$file" ]; then
            cp -p "$data_dir/$file" "$cabin/dn_$file.new"
        elif [ -e "$data_dir/$file.old" ]; then
            cp -p "$data_dir/$file.old" "$cabin/dn_$file.new"
        else
            continue
        fi
        mv "$cabin/dn_$file.new" "$cabin/dn_$file" || fail "cannot keep $data_dir/$file"
    done
    set -- build -D "$data_dir" -M "$sdr_as"
    case $sdr_as in
        hadr_main_standby) set -- "$@" -r 7200 -q -Q force_copy_from_local -t 1209600 ;;
        *) set -- "$@" -b standby_full -r 7200 -t 1209600 ;;
    esac
    put "$build_file" starting
    detach=nohup
    ! command -v setsid >/dev/null 2>&1 || detach='setsid nohup'
    # gs_ctl takes the password as an argument only. It is read here, on the node, and stands nowhere else.
    GSCTL_USER=$hadr_user GSCTL_PASSWORD_FILE=$hadr_password_file GSCTL_BUILD_FILE=$build_file GSCTL_AS=$sdr_as \
        $detach sh -c '
            write() { printf "%s\n" "$1" >"$GSCTL_BUILD_FILE.new" && mv -f "$GSCTL_BUILD_FILE.new" "$GSCTL_BUILD_FILE"; }
            umask 077
            write "running $$ $(sed -n "s/.*) //p" "/proc/$$/stat" | cut -d " " -f 20)"
            if [ "$GSCTL_AS" = hadr_main_standby ] && [ -n "$GSCTL_USER" ]; then
                set -- "$@" -U "$GSCTL_USER"
                [ -z "$GSCTL_PASSWORD_FILE" ] || set -- "$@" -P "$(cat "$GSCTL_PASSWORD_FILE")"
            fi
            try=1
            while :; do
                echo "try $try: gs_ctl build"
                gs_ctl "$@"
                rc=$?
                [ "$rc" -ne 0 ] && [ "$try" -lt 3 ] || break
                try=$((try + 1))
            done
            sync
            if [ "$rc" -eq 0 ]; then write completed; else write "failed $rc"; fi
        ' gsctl-sdr-build "$@" >>"$cabin/build.log" 2>&1 </dev/null 9>&- &
    tries=0
    while [ "$tries" -lt 50 ]; do
        first_line "$build_file"
        if [ "$line" != starting ]; then
            fact changed yes
            return 0
        fi
        tries=$((tries + 1))
        sleep 0.1 2>/dev/null || sleep 1
    done
    fail "the build does not begin: see $cabin/build.log"
}

# built: how far the build is.
built() {
    if is_done 7; then
        fact build completed
        return
    fi
    query_build
    said=$(bounded gs_ctl querybuild -D "$data_dir" 2>/dev/null | sed -n 's/^[[:space:]]*\([a-z_]*\)[[:space:]]*:[[:space:]]*/\1=/p')
    said_value process_schedule || said_value schedule
    fact build_progress "$value"
    said_value db_state
    fact build_db_state "$value"
    fact build_rc "$build_rc"
    fact build "$build"
}

# Step 7, the end of it: the node's own files back, and the datanode up.
finish_build() {
    is_done 7 && return
    query_build
    [ "$build" = completed ] || fail "the build is not completed: $build"
    for file in pg_hba.conf pg_ident.conf; do
        [ -e "$cabin/dn_$file" ] || continue
        cp -p "$cabin/dn_$file" "$data_dir/$file.gsctl-new" && mv -f "$data_dir/$file.gsctl-new" "$data_dir/$file" ||
            fail "cannot put back $data_dir/$file"
        rm -f "$cabin/dn_$file"
    done
    query_role
    hint="pg_log in $data_dir says why it does not start; then run this playbook again"
    [ -n "$role" ] || tell gs_ctl start -D "$data_dir" -M "$sdr_as"
    record 7_build_dn_instance_step
}

# query_connected: whether the main standby of the other cluster streams from the datanode here.
query_connected() {
    main_standby=none
    [ -n "$(sql 'select 1 from pg_catalog.gs_hadr_local_rto_and_rpo_stat();')" ] || return 0
    [ -n "$(sql "select 1 from pg_catalog.pg_stat_get_wal_senders() where sync_state='Async' and peer_role='Standby' and peer_state='Normal';")" ] || return 0
    main_standby=connected
}

# Step 9. The step file goes last: with it goes what says that there is something left to do.
clean() {
    query_step
    [ "$step" -gt 0 ] || return 0
    query_role
    if [ "$mode" = primary ] && [ -e "$cabin/.wal_keep_segments_record" ]; then
        first_line "$cabin/.wal_keep_segments_record"
        [ "$role" != Primary ] || tell gs_guc reload -Z datanode -D "$data_dir" -c "wal_keep_segments = ${line:-128}"
        rm -f "$cabin/.wal_keep_segments_record"
    fi
    rm -rf "$cabin/gs_secure_files"
    rm -f "$build_file" "$cabin/cluster_state_tmp" "$step_file" || fail "cannot remove $step_file"
    fact changed yes
}

main() {
    gausshome=${gausshome%/} pghost=${pghost%/} data_dir=${data_dir%/}
    cabin=$pghost/streaming_cabin
    build_file=$cabin/.gsctl_build
    case $mode in
        primary) step_file=$cabin/.streaming_start_primary.step ;;
        disaster_standby) step_file=$cabin/.streaming_start_standby.step ;;
        *)
            step_file=$cabin/.streaming_start_primary.step
            [ -e "$step_file" ] || step_file=$cabin/.streaming_start_standby.step
            ;;
    esac
    part=${sdr_part:-look} hint=
    environment
    case $part in
        look) look ;;
        built) built ;;
        connected)
            query_connected
            fact main_standby "$main_standby"
            ;;
        cluster)
            query_cluster
            fact cluster_state "$cluster_state"
            ;;
        *)
            [ "$part" != cabin ] || mkdir -p "$cabin" 2>/dev/null
            # With gsctl gone, nobody listens any more: what has begun is ended and recorded all the same.
            trap '' PIPE
            # A part that a gsctl which was killed has begun may still be at work here. It ends first.
            if command -v flock >/dev/null 2>&1 && [ -w "$cabin" ]; then
                exec 9>>"$cabin/.gsctl_lock"
                flock 9
            fi
            case $part in
                cabin) make_cabin ;;
                check) check_cluster ;;
                common) configure ;;
                keep) keep_settings ;;
                wal) raise_wal ;;
                dcc) set_dcc ;;
                stop) stop_node ;;
                guc) set_guc ;;
                build) begin_build ;;
                finish) finish_build ;;
                none) record 7_build_dn_instance_step ;;
                started) record 8_start_cluster_step ;;
                clean) clean ;;
                *) fail "there is no part $part" ;;
            esac
            ;;
    esac
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
