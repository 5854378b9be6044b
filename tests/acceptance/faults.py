#!/usr/bin/env python3
"""Strikes cooper while it works, damages what it keeps, and looks whether anything was lost.

    tests/acceptance/faults.py [--cooper PATH] [--old PATH] [--strikes N] [--seed S] [--only NAME] [--json FILE]

Needs root, strace and Linux; a binary as published (target/dist/cooper unless --cooper says otherwise); faketime for the
family `clock`. The workspace is made in a temporary directory, which stays when something was found.

A strike is one command that was hit (killed at one call, an error given to one call, a full disk, a damaged file ...).
After each: what was built before is still there and sound, no lock is cut, the same command again succeeds and gives
the same bytes as a run that nobody disturbed, `store verify` and `gc` are content, and no temporary file stays. The
store is looked at by this program's own eyes (`fsck`), not only by cooper's.
"""
import argparse
import collections
import concurrent.futures
import gzip
import hashlib
import io
import json
import os
import queue
import random
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HEX = re.compile(r"^[0-9a-f]{64}$")
LOCKS = {"lock", "gate", "index.lock"}
TIMEOUT = 60
CALLS = "write,pwrite64,writev,rename,renameat,renameat2,link,linkat,fsync,fdatasync,unlink,unlinkat,rmdir," \
        "ftruncate,mkdir,mkdirat,openat,copy_file_range,sendfile"
WORDS = {"ENOSPC": "No space left", "EIO": "Input/output error", "EROFS": "Read-only", "EACCES": "Permission denied",
         "ZERO": "write zero|whole buffer|buffered data"}

# --- A workspace ---------------------------------------------------------------------------------------------


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def read(path):
    with open(path, "rb") as file:
        return file.read()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def noise(name, size):
    """Bytes that don't compress, the same for a name."""
    return random.Random(name).randbytes(size)


def base(directory, tag, word):
    """An OCI layout of an image for two platforms, one layer each."""
    def blob(kind, data):
        write(f"{directory}/blobs/sha256/{sha(data)}", data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{sha(data)}", "size": len(data)}
    manifests = []
    for arch in ("amd64", "arm64"):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as out:
            for name, content in [("etc/", None), ("etc/passwd", b"root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:\n"),
                                  ("etc/group", b"root:x:0:\nweb:x:33:\n"), ("srv/", None), ("etc/old.conf", b"old\n"),
                                  ("etc/issue", f"{word} {arch}\n".encode()), ("srv/data", noise(word + arch, 30000))]:
                info = tarfile.TarInfo(name.rstrip("/"))
                info.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
                info.mode, info.size = (0o644, len(content)) if content is not None else (0o755, 0)
                out.addfile(info, io.BytesIO(content or b""))
        layer = blob("layer.v1.tar+gzip", gzip.compress(tar.getvalue(), mtime=0))
        platform = {"os": "linux", "architecture": arch, **({"variant": "v8"} if arch == "arm64" else {})}
        config = {**platform, "created": "2001-02-03T04:05:06Z", "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
                  "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha(tar.getvalue())}"]},
                  "history": [{"created": "2001-02-03T04:05:06Z", "created_by": "faults.py"}]}
        config = blob("config.v1+json", json.dumps(config).encode())
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": config, "layers": [layer]}
        manifests.append({**blob("manifest.v1+json", json.dumps(manifest).encode()), "platform": platform})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    top = {**blob("index.v1+json", json.dumps(index).encode()),
           "annotations": {"org.opencontainers.image.ref.name": tag}}
    write(f"{directory}/index.json", json.dumps({**index, "manifests": [top]}))
    write(f"{directory}/oci-layout", '{"imageLayoutVersion":"1.0.0"}')


WORKSPACE = {
    "cooper.toml": '[workspace]\nplatforms = ["linux/amd64", "linux/arm64"]\n',
    "recipes/shop/web/recipe.toml": '''[image]
title = "Web"
[base]
layout = "bases/small:1"
[vars]
port = 8080
[[file]]
from = "www/"
to = "/srv/www/"
owner = "web"
[[file]]
from = "web.conf"
to = "/etc/web.conf"
template = true
[[remove]]
path = "/etc/old.conf"
[variant.dev.vars]
port = 1234
[config]
cmd = ["web"]
''',
    "recipes/shop/web/web.conf": "port {{ port }} in {{ variant }}\n",
    "recipes/shop/web/www/index.html": "<p>0\n",
    "recipes/shop/web/www/photo": noise("photo", 150_000),
    "recipes/shop/child/recipe.toml": '[base]\nrecipe = "shop/web"\n[[file]]\ntext = "{{ platform.arch }}"\n'
                                      'to = "/etc/child"\ntemplate = true\n',
    "recipes/shop/plain/recipe.toml": '[base]\nlayout = "bases/small:1"\n',
    "recipes/tool/scratch/recipe.toml": '[image]\ntitle = "Tool"\n[base]\nscratch = true\n[[file]]\nfrom = "tool"\n'
                                        'to = "/tool"\nmode = "0755"\n[variant.dev.config.env]\nDEBUG = "1"\n',
    "recipes/tool/scratch/tool": noise("tool", 400_000),
}


def content(workspace, version):
    """The sources that a version has; 0 is the first."""
    write(f"{workspace}/recipes/shop/web/www/index.html", f"<p>{version}\n")
    write(f"{workspace}/recipes/tool/scratch/tool", noise(f"tool {version}" if version else "tool", 400_000))


# --- Looking, without cooper ---------------------------------------------------------------------------------


def descriptors(document):
    return document.get("manifests", []) + document.get("layers", []) + [document[key] for key in ["config"]
                                                                         if key in document]


def closure_faults(directory, descriptor, may_lack, seen):
    """What is missing or wrong below a descriptor."""
    digest = descriptor["digest"].removeprefix("sha256:")
    if digest in seen:
        return []
    seen.add(digest)
    path = f"{directory}/blobs/sha256/{digest}"
    if not os.path.isfile(path):
        return [] if digest in may_lack else [f"lost: {digest} of {directory}"]
    data = read(path)
    if sha(data) != digest or len(data) != descriptor["size"]:
        return [f"damaged: {digest} of {directory}"]
    faults = []
    if re.search(r"(manifest|index)\.v1\+json$", descriptor["mediaType"]):
        for child in descriptors(json.loads(data)):
            faults += closure_faults(directory, child, may_lack, seen)
    return faults


