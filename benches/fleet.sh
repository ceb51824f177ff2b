# Read by quick.sh and profile.sh: simulated hosts and what logs in to them, in $dir, gone with the script.
# `fleet_up BIN HOSTS OPTION...`; `wait_play EVERY LOOKS` writes the play wait.yaml, whose hosts never come up.

dir=$(mktemp -d)
mkdir "$dir/home"
mkfifo "$dir/in"
trap 'exec 9>&-; rm -rf "$dir"' EXIT

fleet_up() {
    fleet=$1/fleet hosts=$2
    shift 2
    "$fleet" --hosts "$hosts" --dir "$dir" "$@" <"$dir/in" >"$dir/ready" &
    exec 9>"$dir/in"
    until grep -q '^ready ' "$dir/ready"; do sleep 0.1; done
}

wait_play() {
    printf 'echo state=waiting\n' >"$dir/probe.sh"
    cat >"$dir/wait.yaml" <<END
name: wait
probes:
  node: { script: probe.sh }
steps:
  - name: come up
    wait: { probe: node, until: { fact: state, is: up }, every: $1, looks: $2, timeout: 10m }
END
}
