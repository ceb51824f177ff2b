# gs_touch PATH: noclobber opens with O_EXCL, so `created` is true for one of many who try at the same time.
gs_touch() {
    if [ -d "$1" ]; then
        gs_say denied "$1" 'is a directory'
    elif [ -e "$1" ]; then
        gs_say present "$1"
    elif gs_why=$( (LC_ALL=C; export LC_ALL; set -C; : >"$1") 2>&1 ) && [ -e "$1" ]; then
        gs_say created "$1"
    elif [ -e "$1" ]; then
        gs_say present "$1"
    elif [ -L "$1" ]; then
        gs_say denied "$1" 'is a symbolic link to nowhere'
    else
        gs_say denied "$1" "${gs_why:-the shell reported no error, but it is not there}"
    fi
}
