# Sends what tells why streaming disaster recovery does not come up: what the newest run of gs_sdr on this node wrote since it last
# ended well, what a build is at, and what its files say. gsctl holds it against panweidb/causes.yaml. Changes nothing. POSIX sh.
# Comes after shared/logs.sh, lib.sh and build.sh.

begins_of() {
    begins='Successfully do streaming disaster recovery' by_time=no skip_old=no
}

# say_once: a state, unless one was said; the first is nearest.
say_once() {
    [ -n "$told_state" ] || say_state "$1" "$2"
    told_state=yes
}

# send_build: what gs_ctl says of the latest build, and how it ended.
send_build() {
    [ -d "$data_dir" ] || return 0
    query_build
    case $build in
        building | failed | interrupted)
            said=$(bounded gs_ctl querybuild -D "$data_dir" 2>/dev/null)
            [ -z "$said" ] || [ "$build" = failed ] || send_words CMD "gs_ctl querybuild -D $data_dir" "$said"
            ;;
    esac
    if [ "$build" = failed ]; then
        say_once SD25 "gs_ctl build failed three times, exit status $build_rc: $(tail -n 1 "$own_dir/build.log" 2>/dev/null)"
    fi
}

# send_fetch: why the files of the primary were not fetched.
send_fetch() {
    first_line "$own_dir/fetch.why"
    case $line in
        denied) say_once SD06 "$(tail -n 1 "$own_dir/fetch.log" 2>/dev/null)" ;;
        version) say_once SD18 'version.cfg of the primary cluster is another one' ;;
        user) say_once SD19 'the primary cluster belongs to another OS user' ;;
        keys | waiting) say_once SD34 "$(tail -n 1 "$own_dir/fetch.log" 2>/dev/null)" ;;
    esac
}

# send_files: what the files of gs_sdr say.
send_files() {
    foreign_locks
    [ -z "$locks" ] || say_once SD01 "$locks"
    read_step "$step_file"
    if [ -z "$number" ]; then
        say_once SD38 "$step_file holds \`$step_name\`"
    fi
    if [ -s "$cabin/.wal_keep_segments_record" ] && grep -qv '^[0-9]*:[0-9]*$' "$cabin/.wal_keep_segments_record"; then
        say_once SD39 "$cabin/.wal_keep_segments_record holds \`$(sed -n 1p "$cabin/.wal_keep_segments_record")\`"
    fi
    # A run that is under way has its lock.
    first_line "$own_dir/trace"
    if [ "$mode" = any ] && [ -n "$step_name" ] && [ -z "$locks" ] && [ "$build" != building ] &&
        { [ -z "$line" ] || [ ! -e "$pghost/streaming_lock_$line" ]; }; then
        say_once SD31 "$step_file holds $step_name"
    fi
}

main() {
    begin
    build=none told_state= leave_out=
    for file in build.log fetch.log; do
        [ ! -r "$own_dir/$file" ] || tail -n 8 "$own_dir/$file"
    done
    log=$(ls -t "${GAUSSLOG:-/nonexistent}"/om/gs_sdr-*.log 2>/dev/null | sed -n 1p)
    [ -z "$log" ] || send_file SDRLOG "$log"
    send_build
    send_fetch
    send_files
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