def fsck(directory, may_lack=frozenset()):
    """Everything that is wrong with a store or layout; nothing for one that isn't there yet."""
    index = f"{directory}/index.json"
    if not os.path.exists(f"{directory}/oci-layout"):
        return []
    faults, seen = [], set()
    try:
        entries = json.loads(read(index))["manifests"]
    except (OSError, ValueError, KeyError) as error:
        return [f"{index}: {error}"]
    for entry in entries:
        faults += closure_faults(directory, entry, may_lack, seen)
    for place, _, names in os.walk(directory):
        kind = os.path.relpath(place, directory)
        if ".tmp-" in kind or kind == ".":
            continue
        for name in (name for name in names if HEX.match(name)):
            if not os.path.isfile(f"{place}/{name}"):
                faults.append(f"damaged: {kind}/{name} is no file")
                continue
            data = read(f"{place}/{name}")
            named = name if kind == "blobs/sha256" else data[:64].decode("latin1")
            if sha(data if kind == "blobs/sha256" else data[65:]) != named:
                faults.append(f"damaged: {kind}/{name}")
    return faults


def roots(store):
    """The digest of each root of a store, by its key."""
    key = lambda entry: "|".join(entry.get("annotations", {}).get(f"io.cooperage.{name}", "")
                                 for name in ("workspace", "recipe", "variant"))
    try:
        return {key(entry): entry["digest"] for entry in json.loads(read(f"{store}/index.json"))["manifests"]}
    except FileNotFoundError:
        return {}


def temporaries(directory):
    """Topmost `.tmp-*` entries."""
    found = []
    for place, directories, names in os.walk(directory):
        found += [f"{place}/{name}" for name in directories + names if name.startswith(".tmp-")]
        directories[:] = [name for name in directories if not name.startswith(".tmp-")]
    return found


def snapshot(directory):
    """Every file's content, index.json as a set; without locks, temporary files, and the index of sources, which is of this
    machine's inodes and times."""
    found = {}
    for place, directories, names in os.walk(directory):
        own = {"sources"} if "oci-layout" in names else set()
        directories[:] = [name for name in directories if not name.startswith(".tmp-") and name not in own]
        for name in names:
            path = f"{place}/{name}"
            if name.startswith(".tmp-") or name in LOCKS:
                continue
            if os.path.islink(path) or not os.path.isfile(path):
                found[path] = "not a file"
            elif name == "index.json":
                try:
                    entries = json.loads(read(path))["manifests"]
                    found[path] = tuple(sorted(json.dumps(entry, sort_keys=True) for entry in entries))
                except ValueError:
                    found[path] = "not JSON"
            else:
                found[path] = sha(read(path))
    return found


# --- A place to work in --------------------------------------------------------------------------------------


class Run:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out.decode(errors="replace"), err.decode(errors="replace")

    def __str__(self):
        return f"exit {self.code}\n{self.out[-600:]}{self.err[-1500:]}"


class Box:
    """A directory with a workspace, a store and outputs, which is put back from templates between strikes: always at
    the same path, as roots name the workspace."""

    def __init__(self, lab, number):
        self.lab, self.path = lab, f"{lab.path}/box{number}"
        self.workspace, self.store, self.out = (f"{self.path}/{name}" for name in ("ws", "store", "out"))
        self.keep = f"{lab.path}/templates{number}"
        self.golden = {}
        self.make_templates()

    def environment(self):
        return {"PATH": "/usr/bin:/bin", "HOME": f"{self.path}/home", "LANG": "C.UTF-8", "COOPER_STORE": self.store}

    def cooper(self, *arguments, prefix=(), check=False, timeout=TIMEOUT, binary=None, **more):
        command = [*prefix, binary or self.lab.cooper, "-j2", *arguments]
        more.setdefault("stdout", subprocess.PIPE)
        process = subprocess.Popen(command, cwd=self.workspace, env=self.environment(), stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, **more)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Run("hangs", out or b"", err or b"")
        run = Run(process.returncode, out or b"", err or b"")
        assert not check or run.code == 0, f"{command}: {run}"
        return run

    def save(self, name):
        shutil.copytree(self.path, f"{self.keep}/{name}", symlinks=True)

    def reset(self, name):
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(f"{self.keep}/{name}", self.path, symlinks=True)

    def make_templates(self):
        os.makedirs(self.path)
        for path, data in WORKSPACE.items():
            write(f"{self.workspace}/{path}", data)
        base(f"{self.workspace}/bases/small", "1", "first")
        os.makedirs(self.out)
        self.save("empty")
        for arguments in [["build", "--all", "--to", f"oci:{self.out}/layout"],
                          ["build", "shop/web#prod", "--to", f"oci-archive:{self.out}/web.tar", "--to",
                           f"docker-archive:{self.out}/docker.tar"]]:
            self.cooper(*arguments, check=True)
        self.save("built")
        content(self.workspace, 1)
        self.save("changed")
        self.reset("built")
        base(f"{self.workspace}/bases/small", "1", "second")
        self.save("moved")
        self.reset("changed")
        self.cooper("build", "--all", check=True)
        shutil.rmtree(f"{self.workspace}/recipes/tool")
        write(f"{self.store}/blobs/sha256/{sha(b'stray')}", b"stray")
        write(f"{self.store}/tmp/.tmp-1-1/.tmp-1-2", b"left behind")
        self.save("garbage")
        self.reset("built")
        for number, name in enumerate(sorted(os.listdir(f"{self.store}/blobs/sha256"))[:9:3]):
            write(f"{self.store}/blobs/sha256/{name}", [b"", b"x", bytes(100)][number])
        name = sorted(os.listdir(f"{self.store}/headers"))[0]
        write(f"{self.store}/headers/{name}", b"x")
        self.save("hurt")

    def base_layers(self):
        """What a store may lack: everything of bases."""
        return frozenset(os.listdir(f"{self.workspace}/bases/small/blobs/sha256")) | self.lab.bases


class Scene:
    """A command, and what it starts from."""

    def __init__(self, name, template, *arguments):
        self.name, self.template, self.arguments = name, template, arguments

    def words(self, box):
        return [word.replace("OUT", box.out) for word in self.arguments]

    def golden(self, box):
        """What an undisturbed run leaves."""
        if self.name not in box.golden:
            box.reset(self.template)
            before = snapshot(box.path)
            box.cooper(*self.words(box), check=True)
            box.golden[self.name] = before, snapshot(box.path)
        return box.golden[self.name]


