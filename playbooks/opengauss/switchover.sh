# Makes the standby that role.sh has found the primary, with `cm_ctl switchover`. lib.sh stands before it.
# gsctl sets the variables gausshome, env_file, found_target and found_target_data.

main() {
    gausshome=${gausshome%/}
    find_home
    case $found_target/$found_target_data in
        /* | *[!0-9]*/*[!0-9]*/)
            fact because 'no standby is Normal that could take over'
            fact hint '`gsctl status` shows what holds the standbys back'
            return 1
            ;;
        *"'"* | "$found_target/")
            fact because "the data directory of node $found_target is not known"
            return 1
            ;;
    esac
    # It ends when the roles have changed.
    patience=120
    inside '"$GAUSSHOME/bin/cm_ctl" switchover -n '"$found_target -D '$found_target_data'"
    if [ "$said_rc" != 0 ]; then
        last=$(printf '%s\n' "$said" | sed -n '/[^ ]/h; ${ x; p; }')
        fact because "cm_ctl switchover to node $found_target ended with $said_rc: ${last#cm_ctl: }"
        return 1
    fi
    fact changed yes
}

(main)
