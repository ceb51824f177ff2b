# Asks the cluster about itself with `cm_ctl query -Cv` and prints facts, `key=value` a line. Changes nothing.
# POSIX sh (dash, bash, busybox). gsctl sets the variables gausshome and env_file before this text; env_file may be empty.

# >>> environment: the same text in every script of this folder that needs it (tests/it/scripts.rs compares them)
nl='
'

# inside_shell PROFILES COMMANDS: openGauss' programs need /etc/profile, ~/.bashrc and the separate environment file, which
# are written for bash. What those print goes nowhere, what they read is empty, what they leave running holds no pipe of ours
# (sed ends at the last line, not at the end of file), and all of it has ten seconds.
inside_shell() {
    inside=sh bound=
    command -v bash >/dev/null 2>&1 && inside=bash
    timeout 1 true >/dev/null 2>&1 && bound='timeout 10'
    {
        GSCTL_PROFILES=$1 GSCTL_COMMANDS=$2 GSCTL_GAUSSHOME=$gausshome GSCTL_ENV_FILE=$env_file $bound "$inside" -c '
            if [ "$GSCTL_PROFILES" = yes ]; then
                if [ -r /etc/profile ]; then . /etc/profile; fi
                if [ -r "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi
                if [ -r "$GSCTL_ENV_FILE" ]; then . "$GSCTL_ENV_FILE"; fi
                set +eu
            fi
            exec >&8 2>&1 8>&-
            echo gsctl_inside
            echo "env_gausshome=$GAUSSHOME"
            echo "env_gausslog=$GAUSSLOG"
            export GAUSSHOME="$GSCTL_GAUSSHOME"
            export PATH="$GAUSSHOME/bin:$PATH"
            export LD_LIBRARY_PATH="$GAUSSHOME/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
            eval "$GSCTL_COMMANDS"
        ' 8>&1 >/dev/null 2>&1 </dev/null
        printf '\ngsctl_rc=%s\n' "$?"
    } | sed '/^gsctl_rc=/q'
}

# inside COMMANDS: leaves in $said what they print and in $said_rc their status. A profile that hangs, or leaves the shell,
# is left out the second time, and $profile says so.
inside() {
    profile=ok
    said=$(inside_shell yes "$1")
    case $said in
        *gsctl_inside*) ;;
        *)
            profile=broken
            said=$(inside_shell no "$1")
            ;;
    esac
    said_rc=${said##*gsctl_rc=}
    said=${said%"$nl"gsctl_rc=*}
    said=${said#*gsctl_inside"$nl"}
}

# said_value KEY: from a `KEY=value` line of $said.
said_value() {
    case $nl$said in
        *"$nl$1="*)
            value=$nl$said
            value=${value#*"$nl$1="}
            value=${value%%"$nl"*}
            ;;
        *) value= ;;
    esac
}
# <<< environment

fact() {
    printf '%s=%s\n' "$1" "$2"
}

# colon_value LINE: what stands after `key   :`.
colon_value() {
    value=${1#*:}
    value=${value#"${value%%[! ]*}"}
    value=${value%"${value##*[! ]}"}
}

# replica SEGMENT: one replica of a row: `2  host [address] 6002 [port] [path] S Standby Normal`. Address, port and path are there or not as
# the options were, so the role is looked for. Leaves r_node, r_role and r_state; fails where there is no role.
replica() {
    set -f
    set -- $1
    set +f
    r_node=$1 r_role= r_state=
    case $r_node in
        '' | *[!0-9]*) return 1 ;;
    esac
    shift
    # The host's name may be anything, also Standby.
    [ $# -eq 0 ] || shift
    while [ $# -gt 0 ]; do
        case $1 in
            Primary | Standby | Pending | Down | Unknown | Deleted | ReadOnly | Init)
                r_role=$1
                shift
                break
                ;;
            Cascade | Main)
                r_role="$1 $2"
                shift
                [ $# -eq 0 ] || shift
                break
                ;;
        esac
        shift
    done
    r_state="$*"
    [ -n "$r_role" ]
}

# count_kinds: `1 Primary Normal,2 Standby Normal` from one kind a line, in the order in which they came, primaries first.
count_kinds() {
    counted=
    for want in Primary other; do
        seen=$nl rest=$kinds
        while [ -n "$rest" ]; do
            kind=${rest%%"$nl"*}
            rest=${rest#*"$nl"}
            case $kind in
                Primary*) [ "$want" = Primary ] || continue ;;
                *) [ "$want" = other ] || continue ;;
            esac
            case $seen in
                *"$nl$kind$nl"*) continue ;;
            esac
            seen=$seen$kind$nl count=0 again=$kinds
            while [ -n "$again" ]; do
                [ "${again%%"$nl"*}" != "$kind" ] || count=$((count + 1))
                again=${again#*"$nl"}
            done
            counted="$counted${counted:+,}$count $kind"
        done
    done
}

main() {
    gausshome=${gausshome%/}
    inside '"$GAUSSHOME/bin/cm_ctl" query -Cv'
    state= balanced= pausing= primary= kinds= section= error= replicas=
    IFS=$nl
    set -f
    for line in $said; do
        unset IFS
        set +f
        case $line in
            *'CMServer State'*) section=servers ;;
            *'Cluster State'*) section=cluster ;;
            *'Datanode State'*) section=datanodes ;;
            '['*) section=other ;;
            cluster_state*:*) colon_value "$line" && state=$value ;;
            balanced*:*) colon_value "$line" && balanced=$value ;;
            pausing*:*) colon_value "$line" && pausing=$value ;;
            *"can't connect to cm_server"*) state=unreachable error=${line#cm_ctl: } ;;
            [0-9]*)
                # All replicas of a shard stand on one line.
                rest="$line|"
                while [ -n "$rest" ]; do
                    one=${rest%%"|"*}
                    rest=${rest#*"|"}
                    replica "$one" || continue
                    case $section in
                        servers)
                            replicas="${replicas}cm_server_$r_node=$r_role$nl"
                            [ "$r_role" != Primary ] || primary=$r_node
                            ;;
                        datanodes)
                            kind=$r_role${r_state:+ $r_state}
                            kinds=$kinds$kind$nl
                            replicas="${replicas}datanode_$r_node=$kind$nl"
                            ;;
                    esac
                done
                ;;
            env_* | '' | ---* | node\ * | *:*No | *:*Yes) ;;
            *) [ -n "$section" ] || error=${line#cm_ctl: } ;;
        esac
        IFS=$nl
        set -f
    done
    unset IFS
    set +f
    if [ -z "$state" ]; then
        case $said_rc in
            255) state=unreachable ;;
            *) state=unknown ;;
        esac
    fi
    case $said_rc in
        124 | 143) [ -n "$error" ] || error='cm_ctl query did not answer within 10 s' ;;
    esac
    count_kinds
    fact cluster_rc "$said_rc"
    fact balanced "$balanced"
    fact pausing "${pausing:-No}"
    fact cm_primary "$primary"
    fact datanodes "$counted"
    printf '%s' "$replicas"
    fact cluster_error "$error"
    # Last, so that a reader that has it has everything.
    fact cluster_state "$state"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
