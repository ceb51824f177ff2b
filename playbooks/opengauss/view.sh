# What `cm_ctl view` says: which node this is, and what should run on it. Between lib.sh and node.sh.

tab='	'

# read_view: `cm_ctl view` as one record a node: number|name|addresses|cmDataPath|cm_server|datanodes, and what it listens on and
# where its data lies: |port of cm_server|addresses|data directories|directories of the log|ports of datanodes. Between directories
# stands a tab. It writes `key:value` and `key :value`, and heads some nodes twice.
read_view() {
    records= v_node=
    IFS=$nl
    set -f
    for line in $said; do
        unset IFS
        case $line in
            *:*) ;;
            *) continue ;;
        esac
        key=${line%%:*}
        key=${key%"${key##*[! ]}"}
        value=${line#*:}
        value=${value#"${value%%[! ]*}"}
        case $key in
            node)
                if [ "$value" != "$v_node" ]; then
                    end_record
                    v_node=$value v_name= v_addresses= v_data= v_server=no v_datanodes=0
                    v_port= v_listens= v_paths= v_xlogs= v_ports=
                fi
                ;;
            nodeName) v_name=$value ;;
            sshChannel*) v_addresses="$v_addresses $value" ;;
            cmDataPath) v_data=$value ;;
            cmServer\ *) v_server=yes v_listens="$v_listens $value" ;;
            port) v_port=${value%%[!0-9]*} ;;
            datanodeListenIP*) v_listens="$v_listens $value" ;;
            datanodeLocalDataPath) v_paths="$v_paths$tab$value" ;;
            datanodeXlogPath) v_xlogs="$v_xlogs$tab$value" ;;
            datanodePort) v_ports="$v_ports ${value%%[!0-9]*}" ;;
            datanodeCount)
                case $value in
                    '' | *[!0-9]*) ;;
                    *) v_datanodes=$value ;;
                esac
                ;;
        esac
    done
    unset IFS
    set +f
    end_record
}

end_record() {
    [ -z "$v_node" ] || records="$records$v_node|$v_name|$v_addresses|$v_data|$v_server|$v_datanodes|$v_port|$v_listens|$v_paths|$v_xlogs|$v_ports$nl"
}

# match FIELD WORDS: leaves the record in $mine if exactly one node has one of the words in that field.
match() {
    [ -z "$mine" ] || return
    field=$1 words=" $2 " hits=0
    IFS=$nl
    set -f
    for record in $records; do
        IFS='|'
        set -- $record
        unset IFS
        case $field in
            number) has=$1 ;;
            name) has=$2 ;;
            address) has=$3 ;;
            any) has=any ;;
        esac
        for one in $has; do
            case $words in
                *" $one "*)
                    hits=$((hits + 1)) hit=$record
                    break
                    ;;
            esac
        done
    done
    unset IFS
    set +f
    [ "$hits" -ne 1 ] || mine=$hit
}

own_addresses() {
    ip -o addr show 2>/dev/null | sed 's/.* inet6\{0,1\} \([^ /]*\).*/\1/' | tr '\n' ' '
    hostname -I 2>/dev/null
}

# find_node: which node of the view this is. Several may share a machine, so what gsctl knows comes first.
find_node() {
    mine=
    [ -z "$node" ] || match number "$node"
    if [ -n "$address" ]; then
        match address "$address"
        match name "$address"
    fi
    # sshd tells which address the connection came to.
    server=${SSH_CONNECTION% *}
    [ "$server" = "$SSH_CONNECTION" ] || match address "${server##* }"
    match any any
    [ -n "$mine" ] || match address "$(own_addresses | tr '\n' ' ')"
    [ -n "$mine" ] || match name "$(hostname 2>/dev/null || uname -n)"
}

# look_by_cm_ctl: what the node should run. Never `cm_ctl check`: it writes bin/result, and its answers are wrong where two of
# them run at once, or /bin/sh is dash.
look_by_cm_ctl() {
    libraries=
    # Beside cm_ctl, which takes longer. Only where a start follows, and of what does not run.
    if command -v look_for_obstacles >/dev/null && [ "$cm_agent" = none ]; then
        libraries='ldd "$GAUSSHOME/bin/cm_agent" "$GAUSSHOME/bin/gaussdb" 2>/dev/null | sed -n -e "/^\//h" \
            -e "/ => not found/{G;s/^[[:space:]]*\([^[:space:]]*\).*\/\([^/]*\):\$/env_library=\2:\1/p;}" &
        gsctl_job=$!'
    fi
    inside '
        echo "env_nofile=$(ulimit -n)"
        '"$libraries"'
        if [ -x "$GAUSSHOME/bin/cm_ctl" ]; then
            seen=$("$GAUSSHOME/bin/cm_ctl" view)
            # What a profile left running is not waited for.
            [ -z "$gsctl_job" ] || wait $gsctl_job
            echo env_view=
            printf "%s\n" "$seen"
        fi'
    said_value env_gausshome
    env_gausshome=$value
    said_value env_nofile
    session_nofile=$value
    said_value env_gausslog
    env_gausslog=$value
    missing_libraries=
    case $nl$said in
        *"${nl}env_library="*) missing_libraries=$(printf '%s\n' "$said" | sed -n 's/^env_library=//p') ;;
    esac
    records=
    case $said in
        *"${nl}env_view=$nl"*)
            said=${said#*"${nl}env_view=$nl"}
            read_view
            ;;
    esac
    find_node
    cm_node=unknown expect_cm_server=unknown expect_gaussdb=unknown expect_datanodes=
    cm_port= listens= dn_paths= xlog_paths= dn_ports=
    if [ -n "$mine" ]; then
        IFS='|'
        set -f
        set -- $mine
        unset IFS
        set +f
        cm_node=$1 found_cm_data=$4 expect_cm_server=$5 expect_datanodes=$6
        cm_port=$7 listens=$8 dn_paths=$9 xlog_paths=${10} dn_ports=${11}
        [ "$expect_datanodes" = 0 ] && expect_gaussdb=no || expect_gaussdb=yes
    elif [ -n "$records" ]; then
        # Nobody knows which, but often every node is alike.
        case $records in
            *'|no|'*) ;;
            *) expect_cm_server=yes ;;
        esac
        case $records in
            *"|0$nl"*) ;;
            *) expect_gaussdb=yes ;;
        esac
    fi
}
