"""Root file systems out of Debian packages, as base layouts of the stand-ins' workspace."""

import hashlib
import os
from pathlib import Path

import layout
from shell import Failure, run, say

SUITE = "bookworm"

# Few roots that several stand-ins share: an engine keeps the layer once.
ROOTS = {
    "debian": "ca-certificates curl etcd-client etcd-server gettext-base nginx-light nodejs postgresql-15 prometheus python3 "
    "python3-yaml redis-server tini wget",
    "java": "ca-certificates curl libzookeeper-java netcat-openbsd openjdk-17-jre-headless tini wget",
    "ruby": "ca-certificates ruby ruby-cool.io ruby-http-parser.rb ruby-msgpack ruby-serverengine ruby-sigdump ruby-strptime "
    "ruby-tzinfo ruby-webrick ruby-yajl tini tzdata",
}

# What nothing here reads: half of it all. PostgreSQL does without LLVM, its JIT compiler.
LEFT_OUT = [
    "/usr/share/doc/*",
    "/usr/share/fonts/*",
    "/usr/share/i18n/*",
    "/usr/share/javascript/*",
    "/usr/share/locale/*",
    "/usr/share/man/*/*",
    "/usr/lib/*/libLLVM*",
    "/usr/lib/postgresql/*/lib/bitcode/*",
]

# Before the packages are installed: no database is wanted yet.
PREPARE = (
    'mkdir -p "$1/etc/postgresql-common" && '
    'echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"'
)


def make(name: str, work: Path, bases: Path) -> None:
    """bases/NAME:1, unless it was made of the same before."""
    key = hashlib.sha256(repr((SUITE, ROOTS[name], LEFT_OUT, PREPARE)).encode()).hexdigest()
    mark, place = work / f"{name}.key", bases / name
    if place.exists() and mark.exists() and mark.read_text() == key:
        return
    say(f"root {name}: mmdebstrap")
    tar = work / f"{name}.tar"
    # The archive of Debian's own choice; whoever needs another one names it. One time for all that has none.
    mirror = [os.environ["DEBIAN_MIRROR"]] if os.environ.get("DEBIAN_MIRROR") else []
    run(
        "mmdebstrap", "--quiet", "--variant=minbase", f"--include={ROOTS[name].replace(' ', ',')}",
        *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT), f"--essential-hook={PREPARE}",
        SUITE, tar, *mirror, env={"SOURCE_DATE_EPOCH": "946684800"}, seconds=1800,
    )
    if not tar.stat().st_size:
        raise Failure(f"mmdebstrap made nothing of {name}")
    layout.write(tar, place, "1")
    tar.unlink()
    mark.write_text(key)