SCENES = [
    Scene("build, empty store", "empty", "build", "--all"),
    Scene("build, changed", "changed", "build", "--all"),
    Scene("lock", "empty", "lock", "--all"),
    Scene("update", "moved", "update", "--all"),
    Scene("build to a layout", "changed", "build", "--all", "--to", "oci:OUT/layout"),
    Scene("build to an archive", "changed", "build", "shop/web#prod", "--to", "oci-archive:OUT/web.tar"),
    Scene("build to a docker archive", "changed", "build", "shop/web#prod", "--to", "docker-archive:OUT/docker.tar"),
    Scene("copy to a layout", "built", "copy", "oci:OUT/layout:shop/web:prod", "oci:OUT/new:1"),
    Scene("copy to an archive", "built", "copy", "oci:OUT/layout:shop/web:prod", "oci-archive:OUT/web.tar"),
    Scene("gc", "garbage", "gc"),
    Scene("store verify --repair", "hurt", "store", "verify", "--repair"),
]


def missing(golden, now):
    return [f"{path} is {'not there' if path not in now else 'another'}"
            for path, value in golden.items() if now.get(path) != value]


def right_after(box, scene, clean_exit):
    """The invariants that hold the moment after a strike. `hurt` stores are damaged on purpose."""
    before, after = scene.golden(box)
    faults = [] if scene.template == "hurt" else fsck(box.store, box.base_layers())
    for directory in (f"{box.out}/layout", f"{box.out}/new"):
        faults += fsck(directory)
    now = snapshot(box.path)
    for path in before.keys() | after.keys():
        short = os.path.relpath(path, box.path)
        in_store = short.startswith("store/") and short not in ("store/oci-layout", "store/index.json")
        if in_store or path.endswith("/index.json"):
            continue
        if now.get(path) not in (before.get(path), after.get(path)):
            faults.append(f"{short} is neither the old nor the new one")
        if path in before and path in after and path not in now:
            faults.append(f"{short} has gone")
    for index in ("store/index.json", "out/layout/index.json"):
        path = f"{box.path}/{index}"
        names = lambda entries: {re.sub(r"sha256:[0-9a-f]*|\"size\": \d+", "", entry) for entry in entries or ()}
        kept = names(before.get(path)) & names(after.get(path))
        if not kept <= names(now.get(path)):
            faults.append(f"{index} lost {kept - names(now.get(path))}")
    left = temporaries(box.path)
    if scene.template == "garbage":
        left = [path for path in left if not path.endswith("/.tmp-1-1")]
    if len(left) > (0 if clean_exit else 1):
        faults.append(f"left behind: {left}")
    if clean_exit:
        faults += [f"success was claimed, but {fault}" for fault in missing(after, now)]
    return faults


def afterwards(box, scene):
    """The same command again, and what the store says of itself."""
    run = box.cooper(*scene.words(box))
    if run.code != 0:
        return [f"again: {run}"]
    _, golden = scene.golden(box)
    faults = [f"again: {fault}" for fault in missing(golden, snapshot(box.path))]
    if scene.template == "hurt":
        run = box.cooper("build", "--all")
        faults += [] if run.code == 0 else [f"build after repair: {run}"]
    for arguments in (["store", "verify"], ["gc"], ["store", "verify"]):
        run = box.cooper(*arguments)
        faults += [] if run.code == 0 else [f"{arguments}: {run}"]
    faults += fsck(box.store, box.base_layers())
    # Beside an archive nobody but its owner may sweep.
    left = [path for path in temporaries(box.path) if os.path.dirname(path) != box.out]
    faults += [f"never swept: {left}"] if left else []
    return faults


def crashed(run):
    return [f"panic or signal: {run}"] if run.code in (70, 101, "hangs") or isinstance(run.code, int) and run.code < 0 \
        else []


# --- Families ------------------------------------------------------------------------------------------------
# Each gives jobs (name, function of a box -> None when nothing was hit, else faults).


def trace(box, scene, calls, log):
    box.reset(scene.template)
    box.cooper(*scene.words(box), check=True, prefix=["strace", "-f", "-y", "-s", "0", "-qq", "-o", log,
                                                      "-e", f"trace={calls}"])
    with open(log, errors="replace") as lines:
        return [line for line in lines if "resumed>" not in line]


def points(box, scene, calls=CALLS):
    """(call, n): the n-th of its kind in some thread. Of openat only those that make a file."""
    counts, found, others = collections.Counter(), set(), set()
    for line in trace(box, scene, calls, f"{box.path}.log"):
        match = re.match(r"(\d+)\s+(\w+)\(", line)
        if not match:
            continue
        counts[match.groups()] += 1
        call = match[2]
        if call == "openat" and "O_CREAT" not in line and "TMPFILE" not in line:
            continue
        # The n-th of every thread is hit, and the loader reads, too.
        ours = call not in ("read", "flock") or box.path in line
        (found if ours else others).add((call, counts[match.groups()]))
    return sorted(found - others)


def injected(box, scene, call, what):
    """Runs with one call hit; None when it never came to that call."""
    log = f"{box.path}.log"
    if os.path.exists(log):
        os.remove(log)
    run = box.cooper(*scene.words(box), prefix=["strace", "-f", "-qq", "-s", "0", "-o", log, "-e", f"trace={call}",
                                                "-e", f"inject={call}:{what}"])
    hit = run.code == -signal.SIGKILL if "KILL" in what else "INJECTED" in read(log).decode(errors="replace")
    return run if hit else None


def kill_at(scene, call, number):
    def strike(box):
        box.reset(scene.template)
        run = injected(box, scene, call, f"signal=KILL:when={number}")
        if run is None:
            return None
        return right_after(box, scene, False) + afterwards(box, scene)
    return f"{scene.name}: killed at {call} {number}", strike


def fail_at(scene, call, number, error, ever):
    def strike(box):
        box.reset(scene.template)
        what = "retval=0" if error == "ZERO" else f"error={error}"
        run = injected(box, scene, call, f"{what}:when={number}{'+' if ever else ''}")
        if run is None:
            return None
        faults = crashed(run)
        if error == "EINTR" and run.code != 0:
            faults.append(f"EINTR was not survived: {run}")
        # Where nothing can be written any more, no message can be, either.
        mute = ever and call == "write"
        if run.code not in (0, "hangs") and not mute and not re.search(WORDS.get(error, "."), run.err):
            faults.append(f"the cause isn't named: {run}")
        # What can't be removed stays.
        clean = run.code == 0 and call not in ("unlink", "unlinkat", "rmdir")
        return faults + right_after(box, scene, clean) + afterwards(box, scene)
    return f"{scene.name}: {error} at {call} {number}{' and on' if ever else ''}", strike


