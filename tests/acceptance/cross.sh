#!/bin/bash
# Builds cooper for other machines, for tests/acceptance/matrix.py --binary:
#   tests/acceptance/cross.sh DIR [NAME…]
# leaves DIR/cooper-NAME, static, for the names
#   musl      x86-64, musl in place of glibc; the standard library is built too
#   aarch64   little endian, 64 bit
#   s390x     big endian, 64 bit
#   armhf     little endian, 32 bit
# or those that are named; and all by another release of rustc than rustup's.
#
# Needs root, mmdebstrap, a Debian mirror and the crate registry. Makes a Debian testing in DIR/chroot (kept, 4 GB) with
# rustc, cargo, rust-src, libstd-rust-dev of all four machines, a C compiler for each (zstd is C), musl-tools, and LLVM's
# libunwind, which the standard library for musl is linked with. Nothing outside DIR is written.
# CARGO_PROFILE_… is passed on: CARGO_PROFILE_DIST_LTO=off makes a build shorter.
# MIRROR is where Debian comes from, otherwise the first mirror of Debian that apt knows here.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,17s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
dir=$(realpath "$1")
shift
names=${*:-musl aarch64 s390x armhf}
[ "$(id -u)" = 0 ] || { echo "not root, so no chroot" >&2; exit 2; }
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is not installed" >&2; exit 2; }
mirror=${MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' | sed -n 1p)}

chroot=$dir/chroot
if [ ! -e "$chroot/.complete" ]; then
    rm -rf "$chroot"
    packages=(rustc cargo rust-src gcc libc6-dev ca-certificates musl-tools libunwind-22-dev
        libstd-rust-dev libstd-rust-dev:{arm64,s390x,armhf}
        gcc-{aarch64-linux-gnu,s390x-linux-gnu,arm-linux-gnueabihf} libc6-dev-{arm64,s390x,armhf}-cross)
    # A testing that is a few days old is as good, and a clock may be wrong.
    mmdebstrap --variant=apt --architectures=amd64,arm64,s390x,armhf --aptopt='Acquire::Check-Valid-Until "false"' \
        --aptopt='APT::Install-Recommends "false"' --include="$(IFS=,; echo "${packages[*]}")" \
        testing "$chroot" "$mirror"
    touch "$chroot/.complete"
fi

mkdir -p "$chroot/src" "$chroot/target" "$dir/target"
# In a mount namespace of its own: what is mounted goes with the process.
export here dir chroot names
unshare --mount --propagation private bash -euo pipefail <<'INSIDE'
mount --bind -o ro "$here" "$chroot/src"
mount --bind "$dir/target" "$chroot/target"
mount -t proc proc "$chroot/proc"
cp -L /etc/resolv.conf "$chroot/etc/resolv.conf"
# Whom this machine trusts, a proxy's authority for example.
cp -L /etc/ssl/certs/ca-certificates.crt "$chroot/etc/ssl/certs/ca-certificates.crt"

build() { # NAME TARGET RUSTFLAGS [ENVIRONMENT… -- CARGO'S OPTIONS…]
    local name=$1 target=$2 flags=$3 options=()
    shift 3
    local environment=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do environment+=("$1"); shift; done
    [ $# = 0 ] || { shift; options=("$@"); }
    case " $names " in *" $name "*) ;; *) return 0 ;; esac
    echo "== $name: $target"
    mapfile -t -O "${#environment[@]}" environment < <(env | grep '^CARGO_PROFILE_' || :)
    chroot "$chroot" env -i PATH=/usr/bin:/bin HOME=/root CARGO_TERM_COLOR=never CARGO_TARGET_DIR=/target \
        RUSTFLAGS="-C target-feature=+crt-static $flags" "${environment[@]}" \
        cargo build --manifest-path /src/Cargo.toml --profile dist --locked --bin cooper --target "$target" "${options[@]}"
    install -m 0755 "$chroot/target/$target/dist/cooper" "$dir/cooper-$name"
}
build s390x s390x-unknown-linux-gnu "-C linker=s390x-linux-gnu-gcc"
# For musl rustc links LLVM's unwinder. Debian's was compiled for glibc's checked printf, so these two are added to it; and it
# is put where only this link looks.
mkdir -p "$chroot/musl"
cp "$chroot"/usr/lib/llvm-*/lib/libunwind.a "$chroot/musl/"
chroot "$chroot" sh -ec 'cd /musl; musl-gcc -O2 -c -o checked.o -x c -; ar rs libunwind.a checked.o' <<'C'
#include <stdarg.h>
#include <stdio.h>
int __vfprintf_chk(FILE *f, int flag, const char *format, va_list list) { return vfprintf(f, format, list); }
int __vsnprintf_chk(char *s, size_t n, int flag, size_t size, const char *format, va_list list) { return vsnprintf(s, n, format, list); }
C
build musl x86_64-unknown-linux-musl "-C linker=musl-gcc -C link-self-contained=no -L native=/musl" \
    RUSTC_BOOTSTRAP=1 CC_x86_64_unknown_linux_musl=musl-gcc -- -Zbuild-std=std,panic_abort
build aarch64 aarch64-unknown-linux-gnu "-C linker=aarch64-linux-gnu-gcc"
build armhf armv7-unknown-linux-gnueabihf "-C linker=arm-linux-gnueabihf-gcc"
INSIDE
ls -l "$dir"/cooper-*
