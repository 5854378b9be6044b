#!/usr/bin/env python3
"""Unpacks real archives of package registries, and compares with what the programs do that they are made for.

    tests/acceptance/archives.py                  fetches about 110 with pip, npm, cargo, apt-get and mvn, as configured
    tests/acceptance/archives.py DIR              those in a directory: *.whl *.jar *.zip *.tgz *.crate *.deb *.gem …
    tests/acceptance/archives.py --keep DIR       fetches into a directory, and leaves them there
    tests/acceptance/archives.py --cooper PATH    another binary than target/debug/cooper

Each becomes the one entry of an image from scratch, whose layer is compared with what `unzip` (with the modes that Python's
zipfile tells), GNU tar or `dpkg-deb -x` leave on the disk: names, types, modes, bytes, targets of links, which names are
one file. Modes are by the rule of the book: setuid and setgid go, and a zip whose directory says no mode of any system
has 0755 and 0644. An archive that is refused has to say why.

A table goes to standard output. Exit code 1 if anything differs, or fails otherwise than by a refusal.
"""

import argparse
import collections
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

WHEELS = """requests flask jinja2 numpy pyyaml cryptography setuptools wheel pip click attrs six idna certifi urllib3
    packaging pytest black lxml pillow docutils babel""".split()
SDISTS = ["docopt"]
NPM = """left-pad express react lodash eslint chalk commander prettier webpack vue axios npm semver yargs rimraf glob ws
    uuid esbuild typescript""".split()
DEBS = """passwd login coreutils bash tar perl-base busybox dash util-linux mount openssh-client cron at procps tzdata
    ca-certificates dpkg gzip libc6 debianutils iputils-ping fakeroot""".split()
JARS = """org.springframework.boot:spring-boot-starter-web:3.2.5 org.apache.maven:maven-core:3.9.6
    com.google.guava:guava:33.0.0-jre org.apache.logging.log4j:log4j-core:2.22.0
    biz.aQute.bnd:biz.aQute.bndlib:6.4.0""".split()
CRATES, MAVEN = 22, 30

KINDS = {
    ".whl": "wheel", ".jar": "jar", ".war": "jar", ".zip": "zip", ".tgz": "npm", ".crate": "crate", ".deb": "deb",
    ".gem": "gem", ".apk": "apk", ".gz": "tar.gz", ".xz": "tar.xz", ".bz2": "tar.bz2", ".zst": "tar.zst", ".tar": "tar",
}
ZIPS = {"wheel", "jar", "zip"}


