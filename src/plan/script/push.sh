# gs_make N PATH: a directory, for us alone until it is full.
gs_make() {
    if [ -d "$2" ]; then
        gs_answer "$1" present
    elif gs_said=$(mkdir -m 700 "$2" 2>&1); then
        gs_answer "$1" created
    else
        gs_answer "$1" denied "${gs_said##*: }"
    fi
}

# gs_owned PATH: belongs to gs_owner, USER or USER:GROUP, by name or number; nobody is asked for.
gs_owned() {
    [ -n "$gs_owner" ] || return 0
    gs_user=${gs_owner%%:*} gs_group=
    case $gs_owner in
        *:*) gs_group=${gs_owner#*:} ;;
    esac
    set -- $(stat -c '%U %u %G %g' "$1" 2>/dev/null)
    { [ "$gs_user" = "$1" ] || [ "$gs_user" = "$2" ]; } &&
        { [ -z "$gs_group" ] || [ "$gs_group" = "$3" ] || [ "$gs_group" = "$4" ]; }
}

# gs_judge N PATH SIZE SHA MODE TIME: leaves in gs_kind what is there in the place of a file. Where none can be, it says so and
# fails.
gs_judge() {
    gs_kind=absent
    if [ -L "$2" ]; then
        gs_kind=differs
    elif [ -d "$2" ]; then
        gs_answer "$1" denied 'Is a directory'
        return 1
    elif [ -f "$2" ]; then
        gs_kind=differs
        if [ "$(gs_size "$2")" = "$3" ] && [ -r "$2" ] && [ "$(gs_sum <"$2")" = "$4" ]; then
            gs_kind=labels
            if [ "$(stat -c '%a %Y' "$2" 2>/dev/null)" = "$5 $6" ] && gs_owned "$2"; then
                gs_kind=same
            fi
        fi
    elif [ -e "$2" ]; then
        gs_answer "$1" denied 'Is no regular file'
        return 1
    fi
}

# gs_ended_run NAME: the run in the name of a part, or of a directory for parts, is one of those that have ended.
gs_ended_run() {
    case $gs_ended in
        *" ${1%-*} "*) return 0 ;;
    esac
    return 1
}

# gs_take_over OURS OLD: what another run left of the same file becomes ours, if it is more. It is nobody else's: its run has ended.
gs_take_over() {
    if [ ! -f "$2" ] || [ -L "$2" ] || [ ! -O "$2" ]; then
        return
    fi
    gs_more=$(gs_size "$2")
    gs_have=$(gs_size "$1")
    if [ "${gs_more:-0}" -gt "${gs_have:-0}" ]; then
        mv -f "$2" "$1" 2>/dev/null
    else
        rm -f "$2" 2>/dev/null
    fi
}

# gs_look N PATH PART SIZE SHA MODE TIME
gs_look() {
    gs_judge "$1" "$2" "$4" "$5" "$6" "$7" || return 0
    # .../.gsctl-TAG.
    gs_tag=${3%.*.part}.
    for gs_old in "$gs_tag"*.part; do
        gs_run=${gs_old#"$gs_tag"}
        if gs_ended_run "${gs_run%.part}"; then
            gs_take_over "$3" "$gs_old"
        fi
    done
    gs_left=$3
    if [ -n "$gs_box" ]; then
        # Nothing is sent that cannot be put there.
        case $gs_kind in
            same | labels) ;;
            *) gs_may "$1" "$2" || return 0 ;;
        esac
        rm -f "$3" 2>/dev/null
        gs_boxed "${3##*/}"
    fi
    gs_have=0
    if [ -f "$gs_left" ] && [ ! -L "$gs_left" ] && [ -O "$gs_left" ]; then
        gs_have=$(gs_size "$gs_left")
        : "${gs_have:=0}"
    fi
    case $gs_kind in
        same | labels) gs_have=0 ;;
    esac
    if [ "$gs_have" = 0 ] || [ "$gs_have" -gt "$4" ]; then
        gs_have=0
        rm -f "$gs_left" 2>/dev/null
        case $gs_kind in
            same | labels) ;;
            *) [ -z "$gs_box" ] || gs_new "$gs_left" ;;
        esac
    fi
    gs_answer "$1" "$gs_kind" "$gs_have"
}

