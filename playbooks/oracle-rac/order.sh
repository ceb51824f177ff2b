# Orders for crsctl, which start.sh and stop.sh share. POSIX sh (dash, bash, busybox), after lib.sh.

# After shared/logs.sh too.

# order ARGUMENT...: crsctl as whoever it needs, for as long as it takes: gsctl ends it when its time is over. What bash
# says of a crsctl that was killed goes nowhere.
order() {
    ordered="crsctl $*"
    said=$(
        {
            command_as "$@" 2>&1 </dev/null
            printf '\ngsctl_rc=%s\n' "$?"
        } 2>/dev/null | sed '/^gsctl_rc=/q'
    )
    said_rc=${said##*gsctl_rc=}
    said=${said%"$nl"gsctl_rc=*}
    printf '%s\n' "$said"
}

# command_as ARGUMENT...: a cluster is root's. Oracle Restart is its owner's, whom root can be at any time.
command_as() {
    if [ "$needs" = root ]; then
        ORACLE_HOME=$grid_home LC_ALL=C ${sudo:+"$sudo" -n} "$bin/crsctl" "$@"
    elif [ "$(id -un 2>/dev/null)" = "$needs" ]; then
        ORACLE_HOME=$grid_home LC_ALL=C "$bin/crsctl" "$@"
    elif [ "$uid" = 0 ]; then
        # env, as the owner's shell may be any; it is given one word for each of ours.
        su "$needs" -c "env ORACLE_HOME=$(quoted "$grid_home") LC_ALL=C $(quoted "$bin/crsctl") $*"
    else
        ORACLE_HOME=$grid_home LC_ALL=C ${sudo:+"$sudo" -n -u "$needs"} "$bin/crsctl" "$@"
    fi
}

# quoted TEXT: as one word for a shell.
quoted() {
    printf "'"
    printf '%s' "$1" | sed "s/'/'\\\\''/g"
    printf "'"
}

# find_orders: whom crsctl needs, and what it is told to start and stop.
find_orders() {
    find_grid
    own_uid
    find_processes
    find_kind
    object=crs needs=root
    [ "$kind" != restart ] || object=has needs=${owner:-root}
}

# failed: with the words of crsctl that say why, and the way out.
failed() {
    # gsctl holds it against the documented causes.
    send_words OUTPUT "$ordered" "$said"
    decisive
    way_out
    printf 'because=%s\n' "${because:-crsctl ended with exit status $said_rc}"
    [ -z "$way" ] || printf 'hint=%s\n' "$way"
    return 1
}
