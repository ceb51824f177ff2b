LC_ALL=C
export LC_ALL

# gs_answer N WORD [REST]: one line.
gs_answer() {
    printf '%s\t%s\t%s\n' "$1" "$2" "$(printf '%s' "${3-}" | tr '\n\t' '  ')"
}

gs_size() {
    gs_bytes=$(wc -c 2>/dev/null <"$1") || gs_bytes=
    printf '%s' "${gs_bytes:+$((gs_bytes))}"
}

# The SHA-256 of standard input; nothing where no program can tell.
gs_sum() {
    if command -v sha256sum >/dev/null 2>&1; then
        gs_line=$(sha256sum)
    elif command -v openssl >/dev/null 2>&1; then
        gs_line=$(openssl dgst -sha256 -r)
    else
        gs_line=$(shasum -a 256 2>/dev/null)
    fi
    printf '%s' "${gs_line%% *}"
}
