# gs_right FILE: holds the content, to the byte. A command substitution drops trailing newlines (hence the x) and NULs (hence
# the size).
gs_right() {
    [ -f "$1" ] && [ -r "$1" ] && [ "$(wc -c <"$1")" -eq "$gs_size" ] && [ "$(cat <"$1" && printf x)" = "${gs_content}x" ]
} 2>/dev/null

# gs_mode_right FILE: ls(1) is on every node, stat(1) is not.
gs_mode_right() {
    case $(ls -ldL -- "$1" 2>/dev/null) in
        "$gs_mode_words"*) return 0 ;;
    esac
    return 1
}

# gs_put FILE: dd can fsync; where it cannot, a plain write must do. A full sync(1) could stall a busy database for minutes.
gs_put() {
    printf '%s' "$gs_content" | dd of="$1" conv=fsync 2>/dev/null
    gs_right "$1" || printf '%s' "$gs_content" >"$1"
}

# gs_write PATH: readers see the old file or the new one, and nobody sees the content before the mode is right.
gs_write() {
    if [ -d "$1" ]; then
        gs_say denied "$1" 'is a directory'
        return
    fi
    if gs_right "$1" && gs_mode_right "$1"; then
        gs_say same "$1"
        return
    fi
    case $1 in
        */*) gs_dir=${1%/*}/ ;;
        *) gs_dir=./ ;;
    esac
    gs_tmp=
    for gs_n in 1 2 3 4 5; do
        gs_try=$gs_dir.gsctl.$$.$gs_n
        if gs_why=$( (umask 077; set -C; : >"$gs_try") 2>&1 ); then
            gs_tmp=$gs_try
            break
        fi
    done
    if [ -z "$gs_tmp" ]; then
        gs_say denied "$1" "$gs_why"
        return
    fi
    trap 'rm -f -- "$gs_tmp"; exit 143' HUP INT TERM
    if gs_why=$( { gs_put "$gs_tmp" && chmod "$gs_mode" "$gs_tmp" && mv -f -- "$gs_tmp" "$1"; } 2>&1 </dev/null ) &&
        gs_landed "$1"; then
        gs_say written "$1"
    else
        rm -f -- "$gs_tmp" 2>/dev/null
        gs_say denied "$1" "${gs_why:-no error was reported, but the file is not as it should be}"
    fi
    trap - HUP INT TERM
}

# gs_landed FILE: a mode without read permission is no reason to doubt what was written.
gs_landed() {
    gs_mode_right "$1" && { [ ! -r "$1" ] || gs_right "$1"; }
}
