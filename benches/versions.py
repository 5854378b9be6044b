#!/usr/bin/env python3
"""One Cooper beside another, alternating in one run: whether a change made something slower.

    benches/versions.py OLD NEW [--sha256 sha2|ring] [--memory DIR] [--rounds N] [--only PART,...] [--debian ROOT.tar]

Parts: noop (50 recipes, 2 variants, 2 platforms, 500 files), list (the same), cold (200 MB into an empty store), change (one small
file of a recipe with 200 MB), copy (that image to an archive), overlay (ten new files on the Debian root), fetched (an archive of
100 MB in 4,000 files, cold), pull and push (65 MB, Debian's docker-registry). A row gives NEW in parts of OLD: median and least
wall time, and CPU.
"""

import argparse
import os
import random
import shutil
import statistics
import tempfile
from pathlib import Path

import peers
import registry
import wire

PARTS = ["noop", "list", "cold", "change", "copy", "overlay", "fetched", "pull", "push"]


def many(work):
    """50 recipes with ten small files each."""
    for number in range(50):
        recipe = work / f"recipes/many/r{number:02}"
        (recipe / "files").mkdir(parents=True)
        for file in range(10):
            (recipe / f"files/{file}").write_text(f"{number} {file}\n" * 40)
        (recipe / "recipe.toml").write_text(
            '[base]\nscratch = true\n[[file]]\nfrom = "files/"\nto = "/srv"\n'
            '[config]\ncmd = ["/srv/0"]\n[[variant.dev.file]]\ntext = "dev"\nto = "/dev.txt"\n')


def large(work):
    """One recipe with 200 MB in 40 files that compress as text does."""
    words = [random.Random(7).randbytes(6).hex() for _ in range(4000)]
    recipe = work / "recipes/large/app"
    (recipe / "files").mkdir(parents=True)
    for file in range(40):
        pick = random.Random(file)
        block = " ".join(pick.choice(words) for _ in range(80_000)).encode()
        (recipe / f"files/{file:02}").write_bytes(block * 5)
    (recipe / "small").write_text("0")
    (recipe / "recipe.toml").write_text(
        '[base]\nscratch = true\n[[file]]\nfrom = "files/"\nto = "/srv"\n[[file]]\nfrom = "small"\nto = "/small"\nlayer = "small"\n')


def overlay(side, root):
    """Ten files on a base of a layout."""
    peers.layout(root, side["dir"] / "base")
    workspace = peers.Workspace(side["dir"] / "overlay", side["cooper"], side["dir"] / "base")
    files = workspace.recipe("app/web", peers.OVERLAY) / "conf"
    files.mkdir()
    side["renew"] = [peers.new_files(side["dir"]), files]
    peers.run(*side["renew"])
    workspace.build(side["dir"] / "overlay.store")
    side["overlay"] = workspace.command(side["dir"] / "overlay.store", "build")


