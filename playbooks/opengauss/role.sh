# Which role this node's datanode has, and who could take over from it. Changes nothing.
# lib.sh and view.sh stand before it. gsctl sets the variables gausshome, env_file, node and address.
#   role: primary, standby, cascade, down, none (no datanode here), unknown (the cluster does not answer)

# row SEGMENT: one replica of a row of `cm_ctl query -Cvid`: `1  host 10.0.0.1  6001 /path P Primary Normal`. Leaves r_node,
# r_path, r_role and r_state; fails where there is no role. Role words before the path are the host's name.
row() {
    set -f
    set -- $1
    set +f
    r_node=$1 r_path= r_role= r_state=
    case $r_node in
        '' | *[!0-9]*) return 1 ;;
    esac
    while [ $# -gt 0 ]; do
        case $r_path/$1 in
            //*) r_path=$1 ;;
            /*/Primary) r_role=primary ;;
            /*/Standby) r_role=standby ;;
            /*/Cascade)
                r_role=cascade
                shift
                ;;
            /*/Pending | /*/Down | /*/Unknown) r_role=down ;;
        esac
        shift
        [ -z "$r_role" ] || break
    done
    r_state="$*"
    [ -n "$r_role" ]
}

main() {
    gausshome=${gausshome%/}
    find_home
    look_by_cm_ctl
    inside '"$GAUSSHOME/bin/cm_ctl" query -Cvid'
    role=unknown state=unknown section= target= target_data=
    IFS=$nl
    set -f
    for line in $said; do
        unset IFS
        set +f
        case $line in
            *'Datanode State'*)
                section=datanodes
                role=none
                ;;
            '['*) section= ;;
            cluster_state*:*)
                state=${line#*:}
                state=${state#"${state%%[! ]*}"}
                state=${state%"${state##*[! ]}"}
                ;;
            [0-9]*)
                rest="$line|"
                while [ "$section" = datanodes ] && [ -n "$rest" ]; do
                    one=${rest%%"|"*}
                    rest=${rest#*"|"}
                    row "$one" || continue
                    if [ "$r_node" = "$cm_node" ]; then
                        role=$r_role
                    elif [ -z "$target" ] && [ "$r_role/$r_state" = standby/Normal ]; then
                        target=$r_node target_data=$r_path
                    fi
                done
                ;;
        esac
        IFS=$nl
        set -f
    done
    unset IFS
    set +f
    [ "$cm_node" != unknown ] || role=unknown
    fact cluster_state "$state"
    fact found_target "$target"
    fact found_target_data "$target_data"
    fact role "$role"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
