# Looks at one Greenplum node and prints facts, `key=value` a line. Changes nothing. Comes after lib.sh and look.sh. POSIX sh.
# Besides theirs it finds `accept` (Normal or Degraded). The facts are listed at the end, in main.

# control DIR: leaves in $timeline and $control what pg_controldata says.
control() {
    timeline= control=
    [ -x "$gphome/bin/pg_controldata" ] || return
    told=$(bounded 6 "$gphome/bin/pg_controldata" "$1" 2>/dev/null </dev/null)
    timeline=$(printf '%s\n' "$told" | sed -n "s/^Latest checkpoint's TimeLineID:[[:space:]]*\([0-9][0-9]*\).*/\1/p")
    control=$(printf '%s\n' "$told" | sed -n 's/^Database cluster state:[[:space:]]*//p')
}

# read_catalog PORT DIR: every segment, for all hosts: HOSTNAME,ADDRESS=DATADIR:PORT:ROLE:CONTENT:STATUS. Each host is dealt its
# own words. Blanks in a data directory would end a word: such a cluster needs `segments` in the hosts file.
read_catalog() {
    version_of "$2"
    columns="port||':'||role||':'||content||':'||status"
    order='content >= 0 order by content, role desc'
    case $version in
        # Up to 5 data directories are in pg_filespace_entry.
        8) sql="select hostname||','||address||'='||fselocation||':'||$columns from gp_segment_configuration, pg_filespace_entry where dbid = fsedbid and fsefsoid = 3052 and $order" ;;
        *) sql="select hostname||','||address||'='||datadir||':'||$columns from gp_segment_configuration where $order" ;;
    esac
    ask "$1" "$2" "$sql"
    [ "$said_rc" = 0 ] || return 1
    set -f
    deal_segments= own_words=
    own=" $host $address $(uname -n 2>/dev/null) "
    for word in $said; do
        case $word in
            *,*=/*:*:*:*:*) ;;
            *) continue ;;
        esac
        deal_segments="$deal_segments${deal_segments:+ }$word"
        names=${word%%=*}
        case $own in
            *" ${names%%,*} "* | *" ${names#*,} "*) own_words="$own_words${own_words:+ }${word#*=}" ;;
        esac
    done
    set +f
    share_catalog=read
    fact share_catalog read
    fact deal_segments "$deal_segments"
}

# look_at_coordinator: what it answers, and, where it can be asked for it, the catalog: also one that takes no ordinary session.
look_at_coordinator() {
    state_of coordinator "$c_port" "$c_dir"
    coordinator=$state
    case $coordinator in
        accepting | utility | silent)
            if [ "$share_catalog" != read ] || [ "$light" != 1 ]; then
                ! read_catalog "$c_port" "$c_dir" || find_instances
            fi
            ;;
    esac
    served=unknown
    if [ "$coordinator" = accepting ] && [ "$accept" = Degraded ]; then
        connect '' "$c_port" "$c_dir" "select count(*) from gp_dist_random('gp_id')"
        if [ "$said_rc" = 0 ]; then served=yes; else served=no; fi
    fi
    share_way=own
    if [ "$use_management" != no ] && [ -x "$gphome/bin/gpstart" ]; then share_way=gpstart; fi
    share_launched=$run_state share_launched_what=$run_what share_coordinator=$coordinator share_served=$served
    fact share_coordinator "$share_coordinator"
    fact share_served "$share_served"
    fact share_launched "$share_launched"
    fact share_launched_what "$share_launched_what"
    fact share_way "$share_way"
    if [ -n "$share_unknown" ] && [ "$share_catalog" != read ]; then fact needs_catalog yes; else fact needs_catalog no; fi
    # Without its host gpstart must not be asked to look at the standby.
    if misses standby; then fact without_standby yes; else fact without_standby no; fi
}

# count_postmasters: how many of this installation run here, whoever they belong to.
count_postmasters() {
    postmasters=0
    for one in $(postmaster_directories | tr ' ' '_'); do
        postmasters=$((postmasters + 1))
    done
}

# note_bad: one more instance of its kind that is not up: its state, and where it is. Of many the first are named.
note_bad() {
    where="content $content, port $at_port, $dir"
    [ "$content" != - ] || where="port $at_port, $dir"
    case $1 in
        primary)
            worse "$primaries"
            primaries=$worse
            primaries_bad=$((primaries_bad + 1))
            [ "$primaries_bad" -gt 2 ] || primaries_where="$primaries_where${primaries_where:+; }$where"
            ;;
        mirror)
            worse "$mirrors"
            mirrors=$worse
            mirrors_bad=$((mirrors_bad + 1))
            [ "$mirrors_bad" -gt 2 ] || mirrors_where="$mirrors_where${mirrors_where:+; }$where"
            ;;
    esac
    # It will not come by itself.
    case $state in
        down | no-data | denied) segments_lost=yes ;;
    esac
}

# tally: one more segment, in the state $state. What is worst is what the kind is.
tally() {
    good=no
    case $role/$state in
        # Up to 5 a mirror has no receiver.
        primary/accepting | mirror/streaming | mirror/mirror) good=yes ;;
    esac
    case $role in
        primary)
            primaries_total=$((primaries_total + 1))
            [ "$good" = no ] || primaries_up=$((primaries_up + 1))
            ;;
        mirror)
            mirrors_total=$((mirrors_total + 1))
            [ "$good" = no ] || mirrors_up=$((mirrors_up + 1))
            ;;
    esac
    [ "$good" = yes ] || note_bad "$role"
}

# worse STATE: the worse of it and $state.
worse() {
    worse=$state
    for rank in denied no-data down silent unknown stopping starting recovery; do
        case $rank in
            "$1" | "$state")
                worse=$rank
                return
                ;;
        esac
    done
}

# accepted: a degraded cluster will do, the coordinator serves every content, and no program is still at work.
accepted() {
    [ "$accept" = Degraded ] && [ "$share_served" = yes ] && [ "$share_launched" != running ]
}

# seen KIND STATE UP TOTAL BAD WHERE: for the eye, with how many are up where not all are, and which are not.
seen() {
    case $2 in
        up | none) fact "${1}_seen" "$2" ;;
        unknown) fact "${1}_seen" unknown ;;
        *)
            if accepted; then
                fact "${1}_seen" 'served without'
                return
            fi
            more=
            [ "$5" -le 2 ] || more="; and $(($5 - 2)) more"
            fact "${1}_seen" "$2, $3 of $4 up ($6$more)"
            ;;
    esac
}

# name_state: one word for the node, and how many of its segments are up.
name_state() {
    of=$((primaries_total + mirrors_total)) up_here=$((primaries_up + mirrors_up))
    state=running
    case $coordinator/$standby in
        none/none | none/streaming | none/mirror | accepting/*) ;;
        *) state=partly ;;
    esac
    [ "$up_here" = "$of" ] || state=partly
    [ "$postmasters" != 0 ] || state=stopped
    [ "$source" != unknown ] || [ "$state" = stopped ] || state=unknown
    [ "$of" = 0 ] || state="$state $up_here/$of"
    [ "$conflict" = none ] || state=conflict
    [ "$installed" = yes ] || state=not-installed
}

# result_line NUMBER DIR: as gpsegstart reports a segment.
result_line() {
    if [ "$good" = yes ]; then
        fact "segment_$1" "STATUS--DIR:$2--STARTED:True--REASONCODE:0--REASON:Start Succeeded"
    else
        case $state in
            down) reason='no postmaster process' code=3 ;;
            no-data) reason='no such data directory' code=4 ;;
            denied) reason='data directory not readable' code=4 ;;
            starting) reason='the database system is starting up' code=1 ;;
            recovery) reason='the database system is in recovery mode, and receives no log' code=1 ;;
            stopping) reason='the database system is shutting down' code=1 ;;
            silent) reason='no answer to a connection' code=2 ;;
            *) reason="$state" code=1 ;;
        esac
        [ "$role/$state" != primary/recovery ] || reason='the database system is in recovery mode'
        [ "$stale" != yes ] || reason="$reason (postmaster.pid is left over)"
        fact "segment_$1" "STATUS--DIR:$2--STARTED:False--REASONCODE:$code--REASON:$reason"
    fi
}

# look_at_standby: how far it is, and whether it is one.
look_at_standby() {
    standby=$state standby_where="port $at_port, $dir"
    signal=no
    ! follows "$dir" || signal=yes
    if [ "$signal" = no ] && [ "$state" = accepting ] && [ "$share_coordinator" = accepting ]; then
        conflict="two coordinators take connections: the one of [coordinator], and the one on this host (port $at_port, $dir)"
    fi
    [ "$light" != 1 ] || return 0
    control "$dir"
    fact standby_timeline "$timeline"
    fact standby_control_state "$control"
    fact standby_signal "$signal"
    case $timeline/$share_timeline in
        /* | */ | *[!0-9/]*) ahead=unknown ;;
        *) if [ "$timeline" -gt "$share_timeline" ]; then ahead=yes; else ahead=no; fi ;;
    esac
    fact standby_ahead "$ahead"
}