# gs_open_box N WRITER: a directory of ours in which whoever knows a file's name can write to it, and nobody can read. The login
# user's SFTP puts there what goes to places that he may not write to.
gs_open_box() {
    for gs_up in /var/tmp /tmp; do
        gs_box=$gs_up/.gsctl-$2
        (umask 066; mkdir "$gs_box") 2>/dev/null
        if [ -d "$gs_box" ] && [ ! -L "$gs_box" ] && [ -O "$gs_box" ] && chmod 711 "$gs_box" 2>/dev/null; then
            gs_answer "$1" box "$gs_box"
            return 0
        fi
    done
    gs_box=
    gs_answer "$1" denied 'no directory for files on their way can be made in /var/tmp or /tmp'
    return 1
}

# gs_boxed PART: leaves in gs_left the file of that name in the box, with what runs that have ended left of it.
gs_boxed() {
    gs_tag=${1%.*.part}.
    gs_left=$gs_box/$gs_tag$gs_secret.part
    for gs_old in "${gs_box%/*}"/.gsctl-*/"$gs_tag"*.part; do
        gs_dir=${gs_old%/*}
        if [ "$gs_old" = "$gs_left" ] || [ -L "$gs_dir" ] || [ ! -O "$gs_dir" ]; then
            continue
        fi
        if [ "$gs_dir" = "$gs_box" ] || gs_ended_run "${gs_dir##*/.gsctl-}"; then
            gs_take_over "$gs_left" "$gs_old"
            [ "$gs_dir" = "$gs_box" ] || rmdir "$gs_dir" 2>/dev/null
        fi
    done
}

# gs_new FILE: empty, for others to write to and for nobody else to read.
gs_new() {
    (umask 0155; set -C; : >"$1") 2>/dev/null
}

# gs_close_box BOX
gs_close_box() {
    rm -f "$1"/.gsctl-*.part
    rmdir "$1"
} 2>/dev/null

# gs_would_make N PATH: what gs_make would come to.
gs_would_make() {
    if [ -d "$2" ]; then
        gs_answer "$1" present
    elif [ -e "$2" ] || [ -L "$2" ]; then
        gs_answer "$1" denied 'File exists'
    else
        gs_makes=1
        gs_may "$1" "$2" && gs_answer "$1" absent
    fi
}

# gs_check N PATH SIZE SHA MODE TIME: what gs_look and gs_finish would come to.
gs_check() {
    gs_judge "$@" || return 0
    case $gs_kind in
        same) ;;
        # Only the owner may, and root.
        labels) [ -O "$2" ] || [ "$(id -u)" = 0 ] || { gs_answer "$1" denied 'Operation not permitted'; return 0; } ;;
        *) gs_may "$1" "$2" || return 0 ;;
    esac
    gs_answer "$1" "$gs_kind" 0
}

