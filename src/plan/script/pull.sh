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
