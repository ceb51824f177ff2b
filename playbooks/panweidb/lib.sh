# What all scripts of streaming disaster recovery share. POSIX sh (dash, bash, busybox); defines functions and sets variables,
# and does nothing else. It stands before the script of a probe or of a step.
#
# gsctl sets these variables before this text; those that may be empty say so:
#   gausshome pghost data_dir dn_port mode host address user groups  env_file() gphome() node() data_ip() peers() peer_port()
#   hadr_user() hadr_password_file() hba_method wal_keep
# $mode is the action: primary, disaster_standby (a start), pair (a start of both clusters), stop, failover, switchover, any.
# $share_SIDE_NAME is what one node of a cluster told all of them in this run; SIDE is primary, standby or own.

nl='
'

fact() {
    printf '%s=%s\n' "$1" "$2"
}

# fail WORDS: why the part is not done.
fail() {
    fact because "$1"
    fact hint "${hint:-mend that, and run this playbook again: what is done is not done again}"
    exit 1
}

# tell_all NAME VALUE: a fact for every node of the run.
tell_all() {
    fact "share_${side}_$1" "$2"
}

# told NAME [SIDE]: leaves in $value what a node of this cluster (or of SIDE) has told.
told() {
    eval "value=\${share_${2:-$side}_$1-}"
}

# environment: openGauss' programs need what /etc/profile, ~/.bashrc and the separate environment file set, which are
# written for bash. What those print goes nowhere, what they read is empty, and they have ten seconds.
environment() {
    inside=sh bound=
    command -v bash >/dev/null 2>&1 && inside=bash
    timeout 1 true >/dev/null 2>&1 && bound='timeout 10'
    said=$(
        GSCTL_ENV_FILE=$env_file $bound "$inside" -c '
            if [ -r /etc/profile ]; then . /etc/profile; fi
            if [ -r "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi
            if [ -r "$GSCTL_ENV_FILE" ]; then . "$GSCTL_ENV_FILE"; fi
            exec >&8
            for name in PATH LD_LIBRARY_PATH GAUSSLOG GPHOME PYTHONPATH GAUSS_ENV GS_CLUSTER_NAME IP_TYPE; do
                eval "echo \"env_$name=\$$name\""
            done
            echo gsctl_end
        ' 8>&1 >/dev/null 2>&1 </dev/null | sed '/^gsctl_end$/q'
    )
    for name in PATH LD_LIBRARY_PATH GAUSSLOG GPHOME PYTHONPATH GAUSS_ENV GS_CLUSTER_NAME IP_TYPE; do
        said_value "env_$name" && [ -n "$value" ] || continue
        eval "$name=\$value"
        export "${name?}"
    done
    [ -z "$gphome" ] || GPHOME=${gphome%/}
    GAUSSHOME=$gausshome PGHOST=$pghost
    # gs_om and cm_ctl look for the environment in the file that this names.
    [ -z "$env_file" ] || MPPDB_ENV_SEPARATE_PATH=$env_file
    [ -z "$env_file" ] || export MPPDB_ENV_SEPARATE_PATH
    [ -z "${GPHOME-}" ] || PATH=$GPHOME/script:$PATH
    PATH=$gausshome/bin:$PATH
    LD_LIBRARY_PATH=$gausshome/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export GAUSSHOME GPHOME PGHOST PATH LD_LIBRARY_PATH
}

# said_value KEY: leaves in $value what a `KEY=value` line of $said says.
said_value() {
    value=
    case $nl$said in
        *"$nl$1="*) ;;
        *) return 1 ;;
    esac
    value=$nl$said
    value=${value#*"$nl$1="}
    value=${value%%"$nl"*}
}

# bounded PROGRAM...: with ten seconds, where there is timeout(1). For looks: a look that hangs says nothing.
bounded() {
    if [ -n "$bound" ]; then timeout 10 "$@" </dev/null 9>&-; else "$@" </dev/null 9>&-; fi
}

# quietly PROGRAM...: runs it; its words are left in $said, its end in $rc. What it leaves running, as gs_ctl start does, must
# hold neither a pipe of ours nor the lock.
quietly() {
    rc=0
    "$@" </dev/null >"$own_dir/said" 2>&1 9>&- || rc=$?
    said=$(cat "$own_dir/said")
    rm -f "$own_dir/said"
    [ "$rc" -eq 0 ]
}

# last_words: the end of what a program said, without the password.
last_words() {
    printf '%s\n' "$said" | sed '/^[[:space:]]*$/d' | tail -n "${1:-1}" | hide_password
}

hide_password() {
    if [ -n "${password-}" ]; then
        GSCTL_HIDDEN=$password awk '
            {
                hidden = ENVIRON["GSCTL_HIDDEN"]
                while (at = index($0, hidden)) $0 = substr($0, 1, at - 1) "***" substr($0, at + length(hidden))
                print
            }'
    else
        cat
    fi
}

# tell PROGRAM...: runs it; where it fails, its last words are why the part is not done.
tell() {
    if quietly "$@"; then
        fact changed yes
        return 0
    fi
    last_words 5 >&2
    fail "\`$1 $2\` failed with exit status $rc: $(last_words)"
}

