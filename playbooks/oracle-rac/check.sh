# Asks a node's crsctl whether all of the stack is online and prints facts, `key=value` a line. Changes nothing, needs no
# root. POSIX sh (dash, bash, busybox), after lib.sh. gsctl sets these variables before this text; every one may be missing
# or empty:
#   grid_home  olr_loc  crsctl_timeout (10)  found_*

main() {
    find_grid
    own_uid
    find_processes
    find_kind
    check_crs
    printf 'advice=%s\n' "$advice"
}

# In a subshell: nothing that it sets is left to whoever runs this text.
(main)
