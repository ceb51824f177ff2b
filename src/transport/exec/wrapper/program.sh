# What /bin/sh on the node runs round a command. gsctl sets before it: gs_id, gs_mark (secret), gs_begins, gs_errors (empty on a
# terminal), gs_text (what is to be run), gs_before, gs_again and gs_shell.
#
# The shell is new, so it has no alias, trap or option of a profile. Where it is bash it has the functions that a profile exported.
unset IFS
case ${BASH_VERSION-} in
    ?*)
        unset -f builtin declare echo printf read shopt
        for gs_f in $(declare -F); do
            case $gs_f in
                declare | -*) ;;
                *) unset -f "$gs_f" ;;
            esac
        done
        shopt -u nocasematch failglob nullglob dotglob nocaseglob
        ;;
esac

# A profile may have closed what is to be passed on.
(: <&0) || exec </dev/null
(: >&2) || exec 2>/dev/null

# A signal for the whole group ends the command, and not who is to tell of its end. A trap, unlike an ignored signal, is not inherited.
gs_hold() {
    trap : HUP INT QUIT ALRM TERM USR1 USR2
}

# Where nobody listens any more, nothing is run.
gs_begin() {
    gs_hold
    gs_boot= gs_stat= gs_login= gs_lead=0
    {
        read -r gs_boot </proc/sys/kernel/random/boot_id
        read -r gs_stat </proc/$$/stat
        read -r gs_login </proc/$PPID/cmdline
    } 2>/dev/null
    set -f
    set -- ${gs_stat##*) }
    set +f
    # The login shell may wait for this one, and leads the session then.
    case $4,$gs_login in
        "$$",* | "$PPID,"*"$gs_id"*) gs_lead=$4 ;;
    esac
    [ -z "$gs_errors" ] || printf '%s%s\n' "$gs_mark" "$gs_begins" >&2
    printf '%s%s%s %s %s %s\n' "$gs_mark" "$gs_begins" "$$" "${20:-0}" "${gs_boot:-0}" "$gs_lead" || exit 141
}

# gs_end STATUS: `~N` is a signal.
gs_end() {
    printf '%s=%s\n' "$gs_mark" "$1"
    [ -z "$gs_errors" ] || printf '%s.\n' "$gs_mark" >&2
    # The status has been told. Another one than 0 would be an error to the login shell, whose profile may have something to say of that.
    exit 0
}

# gs_prepare: what comes before the command.
gs_prepare() {
    [ -z "$gs_before" ] || eval "$gs_before" || gs_end 1000
}

