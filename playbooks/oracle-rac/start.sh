# Starts Grid Infrastructure on this node: `crsctl start crs`, and where that finds ohasd active but the stack stopped, or
# given up by it, `crsctl start cluster`. Oracle Restart: `crsctl start has`. Prints what crsctl prints.
# POSIX sh (dash, bash, busybox), after lib.sh and order.sh. gsctl sets these variables before this text:
#   grid_home  olr_loc  sudo  crsctl_timeout

# missing: what is not there, and nobody is starting.
missing() {
    find_processes
    ask_for_resources
    read_resources && { [ "$stack" = stopped ] || [ "$stack" = idle ]; }
}

# went_well: whether crsctl did what it was told. A start that ends well may tell of a resource that did not come: the
# chain shows it.
went_well() {
    says 4123 || { ! says 4000 && [ "$said_rc" = 0 ]; }
}

main() {
    find_orders
    order start "$object"
    if ! says 4640; then
        if went_well; then echo changed=yes; else failed; fi
        return
    fi
    # Already active, which is what was wanted, unless the stack above ohasd is missing: then this does nothing for it.
    missing || return 0
    if [ "$kind" = restart ]; then
        order start resource -all
        if went_well; then echo changed=yes; else failed; fi
        return
    fi
    order start cluster
    # What ohasd itself needs is no part of the cluster, which then is said to run already.
    went_well || says 4690 || { failed; return; }
    if missing && [ "$stack" = idle ]; then
        order start res "$missing_resource" -init
        went_well || { failed; return; }
    fi
    echo changed=yes
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
