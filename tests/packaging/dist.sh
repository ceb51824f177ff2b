#!/bin/sh
# `make dist-test`: what `make dist` made is checked, installed into fresh roots, used there on the lab's nodes, and removed again.
# As root, for chroot and the lab's namespaces.
set -eu

cd "$(dirname "$0")/../.."
. tests/lab/up.sh
target=${CARGO_TARGET_DIR:-$PWD/target}
out=$target/dist/out
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n1)
machine=$(uname -m)

failed=0
check() {
    what=$1
    shift
    if "$@" >"$work/said" 2>&1; then echo "ok   $what"; else
        echo "FAIL $what"
        sed 's/^/     /' "$work/said"
        failed=1
    fi
}

[ "$(id -u)" = 0 ] || { echo "$0: only root may chroot" >&2 && exit 2; }
check 'the sums' sh -c "cd '$out' && sha256sum -c SHA256SUMS"
for archive in "$out"/gsctl-"$version"-*.tar.gz; do
    name=$(basename "$archive" .tar.gz)
    tar -C "$work" -xzf "$archive"
    # Where zig was missing, it is the machine's own glibc, and dist said so.
    newest=2.17
    [ -x "$target/dist-tools/venv/bin/cargo-zigbuild" ] || newest=
    check "$name: symbol versions and libraries" sh packaging/symbol-versions.sh "$work/$name/bin/gsctl" $newest
done
native=$work/gsctl-$version-$machine-unknown-linux-gnu
check 'it runs' "$native/bin/gsctl" --version -v
check 'it says what it is' sh -c "'$native/bin/gsctl' --version -v | grep -q '^target: $machine-unknown-linux-gnu$' && '$native/bin/gsctl' --version -v | grep -Eq '^commit: [0-9a-f]{40}'"
check 'libc alone, by the dynamic linker too' sh -c "! ldd '$native/bin/gsctl' | grep -Ev 'linux-vdso|/ld-linux|/lib(c|m|dl|pthread|rt|util)\.so'"
check 'the parts are listed' python3 -c '
import json, sys
names = {part["name"] for part in json.load(open(sys.argv[1]))["components"]}
assert {"openssl-sys", "libssh2-sys", "libz-sys", "clap"} <= names, names
assert not {"russh", "proptest"} & names, "of the tests"' "$out/gsctl-$version.cdx.json"

# In place of the one that the lab's tests would run, for them alone.
it=$(${CARGO:-cargo} test --locked --no-run --test it 2>&1 | sed -n 's/.*Executable .*(\(.*\))$/\1/p')
check 'tests of the lab pass with it' env -u CARGO unshare --mount sh -c 'mount --bind "$1" "$2/gsctl" && CARGO_MANIFEST_DIR=$PWD exec "$3" start:: marker:: everyday:: exit_status:: files:: output:: status:: stop:: looks::' \
    sh "$native/bin/gsctl" "$bin" "$it"

# Nothing but libc, and what the package brings.
fresh() {
    root=$1
    mkdir -p "$root/dev" "$root/tmp" "$root/root"
    : >"$root/dev/null"
    for library in $(ldd "$native/bin/gsctl" | grep -o '/[^ ]*'); do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
    cp "$LAB_HOSTS" "$root/hosts"
    cp "$LAB_KEY" "$LAB_KNOWN_HOSTS" "$root/root"
}
inside() {
    root=$1
    shift
    env -i HOME=/root "$(command -v chroot)" "$root" /usr/bin/gsctl -f /hosts -i "/root/${LAB_KEY##*/}" --known-hosts "/root/${LAB_KNOWN_HOSTS##*/}" "$@"
}
# Files that come with the package, without those that were put there for it.
brought() {
    [ -d "$1/usr" ] || return 0
    (cd "$1" && find usr \( -type f -o -type l \) ! -name '*.so*') | sort
}
complete() {
    for file in usr/share/man/man1/gsctl.1 usr/share/man/man1/gsctl-start.1 usr/share/bash-completion/completions/gsctl \
        usr/share/fish/vendor_completions.d/gsctl.fish usr/share/doc/gsctl/hosts.example usr/share/doc/gsctl/docs/ssh.md usr/share/gsctl/om/pssh; do
        [ -e "$1/$file" ] || [ -e "$1/$file.gz" ] || { echo "no $file" && return 1; }
    done
    [ -e "$1/usr/share/zsh/vendor-completions/_gsctl" ] || [ -e "$1/usr/share/zsh/site-functions/_gsctl" ]
}

lab_up 3
deb=$(ls "$out"/*_"$(dpkg --print-architecture)".deb 2>/dev/null || :)
if [ -n "$deb" ]; then
    root=$work/deb
    fresh "$root"
    mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
    : >"$root/var/lib/dpkg/status"
    # libc is not there as a package.
    check 'dpkg installs it' dpkg --root="$root" --force-depends --install "$deb"
    check 'with all that belongs to it' complete "$root"
    check 'gsctl start works there' inside "$root" start
    check 'and status says so' inside "$root" status --exit-code
    check 'and stop' inside "$root" stop
    check 'dpkg removes it' dpkg --root="$root" --remove gsctl
    check 'nothing is left' [ -z "$(brought "$root")" ]
else
    check 'there is a .deb' false
fi

rpm=$(ls "$out"/*."$machine".rpm 2>/dev/null || :)
if [ -n "$rpm" ]; then
    root=$work/rpm
    fresh "$root"
    check 'rpm installs it' rpm --root "$root" --dbpath /var/lib/rpm --nodeps --ignoreos --install "$rpm"
    check 'with all that belongs to it' complete "$root"
    check 'gsctl start works there' inside "$root" start
    check 'rpm removes it' rpm --root "$root" --dbpath /var/lib/rpm --nodeps --erase gsctl
    check 'nothing is left' [ -z "$(brought "$root")" ]
    check 'it asks for glibc 2.17' sh -c "rpm -qp --requires '$rpm' | grep -q '^glibc >= 2.17'"
else
    check 'there is a .rpm' false
fi

[ "$failed" = 0 ] && echo 'dist-test: all is well'
exit "$failed"
