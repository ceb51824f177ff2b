# Asks the cluster about itself with `cm_ctl query -Cv` and prints facts, `key=value` a line. Changes nothing.
# lib.sh and query.sh stand before it. gsctl sets the variables gausshome and env_file before all; each may be empty.
#   cluster_state: CM's own word, or `unreachable` (this node reaches no primary cm_server, another may), `electing` (a majority
#   of cm_server is there, without a primary so far), `unknown`

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
    find_home
    inside '"$GAUSSHOME/bin/cm_ctl" query -Cv'
    state= balanced= pausing= primary= kinds= section= error= replicas= servers=0 standing=0 down= held=
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
                            servers=$((servers + 1))
                            case $r_role in
                                Primary | Standby) standing=$((standing + 1)) ;;
                                *) down="$down${down:+, }$r_node" ;;
                            esac
                            [ "$r_role" != Primary ] || primary=$r_node
                            ;;
                        datanodes)
                            kind=$r_role${r_state:+ $r_state}
                            kinds=$kinds$kind$nl
                            replicas="${replicas}datanode_$r_node=$kind$nl"
                            case $r_state in
                                'Disk damaged' | 'Manually stopped' | 'Port conflicting')
                                    held="$held${held:+, }datanode of node $r_node: $r_state"
                                    ;;
                            esac
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
    note=
    if [ "$state" = unreachable ] && [ "$servers" -gt 0 ]; then
        if [ $((standing * 2)) -gt "$servers" ]; then
            state=electing note='cm_server has no primary yet'
            [ -z "$down" ] || note="the former primary of cm_server may be missing (Down: node $down), this takes up to a minute"
        else
            note="from here $standing of $servers cm_server are seen, which is no majority"
        fi
    fi
    count_kinds
    fact cluster_rc "$said_rc"
    fact balanced "$balanced"
    fact pausing "${pausing:-No}"
    fact cm_primary "$primary"
    fact datanodes "$counted"
    printf '%s' "$replicas"
    fact cluster_held "$held"
    fact cluster_error "$error"
    fact note_cluster_state "$note"
    case $state/$(readlink -f /bin/sh 2>/dev/null) in
        Unavailable/*/dash)
            case $counted in
                *'Down Unknown'*) fact hint_cluster_state '/bin/sh is dash on this node, with which the Cluster Manager brings no datanode up: make it bash on every node' ;;
            esac
            ;;
    esac
    # Last, so that a reader that has it has everything.
    fact cluster_state "$state"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