# gs_may N PATH: something can be made there.
gs_may() {
    gs_dir=$2
    while :; do
        case $gs_dir in
            /*/*) gs_dir=${gs_dir%/*} ;;
            /*) gs_dir=/ ;;
            */*) gs_dir=${gs_dir%/*} ;;
            *) gs_dir=. ;;
        esac
        [ ! -d "$gs_dir" ] || break
        if [ -e "$gs_dir" ] || [ -L "$gs_dir" ]; then
            gs_answer "$1" denied 'Not a directory'
            return 1
        elif [ -z "$gs_makes" ]; then
            gs_answer "$1" denied 'No such file or directory'
            return 1
        fi
    done
    if [ ! -w "$gs_dir" ] || [ ! -x "$gs_dir" ]; then
        gs_answer "$1" denied 'Permission denied'
        return 1
    fi
}

# gs_why N PART: the node's own words for what SFTP calls a failure. Nothing is left of the part.
gs_why() {
    gs_said= gs_dir=.
    case $2 in
        */*) gs_dir=${2%/*}/ ;;
    esac
    if [ ! -d "$gs_dir" ]; then
        # Each shell has its own words for this.
        gs_said='No such file or directory'
    elif [ -L "$2" ]; then
        gs_said='Is a symbolic link'
    else
        gs_said=$({ head -c 262144 /dev/zero >>"$2"; } 2>&1)
        rm -f "$2" 2>/dev/null
    fi
    gs_answer "$1" because "${gs_said##*: }"
}

# gs_number FILE: its inode.
gs_number() {
    gs_line=$(ls -di "$1" 2>/dev/null)
    gs_line=${gs_line#"${gs_line%%[! ]*}"}
    printf '%s' "${gs_line%% *}"
}

# gs_rename FROM TO: a link in its place is replaced, also one to a directory, into which a plain mv would go.
gs_rename() {
    ! mv -fT "$1" "$2" 2>/dev/null || return 0
    # This mv has no -T, or something else is wrong, which it says without.
    if [ -L "$2" ]; then
        rm -f "$2"
    elif [ -d "$2" ]; then
        echo 'Is a directory'
        return 1
    fi
    mv -f "$1" "$2"
}

# gs_finish N PATH FROM SIZE SHA MODE TIME FOUND: FROM is the part, or PATH itself where only mode, time or owner are wrong. What is
# there in the end is looked at: others may write to the same place. FOUND is what gs_look saw.
gs_finish() {
    gs_end=denied
    gs_mine=$(gs_number "$3")
    gs_sha=$(gs_sum <"$3")
    if [ "$(gs_size "$3")" != "$4" ] || [ "${gs_sha:-$5}" != "$5" ]; then
        gs_end=mismatch
        [ "$3" = "$2" ] || rm -f "$3"
        gs_answer "$1" mismatch
        return
    fi
    gs_done=created
    if [ "$3" = "$2" ] || [ "$8" != absent ] || [ -L "$2" ]; then
        gs_done=written
    elif [ -e "$2" ]; then
        # Another writer was here meanwhile.
        gs_judge "$1" "$2" "$4" "$5" "$6" "$7" || { rm -f "$3"; return; }
        if [ "$gs_kind" = same ]; then
            rm -f "$3"
            gs_end=same
            gs_answer "$1" same
            return
        fi
        gs_done=written
    fi
    if gs_said=$({
        { [ -z "$gs_owner" ] || chown "$gs_owner" "$3"; } && touch -d "@$7" "$3" && chmod "$6" "$3" &&
            { [ "$3" = "$2" ] || gs_rename "$3" "$2"; }
    } 2>&1); then
        # Numbers of files that are gone come back.
        if [ -L "$2" ] || [ ! -f "$2" ] || [ "$(gs_size "$2")" != "$4" ] ||
            { [ "$(gs_number "$2")" != "$gs_mine" ] && [ "$(gs_sum <"$2")" != "$5" ]; }; then
            rm -f "$2/${3##*/}" 2>/dev/null
            gs_answer "$1" denied 'another writer has replaced it meanwhile'
        else
            gs_end=$gs_done
            gs_answer "$1" "$gs_done"
        fi
    else
        [ "$3" = "$2" ] || rm -f "$3" 2>/dev/null
        gs_answer "$1" denied "${gs_said##*: }"
    fi
}

# gs_install N PATH PART SIZE SHA MODE TIME FOUND BOXED: what is in the box becomes a part beside its place, which nobody else can
# have changed once it was summed.
gs_install() {
    trap 'rm -f "$3"; exit 143' HUP INT TERM
    rm -f "$3" 2>/dev/null
    if [ -z "$(gs_sum </dev/null)" ]; then
        gs_end=denied
        gs_answer "$1" denied 'no program on the node can tell a SHA-256, and without it nobody knows whose bytes these are'
    elif gs_said=$({ (umask 077; set -C; cat <"$9" >"$3"); } 2>&1); then
        gs_finish "$1" "$2" "$3" "$4" "$5" "$6" "$7" "$8"
    else
        gs_end=denied
        rm -f "$3" 2>/dev/null
        gs_answer "$1" denied "${gs_said##*: }"
    fi
    trap - HUP INT TERM
    rm -f "$9" 2>/dev/null
    [ "$gs_end" != mismatch ] || gs_new "$9"
}

# gs_close N PATH MODE: a directory that was made here is full.
gs_close() {
    if gs_said=$({ { [ -z "$gs_owner" ] || chown "$gs_owner" "$2"; } && chmod "$3" "$2"; } 2>&1); then
        gs_answer "$1" created
    else
        gs_answer "$1" denied "${gs_said##*: }"
    fi
}