# put FILE TEXT [MODE]: the whole of it or nothing, on the disk; for its owner only, where no mode is said.
put() {
    (umask 077 && printf '%s' "$2" >"$1.gsctl-new") || fail "cannot write $1"
    chmod "${3:-600}" "$1.gsctl-new" || fail "cannot write $1"
    sync "$1.gsctl-new" 2>/dev/null || sync
    mv -f "$1.gsctl-new" "$1" || fail "cannot write $1"
}

# put_where_new FILE TEXT [MODE]: does nothing where that is in it already.
put_where_new() {
    [ -e "$1" ] && [ "$(cat "$1" 2>/dev/null; echo .)" = "$2." ] && return
    put "$@"
    fact changed yes
}

# first_line FILE
first_line() {
    line=
    [ -r "$1" ] && IFS= read -r line <"$1"
    return 0
}

# read_step FILE: leaves in $step_name what the step file says and in $number its number as gs_sdr reads it: what stands
# before the first `_`, 0 for none or an empty file, and nothing for one that is damaged.
read_step() {
    first_line "$1"
    step_name=$line
    number=$(printf '%s' "${line%%_*}" | tr -d ' \t')
    case $number in
        *[!0-9]*) number= ;;
        '') [ -n "$line" ] || number=0 ;;
    esac
}

# record NAME: gs_sdr's step file. One node of the cluster has it: the one that had it before, or that has the primary.
record() {
    is_lead || return 0
    read_step "$step_file"
    [ -n "$number" ] || fail "the step file $step_file is damaged: \`$step_name\`"
    if [ "$number" -ge "${1%%_*}" ] && [ -n "$step_name" ]; then return 0; fi
    put "$step_file" "$1"
    fact changed yes
}

# is_lead: whether this node keeps the files of which a cluster has one.
is_lead() {
    told holder
    [ -n "$value" ] || told first
    [ "$value" = "$host" ]
}

# reached NUMBER: whether the cluster's step, as this run found it, is that far.
reached() {
    ! is_over || return 0
    told step
    [ "${value:--1}" -ge "$1" ] 2>/dev/null
}

# is_over: whether this cluster's part of what both do is done to its end, and the other's is not: a run that was killed, or
# gs_sdr on this side only, has left it so. There is nothing to do here then.
is_over() {
    told step
    [ -z "$value" ] || return 1
    told stat
    case $mode-$side-$value in
        pair-primary-archive | switchover-primary-recovery) told step standby ;;
        pair-standby-recovery) told step primary ;;
        switchover-standby-archive)
            told step primary
            [ "$value" = 4 ]
            return
            ;;
        *) return 1 ;;
    esac
    [ -n "$value" ]
}

# query_role: leaves in $role what the datanode here is: Primary, Standby, Main Standby, Cascade Standby, Pending, or nothing.
query_role() {
    role=$(bounded gs_ctl query -D "$data_dir" 2>/dev/null | sed -n 's/^[[:space:]]*local_role[[:space:]]*:[[:space:]]*//p' | sed -n '1{s/[[:space:]]*$//;p;}')
}

# sql TEXT: what the datanode here answers.
sql() {
    bounded gsql -d postgres -p "$dn_port" -A -t -c "$1" 2>/dev/null
}

# maintenance_sql TEXT: also where the cluster is not up as a whole.
maintenance_sql() {
    bounded gsql -d postgres -p "$dn_port" -m -A -t -c "$1" 2>/dev/null
}

# query_cluster: leaves in $cluster_state what cm_ctl says, and in $disaster whether there is a main or cascade standby.
query_cluster() {
    said=$(bounded cm_ctl query -v -C -i -d 2>&1)
    rc=$?
    cluster_state=$(printf '%s\n' "$said" | sed -n 's/^cluster_state[[:space:]]*:[[:space:]]*\([^[:space:]]*\).*/\1/p' | sed -n 1p)
    if [ -z "$cluster_state" ]; then
        case $said in
            *"can't connect to cm_server"*) cluster_state=unreachable ;;
            *) if [ "$rc" -eq 255 ]; then cluster_state=unreachable; else cluster_state=unknown; fi ;;
        esac
    fi
    case $said in
        *'Main Standby'* | *'Cascade Standby'*) disaster=yes ;;
        *) disaster=no ;;
    esac
}

# view_node: leaves in $seen the number of this node in cm_ctl view, by its address or name; nothing where neither tells.
view_node() {
    seen=$given_node
    [ -n "$seen" ] && return
    seen=$(
        bounded cm_ctl view 2>/dev/null | awk -v address="$address" -v name="$(hostname 2>/dev/null)" '
            /^node *:[0-9]/ { sub(/^node *:/, ""); number = $0 }
            /^nodeName:/ { sub(/^nodeName:/, ""); if ($0 == name) named = number }
            /^sshChannel [0-9]*:/ { sub(/^sshChannel [0-9]*:/, ""); if ($0 == address) found = number }
            END { print found ? found : named }
        '
    )
}

