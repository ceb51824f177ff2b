# Read by scripts, at the top of the source tree: brings up a lab that is taken down with the script, also on Ctrl-C, and
# changes nothing outside a temporary directory. `lab_up NODES`; then there are $bin, $work and what the lab says of itself.

bin=${CARGO_TARGET_DIR:-target}/debug
case $bin in /*) ;; *) bin=$PWD/$bin ;; esac
for program in "$bin/gsctl" "$bin/lab" "$bin/standin"; do
    if [ ! -x "$program" ]; then
        echo "$0: $program is not built; run: make demo" >&2
        exit 2
    fi
done

work=$(mktemp -d "${TMPDIR:-/tmp}/gsctl-lab-XXXXXX")
lab_pid=

# The lab lives until its standard input ends.
clean_up() {
    trap - EXIT INT TERM HUP
    exec 9>&-
    if [ -n "$lab_pid" ]; then
        wait "$lab_pid" 2>/dev/null || :
    fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

lab_up() {
    mkfifo "$work/stdin"
    # Opened for both, so that opening waits for nobody. The lab must not hold the end that keeps it alive.
    exec 9<>"$work/stdin"
    "$bin/lab" up --nodes "$1" <"$work/stdin" >"$work/lab" 2>"$work/lab.err" 9>&- &
    lab_pid=$!
    while ! grep -q '^# ready' "$work/lab" 2>/dev/null; do
        if ! kill -0 "$lab_pid" 2>/dev/null; then
            cat "$work/lab.err" >&2
            echo "$0: the lab did not come up" >&2
            exit 1
        fi
        sleep 0.1
    done
    eval "$(grep '^export ' "$work/lab")"

    # Nothing of the caller's own ssh setup.
    HOME=$LAB_HOME
    export HOME
    unset SSH_AUTH_SOCK
}
