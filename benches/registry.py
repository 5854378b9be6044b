#!/usr/bin/env python3
"""Pulling and pushing beside crane and oras: seconds and peak memory, against Debian's docker-registry.

    benches/registry.py [--cooper BINARY] [--sha256 sha2|ring] [--memory DIR] [--rounds N] [--only IMAGE,...]

An image of 65 MB in one layer and one of 1 GB in four, whose bytes no compression makes smaller, the same in each run. Pulled
from the registry into an OCI layout that isn't there yet; pushed from a layout into a registry that holds nothing. All of it
lies in memory and travels over 127.0.0.1, so that it is the tools that are measured. They take turns within a round, and each
round another one is first. What each of them made is looked at: the same index under the tag, the same blobs. Wants
docker-registry and GNU time; crane and oras are left out where they aren't.
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
import urllib.request
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import peers
import wire

IMAGES = {"65MB": [65], "1GB": [400, 300, 200, 100]}
INDEX, MANIFEST = [f"application/vnd.oci.image.{kind}.v1+json" for kind in ["index", "manifest"]]


# --- What travels ----------------------------------------------------------------------------------------------------

def layer(blobs, seed, megabytes):
    """A gzipped tar of one file, its descriptor and diff ID. Never held as a whole, as in `peers.cut`."""
    rng, size = random.Random(seed), megabytes * 1_000_000
    header = bytearray(512)
    for at, field in [(0, b"content"), (100, b"0000644\0"), (108, b"0000000\0" * 2), (124, b"%011o\0" % size),
                      (136, b"00000000000\0"), (148, b" " * 8), (156, b"0"), (257, b"ustar\00000")]:
        header[at:at + len(field)] = field
    header[148:156] = b"%06o\0 " % sum(header)
    diff_id = hashlib.sha256()
    # Stored, not deflated: nobody here looks inside.
    gzip = zlib.compressobj(0, wbits=31)

    def tar():
        yield header
        for _ in range(megabytes):
            yield rng.randbytes(1_000_000)
        yield bytes(-size % 512 + 1024)

    with (blobs / "new").open("wb") as file:
        for piece in tar():
            diff_id.update(piece)
            file.write(gzip.compress(piece))
        file.write(gzip.flush())
    name, length = peers.sha256(blobs / "new"), (blobs / "new").stat().st_size
    (blobs / "new").rename(blobs / name)
    media_type = "application/vnd.oci.image.layer.v1.tar+gzip"
    return {"mediaType": media_type, "digest": f"sha256:{name}", "size": length}, f"sha256:{diff_id.hexdigest()}"


def layout(at, megabytes):
    """A layout `1` of one platform; the digest of its index."""
    blobs = at / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(kind, value, **more):
        data = json.dumps(value).encode()
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{name}", "size": len(data)} | more

    layers = [layer(blobs, seed, size) for seed, size in enumerate(megabytes)]
    platform = {"architecture": "amd64", "os": "linux"}
    rootfs = {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]}
    config = put("application/vnd.oci.image.config.v1+json", platform | {"config": {}, "rootfs": rootfs})
    head = {kind: {"schemaVersion": 2, "mediaType": kind} for kind in [INDEX, MANIFEST]}
    named = {"config": config, "layers": [descriptor for descriptor, _ in layers]}
    manifest = put(MANIFEST, head[MANIFEST] | named, platform=platform)
    index = put(INDEX, head[INDEX] | {"manifests": [manifest]}, annotations={"org.opencontainers.image.ref.name": "1"})
    (at / "index.json").write_text(json.dumps(head[INDEX] | {"manifests": [index]}))
    (at / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return index["digest"]


# --- What is made of it ----------------------------------------------------------------------------------------------

def pulled(out, source, digest):
    """That a layout holds that index, and every blob."""
    found = [entry["digest"] for entry in json.loads((out / "index.json").read_text())["manifests"]]
    sizes = [{path.name: path.stat().st_size for path in (at / "blobs/sha256").iterdir()} for at in [out, source]]
    # oras puts what an index names beside it.
    if digest not in found or sizes[0] != sizes[1]:
        sys.exit(f"{out} holds {found} and {sizes[0]}, not {digest} and {sizes[1]}")


def pushed(host, source, digest):
    """That the registry has that index under the tag, and every blob."""
    def size(path, method="GET"):
        request = urllib.request.Request(f"http://{host}/v2/a/image/{path}", method=method)
        request.add_header("Accept", f"{INDEX}, {MANIFEST}")
        with urllib.request.urlopen(request) as answer:
            return answer.headers["Docker-Content-Digest"], int(answer.headers["Content-Length"])

    if size("manifests/1")[0] != digest:
        sys.exit(f"{host} holds {size('manifests/1')}, not {digest}")
    for path in (source / "blobs/sha256").iterdir():
        document = path.stat().st_size < 4096 and b'"schemaVersion"' in path.read_bytes()
        told = size(f"{'manifests' if document else 'blobs'}/sha256:{path.name}", "HEAD")
        if told != (f"sha256:{path.name}", path.stat().st_size):
            sys.exit(f"{host} says {told} of {path.name}")


class Measured(peers.Measured):
    """By GNU time: the peak memory of our own child would begin with ours, which is more than some of these take."""

    def take(self, command, out, env):
        begun = time.perf_counter()
        child = subprocess.run(["time", "-f", "%U %S %M", "-o", out, *command], env=env, capture_output=True, text=True)
        self.wall.append(time.perf_counter() - begun)
        if child.returncode:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{child.stderr}")
        user, system, rss = out.read_text().split()
        self.cpu.append(float(user) + float(system))
        self.rss = max(self.rss, int(rss))


def turns(tools, rounds):
    """Each tool once a round, each round another one first."""
    names = list(tools)
    for number in range(rounds):
        first = number % len(names)
        yield from names[first:] + names[:first]


def measure(args, work, registry):
    host, out, store = f"127.0.0.1:{registry.port}", work / "out", work / "store"
    env = os.environ | {"COOPER_STORE": str(store), "HOME": str(work)}
    there = {name for name in ["crane", "oras"] if shutil.which(name)}
    rows = {}
    for image in args.only.split(","):
        source = work / "source"
        digest = layout(source, IMAGES[image])
        reference = f"{host}/a/image:1"
        pulls = {
            "cooper copy docker://… oci:…": [args.cooper, "copy", f"docker://{reference}", f"oci:{out}:1"],
            "crane pull --format=oci": ["crane", "pull", "--format=oci", reference, out],
            "oras cp --to-oci-layout": ["oras", "cp", "--no-tty", "--from-plain-http", reference, "--to-oci-layout", f"{out}:1"],
        }
        # `crane push --index` would push index.json itself, which is another index.
        pushes = {
            "cooper copy oci:… docker://…": [args.cooper, "copy", f"oci:{source}:1", f"docker://{reference}"],
            "crane push": ["crane", "push", source, reference],
            "oras cp --from-oci-layout": ["oras", "cp", "--no-tty", "--to-plain-http", "--from-oci-layout", f"{source}:1",
                                         reference],
        }
        for way, tools in [("push", pushes), ("pull", pulls)]:
            tools = {name: command for name, command in tools.items() if command[0] == args.cooper or command[0] in there}
            taken = {name: Measured() for name in tools}
            for name in turns(tools, args.rounds):
                for path in [out, store]:
                    shutil.rmtree(path, ignore_errors=True)
                if way == "push":
                    registry.restore()
                # Otherwise the registry has what was pushed last.
                taken[name].take(tools[name], work / "time", env)
                pushed(host, source, digest) if way == "push" else pulled(out, source, digest)
            rows[way, image] = taken
        for path in [source, out]:
            shutil.rmtree(path)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cooper", default=peers.HERE / "target/dist/cooper", type=Path)
    parser.add_argument("--memory", default="/dev/shm", help="a directory on tmpfs, with room for 4 GB")
    parser.add_argument("--rounds", default=5, type=int)
    peers.sha256_option(parser)
    parser.add_argument("--only", default=",".join(IMAGES))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cooper-registry-", dir=args.memory) as work:
        work = Path(work)
        # As installed, see `peers.main`.
        args.cooper = Path(shutil.copy2(args.cooper.resolve(), work / "cooper"))
        for name in ["data", "seed"]:
            (work / name).mkdir()
        registry = wire.Registry(work)
        try:
            print(f"load {os.getloadavg()[0]:.1f}, {args.rounds} rounds; SHA-256: {peers.sha256_of(args.cooper, args.sha256)}",
                  flush=True)
            rows = measure(args, work, registry)
        finally:
            registry.stop()
    print("\n| image | command | median s | least s | CPU s | peak MiB |\n|---|---|---|---|---|---|")
    for (way, image), taken in sorted(rows.items(), key=lambda row: row[0][0] == "push"):
        for name, one in taken.items():
            cpu = statistics.median(one.cpu)
            print(f"| {way} {image} | `{name}` | {one.median:.2f} | {one.least:.2f} | {cpu:.2f} | {one.rss / 1024:.0f} |")
    print()
    for (way, image), taken in rows.items():
        ours, *others = taken.values()
        if others:
            # The least: other work on the machine is in every median.
            faster, smaller = min(other.least for other in others), min(other.rss for other in others)
            peers.ratio(f"{way} {image}: least seconds, cooper / the faster of the others", ours.least / faster, 1.1)
            peers.ratio(f"{way} {image}: peak memory, cooper / the smaller of the others", ours.rss / smaller, 1)


if __name__ == "__main__":
    main()