# own_node: leaves in $node the number of this node; where cm_ctl view does not tell, by the names of the first look.
own_node() {
    [ -n "$node" ] && return
    view_node
    node=$seen
    [ -z "$node" ] || return 0
    told nodes
    for entry in $value; do
        case ${entry#*:} in
            "$host" | "$address" | "$(hostname 2>/dev/null)") node=${entry%%:*} ;;
        esac
    done
}

# own_key: leaves in $key a number under which this node tells its address: its own, or where that is not known yet, one made
# of its address.
own_key() {
    view_node
    key=${seen:-9$(printf '%s' "$address$host" | tr -dc 0-9)}
}

# need_node: as own_node, where nothing can be done without.
need_node() {
    own_node
    [ -n "$node" ] || fail 'cm_ctl view does not tell which node this is: set node=NUMBER for it in the hosts file'
}

# own_instance: leaves in $instance and $at_first the number of the datanode here and its role at the first look, which is
# what gs_sdr goes by; nothing where the first look did not see it.
own_instance() {
    own_node
    instance= at_first=
    told dns
    for entry in $value; do
        case $entry in
            "$node:"*)
                entry=${entry#*:}
                instance=${entry%%:*} at_first=${entry#*:}
                ;;
        esac
    done
}

# is_main: whether the datanode here was the primary or the main standby at the first look.
is_main() {
    own_instance
    case $at_first in
        Primary | Main_Standby) return 0 ;;
        *) return 1 ;;
    esac
}

# addresses SIDE: leaves in $list `ADDRESS/DATA_ADDRESS` of every node of a cluster, in the order of their numbers.
addresses() {
    list=$(set | sed -n "s/^share_${1}_ip_\([0-9]*\)='\{0,1\}\([^']*\)'\{0,1\}\$/\1 \2/p" | sort -n | cut -d ' ' -f 2)
}

# other_addresses: leaves in $list those of the other cluster: what $peers says, or what its nodes have told.
other_addresses() {
    if [ -n "$peers" ]; then
        list=$(printf '%s\n' "$peers" | tr ', ' '\n\n' | sed '/^$/d; /\//!s|.*|&/&|')
        return
    fi
    case $side in
        primary) addresses standby ;;
        *) addresses primary ;;
    esac
}

# age PID: when it was started, so that another process of that number is not taken for it.
age() {
    sed -n 's/.*) //p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

# read_password: leaves in $password that of the disaster user. It is read on the node, and stands in no message.
read_password() {
    password=
    [ -n "$hadr_password_file" ] || return 0
    [ -r "$hadr_password_file" ] || fail "cannot read $hadr_password_file, which hadr_password_file names"
    IFS= read -r password <"$hadr_password_file" || [ -n "$password" ] || fail "$hadr_password_file is empty"
}

# new_trace: leaves in $trace an id as gs_sdr gives each run. Of several lock files on a node gs_sdr sees only the first, and
# must not take its own for that: this one sorts before it.
new_trace() {
    trace=00000000$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
}

# unlock TRACE: at the end, when what says that the lock is gsctl's own is gone: a run that is killed now must leave none.
unlock() {
    [ -z "$1" ] || rm -f "$pghost/streaming_lock_$1"
}

# foreign_locks: leaves in $locks the lock files of gs_sdr here that are neither of this run nor of a build that gsctl began.
foreign_locks() {
    locks=
    first_line "$own_dir/build.trace"
    of_build=$line
    first_line "$own_dir/trace"
    told trace
    for file in "$pghost"/streaming_lock_*; do
        [ -e "$file" ] || continue
        case ${file##*/streaming_lock_} in
            "$line" | "$value" | "$of_build") continue ;;
        esac
        locks="$locks${locks:+, }$file"
    done
}

# named_step_file ACTION_MODE
named_step_file() {
    step_file=$cabin/.streaming_$1.step
}

# begin: sets what every script starts from.
begin() {
    gausshome=${gausshome%/} pghost=${pghost%/} data_dir=${data_dir%/}
    cabin=$pghost/streaming_cabin
    own_dir=$cabin/.gsctl
    build_file=$own_dir/build
    part=${sdr_part:-look} hint= given_node=$node
    case $mode in
        primary) side=primary ;;
        disaster_standby) side=standby ;;
        pair | switchover)
            case " $groups " in
                *' primary '*) side=primary ;;
                *) side=standby ;;
            esac
            ;;
        *) side=own ;;
    esac
    case $mode-$side in
        primary-* | pair-primary) named_step_file start_primary ;;
        disaster_standby-* | pair-standby) named_step_file start_standby ;;
        # Named after what the cluster becomes.
        switchover-primary) named_step_file switchover_standby ;;
        switchover-standby) named_step_file switchover_primary ;;
        any-*)
            step_file=$cabin/.streaming_none.step
            for name in start_primary start_standby stop failover switchover_primary switchover_standby; do
                [ ! -e "$cabin/.streaming_$name.step" ] || named_step_file "$name"
            done
            ;;
        *) named_step_file "$mode" ;;
    esac
    environment
}
