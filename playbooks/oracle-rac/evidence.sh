# Prints what a node that did not come up says of itself: the end of the alert log of Clusterware without what a healthy
# start writes too, and last, as the end is what is seen first, the resources that are wanted and not ONLINE. Changes nothing.
# POSIX sh (dash, bash, busybox), after lib.sh. gsctl sets these variables before this text; every one may be missing or
# empty:
#   grid_home  olr_loc  crsctl_timeout  oracle_base  evidence_lines (8)

# print_log: of the last lines those that are no frame of an incident, no news of a driver, and no time on a line of its own,
# as 11.2 has them.
print_log() {
    find_traces
    if [ -z "$alert_log" ]; then
        echo 'no alert log of Clusterware was found: set oracle_base=DIRECTORY'
    elif [ -r "$alert_log" ]; then
        echo "$alert_log:"
        tail -n 200 "$alert_log" |
            grep -v -e 'CRS-10001[^0-9]' -e 'CRS-850[03][^0-9]' -e '^Errors in file' -e '^Incident details in' \
                -e '^[[:space:]]*$' -e '^[0-9][-0-9]* [0-9:.]*:* *$' |
            tail -n "${evidence_lines:-8}"
    else
        echo "$alert_log: not readable"
    fi
}

main() {
    find_grid
    own_uid
    find_processes
    find_kind
    # All of this has ten seconds.
    [ -z "$bound" ] || [ "${crsctl_timeout:-10}" -lt 5 ] || bound="${bound% *} 5"
    ask_for_resources
    if read_resources; then
        last="wanted and not ONLINE: ${not_online:-nothing}"
    else
        complaint
        last="crsctl stat res: ${said_first:-nothing}"
    fi
    print_log
    printf '%s\n' "$last"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
