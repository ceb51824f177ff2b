# gs_make N PATH: a directory, for us alone until it is full.
gs_make() {
    if [ -d "$2" ]; then
        gs_answer "$1" present
    elif gs_said=$(mkdir -m 700 "$2" 2>&1); then
        gs_answer "$1" created
    else
        gs_answer "$1" denied "${gs_said##*: }"
    fi
}

# gs_look N PATH PART SIZE SHA MODE TIME
gs_look() {
    gs_kind=absent
    if [ -L "$2" ]; then
        gs_kind=differs
    elif [ -d "$2" ]; then
        gs_answer "$1" denied 'Is a directory'
        return
    elif [ -f "$2" ]; then
        gs_kind=differs
        if [ "$(gs_size "$2")" = "$4" ] && [ -r "$2" ] && [ "$(gs_sum <"$2")" = "$5" ]; then
            gs_kind=labels
            [ "$(stat -c '%a %Y' "$2" 2>/dev/null)" != "$6 $7" ] || gs_kind=same
        fi
    elif [ -e "$2" ]; then
        gs_answer "$1" denied 'Is no regular file'
        return
    fi
    gs_have=0
    if [ -f "$3" ] && [ ! -L "$3" ] && [ -O "$3" ]; then
        gs_have=$(gs_size "$3")
        : "${gs_have:=0}"
    fi
    case $gs_kind in
        same | labels) gs_have=0 ;;
    esac
    if [ "$gs_have" = 0 ] || [ "$gs_have" -gt "$4" ]; then
        gs_have=0
        rm -f "$3" 2>/dev/null
    fi
    gs_answer "$1" "$gs_kind" "$gs_have"
}

# gs_why N PART: the node's own words for what SFTP calls a failure. Nothing is left of the part.
gs_why() {
    gs_said= gs_dir=.
    case $2 in
        */*) gs_dir=${2%/*}/ ;;
    esac
    if [ ! -d "$gs_dir" ]; then
        # Each shell has its own words for this.
        gs_said='No such file or directory'
    elif [ -L "$2" ]; then
        gs_said='Is a symbolic link'
    else
        gs_said=$({ head -c 262144 /dev/zero >>"$2"; } 2>&1)
        rm -f "$2" 2>/dev/null
    fi
    gs_answer "$1" because "${gs_said##*: }"
}

# gs_finish N PATH FROM SIZE SHA MODE TIME: FROM is the part, or PATH itself where only mode and time are wrong.
gs_finish() {
    gs_sha=$(gs_sum <"$3")
    if [ "$(gs_size "$3")" != "$4" ] || [ "${gs_sha:-$5}" != "$5" ]; then
        [ "$3" = "$2" ] || rm -f "$3"
        gs_answer "$1" mismatch
    elif gs_said=$({ touch -d "@$7" "$3" && chmod "$6" "$3" && { [ "$3" = "$2" ] || mv -f "$3" "$2"; }; } 2>&1); then
        gs_answer "$1" done
    else
        [ "$3" = "$2" ] || rm -f "$3" 2>/dev/null
        gs_answer "$1" denied "${gs_said##*: }"
    fi
}

# gs_close N PATH MODE: a directory that was made here is full.
gs_close() {
    if gs_said=$(chmod "$3" "$2" 2>&1); then
        gs_answer "$1" done
    else
        gs_answer "$1" denied "${gs_said##*: }"
    fi
}
