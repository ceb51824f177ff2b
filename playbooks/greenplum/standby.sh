# Looks at a standby that is to be promoted, and for the coordinator that it follows. Changes nothing. Prints facts. Comes after
# lib.sh and look.sh. POSIX sh.

# old_coordinator DIR: leaves in $old_host and $old_port whom the standby follows.
old_coordinator() {
    told=$(sed -n "s/^[[:space:]]*primary_conninfo[[:space:]]*=\{0,1\}[[:space:]]*'\(.*\)'.*/ \1/p" \
        "$1/recovery.conf" "$1/postgresql.conf" "$1/postgresql.auto.conf" 2>/dev/null | tail -n 1 | tr -d "'")
    old_host= old_port=5432
    case $told in
        *' host='*)
            old_host=${told#* host=}
            old_host=${old_host%% *}
            ;;
    esac
    case $told in
        *' port='*)
            old_port=${told#* port=}
            old_port=${old_port%% *}
            ;;
    esac
}

# lock_of PORT: leaves in $lock whether a live postgres is behind the lock file of a port on this node: none, stale, active.
lock_of() {
    lock=none
    [ -e "/tmp/.s.PGSQL.$1.lock" ] || return
    lock=unknown
    line_of "/tmp/.s.PGSQL.$1.lock" 1 || return
    if is_postgres "$line"; then lock=active; else lock=stale; fi
}

# look_for_the_old: by a connection, whose answer may be any but none; and by the lock file over there, where this user's ssh gets
# there. gpactivatestandby looks at the file alone; its process tells whether it is that of a dead one.
look_for_the_old() {
    old_answer=unknown old_lock=unknown
    [ -n "$old_host" ] || return
    said=$(PGOPTIONS='' PGCONNECT_TIMEOUT=5 bounded 6 "$gphome/bin/psql" -X -w -h "$old_host" -p "$old_port" -d template1 -Atq \
        -c 'select 1' 2>&1 </dev/null)
    case $?/$said in
        0/* | *FATAL:* | *ERROR:* | *'no password supplied'*) old_answer=yes ;;
        *) old_answer=no ;;
    esac
    command -v ssh >/dev/null 2>&1 || return
    told=$(bounded 10 ssh -n -o BatchMode=yes -o ConnectTimeout=5 "$old_host" \
        "f=/tmp/.s.PGSQL.$old_port.lock; if test ! -e \$f; then echo gsctl_none; elif read -r p <\$f; then case \$(grep -l -x 'Name:[[:space:]]*postgres' /proc/\$p/status 2>/dev/null) in '') echo gsctl_stale ;; *) echo gsctl_active ;; esac; fi" 2>/dev/null </dev/null)
    case $told in
        *gsctl_active*) old_lock=active ;;
        *gsctl_stale*) old_lock=stale ;;
        *gsctl_none*) old_lock=none ;;
    esac
}

# name_old: leaves in $old_state what all of that comes to: running, dead, missing (its host was not reached by this run, which
# goes on without it) or unknown. Who answers nothing is not dead for that.
name_old() {
    old_state=unknown
    case $share_old/$old_lock/$old_answer in
        running/* | */active/* | */yes) old_state=running ;;
        dead/* | */none/* | */stale/*) old_state=dead ;;
        *) ! misses coordinator || old_state=missing ;;
    esac
}

look_at_old_coordinator() {
    lock_of "$at_port"
    fact old_lock "$lock"
    case $state/$lock in
        down/none | down/stale) share_old=dead ;;
        # Where it lies is not certain, so neither is its port.
        no-data/* | denied/*) share_old=unknown ;;
        *) share_old=running ;;
    esac
    fact share_old "$share_old"
    fact share_old_lock "$lock"
    fact found_lock "/tmp/.s.PGSQL.$at_port.lock"
    old_state=$share_old
    fact old_state "$old_state"
}

look_at_standby() {
    fact share_standby yes
    # streaming hides what it answers; and one that is a hot standby accepts, but no writing.
    if [ "$state" != down ] && [ "$state" != no-data ] && [ "$state" != denied ]; then
        version_of "$dir"
        connect '' "$at_port" "$dir" 'select pg_is_in_recovery()'
        case $answer/$said in
            accepting/t*) state=hot-standby ;;
            accepting/*) state=accepting ;;
            *) [ "$state" = streaming ] || state=$answer ;;
        esac
    fi
    [ "$light" != 1 ] || return 0
    old_coordinator "$dir"
    look_for_the_old
    name_old
    # Where the coordinator's host is in this run, that is where the file goes.
    old_lock_is=$old_lock
    [ -z "$share_old" ] || old_lock_is=here
    fact old_lock "$old_lock_is"
    fact old_answer "$old_answer"
    fact old_state "$old_state"
    fact found_old "$old_host:$old_port"
    fact found_old_host "$old_host"
    fact found_old_port "$old_port"
}

main() {
    look_around
    # Who asks for the promotion of a host without groups means a standby.
    role=standby
    if in_group standby; then
        :
    elif in_group coordinator; then
        role=coordinator
    elif in_group segments; then
        role=other
    else
        groups="$groups standby"
    fi
    asked=$role
    fact role "$role"
    if [ "$role" = standby ] || [ "$share_standby" = yes ]; then fact any_standby yes; else fact any_standby no; fi
    find_instances
    case $asked in
        standby) dir=${standby_data:-$data} ;;
        coordinator) dir=$data ;;
        *) return 0 ;;
    esac
    port_of "$dir"
    at_port=$port_is
    if [ -n "$dir" ] && [ -r "$dir/PG_VERSION" ]; then fact standby_data_dir ok; else fact standby_data_dir missing; fi
    if follows "$dir"; then fact standby_signal yes; else fact standby_signal no; fi
    state_of "$asked" "$at_port" "$dir"
    if [ "$asked" = coordinator ]; then look_at_old_coordinator; else look_at_standby; fi
    fact state "$state"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
