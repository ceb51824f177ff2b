#!/bin/sh
# `make install` and `make uninstall`: install.sh install|uninstall, with GSCTL, PREFIX, DESTDIR and LINKS in the environment.
#
# Manual pages and completions are those that the program itself prints, so that they cannot be another version's.
set -eu
umask 022

prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}$prefix
bin=$root/bin
man=$root/share/man/man1
bash=$root/share/bash-completion/completions
zsh=$root/share/zsh/site-functions
fish=$root/share/fish/vendor_completions.d
doc=$root/share/doc/gsctl
# What openGauss' OM is to run in place of its own: see docs/pssh.md.
om=$root/share/gsctl/om
siblings='pssh pscp pslurp prsync pnuke parallel-ssh parallel-scp parallel-slurp parallel-rsync parallel-nuke'

fail() {
    echo "$0: $*" >&2
    exit 2
}

case $prefix in /*) ;; *) fail "PREFIX=$prefix does not begin with /" ;; esac
for links in ${LINKS:-}; do
    case $links in pssh | pssh-om) ;; *) fail "LINKS=$links is not known: pssh, pssh-om" ;; esac
done

wanted() {
    case " ${LINKS:-} " in *" $1 "*) ;; *) return 1 ;; esac
}

ours() {
    [ -h "$1" ] && [ "$(readlink "$1")" = gsctl ]
}

# The path of the installed program, in place of that of the program that printed the file.
shim() {
    "$pages" pssh --print-shim | sed "3s|(\"[^\"]*\"|(\"$prefix/bin/gsctl\"|"
}

install_all() {
    gsctl=${GSCTL:-target/release/gsctl}
    # Another one of the same version prints them, where this one is for another machine.
    pages=${PAGES:-$gsctl}
    [ -x "$gsctl" ] || fail "$gsctl is not built; run: make build"
    # Looked at first: nothing is half installed because of a program of somebody else's.
    if wanted pssh; then
        for name in $siblings; do
            if [ -e "$bin/$name" ] || [ -h "$bin/$name" ]; then
                ours "$bin/$name" || fail "$bin/$name is there and is not a link to gsctl; nothing was installed"
            fi
        done
    fi
    mkdir -p "$bin" "$man" "$bash" "$zsh" "$fish" "$doc"
    # Renamed into place: a gsctl that runs meanwhile goes on.
    install -m 755 "$gsctl" "$bin/.gsctl.new"
    mv "$bin/.gsctl.new" "$bin/gsctl"
    "$pages" man --dir "$man"
    "$pages" completions bash >"$bash/gsctl"
    # The first time, zsh loads the file to complete a word: then it must complete it, too.
    {
        "$pages" completions zsh
        echo '[[ ${funcstack[1]} != _gsctl ]] || _clap_dynamic_completer_gsctl "$@"'
    } >"$zsh/_gsctl"
    "$pages" completions fish >"$fish/gsctl.fish"
    install -m 644 hosts.example README.md README.zh-CN.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$doc"
    if wanted pssh; then
        for name in $siblings; do
            ln -sf gsctl "$bin/$name"
        done
    fi
    if wanted pssh-om; then
        mkdir -p "$om"
        for name in pssh pscp; do
            shim >"$om/$name"
            chmod 755 "$om/$name"
        done
    fi
    echo "installed $prefix/bin/gsctl${DESTDIR:+ under $DESTDIR}"
}

uninstall_all() {
    rm -f "$bin/gsctl" "$man/gsctl.1" "$man"/gsctl-*.1 "$bash/gsctl" "$zsh/_gsctl" "$fish/gsctl.fish"
    rm -rf "$doc" "$root/share/gsctl"
    for name in $siblings; do
        ! ours "$bin/$name" || rm -f "$bin/$name"
    done
    echo "removed gsctl from $prefix${DESTDIR:+ under $DESTDIR}"
}

case ${1:-} in
install) install_all ;;
uninstall) uninstall_all ;;
*) fail 'install or uninstall' ;;
esac