# look_for_conflict: an instance that acts as a primary while the catalog has another one for its content.
look_for_conflict() {
    case $source/$listed/$role/$state in
        catalog/mirror/primary/accepting) ;;
        *) return ;;
    esac
    # The catalog was read before this look; a mirror that is promoted right now is told apart by the time that it has had.
    [ "$light" = 1 ] || conflict="content $content has two primaries that run: this one (port $at_port, $dir) was replaced by its mirror"
}

# pg_ctl_status NAME: 0 runs, 3 does not, 4 is no data directory.
pg_ctl_status() {
    [ "$light" != 1 ] && [ -x "$gphome/bin/pg_ctl" ] && [ -d "$dir" ] || return
    bounded 6 "$gphome/bin/pg_ctl" status -D "$dir" >/dev/null 2>&1 </dev/null
    fact "${1}_pg_ctl" "$?"
}

look_at_instances() {
    number=0
    rest=$instances
    while next_instance; do
        pid= stale=no
        if [ "$role" = coordinator ]; then state=$coordinator; else state_of "$role" "$at_port" "$dir"; fi
        case $state in
            no-data | denied) [ -n "$missing_data" ] || missing_data=$dir ;;
        esac
        # Before 6 a segment's postmaster wants options that only gpstart knows.
        ! version_of "$dir" || [ "$version" != 8 ] || own_way=no
        case $role in
            coordinator)
                pg_ctl_status coordinator
                if [ "$light" != 1 ]; then
                    control "$dir"
                    fact timeline "$timeline"
                    fact control_state "$control"
                    fact share_timeline "$timeline"
                    share_timeline=$timeline
                fi
                ;;
            standby)
                pg_ctl_status standby
                look_at_standby
                ;;
            *)
                tally
                number=$((number + 1))
                result_line "$number" "$dir"
                pg_ctl_status "segment_$number"
                [ -z "$pid" ] || running=$((running + 1))
                look_for_conflict
                ;;
        esac
    done
}