def family_kill(lab):
    box = lab.first
    return [kill_at(scene, call, number) for scene in SCENES for call, number in points(box, scene)]


def family_errors(lab):
    box, jobs = lab.first, []
    for scene in SCENES:
        for call, number in points(box, scene, CALLS + ",read,flock"):
            for error in ["ENOSPC", "EIO", "EINTR", "EROFS", "EACCES", "ZERO"]:
                if error == "ZERO" and call not in ("write", "pwrite64", "writev") \
                        or call in ("read", "flock") and error not in ("EIO", "EINTR") \
                        or call in ("fsync", "fdatasync") and error in ("EACCES",):
                    continue
                ever = error in ("ENOSPC", "EIO", "EROFS") and number % 2 == 1 and call != "read"
                jobs.append(fail_at(scene, call, number, error, ever))
    return jobs


def timed(scene, sent):
    """A signal at a random moment."""
    def strike(box):
        box.reset(scene.template)
        moment = box.lab.random.random() * box.lab.duration(box, scene) * 1.1
        process = subprocess.Popen([box.lab.cooper, *scene.words(box)], cwd=box.workspace, env=box.environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(moment)
        process.send_signal(sent)
        out, err = process.communicate(timeout=TIMEOUT)
        run = Run(process.returncode, out, err)
        if sent == signal.SIGPIPE:
            # Ignored, as every Rust program does: a closed output is an exit code instead.
            faults = [] if run.code in (0, -signal.SIGPIPE) else [f"after SIGPIPE: {run}"]
        elif run.code == 0:
            return None
        else:
            faults = [] if run.code == -sent else [f"after {sent.name}: {run}"]
        return faults + right_after(box, scene, False) + afterwards(box, scene)
    return f"{scene.name}: {sent.name}", strike


def family_moments(lab):
    return [timed(scene, signal.SIGKILL) for scene in SCENES for _ in range(40)]


def family_signals(lab):
    kinds = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE]
    return [timed(scene, kind) for scene in SCENES for kind in kinds for _ in range(8)] \
        + [("closed output", closed_output) for _ in range(4)]


def closed_output(box):
    box.reset("changed")
    reader, writer = os.pipe()
    os.close(reader)
    run = box.cooper("build", "--all", stdout=writer)
    os.close(writer)
    faults = [] if run.code == 141 else [f"closed output: {run}"]
    return faults + right_after(box, SCENES[1], False) + afterwards(box, SCENES[1])


def mounted(what, where, *options):
    os.makedirs(where, exist_ok=True)
    subprocess.run(["mount", *options, what, where], check=True)


def family_full(lab):
    """Small disks, few inodes, file size limits, /dev/full."""
    def small(scene, place, kilobytes, inodes):
        def strike(box):
            scene.golden(box)
            box.reset(scene.template)
            real = f"{box.path}/{place}"
            os.makedirs(real, exist_ok=True)
            os.rename(real, real + ".old")
            used = sum(-(-os.path.getsize(f"{at}/{name}") // 4096) * 4
                       for at, _, names in os.walk(real + ".old") for name in names)
            count = sum(len(names) + len(dirs) for at, dirs, names in os.walk(real + ".old"))
            limit = f"size={used + kilobytes}k" + (f",nr_inodes={count + inodes}" if inodes else "")
            mounted("tmpfs", real, "-t", "tmpfs", "-o", limit)
            try:
                shutil.copytree(real + ".old", real, symlinks=True, dirs_exist_ok=True)
                shutil.rmtree(real + ".old")
                run = box.cooper(*scene.words(box))
                if run.code == 0:
                    return None
                faults = crashed(run)
                if "No space left" not in run.err or run.code != 5:
                    faults.append(f"a full disk: {run}")
                faults += right_after(box, scene, False)
                subprocess.run(["mount", "-o", "remount,size=64m,nr_inodes=9999", real], check=True)
                return faults + afterwards(box, scene)
            finally:
                subprocess.run(["umount", "-l", real], check=True)
        return f"{scene.name}: {kilobytes} kB, {inodes} inodes left in {place}", strike

    def limited(scene, size, ignored):
        def strike(box):
            box.reset(scene.template)

            def limit():
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN if ignored else signal.SIG_DFL)
            run = box.cooper(*scene.words(box), preexec_fn=limit)
            if run.code == 0:
                return None
            right = run.code == (5 if ignored else -signal.SIGXFSZ)
            faults = [] if right and (not ignored or "File too large" in run.err) else [f"a short write: {run}"]
            return faults + right_after(box, scene, False) + afterwards(box, scene)
        return f"{scene.name}: files up to {size} bytes{'' if ignored else ', SIGXFSZ'}", strike

    def full(arguments, out, code):
        def strike(box):
            scene = SCENES[1]
            box.reset(scene.template)
            os.symlink("/dev/full", f"{box.out}/full")
            with open("/dev/full" if out else "/dev/null", "wb") as output:
                run = box.cooper(*[word.replace("OUT", box.out) for word in arguments], stdout=output)
            faults = [] if run.code == code and run.err else [f"/dev/full: {run}"]
            os.remove(f"{box.out}/full")
            faults += [] if stat.S_ISCHR(os.stat("/dev/full").st_mode) else ["/dev/full was replaced"]
            return faults + right_after(box, scene, False) + afterwards(box, scene)
        return f"{' '.join(arguments)}: /dev/full", strike
    jobs = []
    for scene in SCENES[:9]:
        place = "out" if scene.name.startswith("copy") else "store"
        jobs += [small(scene, place, size, 0) for size in (4, 16, 40, 64, 100, 180, 300, 420, 500)]
        jobs += [small(scene, place, 4000, inodes) for inodes in (2, 5, 12, 30)]
        jobs += [small(scene, "ws/lockfiles", size, 0) for size in (4, 8) if not scene.name.startswith("copy")]
        jobs += [limited(scene, size, ignored) for size in (0, 1, 300, 5000, 65536, 100_000, 200_000)
                 for ignored in (True, False)]
    for kind in ("oci-archive", "docker-archive"):
        jobs += [full(["build", "shop/web#prod", "--to", f"{kind}:{place}"], False, 5) for place in
                 ("/dev/full", "OUT/full")]
    return jobs + [full(["build", "--all"], True, 5), full(["build", "--all", "--format", "json"], True, 5)]