def fetched(side, root):
    """An archive of the workspace's own, by its URL."""
    workspace = peers.Workspace(side["dir"] / "fetched", side["cooper"])
    files, rng = side["dir"] / "unpacked", random.Random(3)
    for number in range(4_000):
        path = files / f"{number // 100:03}" / f"{number % 100:02}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(peers.cut(root, rng, rng.choice([500, 5_000, 20_000, 75_000])))
    archive = workspace.at / "fetched.tar"
    peers.run("tar", "-C", files, "--sort=name", "-cf", archive, ".")
    shutil.rmtree(files)
    workspace.recipe("app/fetched", f'[base]\nscratch = true\n[[file]]\nfetch = "file://{archive}"\n'
                     f'sha256 = "{peers.sha256(archive)}"\nunpack = "tar"\nto = "/srv/"\n')
    side["fetched"] = workspace.command(side["dir"] / "fetched.store", "build", "--all")
    workspace.build(side["dir"] / "fetched.store")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--memory", default="/dev/shm", help="a directory on tmpfs, with room for 1.5 GB")
    parser.add_argument("--rounds", default=20, type=int)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--debian", help="the tar of a Debian root, for overlay and fetched")
    peers.sha256_option(parser)
    options = parser.parse_args()
    chosen = options.only.split(",")
    for name in ("old", "new"):
        print(f"SHA-256, {name}: {peers.sha256_of(getattr(options, name), options.sha256)}", flush=True)
    with tempfile.TemporaryDirectory(dir=options.memory) as scratch:
        sides, server, image = [], None, Path(scratch, "image")
        if {"overlay", "fetched"} & set(chosen):
            root = peers.debian_root(options.debian, Path(scratch))
        if {"pull", "push"} & set(chosen):
            registry.layout(image, registry.IMAGES["65MB"])
            for name in ("data", "seed"):
                Path(scratch, "registry", name).mkdir(parents=True)
            server = wire.Registry(Path(scratch, "registry"))
        for name in ("old", "new"):
            side = {"cooper": getattr(options, name).resolve(), "dir": Path(scratch, name)}
            for kind, make in (("many", many), ("large", large)):
                work = side["dir"] / kind
                work.mkdir(parents=True)
                (work / "cooper.toml").write_text(
                    'cooper = ">=0.1"\n[workspace]\nplatforms = ["linux/amd64", "linux/arm64"]\n')
                make(work)
                peers.quiet(side["cooper"], "-C", work, "--store", side["dir"] / f"{kind}.store", "build", "--all")
            for part, make in (("overlay", overlay), ("fetched", fetched)):
                if part in chosen:
                    make(side, root)
            side["image"], side["registry"] = image, server
            side["measured"] = {part: peers.Measured() for part in PARTS}
            sides.append(side)
        try:
            for number in range(options.rounds):
                for side in sides if number % 2 else reversed(sides):
                    for part in chosen:
                        once(side, part, number)
        finally:
            if server:
                server.stop()
        print(f"{'part':8} {'median':>8} {'least':>8} {'cpu':>8}   old median s")
        for part in chosen:
            old, new = (side["measured"][part] for side in sides)
            rows = (new.median / old.median, min(new.wall) / min(old.wall),
                    statistics.median(new.cpu) / statistics.median(old.cpu))
            print(f"{part:8} " + " ".join(f"{ratio:8.3f}" for ratio in rows) + f"   {old.median:.4f}")


def once(side, part, number):
    many, large = side["dir"] / "many", side["dir"] / "large"
    stores = {"many": side["dir"] / "many.store", "large": side["dir"] / "large.store"}
    take = side["measured"][part].take
    if part == "noop":
        take([side["cooper"], "-C", many, "--store", stores["many"], "build", "--all"])
    elif part == "list":
        take([side["cooper"], "-C", many, "--store", stores["many"], "list"])
    elif part == "cold":
        empty = side["dir"] / "empty.store"
        take([side["cooper"], "-C", large, "--store", empty, "build", "--all"])
        shutil.rmtree(empty)
    elif part == "change":
        (large / "recipes/large/app/small").write_text(str(number + 1))
        take([side["cooper"], "-C", large, "--store", stores["large"], "build", "--all"])
    elif part == "overlay":
        peers.run(*side["renew"])
        take(side["overlay"])
    elif part == "fetched":
        shutil.rmtree(side["dir"] / "fetched.store")
        take(side["fetched"])
    elif part in ("pull", "push"):
        there, here = f"docker://127.0.0.1:{side['registry'].port}/a/image:1", f"oci:{side['image']}:1"
        env = os.environ | {"COOPER_STORE": str(side["dir"] / "copy.store"), "HOME": str(side["dir"])}
        if part == "push" or not side["registry"].child:
            side["registry"].restore()
            push = [side["cooper"], "copy", here, there]
            take(push, env=env) if part == "push" else peers.quiet(*push, env=env)
        if part == "pull":
            out = side["dir"] / "out"
            take([side["cooper"], "copy", there, f"oci:{out}:1"], env=env)
            shutil.rmtree(out)
        shutil.rmtree(side["dir"] / "copy.store", ignore_errors=True)
    else:
        archive = side["dir"] / "out.tar"
        take([side["cooper"], "-C", large, "--store", stores["large"], "build", "large/app#prod", "--to",
              f"oci-archive:{archive}"])
        archive.unlink()


if __name__ == "__main__":
    main()
