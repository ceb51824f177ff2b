# The build of a datanode: how far it is, its beginning, its end. Defines functions only.

# running_build: leaves in $pid the process of a `gs_ctl build` on this data directory, whoever began it; nothing for none.
running_build() {
    pid=
    for file in $(grep -l gs_ctl /proc/[0-9]*/cmdline 2>/dev/null); do
        words=" $({ tr '\000' ' ' <"$file"; } 2>/dev/null)"
        case $words in
            *' copy_secure_files '*) continue ;;
            *gs_ctl' build '*" $data_dir "*) ;;
            *) continue ;;
        esac
        pid=${file#/proc/}
        pid=${pid%/cmdline}
        return 0
    done
}

# query_progress: leaves what gs_ctl says of the latest build in $db_state and $schedule.
query_progress() {
    said=$(bounded gs_ctl querybuild -D "$data_dir" 2>/dev/null | sed -n 's/^[[:space:]]*\([a-z_]*\)[[:space:]]*:[[:space:]]*/\1=/p')
    said_value process_schedule || said_value schedule
    schedule=$value
    said_value db_state
    db_state=$value
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
        # One that gs_sdr, or an operator, began. When it is gone, gs_ctl says how it ended.
        adopted\ *)
            pid=${line#adopted }
            if [ "$(age "${pid% *}")" = "${pid#* }" ]; then
                build=building
            else
                query_progress
                case $db_state in
                    'Build completed') build=completed ;;
                    *) build=interrupted ;;
                esac
            fi
            ;;
        starting) build=interrupted ;;
        *)
            build=none
            [ ! -d "$data_dir" ] || running_build
            [ -z "${pid-}" ] || build=building
            ;;
    esac
}

# kept FILE: where the node's own file is meanwhile.
kept() {
    kept=$cabin/${instance:-dn}_$1
}

# keep_files: a build brings pg_hba.conf and pg_ident.conf of the other cluster. Once kept they stay kept: one that broke off
# may have changed them.
keep_files() {
    for file in pg_hba.conf pg_ident.conf; do
        kept "$file"
        [ ! -e "$kept" ] || continue
        if [ -e "$data_dir/$file" ]; then
            cp -p "$data_dir/$file" "$kept.new"
        elif [ -e "$data_dir/$file.old" ]; then
            cp -p "$data_dir/$file.old" "$kept.new"
        else
            continue
        fi
        mv "$kept.new" "$kept" || fail "cannot keep $data_dir/$file"
    done
}

# build_as: leaves in $as what this datanode is built as.
build_as() {
    as=cascade_standby
    ! is_main || as=hadr_main_standby
}

# begin_build: begins the build and lets it go on by itself: it may take days, and gsctl may come and go meanwhile. One that is
# under way already is waited for, never begun beside.
begin_build() {
    reached 7 && return
    build_as
    # The main standby first: the others stream from it.
    [ "$as" = "${sdr_as:-$as}" ] || return 0
    query_build
    case $build in
        completed | building)
            [ ! -e "$build_file" ] && [ "$build" = building ] || return 0
            keep_files
            put "$build_file" "adopted $pid $(age "$pid")"
            fact changed yes
            return
            ;;
    esac
    running_build
    if [ -n "$pid" ]; then
        put "$build_file" "adopted $pid $(age "$pid")"
        fact changed yes
        return
    fi
    [ "$as" != hadr_main_standby ] || check_ways
    keep_files
    set -- build -D "$data_dir" -M "$as"
    case $as in
        hadr_main_standby) set -- "$@" -r 7200 -q -Q force_copy_from_local -t 1209600 ;;
        *) set -- "$@" -b standby_full -r 7200 -t 1209600 ;;
    esac
    # It outlives gsctl, and gs_sdr would begin another one beside it: a lock of its own, as long as it runs.
    unlock_build
    new_trace
    put "$own_dir/build.trace" "$trace"
    put "$build_file" starting
    detach=nohup
    ! command -v setsid >/dev/null 2>&1 || detach='setsid nohup'
    # gs_ctl takes the password as an argument only. It is read here, on the node, and stands nowhere else.
    GSCTL_USER=$hadr_user GSCTL_PASSWORD_FILE=$hadr_password_file GSCTL_BUILD_FILE=$build_file GSCTL_AS=$as \
        GSCTL_LOCK=$pghost/streaming_lock_$trace \
        $detach sh -c '
            write() { printf "%s\n" "$1" >"$GSCTL_BUILD_FILE.new" && mv -f "$GSCTL_BUILD_FILE.new" "$GSCTL_BUILD_FILE"; }
            (umask 022 && : >"$GSCTL_LOCK")
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
            rm -f "$GSCTL_LOCK"
            if [ "$rc" -eq 0 ]; then write completed; else write "failed $rc"; fi
        ' gsctl-sdr-build "$@" >>"$own_dir/build.log" 2>&1 </dev/null 9>&- &
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
    fail "the build does not begin: see $own_dir/build.log"
}

# unlock_build: the lock of a build that was killed, or whose node was, is left.
unlock_build() {
    first_line "$own_dir/build.trace"
    [ -z "$line" ] || rm -f "$pghost/streaming_lock_$line" "$own_dir/build.trace"
}

# built: how far the build is.
built() {
    if reached 7; then
        fact build completed
        return
    fi
    query_build
    now=$build
    query_progress
    fact build_progress "$schedule"
    fact build_db_state "$db_state"
    fact build_rc "$build_rc"
    fact build "$now"
}

# finish_build: the node's own files back, and the datanode up.
finish_build() {
    reached 7 && return
    build_as
    query_build
    [ "$build" = completed ] || fail "the build is not completed: $build"
    unlock_build
    for file in pg_hba.conf pg_ident.conf; do
        kept "$file"
        [ -e "$kept" ] || continue
        cp -p "$kept" "$data_dir/$file.gsctl-new" && mv -f "$data_dir/$file.gsctl-new" "$data_dir/$file" ||
            fail "cannot put back $data_dir/$file"
        rm -f "$kept"
    done
    query_role
    hint="pg_log in $data_dir says why it does not start; then run this playbook again"
    [ -n "$role" ] || tell gs_ctl start -D "$data_dir" -M "$as"
}

# check_ways: whether a node of the other cluster answers from the data address of this one, as gs_sdr asks.
check_ways() {
    command -v ping >/dev/null 2>&1 || return 0
    own_key
    told "ip_$key"
    mine=${value#*/}
    other_addresses
    for entry in $list; do
        ping -c 1 -w 4 ${mine:+-I "$mine"} "${entry#*/}" >/dev/null 2>&1 </dev/null && return 0
    done
    fail "none of the other cluster's nodes answers from ${mine:-here}: $(echo $list)"
}