def family_readonly(lab):
    """A store that can't be written: what is built is usable, the rest says so, nothing is touched."""
    def job(name, way, template, arguments, code):
        def strike(box):
            box.reset(template)
            before = snapshot(box.store)
            prefix = []
            if way == "mount":
                subprocess.run(["mount", "--bind", box.store, box.store], check=True)
                subprocess.run(["mount", "-o", "remount,ro,bind", box.store], check=True)
            else:
                subprocess.run(["chmod", "-R", "a-w,a+rX", box.store], check=True)
                subprocess.run(["chown", "-R", "65534:65534", box.workspace, box.out], check=True)
                prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            try:
                run = box.cooper(*[word.replace("OUT", box.out) for word in arguments], prefix=prefix)
            finally:
                if way == "mount":
                    subprocess.run(["umount", "-l", box.store], check=True)
                else:
                    subprocess.run(["chmod", "-R", "u+w", box.store], check=True)
                    subprocess.run(["chown", "-R", "0:0", box.path], check=True)
            faults = crashed(run)
            if run.code != code or code and not re.search("Read-only file system|Permission denied", run.err) \
                    or code and "help:" not in run.err:
                faults.append(f"expected {code}: {run}")
            faults += ["the store was changed"] if snapshot(box.store) != before else []
            faults += fsck(f"{box.out}/fresh")
            again = box.cooper("build", "--all")
            return faults + ([] if again.code == 0 else [f"again: {again}"]) + fsck(box.store, box.base_layers())
        return f"{way}: {name}", strike
    cases = [("unchanged", "built", ["build", "--all"], 0), ("locked", "built", ["build", "--all", "--locked"], 0),
             ("export", "built", ["build", "--all", "--to", "oci:OUT/fresh"], 0),
             ("archive", "built", ["build", "shop/web#prod", "--to", "oci-archive:OUT/fresh.tar"], 0),
             ("changed", "changed", ["build", "--all"], 5), ("verify", "built", ["store", "verify"], 0),
             ("repair", "built", ["store", "verify", "--repair"], 5), ("gc", "garbage", ["gc"], 5),
             ("dry gc", "garbage", ["gc", "--dry-run"], 0), ("check", "built", ["lock", "--all", "--check"], 0),
             ("show", "built", ["show", "shop/web"], 0), ("update", "moved", ["update", "--all"], 5)]
    return [job(name, way, *rest) for way in ("mount", "nobody") for name, *rest in cases for _ in range(2)]


MODES = ("flipped", "cut", "empty", "NULs", "removed", "directory", "link", "FIFO")


def hurt(path, mode, random_):
    data = read(path)
    if mode in ("flipped", "cut", "empty", "NULs"):
        at = random_.randrange(len(data))
        write(path, {"flipped": data[:at] + bytes([data[at] ^ 1 << random_.randrange(8)]) + data[at + 1:],
                     "cut": data[:at], "empty": b"", "NULs": bytes(len(data))}[mode])
        return
    os.remove(path)
    if mode == "directory":
        write(f"{path}/inside", b"x")
    elif mode == "link":
        write(f"{path}.elsewhere", data)
        os.symlink(f"{path}.elsewhere", path)
    elif mode == "FIFO":
        os.mkfifo(path)


