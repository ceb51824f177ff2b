# Pieces of logs: how long each was before the first change, and what was written since, bounded. Defines functions only; stands
# in front of a system's own scripts. POSIX sh (dash, bash, busybox). Changes nothing, needs no root.
#
# A log that goes on across restarts holds yesterday's trouble too. So inode and size are taken before the first change, and only
# what comes after that is read. $log_marks holds what was noted: the node's own time, and `|INODE:SIZE:FILE` for each log; it is
# empty where nothing is started.
#
# A system may define anew, behind this text:
#   mark_of CODES FILE   leaves in $mark_inode and $mark_size what was noted of a log; false: it is not known when this start began
#   begins_of CODES      leaves in $begins a regular expression of the line with which the newest life of a program begins, and
#                        in $by_time `no` where the times in the lines say nothing about now, and in $skip_old `yes` where
#                        a file that is older than ten minutes says nothing either
# and set $leave_out, a regular expression of lines that say nothing.
leave_out=

# mark_file FILE: what is noted of a log; nothing of one that is not there: then it is new.
mark_file() {
    case $1 in
        *'|'*) return ;;
    esac
    [ -r "$1" ] || return 0
    mark_inode=$(ls -id "$1") && mark_inode=${mark_inode%% /*}
    mark_size=$(wc -c <"$1") || return 0
    printf '|%s:%s:%s' "${mark_inode##* }" "${mark_size##* }" "$1"
} 2>/dev/null

mark_of() {
    mark_inode=0 mark_size=0
    [ -n "$log_marks" ] || return 1
    set -f
    IFS='|'
    for entry in $log_marks; do
        case $entry in
            *:*:"$2")
                mark_inode=${entry%%:*}
                entry=${entry#*:}
                mark_size=${entry%%:*}
                ;;
        esac
    done
    unset IFS
    set +f
}

begins_of() {
    begins= by_time=yes skip_old=no
}

# say_state ID WORDS: a documented cause that no log tells of.
say_state() {
    printf '>> %s: %s\n' "$1" "$2"
}

# clip_lines: lines of a log as they may travel: no NUL, none beyond 600 bytes, each behind a blank, and none that $leave_out says.
clip_lines() {
    tr -d '\000' | LC_ALL=C cut -b 1-600 | LC_ALL=C awk -v out="$leave_out" 'out == "" || $0 !~ out { print " " $0 }'
}

# send_words CODES FROM WORDS: what a program said, as a log has it.
send_words() {
    printf '>> %s since %s\n' "$1" "$2"
    printf '%s\n' "$3" | tail -c 8192 | clip_lines
}

# send_file CODES FILE [BYTES FROM THE BEGINNING]: what was written since the mark; where nothing is started, what the newest life
# of the program wrote.
send_file() {
    if [ ! -r "$2" ]; then
        [ ! -e "$2" ] || printf '>> %s unreadable %s\n' "$1" "$2"
        return 0
    fi
    inode=$(ls -id "$2" 2>/dev/null) && inode=${inode%% /*}
    size=$(wc -c <"$2")
    from=0 word=since
    if mark_of "$1" "$2"; then
        # Another inode, or less than there was: a new file, or one that was copied and cut to nothing.
        if [ "${inode##* }" = "$mark_inode" ] && [ "$size" -ge "$mark_size" ]; then from=$mark_size; fi
    else
        word=newest:$(age_of_file "$2")
    fi
    count=$((size - from))
    printf '>> %s %s %s\n' "$1" "$word" "$2"
    [ "$count" -gt 0 ] || return 0
    begins_of "$1"
    case $skip_old:$word in
        yes:newest:[0-9]*) [ "${word#newest:}" -le 600 ] || return 0 ;;
    esac
    if [ -n "$3" ] && [ "$count" -gt $((2 * $3)) ]; then
        head -c "$3" "$2" | clip_lines
        printf '\n'
        count=$3
    fi
    [ "$count" -le 65536 ] || count=65536
    if [ "$word" = since ] || [ "$by_time$begins" = no ]; then
        tail -c "$count" "$2" | clip_lines
    else
        tail -c "$count" "$2" | newest_life | clip_lines
    fi
}

# newest_life: from the last line that tells of a start; of a log that has none, the last ten minutes. A line without a time
# belongs to the one before it.
newest_life() {
    oldest=$(date -d "@$(($(date +%s) - 600))" '+%Y-%m-%d %H:%M:%S' 2>/dev/null)
    LC_ALL=C awk -v begins="$begins" -v by_time="$by_time" -v oldest="$oldest" '
        function time_of(text, at) {
            at = match(text, /[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]/)
            if (at > 0 && at <= 36) return substr(text, at, 19)
            # gpstart.
            if (text ~ /^[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]:[0-9][0-9]:[0-9][0-9]:[0-9][0-9]:/)
                return substr(text, 1, 4) "-" substr(text, 5, 2) "-" substr(text, 7, 2) " " substr(text, 10, 8)
            return ""
        }
        begins != "" && $0 ~ begins { kept = 0; begun = 1 }
        {
            if (by_time != "no" && (time = time_of($0)) != "") old = time < oldest
            is_old[kept] = old
            line[kept++] = $0
        }
        END { for (at = 0; at < kept; at++) if (begun || !is_old[at]) print line[at] }'
}

# age_of_file FILE: seconds since it was written to; nothing where the node cannot tell.
age_of_file() {
    written=$(stat -c %Y "$1" 2>/dev/null) && echo $(($(date +%s) - written))
}

# is_before_start FILE: nothing was written to it since this start was requested.
is_before_start() {
    requested=${log_marks%%|*}
    [ -n "$requested" ] || return 1
    age=$(age_of_file "$1")
    [ -n "$age" ] && [ "$age" -gt $(($(date +%s) - requested + 1)) ]
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
