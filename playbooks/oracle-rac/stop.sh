# Stops Grid Infrastructure on this node: `crsctl stop crs`, Oracle Restart: `crsctl stop has`, with -f where the mode is
# immediate. Prints what crsctl prints.
# POSIX sh (dash, bash, busybox), after lib.sh and order.sh. gsctl sets these variables before this text:
#   grid_home  olr_loc  sudo  mode

main() {
    find_orders
    # crsctl waits until all is down.
    if [ "$mode" = immediate ]; then order stop "$object" -f; else order stop "$object"; fi
    if says 4133 || { ! says 4000 && [ "$said_rc" = 0 ]; }; then
        echo changed=yes
    else
        failed
    fi
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
