#!/bin/sh
# `make install-test`: make install and make uninstall of an ordinary user, into a directory of its own. install.sh GSCTL
set -eu

cd "$(dirname "$0")/../.."
gsctl=$(realpath "$1")
work=$(mktemp -d "${TMPDIR:-/tmp}/gsctl-install-XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/tree
# What an ordinary user may read, wherever the source lies.
mkdir "$tree" "$work/home"
cp -r Makefile Cargo.toml packaging hosts.example README.md README.zh-CN.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$tree"
cp "$gsctl" "$tree/gsctl"
as_user=
if [ "$(id -u)" = 0 ]; then
    chown -R 65534:65534 "$work"
    as_user='setpriv --reuid=65534 --regid=65534 --clear-groups'
fi

failed=0
check() {
    what=$1
    shift
    if "$@"; then echo "ok   $what"; else echo "FAIL $what" && failed=1; fi
}
user() {
    (cd "$tree" && HOME=$work/home $as_user "$@")
}
make_() {
    user make -s GSCTL=./gsctl PREFIX="$prefix" "$@" >"$work/out" 2>&1
}
files() {
    find "$1" \( -type f -o -type l \) | sed "s|^$1||" | sort
}
refuses() {
    ! make_ "$@"
}
says() {
    grep -q -- "$1" "$work/out" || { cat "$work/out" && false; }
}

prefix=$work/home/own
check 'install' make_ install
check 'uninstall' make_ uninstall
check 'nothing is left' [ -z "$(files "$prefix")" ]

prefix=/opt/gsctl
root=$work/home/root
check 'install under DESTDIR' make_ install DESTDIR="$root" LINKS='pssh pssh-om'
check 'nothing outside of PREFIX' [ "$(ls "$root" "$root/opt")" = "$(printf '%s:\nopt\n\n%s/opt:\ngsctl' "$root" "$root")" ]
at=$root$prefix
check 'the program is the one that was built' cmp "$gsctl" "$at/bin/gsctl"
check 'the program runs' user "$at/bin/gsctl" --no-config -f "$at/share/doc/gsctl/hosts.example" hosts --expand >"$work/hosts"
check 'the example has hosts' grep -qx node04 "$work/hosts"
for name in pssh pscp pslurp prsync pnuke parallel-ssh parallel-scp parallel-slurp parallel-rsync parallel-nuke; do
    check "$name is gsctl under this name" user sh -c "'$at/bin/$name' --help 2>&1 | tr '\\n' ' ' | grep -q 'lines and exit statuses of p'"
done
pages=$(user "$at/bin/gsctl" man no-such-command 2>&1 | sed -n 's/^hint: commands: //p' | tr -d ',')
check 'there are commands' [ "$(echo "$pages" | wc -w)" -gt 15 ]
for page in gsctl $(for name in $pages; do echo "gsctl-$name"; done); do
    check "$page(1) is read without a warning" [ -z "$(groff -man -Tutf8 -ww -z "$at/share/man/man1/$page.1" 2>&1)" ]
done
check 'bash completes' bash --norc -c '
    PATH=$1/bin:$PATH; . "$1/share/bash-completion/completions/gsctl"
    COMP_WORDS=(gsctl sta); COMP_CWORD=1; COMP_TYPE=9; $(complete -p gsctl | sed "s/.*-F //;s/ .*//") gsctl sta gsctl
    [[ " ${COMPREPLY[*]} " == *" start "* && " ${COMPREPLY[*]} " == *" status "* ]]' - "$at"
check 'zsh completes, the first time too' zsh -fc '
    path=($1/bin $path); fpath=($1/share/zsh/site-functions $fpath); autoload -U compinit; compinit -u -D
    [[ $_comps[gsctl] = _gsctl ]] || exit 1
    said=(); _describe() { said+=(${(P)3}) }; compadd() { said+=($@) }; compdef() { : }
    words=(gsctl sta); CURRENT=2; _gsctl; [[ " $said " == *" start"* && " $said " == *" status"* ]]' - "$at"
check 'fish completes' fish --no-config -c '
    set -x PATH $argv[1]/bin $PATH; source $argv[1]/share/fish/vendor_completions.d/gsctl.fish
    complete -C "gsctl sta" | string match -q "start*"' "$at"
check 'the shim runs the installed gsctl' grep -qF "os.execve(\"$prefix/bin/gsctl\"" "$at/share/gsctl/om/pssh"
check 'the shim is Python' python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$at/share/gsctl/om/pscp"
check 'no path of the place where it was built' sh -c "! grep -rqF '$tree' '$at/share'"
check 'install again' make_ install DESTDIR="$root" LINKS=pssh
check 'uninstall all of it' make_ uninstall DESTDIR="$root"
check 'nothing is left of it' [ -z "$(files "$root")" ]

mkdir -p "$at/bin"
echo theirs >"$at/bin/pssh"
check "somebody else's pssh is a reason to stop" refuses install DESTDIR="$root" LINKS=pssh
check 'which is said' says 'is not a link to gsctl; nothing was installed'
check 'and nothing was installed' [ "$(files "$root")" = "$prefix/bin/pssh" ]
check 'uninstall' make_ uninstall DESTDIR="$root"
check 'leaves it alone' [ "$(cat "$at/bin/pssh")" = theirs ]
check 'unknown links are refused' refuses install DESTDIR="$root" LINKS=psh
check 'a relative PREFIX is refused' refuses install PREFIX=here
check 'a program that is not built is said' refuses install GSCTL=./nothing
check 'with the way to build it' says 'run: make build'

# `make build` asks for a compiler for Rust, one for C, make and perl, and for nothing else, and needs no root.
mkdir "$work/four"
for tool in cargo cc make perl sh sed id; do ln -s "$(command -v "$tool")" "$work/four/$tool"; done
rm "$work/four/cargo" && printf '#!/bin/sh\necho cargo "$@"\n' >"$work/four/cargo" && chmod 755 "$work/four/cargo"
chmod 755 "$work/four"
check 'make build needs four tools and no root' user env PATH="$work/four" make -s build >"$work/out"
check 'and builds gsctl alone' grep -qx 'cargo build --release --locked -p gsctl' "$work/out"
rm "$work/four/perl"
check 'what is missing is said' sh -c "! (cd '$tree' && $as_user env PATH='$work/four:/usr/sbin' make -s build) | grep -q 'cargo build'"

[ "$failed" = 0 ] && echo 'install-test: all is well'
exit "$failed"
