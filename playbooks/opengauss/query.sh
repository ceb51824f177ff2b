# Functions that read what `cm_ctl query` prints. Defines functions, does nothing.

# colon_value LINE: what stands after `key   :`.
colon_value() {
    value=${1#*:}
    value=${value#"${value%%[! ]*}"}
    value=${value%"${value##*[! ]}"}
}

# replica SEGMENT: one replica of a row: `2  host [address] 6002 [port] [path] S Standby Normal`. Address, port and path are there or not as
# the options were, so the role is looked for. Leaves r_node, r_path, r_role and r_state; fails where there is no role.
replica() {
    set -f
    set -- $1
    set +f
    r_node=$1 r_path= r_role= r_state=
    case $r_node in
        '' | *[!0-9]*) return 1 ;;
    esac
    shift
    # The host's name may be anything, also Standby.
    [ $# -eq 0 ] || shift
    while [ $# -gt 0 ]; do
        case $1 in
            /*) r_path=$1 ;;
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
