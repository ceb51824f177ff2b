# gs_remove PATH: what rm says counts only once the path is seen gone.
gs_remove() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        if [ -d "$1" ] && [ ! -L "$1" ]; then
            gs_say denied "$1" 'is a directory'
        elif gs_why=$(LC_ALL=C rm -f -- "$1" 2>&1 </dev/null) && [ ! -e "$1" ] && [ ! -L "$1" ]; then
            gs_say removed "$1"
        else
            gs_say denied "$1" "${gs_why:-rm reported no error, but it is still there}"
        fi
    # Not there, says test(1), which also says so where it may not look. rm -f is silent only about real absence, but busybox'
    # rm complains where a part of the path is a file.
    elif gs_err=$(LC_ALL=C rm -f -- "$1" 2>&1 </dev/null); then
        gs_say absent "$1"
    elif gs_hidden "$1" || [ -d "$gs_up" ]; then
        gs_say denied "$1" "${gs_err:-$gs_why}"
    else
        gs_say absent "$1"
    fi
}

# gs_listable DIR PATTERN: a pattern in a directory that may not be listed matches nothing, which proves nothing.
gs_listable() {
    if [ -d "$1" ] && [ ! -r "$1" ]; then
        gs_say denied "$2" "permission denied: may not list $1"
        return 1
    fi
}