# say_segments: what the segments of this host come to.
say_segments() {
    case $source in
        unknown)
            primaries=unknown mirrors=unknown
            fact share_unknown yes
            ;;
        not-in-catalog) primaries=unknown mirrors=unknown ;;
    esac
    if [ "$primaries_total" -gt 0 ] && [ "$primaries_up" = "$primaries_total" ]; then primaries=up; fi
    if [ "$mirrors_total" -gt 0 ] && [ "$mirrors_up" = "$mirrors_total" ]; then mirrors=up; fi
    fact primaries "$primaries"
    fact mirrors "$mirrors"
    seen primaries "$primaries" "$primaries_up" "$primaries_total" "$primaries_bad" "$primaries_where"
    seen mirrors "$mirrors" "$mirrors_up" "$mirrors_total" "$mirrors_bad" "$mirrors_where"
    fact primaries_up "$primaries_up"
    fact primaries_total "$primaries_total"
    fact mirrors_up "$mirrors_up"
    fact mirrors_total "$mirrors_total"
    fact segments_lost "$segments_lost"
    case $primaries/$mirrors in
        unknown/*) segments_are=unknown ;;
        none/none) segments_are=none ;;
        up/up | up/none | none/up) segments_are=up ;;
        *) segments_are=partly ;;
    esac
    if [ "$segments_are" = partly ] && [ "$primaries_up$mirrors_up" = 00 ] && [ "$running" = 0 ]; then segments_are=down; fi
    fact segments_are "$segments_are"
}

# say_standby: the same for the standby.
say_standby() {
    fact standby "$standby"
    case $standby in
        streaming | mirror | none) fact standby_seen "$standby" ;;
        *) if accepted; then fact standby_seen 'served without'; else fact standby_seen "$standby${standby_where:+ ($standby_where)}"; fi ;;
    esac
}

main() {
    look_around
    find_instances
    coordinator=none standby=none primaries=none mirrors=none conflict=none segments_lost=no
    primaries_up=0 primaries_total=0 primaries_bad=0 primaries_where= mirrors_up=0 mirrors_total=0 mirrors_bad=0 mirrors_where=
    running=0 missing_data= own_way=yes standby_where=
    if in_group coordinator && [ -z "$data" ]; then coordinator=no-data; fi
    if in_group standby && [ -z "${standby_data:-$data}" ]; then standby=no-data; fi
    ! the_coordinator || look_at_coordinator
    fact segments_source "$source"
    look_at_instances
    fact coordinator "$coordinator"
    say_segments
    say_standby
    fact conflict "$conflict"
    fact own_way "$own_way"
    fact way "$share_way"
    fact missing_data "$missing_data"
    # With hosts missing, their own names may be among them.
    if [ -z "$missing_groups" ] && in_group coordinator; then
        fact catalog_unknown_hosts "$undealt_segments"
        fact found_unknown_hosts "$undealt_segments"
    fi
    count_postmasters
    fact postmasters "$postmasters"
    # Where the segments are not known, any postmaster may be one.
    [ "$source" != unknown ] || running=$postmasters
    fact segments_running "$running"
    name_state
    fact state "$state"
    if command -v mark_logs >/dev/null; then
        case $share_coordinator in
            # Nothing is started beside one that runs: what was written before tells.
            accepting) fact found_log_marks '' ;;
            *) fact found_log_marks "$(mark_logs)" ;;
        esac
    fi
    fact elsewhere_launched "$share_launched"
    fact elsewhere_launched_what "$share_launched_what"
    fact elsewhere_coordinator "$share_coordinator"
    fact elsewhere_served "$share_served"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
