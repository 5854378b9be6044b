#!/usr/bin/env python3
"""A build of what hasn't changed beside `git status` of the same tree, alternating in one run.

    benches/noop.py [--cooper BINARY] [--dir DIR] [--rounds N] [--only TREE,...] [--no-index]

Trees: large (one file of 250 MB), many (13,000 small files), recipes (50 with 2 variants, 2 platforms and 500 files: what
versions.py makes). A row gives median and least wall time, and CPU. With --no-index Cooper reads all of it.
"""

import argparse
import random
import subprocess
import tempfile
import time
from pathlib import Path

import peers
import versions

RECIPE = '[base]\nscratch = true\n[[file]]\nfrom = "files/"\nto = "/srv"\n'


def one(work, files):
    recipe = work / "recipes/one/app"
    for name, data in files:
        (recipe / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (recipe / "files" / name).write_bytes(data)
    (recipe / "recipe.toml").write_text(RECIPE)


def large(work):
    one(work, [("large", random.Random(1).randbytes(1 << 20) * 250)])


def many(work):
    one(work, ((f"{number // 200:02}/module-{number}.js", f"// {number}\n".encode() * 40) for number in range(13_000)))


# What Cooper may take: so many times git, and so many milliseconds more.
TREES = {"large": (large, 3, 5), "many": (many, 3, 5), "recipes": (versions.many, 4, 0)}


def git(work, *arguments):
    return ["git", "-C", work, "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cooper", type=Path, default=peers.HERE / "target/dist/cooper")
    parser.add_argument("--dir", help="where the trees are made; otherwise the usual place of temporary files")
    parser.add_argument("--rounds", default=30, type=int)
    parser.add_argument("--only", default=",".join(TREES))
    parser.add_argument("--no-index", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as scratch:
        for name in options.only.split(","):
            make, times, more = TREES[name]
            work = Path(scratch, name)
            work.mkdir()
            (work / "cooper.toml").write_text(
                'cooper = ">=0.1"\n[workspace]\nplatforms = ["linux/amd64", "linux/arm64"]\n')
            make(work)
            time.sleep(0.1)
            build = [options.cooper.resolve(), "-C", work, "--store", Path(scratch, f"{name}.store"), "build", "--all"]
            peers.quiet(*build)
            build += ["--no-index"] * options.no_index
            for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
                peers.quiet(*git(work, *command))
            status = git(work, "status", "--porcelain")
            assert subprocess.run(list(map(str, status)), check=True, capture_output=True).stdout == b""
            measured = {"cooper build": peers.Measured(), "git status": peers.Measured()}
            commands = list(zip(measured, (build, status)))
            for number in range(-3, options.rounds):
                for key, command in commands if number % 2 else reversed(commands):
                    (measured[key] if number >= 0 else peers.Measured()).take(command)
            cooper, status = measured.values()
            peers.table(f"{name}: nothing changed", measured)
            peers.ratio(f"{name}: cooper less {more} ms, in parts of git status",
                        (cooper.median * 1e3 - more) / (status.median * 1e3), times)


if __name__ == "__main__":
    main()
