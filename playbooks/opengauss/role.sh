# Which role this node's datanode has, and who could take over from it. Changes nothing.
# lib.sh, view.sh and query.sh stand before it. gsctl sets the variables gausshome, env_file, node and address.
#   role: primary, standby, cascade, down, none (no datanode here), unknown (the cluster does not answer)

# role_word: the word above for the role that replica has left; fails where it says nothing.
role_word() {
    case $r_role in
        Primary) r_role=primary ;;
        Standby | 'Main Standby') r_role=standby ;;
        'Cascade Standby') r_role=cascade ;;
        Pending | Down | Unknown) r_role=down ;;
        *) return 1 ;;
    esac
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
            cluster_state*:*) colon_value "$line" && state=$value ;;
            [0-9]*)
                rest="$line|"
                while [ "$section" = datanodes ] && [ -n "$rest" ]; do
                    one=${rest%%"|"*}
                    rest=${rest#*"|"}
                    replica "$one" && role_word || continue
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
