# The disaster user and its keys: on the primary, in what the standby fetches, and on the standby. Defines functions only.

# check_user: of the disaster recovery, on the primary: it is there, may replicate, and has this password. Keys are made where
# there are none, and told to the other nodes.
check_user() {
    [ -n "$hadr_user" ] && is_main || return 0
    read_password
    users=$(sql 'select usename, userepl from pg_user;' | tr -d ' ')
    hint="make it, as in \`create user $hadr_user with replication password '...'\`, and set hadr_user and hadr_password_file"
    case $nl$users$nl in
        *"$nl$hadr_user|t$nl"*) ;;
        *"$nl$hadr_user|"*) fail_as SD33 "the disaster user $hadr_user has no right to replicate" ;;
        *) fail_as SD33 "there is no disaster user $hadr_user, with the right to replicate" ;;
    esac
    if [ -n "$hadr_password_file" ]; then
        rc=0
        said=$(bounded gsql -d postgres -p "$dn_port" -U "$hadr_user" -W "$password" -A -t -c 'select 1;' 2>&1) || rc=$?
        hint="is the password of $hadr_user in $hadr_password_file right?"
        [ "$rc" -eq 0 ] || fail_as SD06 "the disaster user $hadr_user cannot log in: $(last_words)"
    fi
    hint=
    bin=$gausshome/bin
    if [ ! -e "$bin/hadr.key.cipher" ] || [ ! -e "$bin/hadr.key.rand" ]; then
        tell gs_guc generate -S default -o hadr -D "$bin"
        chmod 600 "$bin/hadr.key.cipher" "$bin/hadr.key.rand" || fail "gs_guc generate has left no key in $bin"
    fi
    # Names that begin so are told to the other nodes and to nothing else: neither to a report nor to the screen.
    fact "share_secret_${side}_cipher" "$(od -An -v -to1 "$bin/hadr.key.cipher" | tr -d '\n')"
    fact "share_secret_${side}_rand" "$(od -An -v -to1 "$bin/hadr.key.rand" | tr -d '\n')"
}

# place_keys: the keys of the disaster user on every node.
place_keys() {
    [ -n "$hadr_user" ] || return 0
    for name in cipher rand; do
        eval "value=\${share_secret_${side}_$name-}"
        [ -n "$value" ] || fail "the key hadr.key.$name was not told by the node of the primary datanode"
        file=$gausshome/bin/hadr.key.$name
        text=
        for byte in $value; do text="$text\\0$byte"; done
        (umask 077 && printf '%b' "$text" >"$file.gsctl-new") || fail "cannot write $file"
        if cmp -s "$file.gsctl-new" "$file"; then
            rm -f "$file.gsctl-new"
        else
            mv -f "$file.gsctl-new" "$file" || fail "cannot write $file"
            fact changed yes
        fi
    done
}

# keep_user: stores the user in the database, where the other cluster's walreceiver finds it.
keep_user() {
    [ -n "$hadr_user" ] && is_main || return 0
    read_password
    rc=0
    secret=$(gs_encrypt -f hadr "$hadr_user|$password" 2>/dev/null </dev/null 9>&-) || rc=$?
    [ "$rc" -eq 0 ] && [ -n "$secret" ] || fail_as SD07 "gs_encrypt cannot encrypt the disaster user (exit status $rc)"
    [ -z "$(sql "select value from gs_global_config where name='hadr_user_info';")" ] ||
        sql 'DROP GLOBAL CONFIGURATION hadr_user_info;' >/dev/null
    # Not in an argument: what is encrypted, and the key beside it, are the password.
    put "$own_dir/user.sql" "ALTER GLOBAL CONFIGURATION with(hadr_user_info ='$secret');"
    tries=0 rc=1
    while [ "$rc" -ne 0 ] && [ "$tries" -lt 5 ]; do
        tries=$((tries + 1)) rc=0
        said=$(bounded gsql -d postgres -p "$dn_port" -A -t -f "$own_dir/user.sql" 2>&1) || rc=$?
        case $said in *ERROR:* | *FATAL:*) rc=1 ;; esac
    done
    rm -f "$own_dir/user.sql"
    [ "$rc" -eq 0 ] || fail_as SD07 'the disaster user cannot be stored in the database'
    fact changed yes
}

