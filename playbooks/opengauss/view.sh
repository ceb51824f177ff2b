# What `cm_ctl view` says: which node this is, and what should run on it. Between lib.sh and node.sh.

# read_view: `cm_ctl view` as one record a node: number|name|addresses|cmDataPath|cm_server|datanodes. It writes `key:value` and
# `key :value`, and heads some nodes twice.
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
                fi
                ;;
            nodeName) v_name=$value ;;
            sshChannel*) v_addresses="$v_addresses $value" ;;
            cmDataPath) v_data=$value ;;
            cmServer\ *) v_server=yes ;;
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
    [ -z "$v_node" ] || records="$records$v_node|$v_name|$v_addresses|$v_data|$v_server|$v_datanodes$nl"
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
    inside '
        echo "env_nofile=$(ulimit -n)"
        if [ -x "$GAUSSHOME/bin/cm_ctl" ]; then
            echo env_view=
            "$GAUSSHOME/bin/cm_ctl" view
        fi'
    said_value env_gausshome
    env_gausshome=$value
    said_value env_nofile
    session_nofile=$value
    said_value env_gausslog
    env_gausslog=$value
    records=
    case $said in
        *"${nl}env_view=$nl"*)
            said=${said#*"${nl}env_view=$nl"}
            read_view
            ;;
    esac
    find_node
    cm_node=unknown expect_cm_server=unknown expect_gaussdb=unknown expect_datanodes=
    if [ -n "$mine" ]; then
        IFS='|'
        set -f
        set -- $mine
        unset IFS
        set +f
        cm_node=$1 found_cm_data=$4 expect_cm_server=$5 expect_datanodes=$6
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
