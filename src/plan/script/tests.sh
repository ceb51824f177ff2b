# The first test that does not hold ends the script with 1, one that cannot be made with 2.
gs_exists() {
    [ -e "$1" ] && return
    if gs_hidden "$1"; then
        gs_say unknown "$1" "$gs_why"
        exit 2
    fi
    gs_say fails "$1" 'is not there'
    exit 1
}

gs_missing() {
    if [ -e "$1" ]; then
        gs_say fails "$1" 'is there'
        exit 1
    fi
    if gs_hidden "$1"; then
        gs_say unknown "$1" "$gs_why"
        exit 2
    fi
}
