# What looks at a node share: where its profile says things are, which programs are there, and which of them run.
# Comes after lib.sh. POSIX sh.

# login_environment: what the cluster user's profile says. It is written for bash, may print and may hang: what it prints goes
# nowhere, what it reads is empty, and it has ten seconds.
login_environment() {
    inside=sh
    command -v bash >/dev/null 2>&1 && inside=bash
    told=$({
        bounded 10 "$inside" -c '
            if [ -r /etc/profile ]; then . /etc/profile; fi
            for file in "$HOME/.bash_profile" "$HOME/.bash_login" "$HOME/.profile"; do
                if [ -r "$file" ]; then . "$file"; break; fi
            done
            if [ -r "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi
            set +eu
            printf "gsctl_home=%s\ngsctl_data=%s\n" "$GPHOME" "${COORDINATOR_DATA_DIRECTORY:-$MASTER_DATA_DIRECTORY}" >&8
        ' 8>&1 >/dev/null 2>&1 </dev/null
        printf 'gsctl_end\n'
    } | sed '/^gsctl_end/q')
    from_profile gsctl_home
    login_home=$found
    from_profile gsctl_data
    found_coordinator_data=$found
}

# from_profile KEY: leaves in $found the absolute path behind it.
from_profile() {
    found=
    case $nl$told in
        *"$nl$1=/"*)
            found=${told#*"$1"=}
            found=${found%%"$nl"*}
            ;;
    esac
}

# find_home: leaves in $found_gphome where Greenplum is: as said, else as the profile says, else where it usually is.
find_home() {
    found_gphome=$gphome
    for place in "$login_home" /usr/local/greenplum-db /opt/greenplum /opt/greenplum-db /usr/local/greenplum-db-*; do
        if [ -z "$found_gphome" ] && [ -n "$place" ] && [ -x "$place/bin/postgres" ]; then found_gphome=$place; fi
    done
    found_gphome=${found_gphome:-${login_home:-/usr/local/greenplum-db}}
}

# look_around: the first thing a full look does.
look_around() {
    # What sshd or the user's own files have put into PATH is not for us.
    PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
    if [ "$light" != 1 ]; then
        login_environment
        find_home
        fact found_gphome "$found_gphome"
        fact found_coordinator_data "$found_coordinator_data"
        fact node_name "$(uname -n 2>/dev/null)"
    fi
    use_programs
    look_at_home
    launched
    fact launched "$run_state"
    fact launched_what "$run_what"
    fact launched_why "$run_why"
    admin_program=none
    [ "$light" = 1 ] || [ "$run_state" = running ] || find_admin_program
    fact admin_program "$admin_program"
}

look_at_home() {
    place=missing installed=no
    if [ -d "$gphome/bin" ] && [ -x "$gphome/bin" ]; then
        place=ok
        [ ! -x "$gphome/bin/postgres" ] || installed=yes
    elif hidden "$gphome/bin/x"; then
        place=denied
    fi
    fact installed "$installed"
    fact gphome_dir "$place"
    for program in gpstart gpstop gpactivatestandby; do
        if [ "$use_management" != no ] && [ -x "$gphome/bin/$program" ]; then
            fact "has_$program" yes
        else
            fact "has_$program" no
        fi
    done
}

# begun PID: leaves in $begun when a process began, in ticks since the node was booted.
begun() {
    begun=
    stat=$(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null) || return
    set -f
    # shellcheck disable=SC2086
    set -- $stat
    set +f
    begun=${20}
}

# launched: how the gpstart (or gpstop, ...) fares that act.sh has launched: none, running, ok, failed. One that had ended when
# this run had its first look belongs to an earlier run, and counts no more.
launched() {
    run_state=none run_why= run_what=none
    mark=$HOME/gpAdminLogs/gsctl-run
    if [ -z "$HOME" ] || ! line_of "$mark.pid" 1; then
        [ "$light" = 1 ] || fact found_mark "${found_mark:-none}"
        return
    fi
    run_pid=$line
    line_of "$mark.pid" 2
    run_what=$line
    line_of "$mark.pid" 3
    run_begun=$line
    run_id=$run_pid.$run_begun
    begun "$run_pid"
    if line_of "$mark.rc" 1; then
        run_rc=$line run_state=failed
        [ "$run_rc" != 0 ] || run_state=ok
    elif [ -n "$begun" ] && [ "$begun" = "$run_begun" ]; then
        run_state=running
    else
        # Its status is written first, then the process ends.
        run_rc=lost run_state=failed
        ! line_of "$mark.rc" 1 || { run_rc=$line && [ "$run_rc" != 0 ] || run_state=ok; }
    fi
    if [ "$light" != 1 ] && [ -z "$found_mark" ]; then
        if [ "$run_state" = running ]; then found_mark=none; else found_mark=$run_id; fi
    fi
    [ "$light" = 1 ] || fact found_mark "$found_mark"
    if [ "$run_id" = "$found_mark" ]; then
        fact launched_before "$run_what ended with ${run_rc:-0}"
        run_state=none run_what=none
        return
    fi
    [ "$run_state" != failed ] || why_failed
    [ "$run_state" = running ] || fact launched_rc "$run_rc"
}

# why_failed: leaves in $run_why what the program's own words come to, and prints the last of them.
why_failed() {
    told=$(tail -c 20000 "$mark.out" 2>/dev/null)
    # 4 is gpstart's only for a standby that it cannot ask.
    case $run_rc/$told in
        4/*) run_why=standby ;;
        124/* | 137/*) run_why=out-of-time ;;
        lost/*) run_why=lost ;;
        *tandby*activated*) run_why=activated ;;
        *'Do not have enough valid segments'*)
            run_why=not-enough
            case $told in
                *'not reachable via SSH'*) run_why=unreachable ;;
            esac
            ;;
        *'Active postgres process on'*) run_why=active ;;
        *'nstance process running'*) run_why=runs ;;
        *'FAILED  host:'*) run_why=segments ;;
        *'not reachable via SSH'*) run_why=unreachable ;;
        *) run_why=other ;;
    esac
    case $told in
        *'not reachable via SSH'*)
            fact launched_unreachable "$(printf '%s\n' "$told" | sed -n 's/.*Host \([^ ]*\) is unreachable.*/\1/p' | tr '\n' ' ')"
            ;;
    esac
    last=$(printf '%s\n' "$told" | sed -n -e 's/^.*-\[ERROR\]:-//p' -e 's/^.*-\[CRITICAL\]:-//p' | tail -n 1)
    [ -n "$last" ] || last=$(printf '%s\n' "$told" | tail -n 1)
    fact found_said "exit status $run_rc${last:+, \"$last\"}"
}

# find_admin_program: leaves in $admin_program a management program that somebody runs here, not through gsctl.
find_admin_program() {
    for file in $(grep -l -e gpstart -e gpstop -e gprecoverseg -e gpinitstandby -e gpactivatestandby -e gpexpand \
        /proc/[0-9]*/cmdline); do
        two=$(tr '\0' '\n' <"$file" | sed -n 1,2p)
        name=${two%%"$nl"*}
        name=${name##*/}
        case $name in
            python* | sh | bash | dash)
                name=${two#*"$nl"}
                name=${name##*/}
                ;;
        esac
        case $name in
            gpstart | gpstop | gprecoverseg | gpinitstandby | gpactivatestandby | gpexpand)
                file=${file%/cmdline}
                admin_program="$name, as process ${file##*/}"
                return
                ;;
        esac
    done
} 2>/dev/null
