# Said by every script about paths: one line a path, which `parse_changes` reads.
gs_bad=0
gs_nl='
'

# gs_say WORD PATH [REASON]: a reason makes the whole script fail. A name may hold a newline, a line may not.
gs_say() {
    gs_name=$2
    case $gs_name in
        *"$gs_nl"*) gs_name=$(printf '%s' "$gs_name" | tr '\n' '?') ;;
    esac
    if [ $# -lt 3 ]; then
        printf '%s %s\n' "$1" "$gs_name"
    else
        gs_bad=1
        printf '%s %s\t%s\n' "$1" "$gs_name" "$(printf '%s' "$3" | tr '\n\t' '  ')"
    fi
}

# True where nobody can say whether PATH is there, because a directory above it may not be searched. To a test(1) that looks
# like absence. The nearest thing above PATH that is there is left in gs_up, the reason in gs_why.
gs_hidden() {
    gs_up=$1 gs_why=
    while :; do
        case $gs_up in
            */*) gs_up=${gs_up%/*} ;;
            *) gs_up=. ;;
        esac
        [ -n "$gs_up" ] || gs_up=/
        [ -e "$gs_up" ] && break
        if [ -L "$gs_up" ]; then
            gs_why="cannot follow the link $gs_up"
            return 0
        fi
        case $gs_up in
            / | .) return 1 ;;
        esac
    done
    if [ -d "$gs_up" ] && [ ! -x "$gs_up" ]; then
        gs_why="permission denied: may not search $gs_up"
        return 0
    fi
    return 1
}
