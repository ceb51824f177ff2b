#!/bin/sh
# Says the newest glibc that a program asks for, and fails where it is newer than wanted, or where it needs anything but libc's own
# family: symbol-versions.sh PROGRAM [NEWEST]
set -eu

newest=$(objdump -T "$1" | sed -n 's/.*(\{0,1\}GLIBC_\([0-9.]*\)).*/\1/p; s/.* GLIBC_\([0-9.]*\) .*/\1/p' | sort -V | tail -n1)
needed=$(objdump -p "$1" | sed -n 's/^ *NEEDED *//p')
echo "$1: glibc $newest; $(echo "$needed" | tr '\n' ' ')"
[ -n "$newest" ] || { echo "$1: no symbol of glibc was found" >&2; exit 1; }
[ -n "${2:-}" ] || exit 0
for library in $needed; do
    case $library in
    libc.so.6 | libm.so.6 | libpthread.so.0 | libdl.so.2 | librt.so.1 | libutil.so.1 | ld-linux-*.so.[12]) ;;
    *) echo "$1 needs $library" >&2 && exit 1 ;;
    esac
done
if [ "$(printf '%s\n' "$newest" "$2" | sort -V | tail -n1)" != "$2" ]; then
    echo "$1 needs glibc $newest, which is newer than $2" >&2
    exit 1
fi
