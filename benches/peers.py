#!/usr/bin/env python3
"""Cooper beside its neighbours, in one run on one machine: ratios, not times, are what it is for.

    benches/peers.py [--cooper BINARY] [--sha256 sha2|ring] [--debian ROOT.tar] [--memory DIR] [--disk DIR] [--only PART,...]

Parts: overlay, noop, big, fetched, growth, reuse. As root, on Debian 12. It wants hyperfine, umoci, buildah, docker.io,
gzip and go, which builds regctl; a neighbour that isn't there is named and left out. ROOT.tar is the file system of
a Debian root; without it mmdebstrap makes one. Cooper is `target/dist/cooper`; the bare sequence of writes and
the bare encoder are this crate's benches. Rounds of all commands alternate; a row gives median, least, CPU time of the
median run, and peak memory.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
REGCTL = "github.com/regclient/regclient/cmd/regctl@v0.11.7"
ALL = ["overlay", "noop", "big", "fetched", "growth", "reuse"]


def run(*command, **more):
    return subprocess.run([str(word) for word in command], check=True, **more)


def quiet(*command, **more):
    return run(*command, stdout=subprocess.DEVNULL, **more)


class Measured:
    def __init__(self):
        self.wall, self.cpu, self.rss = [], [], 0

    def take(self, command, env=None, cwd=None):
        """Runs a command once, whole process, and notes wall and CPU seconds and peak KiB."""
        begun = time.perf_counter()
        child = subprocess.Popen([str(word) for word in command], env=env, cwd=cwd, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE)
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        self.wall.append(time.perf_counter() - begun)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{said.decode(errors='replace')}")
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.rss = max(self.rss, usage.ru_maxrss)

    @property
    def median(self):
        return statistics.median(self.wall)

    @property
    def least(self):
        return min(self.wall)

    def row(self, name):
        return (f"| {name} | {self.median * 1e3:.1f} | {self.least * 1e3:.1f} | "
                f"{statistics.median(self.cpu) * 1e3:.1f} | {self.rss / 1024:.0f} |")


def table(title, rows):
    print(f"\n## {title}\n\n| command | median ms | least ms | CPU ms | MiB |\n|---|---|---|---|---|")
    for name, measured in rows.items():
        print(measured.row(name))
    sys.stdout.flush()


def ratio(what, value, floor, least=False):
    held = value >= floor if least else value <= floor
    print(f"{'ok' if held else 'NO'}  {what}: {value:.3f} ({'at least' if least else 'at most'} {floor})", flush=True)


def hyperfine(rounds, runs, commands):
    """Each command: (name, prepare, command). Rounds alternate between the commands."""
    measured = {name: Measured() for name, _, _ in commands}
    with tempfile.NamedTemporaryFile() as out:
        for _ in range(rounds):
            for name, prepare, command in commands:
                quiet("hyperfine", "-N", "--warmup", 1, "--runs", runs, "--prepare", prepare or "true", "--export-json",
                      out.name, "--style", "none", command, stderr=subprocess.DEVNULL)
                result = json.loads(Path(out.name).read_text())["results"][0]
                measured[name].wall += result["times"]
                measured[name].cpu.append(result["user"] + result["system"])
                measured[name].rss = max(measured[name].rss, max(result.get("memory_usage_byte") or [0]) // 1024)
    return measured


def sha256_option(parser):
    parser.add_argument("--sha256", choices=["sha2", "ring"], help="whose code cooper computes SHA-256 with")


def sha256_of(cooper, asked):
    """Whose code a cooper computes SHA-256 with, from here on the one that was asked for.

    It tells when it is asked for what it hasn't got.
    """
    if asked:
        os.environ["COOPER_SHA256"] = asked
    said = subprocess.run([cooper, "list"], env=os.environ | {"COOPER_SHA256": "?"}, capture_output=True, text=True).stderr
    taken = said.partition("this is taken: ")[2].partition("\n")[0]
    if not taken:
        return "sha2, the only one that it has"
    return f"{asked}, as asked (otherwise {taken})" if asked else taken


# --- What is built ---------------------------------------------------------------------------------------------------

def debian_root(given, work):
    if given:
        return Path(given)
    root = work / "debian.tar"
    run("mmdebstrap", "--variant=minbase", "bookworm", root)
    return root


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def layout(root, at):
    """A layout `1` of two platforms over one layer, and the tag `amd64` of the first alone."""
    blobs = at / "blobs/sha256"
    blobs.mkdir(parents=True)

    def named(path, media_type, **more):
        name, size = sha256(path), path.stat().st_size
        path.rename(blobs / name)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{name}", "size": size} | more

    def put(data, media_type, **more):
        (at / "new").write_bytes(data)
        return named(at / "new", media_type, **more)

    with (at / "new").open("wb") as out:
        run("gzip", "-n", "-c", root, stdout=out)
    layer = named(at / "new", "layer.v1.tar+gzip")
    diff_id = "sha256:" + sha256(root)
    manifests = []
    for arch in ["amd64", "arm64"]:
        config = put(json.dumps({
            "architecture": arch, "os": "linux", "created": "2024-01-01T00:00:00Z", "config": {"Cmd": ["bash"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]}, "history": [{"created_by": "mmdebstrap"}],
        }).encode(), "config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
                    "layers": [layer]}
        manifests.append(put(json.dumps(manifest).encode(), "manifest.v1+json",
                             platform={"os": "linux", "architecture": arch}))
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    roots = [put(json.dumps(index).encode(), "index.v1+json"), dict(manifests[0])]
    for entry, tag in zip(roots, ["1", "amd64"]):
        entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
    (at / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": roots}))
    (at / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


WORKSPACE = 'cooper = ">=0.1"\n[workspace]\nvariants = ["dev", "prod"]\nplatforms = ["linux/amd64", "linux/arm64"]\n'
OVERLAY = """[base]
layout = "bases/debian:1"
[[file]]
from = "conf/"
to = "/etc/web/"
[config]
cmd = ["web"]
[config.env]
MODE = "prod"
[variant.dev.config.env]
MODE = "dev"
"""
CONTENT = """[base]
scratch = true
[image]
platforms = ["linux/amd64"]
[[file]]
from = "files/"
to = "/srv/"
allow-secret = "pieces of a Debian root, and some of its programs hold the words"
"""


class Workspace:
    def __init__(self, at, cooper, base=None):
        self.at, self.cooper = at, cooper
        at.mkdir(parents=True)
        (at / "cooper.toml").write_text(WORKSPACE)
        if base:
            (at / "bases").mkdir()
            shutil.copytree(base, at / "bases/debian")

    def recipe(self, name, text):
        directory = self.at / "recipes" / name
        directory.mkdir(parents=True)
        (directory / "recipe.toml").write_text(text)
        return directory

    def command(self, store, *words):
        return [self.cooper, "-C", self.at, "--store", store, *words]

    def build(self, store, *words):
        return json.loads(run(*self.command(store, "build", "--all", "--format", "json", *words),
                              stdout=subprocess.PIPE).stdout)

    def timed(self, store, rounds=1, fresh=True):
        measured = Measured()
        for _ in range(rounds):
            if fresh:
                shutil.rmtree(store, ignore_errors=True)
            measured.take(self.command(store, "build", "--all"))
        return measured


def cut(root, rng, size):
    """Some bytes of a file. It is never held as a whole: a child's peak memory begins with its parent's."""
    with root.open("rb") as file:
        return os.pread(file.fileno(), size, rng.randrange(root.stat().st_size - size))


# --- Parts -----------------------------------------------------------------------------------------------------------

def new_files(work):
    """A program that gives ten files new content: the same for everybody, before each run."""
    script = work / "new-files"
    script.write_text('#!/bin/sh\nfor n in 0 1 2 3 4 5 6 7 8 9; do head -c 1500 /dev/urandom | base64 >"$1/f$n.conf"; done\n')
    script.chmod(0o755)
    return script


def overlay(args, work, root, noop=False):
    base = work / "base"
    renew = new_files(work)
    commands = []
    for kind, parent in [("memory", args.memory), ("disk", args.disk)]:
        place = Path(tempfile.mkdtemp(prefix="cooper-bench-", dir=parent))
        args.places.append(place)
        workspace = Workspace(place / "ws", args.cooper, base)
        files = workspace.recipe("app/web", OVERLAY) / "conf"
        files.mkdir()
        run(renew, files)
        store = place / "store"
        workspace.build(store)
        change = f"{renew} {files}"
        build = " ".join(map(str, workspace.command(store, "build")))
        commands.append((f"cooper build, {kind}", None if noop else change, build))
        if kind == "disk" and not noop:
            commands.append(("the same files written bare, disk", None, f"{args.bare} {sizes(workspace, store, renew, files)} {place / 'bare'}"))
        if kind == "disk":
            continue
        layer = f"tar -C {files} --sort=name --owner=0 --group=0 --numeric-owner -cf {place}/layer.tar --transform s,^./,etc/web/, ."
        pack = place / "pack"
        pack.write_text(f"#!/bin/sh\n{'' if noop else change}\n{layer}\n")
        pack.chmod(0o755)
        run(pack)
        for name in ["regctl", "umoci"]:
            shutil.copytree(base, place / name)
        if args.regctl:
            commands.append(("regctl image mod, memory", str(pack), f"{args.regctl} image mod ocidir://{place}/regctl:amd64 --create "
                             f"ocidir://{place}/regctl:o --layer-add tar={place}/layer.tar --env MODE=prod --config-cmd web"))
        if shutil.which("umoci"):
            both = place / "umoci.sh"
            both.write_text(f"#!/bin/sh\nset -e\numoci insert --image {place}/umoci:amd64 --tag o {files} /etc/web\n"
                            f"umoci config --image {place}/umoci:o --config.env MODE=prod --config.cmd web\n")
            both.chmod(0o755)
            commands.append(("umoci insert + config, memory", str(pack), str(both)))
    measured = hyperfine(args.rounds, 20, commands)
    measured |= engines(args, work, root, base, renew, noop)
    table("Nothing changed" if noop else "10 new files on the Debian root", measured)
    ours = measured["cooper build, memory"]
    peers = [measured[name] for name in ["regctl image mod, memory", "umoci insert + config, memory"] if name in measured]
    if peers and not noop:
        ratio("cooper / the faster of regctl and umoci, in memory", ours.median / min(peer.median for peer in peers), 0.5)
    if not noop:
        bare = measured["the same files written bare, disk"].median
        ratio("cooper on disk - the same files written bare, ms", (measured["cooper build, disk"].median - bare) * 1e3, 5)


def sizes(workspace, store, renew, files):
    """What one build adds to the store and the workspace, as sizes for the bare sequence."""
    def state():
        found = {}
        for top in [store, workspace.at / "lockfiles"]:
            for path in top.rglob("*"):
                if path.is_file():
                    found[path] = path.stat().st_mtime_ns, path.stat().st_size
        return found
    before = state()
    run(renew, files)
    workspace.build(store)
    after = state()
    written = {path: after[path][1] for path in after if before.get(path) != after[path]}
    single = [path for path in written if path.name == "index.json" or path.suffix == ".lock"]
    blobs = [str(size) for path, size in written.items() if path not in single]
    return ",".join(blobs) + " " + ",".join(str(written[path]) for path in sorted(single))


def engines(args, work, root, base, renew, noop):
    context = work / ("context-noop" if noop else "context")
    context.mkdir()
    (context / "conf").mkdir()
    run(renew, context / "conf")
    measured = {}
    recipe = "COPY conf/ /etc/web/\nENV MODE=prod\nCMD [\"web\"]\n"
    if shutil.which("buildah"):
        env = os.environ | {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
        (context / "Containerfile").write_text("FROM cooper-bench-debian\n" + recipe)
        store = ["--root", work / "buildah", "--runroot", work / "buildah-run"]
        if not (work / "buildah").exists():
            found = quiet("buildah", *store, "pull", f"oci:{base}:amd64", env=env)
            images = run("buildah", *store, "images", "-q", env=env, stdout=subprocess.PIPE).stdout.split()
            quiet("buildah", *store, "tag", images[0].decode(), "cooper-bench-debian", env=env)
        one = Measured()
        for _ in range(3):
            if not noop:
                run(renew, context / "conf")
            one.take(["sh", "-c", f"buildah {' '.join(map(str, store))} bud --layers --pull-never -q -t o {context} && "
                      f"buildah {' '.join(map(str, store))} push -q o oci:{work}/buildah-out:o"], env=env)
        measured["buildah bud + push oci:, disk"] = one
    if args.docker:
        env = os.environ | {"DOCKER_HOST": args.docker, "DOCKER_BUILDKIT": "0"}
        (context / "Dockerfile").write_text("FROM cooper-bench-debian\n" + recipe)
        if subprocess.run(["docker", "image", "inspect", "cooper-bench-debian"], env=env, capture_output=True).returncode:
            quiet("docker", "import", root, "cooper-bench-debian", env=env)
        one = Measured()
        for _ in range(5):
            if not noop:
                run(renew, context / "conf")
            one.take(["docker", "build", "-q", "-t", "o", context], env=env)
        measured["docker build, client alone, disk"] = one
    return measured


def noop(args, work, root):
    overlay(args, work, root, noop=True)
    times = {}
    for count in [50, 1000]:
        place = Path(tempfile.mkdtemp(prefix="cooper-bench-", dir=args.memory))
        args.places.append(place)
        workspace = Workspace(place / "ws", args.cooper, work / "base")
        for number in range(count):
            text = f'[image]\ntitle = "service {number}"\n' + OVERLAY
            files = workspace.recipe(f"s{number // 50}/r{number}", text) / "conf"
            files.mkdir()
            for name in range(3):
                (files / f"{name}.conf").write_text(f"{number} {name}\n" * 50)
        store = place / "store"
        workspace.build(store)
        times[f"cooper build --all, {count} recipes"] = workspace.timed(store, 15 if count == 50 else 5, fresh=False)
        shutil.rmtree(place)
    table("Nothing changed, many recipes of 2 variants and 2 platforms", times)
    few, many = times.values()
    ratio("50 recipes, ms", few.median * 1e3, 50)
    ratio("1,000 recipes / 50 recipes", many.median / few.median, 20)


def big(args, work, root):
    place = Path(tempfile.mkdtemp(prefix="cooper-bench-", dir=args.disk))
    args.places.append(place)
    workspace = Workspace(place / "ws", args.cooper)
    files = workspace.recipe("big/one", CONTENT) / "files"
    rng = random.Random(1)
    for number in range(10_000):
        path = files / f"{number // 100:02}" / f"{number % 100:02}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cut(root, rng, 100_000))
    run("tar", "-C", files, "--sort=name", "-cf", place / "big.tar", ".")
    store = place / "store"
    ours, bare = Measured(), Measured()
    for _ in range(3):
        shutil.rmtree(store, ignore_errors=True)
        ours.take(workspace.command(store, "build", "--all"))
        bare.take([args.encode, place / "big.tar"])
    rows = {"cooper build, 1 GB in 10,000 files, cold": ours, "the bare encoder on the same bytes": bare}
    if shutil.which("umoci"):
        base = place / "umoci"
        shutil.copytree(work / "base", base) if (work / "base").exists() else layout(root, base)
        rows["umoci insert"] = Measured()
        rows["umoci insert"].take(["umoci", "insert", "--image", f"{base}:amd64", "--tag", "o", files, "/srv"])
    table("1 GB in 10,000 files", rows)
    ratio("speed of the build / speed of the bare encoder", bare.median / ours.median, 0.8, least=True)
    ratio("peak memory, MiB", ours.rss / 1024, 128)
    shutil.rmtree(place)


def fetched(args, work, root):
    """An archive of 300 MB by its URL: the whole way beside the bare encoder, and what more variants and platforms add."""
    place = Path(tempfile.mkdtemp(prefix="cooper-bench-", dir=args.disk))
    args.places.append(place)
    rng = random.Random(3)
    files = place / "files"
    for number in range(13_000):
        path = files / f"{number // 100:03}" / f"{number % 100:02}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cut(root, rng, rng.choice([500, 5_000, 20_000, 65_000])))
    archive = place / "fetched.tar"
    run("tar", "-C", files, "--sort=name", "-cf", archive, ".")
    text = (f'[base]\nscratch = true\n[[file]]\nfetch = "file://{archive}"\nsha256 = "{sha256(archive)}"\n'
            'unpack = "tar"\nto = "/srv/"\n')
    one = Workspace(place / "one", args.cooper)
    (one.at / "cooper.toml").write_text(WORKSPACE.replace('"dev", "prod"', '"prod"').replace(', "linux/arm64"', ""))
    many = Workspace(place / "many", args.cooper)
    for workspace in one, many:
        workspace.recipe("app/fetched", text)
    ours, four, bare = Measured(), Measured(), Measured()
    store = place / "store"
    for _ in range(args.rounds):
        for workspace, measured in (one, ours), (many, four):
            shutil.rmtree(store, ignore_errors=True)
            measured.take(workspace.command(store, "build", "--all"))
        bare.take([args.encode, archive])
    table(f"A fetched tar of {archive.stat().st_size / 1e6:.0f} MB in 13,000 files, cold", {
        "cooper build": ours, "cooper build, 2 variants, 2 platforms": four, "the bare encoder on the same bytes": bare,
    })
    ratio("speed of the build / speed of the bare encoder", bare.median / ours.median, 0.8, least=True)
    ratio("four images / one", four.median / ours.median, 1.1)
    shutil.rmtree(place)


def growth(args, work, root):
    rows = {}
    for count in [1_000, 10_000, 100_000]:
        place = Path(tempfile.mkdtemp(prefix="cooper-bench-", dir=args.memory))
        args.places.append(place)
        workspace = Workspace(place / "ws", args.cooper)
        files = workspace.recipe("many/one", CONTENT) / "files"
        for number in range(count):
            path = files / f"{number // 1000:03}" / f"{number % 1000:03}"
            if number % 1000 == 0:
                path.parent.mkdir(parents=True)
            path.write_text(f"{number} barrel {number * 7919 % 10007}\n" * 20)
        rows[f"{count:,} files, cold"] = workspace.timed(place / "store", 7 if count < 100_000 else 3)
        shutil.rmtree(place)
    table("Growth", rows)
    first, _, last = rows.values()
    ratio("100,000 files / 1,000 files", last.median / first.median, 130)


def reuse(args, work, root):
    place = Path(tempfile.mkdtemp(prefix="cooper-bench-", dir=args.disk))
    args.places.append(place)
    workspace = Workspace(place / "ws", args.cooper)
    files = workspace.recipe("app/files", CONTENT) / "files"
    rng = random.Random(2)
    total = number = 0
    while total < 300_000_000:
        size = rng.choice([500, 5_000, 50_000, 500_000, 5_000_000])
        path = files / f"{number % 97:02}" / f"{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cut(root, rng, size))
        total, number = total + size, number + 1
    changed = sorted(files.rglob("*.txt"))[number // 2]
    cold, warm = Measured(), Measured()
    store = place / "store"
    shares = []
    for step in range(3):
        shutil.rmtree(store, ignore_errors=True)
        cold.take(workspace.command(store, "build", "--all"))
        before = tables(store)
        with changed.open("a") as file:
            file.write(f"one more line {step}\n")
        warm.take(workspace.command(store, "build", "--all"))
        after = tables(store)
        new = {row: size for row, size in after.items() if row not in before}
        shares.append(sum(new.values()) / total)
        again = place / "again"
        shutil.rmtree(again, ignore_errors=True)
        if digests(workspace.build(store)) != digests(workspace.build(again)):
            sys.exit("a cold build gives another digest")
    table(f"One line more in one of {number:,} files, 300 MB", {"cold": cold, "one file changed": warm})
    ratio("bytes compressed again / bytes", max(shares), 0.015)
    ratio("changed / cold", warm.median / cold.median, 0.4)
    shutil.rmtree(place)


def digests(report):
    return sorted(part for part in json.dumps(report).split('"') if part.startswith("sha256:"))


def tables(store):
    rows = {}
    for path in (store / "chunks").iterdir():
        for line in path.read_text().splitlines()[2:]:
            fields = line.split(" ")
            rows[fields[0]] = int(fields[1])
    return rows


def bench(name):
    """The path of one of this crate's benches, built."""
    out = run("cargo", "bench", "--bench", name, "--no-run", "--message-format=json", "--locked", cwd=HERE,
              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    found = [json.loads(line) for line in out.splitlines()]
    return next(m["executable"] for m in found if m.get("executable") and m["target"]["name"] == name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cooper", default=HERE / "target/dist/cooper", type=Path)
    parser.add_argument("--debian", help="the tar of a Debian root")
    sha256_option(parser)
    parser.add_argument("--memory", default="/dev/shm", help="a directory on tmpfs")
    parser.add_argument("--disk", default="/var/tmp", help="a directory on a disk")
    parser.add_argument("--only", default=",".join(ALL))
    parser.add_argument("--rounds", default=4, type=int)
    args = parser.parse_args()
    args.cooper = args.cooper.resolve()
    args.places, args.docker = [], os.environ.get("DOCKER_HOST")
    # buildah takes no name that ends in an underscore.
    work = Path(tempfile.mkdtemp(prefix="cooper-bench-", suffix="w", dir=args.disk))
    args.places.append(work)
    try:
        args.regctl = shutil.which("regctl")
        if not args.regctl and shutil.which("go"):
            run("go", "install", REGCTL, env=os.environ | {"GOBIN": str(work)})
            args.regctl = str(work / "regctl")
        # As installed: pages of a file that a linker wrote through a mapping come in one by one, 0.5 ms for ours.
        for name in ["cooper", "regctl"]:
            if getattr(args, name):
                installed = work / "installed" / name
                installed.parent.mkdir(exist_ok=True)
                args.__dict__[name] = Path(shutil.copy2(getattr(args, name), installed))
        missing = [name for name in ["hyperfine", "umoci", "buildah"] if not shutil.which(name)]
        missing += [] if args.regctl else ["regctl"]
        missing += [] if args.docker else ["docker ($DOCKER_HOST names no daemon)"]
        print(f"cooper {args.cooper}, load {os.getloadavg()[0]:.1f}; left out: {', '.join(missing) or 'nothing'}")
        print(f"SHA-256: {sha256_of(args.cooper, args.sha256)}", flush=True)
        root = debian_root(args.debian, work)
        for part in args.only.split(","):
            if part == "overlay":
                args.bare = bench("bare")
            if part in ["big", "fetched"]:
                args.encode = bench("encode")
            if part in ["overlay", "noop"] and not (work / "base").exists():
                layout(root, work / "base")
            {"overlay": overlay, "noop": noop, "big": big, "fetched": fetched, "growth": growth, "reuse": reuse}[part](args, work, root)
    finally:
        for place in args.places:
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
