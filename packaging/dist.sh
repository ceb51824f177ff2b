#!/bin/sh
# `make dist`: a program that runs from glibc 2.17 on, and what people install it from, in target/dist/out. As far as possible for
# x86_64 and aarch64. DIST_STRICT=1 makes an error of what is otherwise only said: that a tool or a target is missing.
set -eu

# Builds of C libraries call what lies there from other directories.
case ${CARGO_TARGET_DIR:=target} in
    /*) ;;
    *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;;
esac
export CARGO_TARGET_DIR
tools=$CARGO_TARGET_DIR/dist-tools
work=$CARGO_TARGET_DIR/dist
out=$work/out
cargo=${CARGO:-cargo}
glibc=2.17
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n1)
missing=0

say() {
    echo "dist: $*"
}
lacks() {
    say "$*"
    missing=1
}

# A cargo command: what is installed, else what can be had.
tool() {
    PATH=$tools/bin:$PATH command -v "$1" >/dev/null 2>&1 && return
    say "installing $1 $2 under $tools"
    $cargo install --quiet --locked --root "$tools" --version "$2" "$1" >"$work/$1.log" 2>&1
}

rm -rf "$out"
mkdir -p "$out"

# zig brings along the symbol versions of each glibc. It and its cargo command come as Python wheels.
zig=yes
if ! [ -x "$tools/venv/bin/cargo-zigbuild" ]; then
    { python3 -m venv "$tools/venv" && "$tools/venv/bin/pip" install -q cargo-zigbuild==0.24.1 ziglang==0.17.1; } \
        >"$work/zig.log" 2>&1 || zig=
fi
export PATH="$tools/venv/bin:$tools/bin:$PATH"

host=$(rustc -vV | sed -n 's/^host: //p')
targets=
for target in x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu; do
    if [ -z "$zig" ] && [ "$target" != "$host" ]; then
        lacks "no $target: zig is missing (see $work/zig.log)"
    elif [ -d "$(rustc --print target-libdir --target "$target")" ]; then
        targets="$targets $target"
    else
        lacks "no $target: this Rust toolchain has no such target (rustup target add $target)"
    fi
done

for target in $targets; do
    # What it was built for is in it, and is checked by symbol-versions.sh.
    if [ -n "$zig" ]; then
        say "building $target for glibc $glibc"
        GSCTL_COMMIT=${GSCTL_COMMIT:-} $cargo zigbuild --release --locked -p gsctl --target "$target.$glibc"
        sh packaging/symbol-versions.sh "$CARGO_TARGET_DIR/$target/release/gsctl" "$glibc"
    else
        lacks "zig is missing (see $work/zig.log): built for this machine's own glibc, and for nothing older"
        GSCTL_COMMIT=${GSCTL_COMMIT:-} $cargo build --release --locked -p gsctl --target "$target"
        sh packaging/symbol-versions.sh "$CARGO_TARGET_DIR/$target/release/gsctl" ''
    fi
done

# Manual pages and completions are the same for all: those of the one that runs here.
native=$CARGO_TARGET_DIR/$host/release/gsctl
for target in $targets; do
    built=$CARGO_TARGET_DIR/$target/release/gsctl
    stage=$work/stage
    rm -rf "$stage"
    GSCTL=$built PAGES=$native PREFIX=/usr DESTDIR=$stage LINKS=pssh-om sh packaging/install.sh install >/dev/null

    name=gsctl-$version-$target
    rm -rf "${work:?}/$name"
    cp -r "$stage/usr" "$work/$name"
    cp LICENSE-APACHE LICENSE-MIT README.md "$work/$name"
    # The same bytes from the same sources, whoever builds.
    tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}" \
        -cf - "$name" | gzip -9n >"$out/$name.tar.gz"

    if tool cargo-deb 3.8.0; then
        $cargo deb --quiet --locked --no-build --no-strip -p gsctl --target "$target" --output "$out/"
    else
        lacks "no .deb: cargo-deb is not to be had here (see $work/cargo-deb.log)"
    fi
    if tool cargo-generate-rpm 0.21.1; then
        $cargo generate-rpm --target "$target" --output "$out/"
    else
        lacks "no .rpm: cargo-generate-rpm is not to be had here (see $work/cargo-generate-rpm.log)"
    fi
done

if tool cargo-cyclonedx 0.5.9; then
    $cargo cyclonedx --quiet --format json --no-build-deps --override-filename sbom
    mv sbom.json "$out/gsctl-$version.cdx.json"
    # It writes one beside the manifest of each package of the workspace; nobody is given the others.
    rm -f benches/sbom.json tests/*/sbom.json
else
    lacks "no SBOM: cargo-cyclonedx is not to be had here (see $work/cargo-cyclonedx.log)"
fi

(cd "$out" && sha256sum -- * >SHA256SUMS)
ls -l "$out"
[ "$missing" = 0 ] || [ -z "${DIST_STRICT:-}" ]