def sound(path, golden):
    """Whether a file is what it was, or a layout's version that is as good."""
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    if os.path.basename(path) == "oci-layout":
        return bool(re.fullmatch(rb'{"imageLayoutVersion":"1[.].*"}', read(path)))
    if os.path.basename(path) == "index.json":
        # Others write it, too, so it has no checksum: a changed name is a name. What it holds counts.
        try:
            held = lambda entries: {(entry["mediaType"], entry["digest"], entry["size"]) for entry in entries}
            return held(json.loads(read(path))["manifests"]) == held(map(json.loads, golden[path]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
    return snapshot(os.path.dirname(path)).get(path) == golden[path]


def needed(path, box):
    return os.path.relpath(path, box.store).split("/")[0] in ("blobs", "realisations", "index.json", "oci-layout")


def family_damage(lab):
    """Every file of a store, hurt in every way."""
    def job(short, mode):
        def strike(box):
            box.reset("built")
            golden = snapshot(box.store)
            path, lock = f"{box.store}/{short}", short in LOCKS
            if short.startswith("sources/"):
                # Each box has its own, by where it lies.
                path = f"{box.store}/sources/{os.listdir(f'{box.store}/sources')[0]}"
                golden[path] = sha(read(path))
            hurt(path, mode, box.lab.random)
            elsewhere = f"{path}.elsewhere"
            if os.path.exists(elsewhere):
                os.rename(elsewhere, f"{box.path}/elsewhere")
                os.remove(path)
                os.symlink(f"{box.path}/elsewhere", path)
            seen = box.cooper("store", "verify")
            faults = crashed(seen)
            if mode != "removed" and not lock and seen.code == 0 and not sound(path, golden):
                faults.append(f"store verify doesn't see it: {seen}")
            if seen.code not in (0, 1) and "help:" not in seen.err:
                faults.append(f"store verify doesn't say what to do: {seen}")
            # Without any repair: it heals, or it says what to do; and nothing damaged is delivered.
            shutil.rmtree(f"{box.out}/layout")
            run = box.cooper("build", "--all", "--to", f"oci:{box.out}/layout")
            faults += crashed(run)
            if run.code != 0 and "help:" not in run.err:
                faults.append(f"build doesn't say what to do: {run}")
            faults += [f"delivered: {fault}" for fault in fsck(f"{box.out}/layout")]
            if run.code == 0 and snapshot(f"{box.out}/layout") != box.golden_layout:
                faults.append("delivered something else")
            gone = box.cooper("build", "shop/web#prod", "--to", f"oci-archive:{box.out}/web.tar")
            faults += crashed(gone)
            if not os.path.exists(f"{box.out}/web.tar") or sha(read(f"{box.out}/web.tar")) != box.golden_archive:
                faults.append(f"the archive is another: {gone}")
            repair = box.cooper("store", "verify", "--repair")
            faults += crashed(repair)
            if repair.code != 0:
                # A repair may hand it over to a person, if it says how; the cure is tried.
                cure = re.search(r"help: .*`(rm [^`]*)`", repair.err)
                if not cure:
                    faults.append(f"repair: {repair}")
                else:
                    subprocess.run(cure[1], shell=True, cwd=box.workspace, check=True)
            again = box.cooper("build", "--all", "--to", f"oci:{box.out}/layout")
            if again.code != 0 or fsck(f"{box.out}/layout"):
                faults.append(f"build after repair: {again} {fsck(f'{box.out}/layout')}")
            clean = box.cooper("store", "verify")
            if clean.code != 0:
                faults.append(f"store verify after repair and build: {clean}")
            faults += fsck(box.store, box.base_layers())
            # Header indexes and their like are not needed again: `lock` makes them, or nobody.
            golden = {path: value for path, value in golden.items() if needed(path, box) and not sound(path, golden)}
            faults += [f"after repair and build: {fault}" for fault in missing(golden, snapshot(box.store))]
            return faults
        return f"{short} {mode}", strike
    box = lab.first
    box.reset("built")
    for each in lab.boxes:
        each.reset("built")
        each.golden_layout = snapshot(f"{each.out}/layout")
        each.golden_archive = sha(read(f"{each.out}/web.tar"))
    jobs = []
    for at, _, names in os.walk(box.store):
        for name in names:
            short = os.path.relpath(f"{at}/{name}", box.store)
            modes = MODES[4:] if os.path.getsize(f"{at}/{name}") == 0 else MODES
            jobs += [job(short, mode) for mode in modes]
    return jobs


def family_outside(lab):
    """The same for what lies outside the store: locks, their blobs, bases, a layout that is written to."""
    def job(short, mode):
        def strike(box):
            box.reset("built")
            path = f"{box.path}/{short}"
            golden = snapshot(box.path)
            saved = read(path)
            hurt(path, mode, box.lab.random)
            run = box.cooper("build", "--all", "--to", f"oci:{box.out}/layout")
            faults = crashed(run)
            if run.code == 0:
                if short.startswith("ws/bases"):
                    faults += fsck(f"{box.out}/layout")
                elif "lockfiles" not in short or "elsewhere" in short:
                    # A changed name in an index that others write, too, is a name: it stays beside the right one.
                    named = short.endswith("index.json") and sound(path, golden)
                    faults += [f"healed wrongly: {fault}" for fault in missing(golden, snapshot(box.path))
                               if not (named and fault.startswith(path))]
            elif not short.startswith("ws/bases") and "help:" not in run.err:
                faults.append(f"build doesn't say what to do: {run}")
            if short.startswith("out/") and run.code != 0:
                shutil.rmtree(f"{box.out}/layout")
            elif not short.startswith("out/"):
                if os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path)
                elif os.path.lexists(path):
                    os.remove(path)
                write(path, saved)
            again = box.cooper("build", "--all", "--to", f"oci:{box.out}/layout")
            faults += [f"put back: {again}"] if again.code != 0 else []
            faults += [f"put back: {fault}" for fault in missing(golden, snapshot(box.path))
                       if not fault.startswith(path)]
            return faults + fsck(f"{box.out}/layout") + fsck(box.store, box.base_layers())
        return f"{short} {mode}", strike
    box, jobs = lab.first, []
    box.reset("built")
    for place in ("ws/lockfiles", "ws/bases", "out/layout"):
        for at, _, names in os.walk(f"{box.path}/{place}"):
            jobs += [job(os.path.relpath(f"{at}/{name}", box.path), mode) for name in names for mode in MODES]
    return jobs


def family_clock(lab):
    """A clock that was set back, forward, or jumps between commands."""
    def job(scene, when, then):
        def strike(box):
            box.reset(scene.template)
            run = box.cooper(*scene.words(box), prefix=["faketime", when])
            faults = [] if run.code == 0 else [f"at {when}: {run}"]
            faults += right_after(box, scene, run.code == 0)
            mend = [["build", "--all"]] if scene.template == "hurt" else []
            for arguments in (scene.words(box), *mend, ["gc"], ["store", "verify"]):
                run = box.cooper(*arguments, prefix=["faketime", then])
                faults += [] if run.code == 0 else [f"at {then}: {run}"]
            faults += [f"at {then}: {fault}" for fault in missing(scene.golden(box)[1], snapshot(box.path))
                       if scene.template in ("empty", "built")]
            return faults + fsck(box.store, box.base_layers())
        return f"{scene.name}: {when}, then {then}", strike
    if not shutil.which("faketime"):
        print("skipped: clock, faketime is not installed")
        return []
    times = ["1970-01-02 00:00:00", "2001-01-01 00:00:00", "2107-06-01 12:00:00"]
    return [job(scene, one, other) for scene in SCENES for one in times for other in times if one != other]


def alone(name, work):
    """A family of its own making: `work(lab)` gives (strikes, faults)."""
    return lambda lab: [(name, lambda box: work(lab, box))]


def family_writers(lab):
    """Eight writers on one store and one layout, with collectors beside them; what was said to be built is there."""
    def job(number):
        def strike(box):
            shared, layout = f"{box.path}/store", f"{box.out}/layout"
            box.reset("empty")
            shutil.rmtree(shared, ignore_errors=True)
            homes = [f"{box.path}/writer{each}" for each in range(8)]
            for home in homes:
                shutil.copytree(box.workspace, home)
            stop, faults, lines = threading.Event(), [], []

            def run(home, *arguments):
                command = [lab.cooper, "-j1", *arguments]
                done = subprocess.run(command, cwd=home, env=box.environment(), capture_output=True, timeout=300)
                lines.append(1)
                if done.returncode:
                    faults.append(f"{arguments}: {Run(done.returncode, done.stdout, done.stderr)}")
                return done.stdout

            def writer(each):
                for round_ in range(4):
                    # Half of them have the same content.
                    content(homes[each], 10 * number + (round_ if each % 2 else 100 * each + round_))
                    out = json.loads(run(homes[each], "build", "--all", "--format", "json") or b'{"recipes":[]}')
                    for image in (image for recipe in out["recipes"] for image in recipe["images"]):
                        built[each, image["recipe"], image["variant"]] = image["digest"]
                    place = f"oci:{layout}:w{each}"
                    out = json.loads(run(homes[each], "build", "shop/web#prod", "--to", place, "--format", "json")
                                     or b'{"copied":[]}')
                    for copied in out["copied"]:
                        put[f"w{each}"] = copied["digest"]

            def collector():
                while not stop.is_set():
                    run(box.workspace, "gc")
                    run(box.workspace, "store", "verify")
                    time.sleep(0.05)
            built, put = {}, {}
            with concurrent.futures.ThreadPoolExecutor(9) as pool:
                collecting = pool.submit(collector)
                for future in [pool.submit(writer, each) for each in range(8)]:
                    future.result()
                stop.set()
                collecting.result()
            standing = roots(shared)
            for (each, recipe, variant), digest in built.items():
                if standing.get(f"{homes[each]}|{recipe}|{variant}") != digest:
                    faults.append(f"lost: {recipe}#{variant} of writer {each}")
            names = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"]
                     for entry in json.loads(read(f"{layout}/index.json"))["manifests"]}
            faults += [] if names == put and len(put) == 8 else [f"the layout has {names}, put was {put}"]
            faults += fsck(shared, box.base_layers()) + fsck(layout)
            faults += [f"left behind: {temporaries(box.path)}"] if temporaries(box.path) else []
            box.count = len(lines)
            return faults
        return f"round {number}", strike
    return [job(number) for number in range(4)]


