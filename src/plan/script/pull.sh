# gs_head N PATH SIZE: the SHA-256 of the first SIZE bytes; a log may have grown since.
gs_head() {
    gs_sha=
    if [ -f "$2" ] && [ -r "$2" ]; then
        if [ "$(gs_size "$2")" = "$3" ]; then
            gs_sha=$(gs_sum <"$2")
        else
            gs_sha=$(head -c "$3" "$2" 2>/dev/null | gs_sum)
        fi
    fi
    gs_answer "$1" sum "$gs_sha"
}

gs_tab='	' gs_return=$(printf '\r') gs_nl='
'

# gs_path WORD TEXT PATH: one line, whatever is in the path.
gs_path() {
    case $3 in
        hex:* | *"$gs_nl"* | *"$gs_tab"* | *"$gs_return"*)
            printf '%s\t%s\thex:%s\n' "$1" "$2" "$(printf '%s' "$3" | od -An -v -tx1 | tr -d ' \n')"
            ;;
        *) printf '%s\t%s\t%s\n' "$1" "$2" "$3" ;;
    esac
}

# gs_not PATH REASON: it cannot be copied.
gs_not() {
    gs_path not "$(printf '%s' "$2" | tr '\n\t' '  ')" "$1"
}

# gs_missing PATH: why there is nothing.
gs_missing() {
    gs_said=$(ls -d "$1" 2>&1 >/dev/null)
    gs_said=${gs_said##*: }
    gs_not "$1" "${gs_said:-No such file or directory}"
}

# gs_spread N PATTERN WORD...: what the pattern has become.
gs_spread() {
    gs_n=$1 gs_pattern=$2 gs_none=1
    shift 2
    for gs_each; do
        if [ -e "$gs_each" ] || [ -L "$gs_each" ]; then
            gs_none=
            gs_path match "$gs_n" "$gs_each"
        fi
    done
    [ -n "$gs_none" ] || return 0
    # The directories down to the first that has a pattern in its name.
    gs_dir=${gs_pattern%%[*?[]*}
    case $gs_dir in
        */*) gs_dir=${gs_dir%/*}/ ;;
        *) gs_dir=. ;;
    esac
    if [ ! -d "$gs_dir" ]; then
        gs_missing "$gs_pattern"
    elif [ ! -r "$gs_dir" ] || [ ! -x "$gs_dir" ]; then
        gs_not "$gs_pattern" "Permission denied: may not list $gs_dir"
    else
        gs_not "$gs_pattern" 'nothing there matches the pattern'
    fi
}

# gs_walk PATH NAME DEPTH DIRS: an entry, and all that is in it where it is a directory and DIRS is 1.
gs_walk() {
    if [ ! -e "$1" ]; then
        if [ -L "$1" ]; then
            gs_not "$1" 'is a link to something else: No such file or directory'
        else
            gs_missing "$1"
        fi
        return
    fi
    if [ -d "$1" ]; then
        if [ "$4" = 0 ]; then
            gs_not "$1" 'is a directory'
            return
        elif [ "$3" -gt 0 ] && [ -L "$1" ]; then
            gs_not "$1" 'is a link to a directory; name that itself'
            return
        elif [ "$3" -ge 100 ]; then
            gs_not "$1" 'more than 100 directories in each other'
            return
        fi
    fi
    if ! gs_known=$(stat -L -c '%f %s %Y' "$1" 2>/dev/null); then
        gs_not "$1" 'the stat(1) of this node does not tell what it is'
        return
    fi
    gs_virtual=0
    gs_real=$1
    # Sizes there say nothing.
    [ ! -L "$1" ] || gs_real=$(readlink -f "$1" 2>/dev/null)
    case $gs_real in
        /*) ;;
        *) gs_real=$(pwd -P)/$gs_real ;;
    esac
    case $gs_real in
        /proc/* | /sys/*) gs_virtual=1 ;;
    esac
    gs_path entry "$gs_known $gs_virtual" "$2"
    gs_path at '' "$1"
    [ -d "$1" ] || return 0
    if [ ! -r "$1" ] || [ ! -x "$1" ]; then
        gs_not "$1" 'Permission denied'
        return
    fi
    for gs_each in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if [ -e "$gs_each" ] || [ -L "$gs_each" ]; then
            gs_walk "$gs_each" "$2/${gs_each##*/}" $(($3 + 1)) "$4"
        fi
    done
}