def attempt(command, **more):
    """Runs one; what isn't there or fails is told and left out."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=900, **more).stdout
    except (OSError, subprocess.SubprocessError) as error:
        print(f"not fetched: {' '.join(command[:6])}: {type(error).__name__}", file=sys.stderr)
        return ""


def fetch(into):
    into.mkdir(parents=True, exist_ok=True)
    here = {"cwd": into}
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--disable-pip-version-check"]
    for name in WHEELS:
        attempt([*pip, "--only-binary", ":all:", name], **here)
    for name in SDISTS:
        attempt([*pip, "--no-binary", ":all:", name], **here)
    for name in NPM:
        attempt(["npm", "pack", "--silent", name], **here)
    for name in DEBS:
        attempt(["apt-get", "download", "-q", name], **here)
    attempt(["cargo", "fetch", "--locked"], cwd=ROOT)
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    crates = sorted(home.glob("registry/cache/*/*.crate"))
    with tempfile.TemporaryDirectory() as repository:
        for name in JARS:
            get = ["mvn", "-q", "-B", f"-Dmaven.repo.local={repository}", "dependency:get", f"-Dartifact={name}"]
            attempt(get, **here)
        jars = sorted(Path(repository).rglob("*.jar"))
        for files, most in [(crates, CRATES), (jars, MAVEN)]:
            for path in files[:: max(1, len(files) // most)][:most]:
                shutil.copy(path, into)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def on_disk(root):
    """What a program left: path -> (type, mode, content or target)."""
    found, names = {}, collections.defaultdict(list)
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = Path(directory, name)
            state, inner = path.lstat(), str(path.relative_to(root))
            mode = stat.S_IMODE(state.st_mode)
            if stat.S_ISLNK(state.st_mode):
                found[inner] = ("link", 0o777, os.readlink(path))
            elif stat.S_ISDIR(state.st_mode):
                found[inner] = ("dir", mode, "")
            elif stat.S_ISREG(state.st_mode):
                found[inner] = ("file", mode, digest(path.read_bytes()))
                if state.st_nlink > 1:
                    names[state.st_ino].append(inner)
            else:
                found[inner] = ("other", mode, "")
    return found, {frozenset(group) for group in names.values()}


def plain(mode):
    return mode & ~0o6000


def as_unzipped(path, root):
    subprocess.run(["unzip", "-q", "-o", str(path), "-d", str(root)], check=False, capture_output=True)
    found, _ = on_disk(root)
    said = {}
    for entry in zipfile.ZipFile(path).infolist():
        unix, mode = entry.create_system in (3, 19), entry.external_attr >> 16
        known = unix and stat.S_IFMT(mode) in (0, stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK)
        default = 0o755 if entry.filename.endswith("/") else 0o644
        name = os.path.normpath(entry.filename)
        said[name] = plain(mode & 0o7777) if known and mode else default
    modes = {name: said.get(name, 0o755 if what[0] == "dir" else 0o644) for name, what in found.items()}
    return {name: (kind, 0o777 if kind == "link" else modes[name], held) for name, (kind, _, held) in found.items()}, set()


def as_extracted(command, root):
    subprocess.run(command, check=True, capture_output=True)
    found, names = on_disk(root)
    return {name: (kind, plain(mode), held) for name, (kind, mode, held) in found.items()}, names


def expected(path, kind, root):
    root.mkdir()
    if kind in ZIPS:
        return as_unzipped(path, root)
    if kind == "deb":
        return as_extracted(["dpkg-deb", "-x", str(path), str(root)], root)
    if kind == "gem":
        inner = root.with_suffix(".data")
        inner.write_bytes(tarfile.open(path).extractfile("data.tar.gz").read())
        path = inner
    return as_extracted(["tar", "-x", "-p", "--no-same-owner", "-f", str(path), "-C", str(root)], root)


def built(layout):
    """What the one layer of an image holds."""
    blob = lambda name: (layout / "blobs" / name.replace(":", "/")).read_bytes()
    document = json.loads((layout / "index.json").read_bytes())
    while "manifests" in document:
        document = json.loads(blob(document["manifests"][0]["digest"]))
    found, names = {}, collections.defaultdict(set)
    for layer in document["layers"]:
        archive = tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(layer["digest"]))))
        for entry in archive:
            inner = entry.name.rstrip("/").removeprefix("x/")
            if entry.name.rstrip("/") == "x":
                continue
            if (entry.uid, entry.gid) != (0, 0):
                found[inner] = ("owned", entry.uid, entry.gid)
            elif entry.isdir():
                found[inner] = ("dir", entry.mode, "")
            elif entry.issym():
                found[inner] = ("link", 0o777, entry.linkname)
            elif entry.islnk():
                target = entry.linkname.removeprefix("x/")
                found[inner] = found[target]
                names[target] |= {target, inner}
            else:
                found[inner] = ("file", entry.mode, digest(archive.extractfile(entry).read()))
    return found, {frozenset(group) for group in names.values()}


RECIPE = '[base]\nscratch = true\n\n[[file]]\nfrom = "{name}"\nunpack = {unpack}\nto = "/x/"\nallow-secret = "a test"\n'


def compare(cooper, path, kind, work):
    """None when all is equal; otherwise ("refused" or "differs", why)."""
    recipe = work / "recipes/a/b"
    recipe.mkdir(parents=True)
    (work / "cooper.toml").write_text('[workspace]\nvariants = ["prod"]\nplatforms = ["linux/amd64"]\n')
    shutil.copy(path, recipe / path.name)
    unpack = {"gem": '"gem"'}.get(kind, "true")
    (recipe / "recipe.toml").write_text(RECIPE.format(name=path.name, unpack=unpack))
    command = [str(cooper), "--store", str(work / "store"), "build", "a/b", "--to", "oci:out:1"]
    run = subprocess.run(command, cwd=work, capture_output=True, text=True)
    if run.returncode != 0:
        why = run.stderr.strip().splitlines()
        return ("refused" if run.returncode == 3 else "differs"), why[0].removeprefix("error: ") if why else "nothing said"
    want, want_names = expected(path, kind, work / "want")
    have, have_names = built(work / "out")
    different = sorted(name for name in want.keys() | have.keys() if want.get(name) != have.get(name))
    if different:
        shown = [f"{name}: {have.get(name)} rather than {want.get(name)}" for name in different[:3]]
        return "differs", f"{len(different)} paths, " + "; ".join(shown)
    if want_names != have_names:
        return "differs", f"names of one file: {list(want_names ^ have_names)[:2]}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="?", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--cooper", type=Path, default=ROOT / "target/debug/cooper")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.directory or options.keep or Path(temporary, "archives")
        if not options.directory:
            fetch(directory)
        files = sorted(path for path in directory.rglob("*") if path.is_file() and path.suffix in KINDS)
        table = collections.defaultdict(collections.Counter)
        for number, path in enumerate(files):
            kind = KINDS[path.suffix]
            work = Path(temporary, str(number))
            work.mkdir()
            found = compare(options.cooper.resolve(), path, kind, work)
            shutil.rmtree(work, ignore_errors=True)
            state = found[0] if found else "equal"
            table[kind][state] += 1
            if found:
                print(f"{state}: {path.name}: {found[1]}")
        print(f"\n{'kind':8} {'n':>4} {'equal':>6} {'refused':>8} {'differs':>8}")
        for kind, counts in [*sorted(table.items()), ("all", sum(table.values(), collections.Counter()))]:
            states = [sum(counts.values()), counts["equal"], counts["refused"], counts["differs"]]
            print("{:8} {:4} {:6} {:8} {:8}".format(kind, *states))
        return 1 if not files or any(counts["differs"] for counts in table.values()) else 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