def family_versions(lab):
    """Another version of cooper on the same store, and what a later one may leave there."""
    def both(first, second):
        def strike(box):
            binary = {"old": lab.old, "new": lab.cooper}
            box.reset("empty")
            faults = []
            for round_, which in enumerate([first, second, first, second]):
                content(box.workspace, round_ // 2)
                run = box.cooper("build", "--all", binary=binary[which])
                faults += [] if run.code == 0 else [f"{which}: {run}"]
                for each in binary.values():
                    seen = box.cooper("store", "verify", binary=each)
                    faults += [] if seen.code == 0 else [f"verify after {which}: {seen}"]
            box.cooper("gc", binary=binary[first])
            faults += fsck(box.store, box.base_layers())
            running = [subprocess.Popen([binary[which], "build", "--all", "--store", f"{box.path}/both"],
                                        cwd=box.workspace, env=box.environment(), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL) for which in ("old", "new") * 3]
            faults += [f"together: exit {one.wait()}" for one in running if one.wait()]
            return faults + fsck(f"{box.path}/both", box.base_layers())
        return f"{first} and {second}", strike

    def later(name, change, code):
        def strike(box):
            box.reset("changed")
            change(box)
            before = snapshot(box.path)
            run = box.cooper("build", "--all")
            faults = crashed(run)
            if run.code != code or code and "help:" not in run.err:
                faults.append(f"expected {code}: {run}")
            if code:
                return faults + (["it was changed"] if snapshot(box.path) != before else [])
            for arguments in (["store", "verify"], ["gc"], ["store", "verify"]):
                run = box.cooper(*arguments)
                faults += [] if run.code == 0 else [f"{arguments}: {run}"]
            mine = {path: value for path, value in before.items() if "future" in path}
            faults += [f"not ours, but {fault}" for fault in missing(mine, snapshot(box.path))]
            return faults + fsck(box.store, box.base_layers())
        return name, strike

    def sealed(kind, text):
        def change(box):
            directory = f"{box.store}/{kind}"
            for name in os.listdir(directory):
                write(f"{directory}/{name}", sha(text).encode() + b"\n" + text)
        return change

    def entry(box):
        data = b"future"
        write(f"{box.store}/blobs/sha256/{sha(data)}", data)
        index = json.loads(read(f"{box.store}/index.json"))
        index["manifests"].append({"mediaType": "application/vnd.future+json", "digest": f"sha256:{sha(data)}",
                                   "size": len(data), "annotations": {"io.cooperage.future": "x"}})
        for old in index["manifests"]:
            old["annotations"]["io.cooperage.later"] = "y"
        write(f"{box.store}/index.json", json.dumps(index))

    def lock_version(box):
        path = f"{box.workspace}/lockfiles/shop/web.lock"
        write(path, re.sub(rb"version = 1", b"version = 2", read(path), count=1))
    jobs = [later("layout version 2", lambda box: write(f"{box.store}/oci-layout", '{"imageLayoutVersion":"2.0.0"}'), 3),
            later("layout version 1.1", lambda box: write(f"{box.store}/oci-layout", '{"imageLayoutVersion":"1.1.0"}'), 0),
            later("a directory of its own", lambda box: write(f"{box.store}/future/x", "y"), 0),
            later("headers of a later version", sealed("headers", b"layer-scan 2 future\n"), 0),
            later("realisations of a later version", sealed("realisations", b'{"future":1}'), 0),
            later("entries and annotations", entry, 0), later("a lock of version 2", lock_version, 3)]
    if lab.old:
        jobs += [both("old", "new"), both("new", "old")] * 4
    else:
        print("skipped: versions, no --old binary")
    return jobs


def lint(lines, box):
    """Names given to bytes that were not synced before, directories that were not synced after."""
    opened, dirty, named, faults, checked = {}, set(), {}, [], 0
    inside = lambda path: path.startswith(box.path) and not os.path.basename(path) in LOCKS
    for line in lines:
        call = re.match(r"\d+\s+(\w+)\((.*)", line)
        if not call:
            continue
        name, rest = call.groups()
        paths = re.findall(r'"([^"]*)"', rest)
        fd = re.match(r"(\d+)<([^>]*)>", rest)
        if name == "openat" and (made := re.search(r"= (\d+)<([^>]*)>", rest)):
            opened[made[1]] = made[2]
            if "O_CREAT" in rest and inside(made[2]) and ".tmp-" not in made[2]:
                faults.append(f"written in place: {made[2]}")
        elif name in ("write", "pwrite64", "copy_file_range", "sendfile") and fd and inside(fd[2]):
            dirty.add(fd[2])
        elif name in ("fsync", "fdatasync") and fd:
            dirty.discard(fd[2])
            named.pop(fd[2], None)
        elif name.startswith(("rename", "link")):
            source, target = paths[0], paths[-1]
            if source.startswith("/proc/self/fd/"):
                source = opened.get(source.rsplit("/", 1)[1], source)
            if ".tmp-" in os.path.basename(target):
                (dirty.add if source in dirty else dirty.discard)(target)
                continue
            checked += 1
            if "/store/sources/" in target:
                # Its checksum tells, and nothing but a hash is lost with it.
                continue
            if source in dirty:
                faults.append(f"named before it was synced: {target}")
            named[os.path.dirname(target)] = target
        elif name.startswith("mkdir") and rest.rstrip().endswith("= 0") and ".tmp-" not in paths[0]:
            checked += 1
            named[os.path.dirname(paths[0])] = paths[0]
    return faults + [f"its directory isn't synced at exit: {name}" for name in named.values()], checked


def family_fsync(lab):
    def job(scene):
        def strike(box):
            log = f"{box.path}.log"
            trace(box, scene, CALLS, log)
            # Calls in the order in which they ended.
            begun, lines = {}, []
            for line in open(log, errors="replace"):
                pid = line.split()[0]
                if "<unfinished ...>" in line:
                    begun[pid] = line.split("<unfinished")[0]
                elif "resumed>" in line:
                    lines.append(begun.pop(pid, pid + " x(") + line.split("resumed>")[1])
                else:
                    lines.append(line)
            faults, box.count = lint([line.replace("\\", "") for line in lines], box)
            return faults
        return scene.name, strike
    # A collector's and a repair's removals needn't last: what comes back is collected or repaired again.
    return [job(scene) for scene in SCENES if scene.name not in ("gc", "store verify --repair")]


FAMILIES = [
    # name, jobs, share of --strikes (0: all of them, always), what it is
    ("kill", family_kill, 36, "killed at each write, rename, link, fsync, unlink, mkdir, open"),
    ("errors", family_errors, 30, "ENOSPC, EIO, EINTR, EROFS, EACCES, 0 bytes at each of these, and read, flock"),
    ("moments", family_moments, 10, "killed at a random moment"),
    ("signals", family_signals, 6, "INT, TERM, HUP, PIPE at a random moment, output closed"),
    ("full", family_full, 8, "a full tmpfs, no inodes, a file size limit, /dev/full"),
    ("readonly", family_readonly, 0, "a store that can't be written, by mount and by permission"),
    ("damage", family_damage, 24, "every file of the store: " + ", ".join(MODES)),
    ("outside", family_outside, 10, "the same for locks, their blobs, bases, layouts"),
    ("writers", family_writers, 0, "8 writers and a collector on one store and one layout"),
    ("versions", family_versions, 0, "an older binary, what a later one may leave"),
    ("clock", family_clock, 2, "a clock set back or forward"),
    ("fsync", family_fsync, 0, "names given after fsync, directories synced before exit (names checked)"),
]


class Lab:
    def __init__(self, arguments):
        self.path = tempfile.mkdtemp(prefix="cooper-faults-")
        os.chmod(self.path, 0o755)
        self.random = random.Random(arguments.seed)
        self.cooper = f"{self.path}/cooper"
        shutil.copy(arguments.cooper, self.cooper)
        self.old = arguments.old and os.path.abspath(arguments.old)
        self.bases, self.durations = frozenset(), {}
        self.boxes = [Box(self, number) for number in range(arguments.boxes)]
        self.first = self.boxes[0]
        for template in ("built", "moved"):
            self.bases |= frozenset(os.listdir(f"{self.first.keep}/{template}/ws/bases/small/blobs/sha256"))

    def duration(self, box, scene):
        """Of an undisturbed run."""
        if scene.name not in self.durations:
            box.reset(scene.template)
            start = time.monotonic()
            box.cooper(*scene.words(box), check=True)
            self.durations[scene.name] = time.monotonic() - start
            box.reset(scene.template)
        return self.durations[scene.name]


def run_family(lab, jobs, show):
    """Strikes, and what was found."""
    free, strikes, found = queue.Queue(), 0, []
    for box in lab.boxes:
        free.put(box)

    def work(job):
        name, strike = job
        box = free.get()
        box.count = 1
        try:
            return name, strike(box), box.count
        except Exception as error:                      # a strike that this program doesn't understand is a finding
            return name, [f"{type(error).__name__}: {error}"], 1
        finally:
            free.put(box)
    with concurrent.futures.ThreadPoolExecutor(len(lab.boxes)) as pool:
        for name, faults, count in pool.map(work, jobs):
            if faults is None:
                continue
            strikes += count
            if faults:
                found.append((name, faults))
                if len(found) <= show:
                    print(f"  FOUND {name}\n    " + "\n    ".join(faults)[:3000].replace("\n", "\n    "), flush=True)
    return strikes, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cooper", default=f"{ROOT}/target/dist/cooper")
    parser.add_argument("--old", help="an older cooper, for the family `versions`")
    parser.add_argument("--strikes", type=int, default=2500, help="about how many; 0: all there are")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one family, or several with commas")
    parser.add_argument("--boxes", type=int, default=2, help="how many at a time")
    parser.add_argument("--show", type=int, default=8, help="how many findings of a family are told")
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("strace"):
        sys.exit("faults.py needs root (mounts) and strace")
    lab = Lab(arguments)
    shares = sum(share for _, _, share, _ in FAMILIES)
    rows, bad = [], 0
    for name, family, share, what in FAMILIES:
        if arguments.only and name not in arguments.only.split(","):
            continue
        start = time.monotonic()
        jobs = family(lab)
        limit = arguments.strikes * share // shares
        if share and arguments.strikes and len(jobs) > limit:
            jobs = lab.random.sample(jobs, limit)
        strikes, found = run_family(lab, jobs, arguments.show)
        damaged = sum(any(re.match("lost|damaged|.*store verify", fault) for fault in faults) for _, faults in found)
        rows.append({"family": name, "what": what, "strikes": strikes, "findings": len(found), "damaged": damaged})
        bad += len(found)
        print(f"{name:9} {strikes:5} strikes {damaged:3} damaged stores {len(found):3} findings "
              f"{time.monotonic() - start:6.0f} s", flush=True)
    total = {key: sum(row[key] for row in rows if row["family"] != "fsync") for key in ("strikes", "findings", "damaged")}
    print(f"all       {total['strikes']:5} strikes {total['damaged']:3} damaged stores {total['findings']:3} findings")
    if arguments.json:
        write(os.path.abspath(arguments.json), json.dumps({"families": rows, "total": total, "found": bad}, indent=1))
    if bad:
        sys.exit(f"what was found lies in {lab.path}")
    shutil.rmtree(lab.path)


if __name__ == "__main__":
    main()
