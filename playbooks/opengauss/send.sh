# Sends pieces of logs: what was written since mark_logs (logs.sh) was asked, bounded. Before evidence.sh.

# marked CODE: leaves in $mark_inode, $mark_size and $mark_dir what was noted about a log; false where nothing was.
marked() {
    mark_inode=0 mark_size=0 mark_dir=
    set -f
    IFS='|'
    for entry in $log_marks; do
        case $entry in
            "$1":*)
                entry=${entry#*:}
                mark_inode=${entry%%:*}
                entry=${entry#*:}
                mark_size=${entry%%:*} mark_dir=${entry#*:}
                ;;
        esac
    done
    unset IFS
    set +f
    [ -n "$mark_dir" ]
}

# bounded BYTES: lines of a log as they may travel: no NUL, none beyond 600 bytes, each behind a blank.
bounded() {
    tr -d '\000' | LC_ALL=C cut -b 1-600 | sed 's/^/ /'
}

# send_log CODE DIR: what was written since the mark; without one, what the newest life of the program wrote.
send_log() {
    log_of "$1" "$2" || return 0
    send_file "$1" "$log"
}

# send_file CODE FILE [BYTES FROM THE BEGINNING]
send_file() {
    if [ ! -r "$2" ]; then
        printf '>> %s unreadable %s\n' "$1" "$2"
        return
    fi
    inode=$(ls -id "$2" 2>/dev/null) && inode=${inode%% /*}
    size=$(wc -c <"$2")
    from=0 word=since
    if marked "$1"; then
        # Another inode, or less than there was: a new file, or one that was copied and cut to nothing.
        if [ "${inode##* }" = "$mark_inode" ] && [ "$size" -ge "$mark_size" ]; then from=$mark_size; fi
    elif [ "$1" = PGLOG ] && [ -n "$log_marks" ]; then
        # It is this start's own file.
        :
    else
        word=newest:$(age_of_file "$2")
    fi
    count=$((size - from))
    printf '>> %s %s %s\n' "$1" "$word" "$2"
    [ "$count" -gt 0 ] || return 0
    # It tells no time: what is old says nothing about now.
    case $1:$word in
        DNERR:newest:[0-9]*) [ "${word#newest:}" -le 600 ] || return 0 ;;
    esac
    if [ -n "$3" ] && [ "$count" -gt $((2 * $3)) ]; then
        head -c "$3" "$2" | bounded
        printf '\n'
        count=$3
    fi
    [ "$count" -le 65536 ] || count=65536
    if [ "$word" = since ]; then
        tail -c "$count" "$2" | bounded
    else
        tail -c "$count" "$2" | newest_life "$1" | bounded
    fi
}

# newest_life CODE: from the last line that tells of a start; of a log that has none, the last ten minutes.
newest_life() {
    case $1 in
        # What keeps om_monitor itself from running, cron makes it say once a minute.
        OMM) if [ "$om_monitor" = none ]; then begins=; else begins='cm_agent start, pid is'; fi ;;
        AGENT) begins='agent start and stop thread start' ;;
        *) begins= ;;
    esac
    oldest=$(date -d "@$(($(date +%s) - 600))" '+%Y-%m-%d %H:%M:%S' 2>/dev/null)
    LC_ALL=C awk -v begins="$begins" -v oldest="$oldest" '
        begins != "" && index($0, begins) { kept = 0 }
        # A line without a time belongs to the one before it.
        begins == "" && /^ ?[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:/ { sub(/^ /, ""); old = substr($0, 1, 19) < oldest }
        !old { line[kept++] = $0 }
        END { for (at = 0; at < kept; at++) print line[at] }'
}

# age_of_file FILE: seconds since it was written to; nothing where the node cannot tell.
age_of_file() {
    written=$(stat -c %Y "$1" 2>/dev/null) && echo $(($(date +%s) - written))
}

# full_disk PATH: leaves in $full how full its file system is, where that is all of it.
full_disk() {
    full=
    for option in -P -Pi; do
        full=$(LC_ALL=C df "$option" "$1" 2>/dev/null | awk 'NR == 2 && $5 == "100%" { print $6 }')
        if [ -n "$full" ]; then
            [ "$option" = -P ] && full="$full is full" || full="$full has no inodes left"
            return 0
        fi
    done
    return 1
}
