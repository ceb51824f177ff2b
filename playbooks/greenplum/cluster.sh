# Asks the coordinator about the whole cluster and prints facts, `key=value` a line. Changes nothing. Comes after lib.sh. POSIX sh.

# judge: from the catalog and from who streams, as `gpstate -e` and `gpstate -f` have it: the catalog learns of a dead mirror more
# than a minute later. Reads `r|CONTENT|STATE|SYNC` and `c|CONTENT|ROLE|PREFERRED|MODE|STATUS|PORT|HOST|DIR`.
judge() {
    awk -F'|' -v asked="$1" -v trouble="$2" -v roles="$roles" '
        function why(text) {
            reasons++
            if (reasons <= 3) because = because (because == "" ? "" : "; ") text
        }
        $1 == "r" && $3 == "streaming" { streams[$2] = 1 }
        $1 == "c" { rows++; content[rows] = $2; role[rows] = $3; preferred[rows] = $4; mode[rows] = $5; status[rows] = $6
                    port[rows] = $7; host[rows] = $8; dir[rows] = $9 }
        END {
            if (trouble != "") { unsynced++; why("which mirrors stream could not be asked: " trouble) }
            for (i = 1; i <= rows; i++) {
                at = " (" host[i] ", port " port[i] (dir[i] == "" ? "" : ", " dir[i]) ")"
                name = "the " (role[i] == "p" ? "primary" : "mirror") " of content " content[i] at
                if (content[i] < 0) {
                    if (role[i] == "m" && asked && !streams[content[i]]) { standby++; why("the standby" at " does not stream") }
                    continue
                }
                total++
                if (role[i] != preferred[i]) {
                    swapped++
                    if (role[i] == "p") why("the mirror of content " content[i] at " acts as its primary")
                }
                if (role[i] != "m") {
                    if (status[i] == "d") { down++; stuck++; why(name " is down") }
                    continue
                }
                if (status[i] == "d") {
                    down++
                    if (!streams[content[i]]) stuck++
                    why(name " is down")
                } else if (asked && !streams[content[i]]) {
                    unsynced++
                    why(name " does not stream")
                } else if (mode[i] != "s") {
                    unsynced++
                    why(name " is not in step yet")
                }
            }
            if (reasons > 3) because = because "; and " (reasons - 3) " more"
            print "cluster_segments=" total + 0
            print "cluster_down=" down + 0
            print "cluster_not_preferred=" swapped + 0
            print "cluster_not_synced=" unsynced + 0
            print "cluster_standby=" (standby ? "not streaming" : "ok")
            # What will not mend itself.
            print "cluster_stuck=" (stuck ? "down" : (unsynced || standby || down) ? "none" : swapped ? "roles" : "none")
            # What greenplum/recover does about it.
            print "recover_standby=" (standby ? "yes" : "no")
            print "recover_segments=" (down ? "yes" : "no")
            print "recover_roles=" (swapped ? "yes" : "no")
            todo = standby ? "gpinitstandby -n starts the standby" : ""
            if (down) todo = todo (todo == "" ? "" : "; ") "gprecoverseg -a starts the segments that are down"
            if (swapped && roles == "preferred") todo = todo (todo == "" ? "" : "; ") "gprecoverseg -r gives the preferred roles back"
            print "to_do=" (todo == "" ? "nothing" : todo)
            print "cluster_whole=" (down + unsynced + standby + (roles == "preferred" ? swapped : 0) == 0 ? "yes" : "no")
            print "cluster_because=" because
            print "found_because=" because
            print "cluster_state=" (down + swapped + unsynced + standby == 0 ? "Normal" : "Degraded")
        }'
}

# unavailable WHY
unavailable() {
    fact cluster_stuck none
    fact cluster_because "$1"
    fact found_because "$1"
    fact cluster_state Unavailable
}

main() {
    use_programs
    find_instances
    if ! the_coordinator; then
        unavailable 'the data directory of the coordinator is not known'
        return
    fi
    if ! process_of "$c_dir"; then
        unavailable 'the coordinator does not run'
        return
    fi
    # Goes to every primary.
    connect '' "$c_port" "$c_dir" "select count(*) from gp_dist_random('gp_id')"
    if [ "$said_rc" != 0 ]; then
        reason_of "$said"
        [ "$answer" != silent ] || reason='the coordinator takes connections and does not answer: it waits for a primary'
        unavailable "${reason:-the coordinator does not answer}"
        return
    fi
    version_of "$c_dir"
    directory=datadir
    [ "$version" != 8 ] || directory="''"
    connect '' "$c_port" "$c_dir" "select content||'|'||role||'|'||preferred_role||'|'||mode||'|'||status||'|'||port||'|'||hostname||'|'||$directory from gp_segment_configuration order by content, role desc"
    rows=$said
    if [ "$said_rc" != 0 ]; then
        reason_of "$said"
        unavailable "$reason"
        return
    fi
    asked=0 streams= trouble=
    if [ "$version" != 8 ]; then
        connect '' "$c_port" "$c_dir" "select gp_segment_id||'|'||state||'|'||coalesce(sync_state, '') from gp_stat_replication where application_name = 'gp_walreceiver'"
        if [ "$said_rc" = 0 ]; then
            asked=1 streams=$said
        else
            reason_of "$said"
            trouble=${reason:-no answer}
        fi
    fi
    {
        printf '%s\n' "$streams" | sed 's/^/r|/'
        printf '%s\n' "$rows" | sed 's/^/c|/'
    } | judge "$asked" "$trouble"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