# secure_files, step 3 of the primary: what the standby cluster fetches from the data directory.
secure_files() {
    reached 3 && return
    dir=$data_dir/gs_secure_files
    # Who fetches it needs the disaster user.
    [ -n "$hadr_user" ] || [ -r "${GPHOME-}/version.cfg" ] || return 0
    rm -rf "$dir.new"
    (umask 077 && mkdir "$dir.new") && cp "$GPHOME/version.cfg" "$dir.new/" || fail "cannot make $dir"
    (umask 077 && printf '%s' "$(id -un)" >"$dir.new/.cluster_user_record") || fail "cannot make $dir"
    for name in hadr.key.cipher hadr.key.rand; do
        [ ! -e "$gausshome/bin/$name" ] || cp -p "$gausshome/bin/$name" "$dir.new/" || fail "cannot copy $name"
    done
    rm -rf "$dir"
    mv "$dir.new" "$dir" || fail "cannot make $dir"
    fact changed yes
    ! is_main || tell_all size "$(du -sk "$data_dir" 2>/dev/null | awk '{ print $1 }')"
}

# say_fetch WHY: also for evidence.sh.
say_fetch() {
    printf '%s\n' "$1" >"$own_dir/fetch.why" 2>/dev/null || :
    fact fetch "$1"
}

# fetch, step 3 of the standby: the files of the primary, with the disaster user's password; and whether the two clusters fit.
# One look at a time: the primary may not be that far yet.
fetch() {
    if reached 3 || [ -z "$hadr_user" ]; then
        fact fetch ok
        return
    fi
    dir=$data_dir/gs_secure_files
    if [ ! -e "$dir/version.cfg" ]; then
        read_password
        # Written by the step before: a look knows nothing of what was told.
        first_line "$own_dir/address"
        mine=$line
        recorded_peers
        there=$((${peer_port:-$dn_port} + 1))
        fetched=waiting rc=1
        for entry in $list; do
            # One that is away must not take the time of the next.
            rc=1 said="$entry does not answer"
            ! command -v ping >/dev/null 2>&1 || ping -c 1 -w 2 ${mine:+-I "$mine"} "$entry" >/dev/null 2>&1 </dev/null || continue
            rc=0
            said=$(${bound:+timeout 6} gs_ctl build -D "$data_dir" -M standby -b copy_secure_files -U "$hadr_user" -P "$password" \
                -C "localhost=${mine} localport=$((dn_port + 1)) remotehost=$entry remoteport=$there" 2>&1 </dev/null 9>&-) || rc=$?
            [ "$rc" -ne 0 ] || break
            fact fetch_said "$(last_words)"
            last_words 3 >"$own_dir/fetch.log" 2>/dev/null
            case $said in
                *'nvalid username/password'* | *'login denied'* | *'account'*'locked'*) fetched=denied ;;
            esac
        done
        if [ "$rc" -ne 0 ] || [ ! -e "$dir/version.cfg" ]; then
            say_fetch "$fetched"
            return
        fi
    fi
    if [ "$(sed -n 3p "$dir/version.cfg")" != "$(sed -n 3p "${GPHOME-}/version.cfg" 2>/dev/null)" ]; then
        fact fetch_said "$(sed -n 1p "$dir/version.cfg") $(sed -n 3p "$dir/version.cfg") there, $(sed -n 1p "${GPHOME-}/version.cfg" 2>/dev/null) $(sed -n 3p "${GPHOME-}/version.cfg" 2>/dev/null) here"
        rm -rf "$dir"
        say_fetch version
    elif [ "$(cat "$dir/.cluster_user_record" 2>/dev/null)" != "$(id -un)" ]; then
        fact fetch_said "$(cat "$dir/.cluster_user_record" 2>/dev/null) there, $(id -un) here"
        rm -rf "$dir"
        say_fetch user
    elif [ ! -e "$dir/hadr.key.cipher" ] || [ ! -e "$dir/hadr.key.rand" ]; then
        rm -rf "$dir"
        say_fetch keys
    else
        rm -f "$own_dir/fetch.why"
        fact fetch ok
    fi
}

# place_fetched, step 3 of the standby: the keys to where the walreceiver wants them. Logical slots would hold back a standby;
# one that cannot be dropped is no reason to stop: the build drops it.
place_fetched() {
    reached 3 && return
    dir=$data_dir/gs_secure_files
    for name in hadr.key.cipher hadr.key.rand; do
        [ -e "$dir/$name" ] || continue
        (umask 077 && cp "$dir/$name" "$gausshome/bin/$name.gsctl-new") && mv -f "$gausshome/bin/$name.gsctl-new" "$gausshome/bin/$name" ||
            fail "cannot write $gausshome/bin/$name"
        fact changed yes
    done
    rm -rf "$dir"
    is_main || return 0
    for slot in $(sql "select slot_name from pg_get_replication_slots() where slot_type='logical'"); do
        sql "select * from pg_drop_replication_slot('$slot');" >/dev/null
    done
}