# gs_take BYTES: the rest of standard input, in gs_in. Fails unless all of it has come. A dd that was killed may have taken the beginning
# with it: only one that does not know `fullblock` is tried again.
gs_take() {
    gs_n=$(($1 + ${#gs_id} + 3))
    gs_in=$(dd bs="$gs_n" count=1 iflag=fullblock 2>/dev/null || case $? in ([12]) dd bs=1 count="$gs_n" 2>/dev/null ;; esac)
    case $gs_in in
        *"$gs_nl#$gs_id.") gs_in=${gs_in%"$gs_nl#$gs_id."} ;;
        *) return 1 ;;
    esac
}

# gs_login TEXT: runs it in a new process of the login shell, as sshd would, and leaves in gs_s how that ended: a status, or
# `~N` for a signal. The text comes through a pipe: it stands in no argument, variable or file. Where the cat that reads it is missing,
# or is killed, the shell ends before it has run any of it. What this shell
# says of a child that a signal killed tells a signal from a status.
gs_login() {
    gs_sh=${gs_shell:-${SHELL-}}
    if [ -z "$gs_sh" ]; then
        gs_sh=$(getent passwd "$(id -u)" 2>/dev/null)
        gs_sh=${gs_sh##*:}
        : "${gs_sh:=/bin/sh}"
    fi
    gs_name=${gs_sh##*/}
    case $gs_name in
        bash | rbash | zsh | fish | dash) gs_kind=$gs_name ;;
        ash) gs_kind=busybox ;;
        sh)
            case $gs_sh in
                sh | /bin/sh | /usr/bin/sh) gs_own_kind ;;
                *) gs_kind=eval ;;
            esac
            ;;
        ksh* | mksh | lksh | oksh | pdksh | yash) gs_kind=eval ;;
        *) gs_kind=argument ;;
    esac
    # What start-up files print comes before the command. A shell that has some tells itself when they are done.
    # The id comes in two words: where a profile has said `set -x`, the shell shows this line.
    gs_said="printf '%s-%s:\\n' ${gs_id%%-*} ${gs_id#*-}" gs_warned=
    [ -z "$gs_errors" ] || gs_warned="$gs_said >&2;"
    gs_said="$gs_said;"
    case $gs_kind in
        bash)
            gs_feed="\\builtin $gs_said${gs_warned:+\\builtin $gs_warned}$gs_again$1"
            gs_boot='\builtin eval "$(/bin/cat <&3||\builtin kill -9 $$)" 3<&-'
            ;;
        zsh)
            # Its messages would name eval where they name the shell.
            gs_feed="\\builtin setopt evallineno;\\builtin $gs_said${gs_warned:+\\builtin $gs_warned}$gs_again$1"
            gs_boot='\builtin unsetopt evallineno;\builtin eval "$(/bin/cat <&3||\builtin kill -9 $$)" 3<&-'
            ;;
        fish)
            gs_feed="builtin $gs_said${gs_warned:+builtin $gs_warned}$1"
            gs_boot='eval (begin;/bin/cat <&3;or command kill -9 $fish_pid;end | string collect -N) 3<&-'
            ;;
        argument)
            gs_feed= gs_boot="/bin/echo $gs_id:;$1"
            [ -z "$gs_errors" ] || echo "$gs_id:" >&2
            ;;
        *)
            gs_feed=$1
            echo "$gs_id:"
            [ -z "$gs_errors" ] || echo "$gs_id:" >&2
            ;;
    esac
    case $gs_kind in
        rbash) gs_boot='\builtin eval "$(cat <&3||\builtin kill -9 $$)" 3<&-' ;;
        # An alias is read as if it stood there: no eval in the messages. dash reads it as line 1 where a file has set it before.
        dash) gs_boot=gs_run ;;
        busybox) gs_boot='alias gs_run="unalias gs_run;$(/bin/cat <&3||kill -9 $$)";exec 3<&-'"${gs_nl}gs_run" ;;
        eval) gs_boot='\eval "$(/bin/cat <&3||\kill -9 $$)" 3<&-' ;;
    esac
    {
        gs_s=$(
            gs_hold
            exec 2>&1
            PATH=$gs_path
            unset SHLVL OLDPWD
            printf %s "$gs_feed" 2>/dev/null | {
                gs_hold
                # dash redirects for a child before it makes one: who waits must not, or what it says of the child is the command's.
                (
                    exec 3<&0 7<<'END' <&4 >&5 2>&6 4<&- 5>&- 6>&-
set +i;unset ENV;alias gs_run="unalias gs_run;$(/bin/cat <&3||kill -9 $$)";exec 3<&- 7<&-
END
                    case $gs_kind in
                        dash) ENV=/dev/fd/7 exec "$gs_sh" -i +m -c "$gs_boot" "$gs_name" ;;
                        argument) exec "$gs_sh" -c "$gs_boot" 3<&- 7<&- ;;
                        *) exec "$gs_sh" -c "$gs_boot" "$gs_name" 7<&- ;;
                    esac
                )
                echo "=$?"
            }
        )
    } 4<&0 5>&1 6>&2
    gs_said=${gs_s%=*} gs_s=${gs_s##*=}
    : "${gs_s:=127}"
    # bash says nothing of it here; a command that ends with such a status by itself is rarer than one that a signal killed.
    if [ -n "${BASH_VERSION-}" ] && [ "$gs_s" -gt 128 ] && [ "$gs_s" -lt 160 ]; then gs_said=signal; fi
    [ -z "$gs_said" ] || [ "$gs_s" -le 128 ] || gs_s="~$((gs_s - 128))"
}

# gs_own_kind: what this shell is, in gs_kind.
gs_own_kind() {
    gs_kind=${BASH_VERSION:+bash}${KSH_VERSION:+eval}${ZSH_VERSION:+zsh}
    if [ -n "$gs_kind" ]; then
        :
    elif [ -e /dev/fd/0 ] && (set +i) 2>/dev/null; then
        gs_kind=dash
    else
        gs_kind=busybox
    fi
}
gs_nl='
'
