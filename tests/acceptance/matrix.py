#!/usr/bin/env python3
"""The determinism matrix: one workspace, built cold in every cell, and every byte compared.

    tests/acceptance/matrix.py                          builds cooper (debug and dist), then all cells
    tests/acceptance/matrix.py --cross DIR              and the foreign binaries that cross.sh makes (or has left) in DIR
    tests/acceptance/matrix.py --binary NAME=PATH[:RUNNER WORDS]
    tests/acceptance/matrix.py --only 'umask*' --only 'ext4*'
    tests/acceptance/matrix.py --markdown FILE          the table as it stands in book/src/determinism.md

It makes a workspace of more than 20 recipes, locks it once, and compares in each cell
  - `build --all --locked --offline` into a fresh store: the digest of every image, and every blob of the store;
  - `lock --all --offline` with lockfiles/ deleted: every lock and blob of lockfiles/, byte for byte;
  - oci-archives and docker-archives of one platform, and each entry of oci-archives of all. In these `manifest.json` names
    the image for the machine that wrote it, which may differ on another kind of machine; it says so.
A cell that can't be tried here is skipped and says why; it never counts as equal. Exit code 0: every cell that was tried
is equal; 1: one differs; 2: it could not begin. As root on Linux nothing is skipped but for missing programs (faketime,
qemu-user, git); $COOPER and $COOPER_DEBUG are binaries to use instead of building them.
"""
import argparse, fnmatch, gzip, hashlib, io, json, os, pty, random, shlex, shutil, subprocess, sys, tarfile, tempfile, threading, time, zlib

HERE = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
EPOCH = "1234567890"
ENTRY = "docker's entry of oci-archive"

# ---------------------------------------------------------------------------------------------- the workspace

class File:
    def __init__(self, data, x=False):
        self.data, self.x = data.encode() if isinstance(data, str) else data, x

class Link:
    def __init__(self, target):
        self.target = target

def noise(size, seed):
    return hashlib.shake_256(seed.encode()).digest(size)

def prose(size, seed):
    words = [b"barrel", b"stave", b"hoop", b"cask", b"oak", b"\n", b"the", b"of", b"a cooper's", b"adze"]
    out = b" ".join(words[byte % 10] for byte in noise(size // 4 + 8, seed))
    return (out * 2)[:size]

def sha(data):
    return hashlib.sha256(data).hexdigest()

def raw_zstd(data):
    """A zstd frame of raw blocks: no program of this machine decides its bytes."""
    out = b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little")
    for at in range(0, len(data), 1 << 17):
        piece = data[at:at + (1 << 17)]
        out += (len(piece) << 3 | (at + (1 << 17) >= len(data))).to_bytes(3, "little") + piece
    return out

def base_tar(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, mode, uid, gid, data in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid, info.mtime = mode, uid, gid, 1_000_000_000
            info.type = {"d": tarfile.DIRTYPE, "f": tarfile.REGTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE}[kind]
            if kind in "lh":
                info.linkname = data
            content = data.encode() if kind == "f" else b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()

def layout_os():
    """An OCI layout for two platforms: a gzip layer, a zstd one, a plain one, links for directories, odd attributes."""
    passwd = "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/var/www:/bin/sh\napp:x:1000:1001::/home/app:\nhuge:x:3000000:3000001::/:\n"
    low = base_tar([
        ("etc", "d", 0o755, 0, 0, ""), ("etc/passwd", "f", 0o644, 0, 0, passwd),
        ("etc/group", "f", 0o644, 0, 0, "root:x:0:\nweb:x:33:\napp:x:1001:web\nstaff:x:50:\n"),
        ("usr", "d", 0o755, 0, 0, ""), ("usr/lib", "d", 0o755, 0, 0, ""), ("lib", "l", 0o777, 0, 0, "usr/lib"),
        ("usr/lib/conf.d", "d", 0o2775, 0, 50, "")] + [
        (f"usr/lib/conf.d/{name}.conf", "f", 0o644, 0, 0, name) for name in ("10-a", "20-b", "Z", "a", "\u00e9")])
    middle = base_tar([
        ("var", "d", 0o755, 0, 0, ""), ("var/www", "d", 0o711, 33, 33, ""), ("var/www/old.html", "f", 0o644, 33, 33, "old"),
        ("tmp", "d", 0o1777, 0, 0, ""), ("home", "d", 0o755, 0, 0, ""), ("home/app", "d", 0o700, 1000, 1001, ""),
        ("srv", "l", 0o777, 0, 0, "/var/www"), ("opt", "d", 0o755, 0, 0, ""), ("opt/tool", "f", 0o4755, 0, 0, "tool"),
        ("opt/same", "h", 0o4755, 0, 0, "opt/tool")])
    top = base_tar([("usr/lib/conf.d/.wh.Z.conf", "f", 0o644, 0, 0, ""), ("opt/late", "d", 0o750, 7, 8, "")])
    oci = "application/vnd.oci.image."
    layers = [(low, gzip.compress(low, 6, mtime=0), "tar+gzip"), (middle, raw_zstd(middle), "tar+zstd"), (top, top, "tar")]
    files = {"oci-layout": File('{"imageLayoutVersion":"1.0.0"}')}
    def put(kind, data):
        files[f"blobs/sha256/{sha(data)}"] = File(data)
        return {"mediaType": oci + kind, "digest": f"sha256:{sha(data)}", "size": len(data)}
    manifests = []
    for arch in ({"architecture": "amd64"}, {"architecture": "arm64", "variant": "v8"}):
        config = {"os": "linux", **arch, "created": "2011-12-13T14:15:16.171819Z", "author": "matrix \u00e9",
                  "config": {"Env": ["PATH=/usr/bin:/bin", "OS_VERSION=12", "OLD=1"], "Cmd": ["sh"], "Volumes": {"/data": {}},
                             "ExposedPorts": {"80/tcp": {}}, "Labels": {"kept": "1", "gone": "2"}},
                  "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha(plain)}" for plain, _, _ in layers]}}
        manifest = {"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": put("config.v1+json", json.dumps(config).encode()),
                    "layers": [put("layer.v1." + kind, blob) for _, blob, kind in layers]}
        manifests.append({**put("manifest.v1+json", json.dumps(manifest).encode()), "platform": {"os": "linux", **arch}})
    index = put("index.v1+json", json.dumps({"schemaVersion": 2, "mediaType": oci + "index.v1+json", "manifests": manifests}).encode())
    index["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    files["index.json"] = File(json.dumps({"schemaVersion": 2, "manifests": [index]}))
    return files

OS = '[base]\nlayout = "bases/os:1"\n'
SCRATCH = "[base]\nscratch = true\n"

def workspace():
    """{path: File or Link}; paths are bytes."""
    tree, recipes = {}, 0
    def put(path, node):
        tree[path if isinstance(path, bytes) else path.encode()] = node
    def recipe(name, text, files={}):
        nonlocal recipes
        recipes += 1
        put(f"recipes/m/{name}/recipe.toml", File(text))
        for path, node in files.items():
            path = path if isinstance(path, bytes) else path.encode()
            put(f"recipes/m/{name}/".encode() + path, node)

    put("cooper.toml", File('[workspace]\nvariants = ["dev", "prod", "edge"]\nplatforms = ["linux/amd64", "linux/arm64"]\n'
                            '[workspace.labels]\n"example.workspace" = "matrix"\n'))
    put(".gitattributes", File("recipes/** -text\nlockfiles/blobs/** -text\nbases/** -text\n"))
    for path, node in layout_os().items():
        put("bases/os/" + path, node)
    web = os.path.join(HERE, "fixtures/web-base/layout")
    for above, _, names in os.walk(web):
        for name in names:
            path = os.path.join(above, name)
            put("bases/web/" + os.path.relpath(path, web), File(open(path, "rb").read()))

    recipe("bare", '[base]\nlayout = "bases/web:1"\n')
    recipe("subset", '[image]\nplatforms = ["linux/arm64"]\n[base]\nlayout = "bases/web:1"\n')
    recipe("web", """
[image]
title = "Web \u00e9 {{ variant }}"
version = "1.0"
source = "https://example.org/web"
tags = ["1"]
[base]
layout = "bases/web:1"
[vars]
port = 8080
word = "oak"
[[file]]
from = "html/"
to = "/usr/share/web/html/"
mtime = "content"
mount-in = ["dev"]
[[file]]
from = "web.conf"
to = "/etc/web/web.conf"
template = true
[[dir]]
path = "/var/lib/web/new"
owner = "web"
mode = "0750"
[config]
entrypoint = ["/usr/bin/web", "--port", "{{ port }}"]
cmd = "inherit"
user = "web"
workdir = "/var/lib/web"
expose = ["{{ port }}/tcp", "53/udp"]
volumes = ["/var/lib/web", "/a"]
stop-signal = "SIGINT"
healthcheck = { cmd = ["web", "--health"], interval = "10s", timeout = "1m30s", start = "500ms", retries = 3 }
remove = { volumes = ["/var/cache/web"], env = ["NEVER"], labels = ["nothing"], expose = ["1/tcp"] }
[config.env]
Z_LAST = "z"
A_FIRST = "a \\"quoted\\" \u00e9 \U0001F6E2"
WEB_VERSION = "{{ base.env.WEB_VERSION }}+matrix"
[config.labels]
"example.tier" = "front"
"example.\u00e9" = "\u00fc"
[variant.dev.vars]
port = 8081
[variant.dev.config.env]
Z_LAST = "dev"
[service]
ports = ["{{ port }}"]
""", {"web.conf": File("port {{ port }} {{ word | upper }} {{ platform.arch }}\n"),
      **{f"html/{n}/p{n}.html": File(prose(300 * n + 7, f"html{n}")) for n in range(12)}})
    recipe("child", """
[base]
recipe = "m/web"
[[file]]
from = "more"
to = "/usr/share/web/html/more/"
owner = "web"
dir-mode = "0711"
[[remove]]
path = "/usr/share/web/html/3/*"
missing = "ok"
[config.env]
CHILD = "{{ base.env.WEB_VERSION }}"
""", {"more/a": File("a"), "more/b/c": File(noise(5000, "c"))})
    recipe("grandchild", """
[image]
title = "Grandchild"
[base]
recipe = "m/child"
[[file]]
from = "put"
to = "/usr/share/web/html/more/"
replace = true
[[link]]
path = "/usr/share/web/html/latest"
target = "more/b"
""", {"put/b": File("b"), "put/z": File("z", x=True)})
    recipe("extended", """
[image]
title = "Extended"
[base]
extends = "m/web"
[vars]
word = "ash"
[[drop]]
to = "/usr/share/web/html/"
[[file]]
from = "own.txt"
to = "/etc/web/own.txt"
[config]
cmd = ["x", "y"]
[config.env]
A_FIRST = "{{ word }}"
""", {"own.txt": File("own")})
    recipe("text", SCRATCH + '[[file]]\ntext = "{{ not a template }}\\n"\nto = "/etc/text"\n'
           '[[file]]\ntext = "{{ variant }} {{ stack }}/{{ name }} {{ platform.os }}"\nto = "/etc/filled"\ntemplate = true\n'
           '[config]\ncmd = ["/x"]\n')
    recipe("settings", SCRATCH + '[image]\nepoch = "2020-02-29T12:00:00Z"\n[config]\nentrypoint = ["/x"]\nuser = "7:8"\n'
           '[config.env]\nB = "1"\nA = "2"\n')
    recipe("big", SCRATCH + '[[file]]\nfrom = "big/"\nto = "/big/"\n', {
        "big/equal": File(b"=" * (3 << 20)), "big/noise": File(noise(5 << 20, "noise")), "big/prose": File(prose(6 << 20, "prose")),
        "big/period": File(noise(70_001, "period") * 60), "big/tail": File(b"\0" * 513, x=True)})
    kinds = {"equal": lambda n: b"\xa5" * n, "noise": lambda n: noise(n, f"kind{n}"), "prose": lambda n: prose(n, f"kind{n}"),
             "two": lambda n: bytes(b"01"[byte & 1] for byte in noise(n, f"two{n}"))}
    # A tar of one file is 512 bytes of header, its bytes padded, 1024 at the end: these are just below, at and above the
    # least and the greatest chunk.
    sizes = [0, 1, (256 << 10) - 2048, (256 << 10) - 1536, (256 << 10) - 1024, (2 << 20) - 1536, (2 << 20) - 1024]
    named = [(f"{kind}-{size}", make(size)) for kind, make in kinds.items() for size in sizes
             if kind in ("equal", "noise") or 2 < size < 1 << 20]
    recipe("kinds", SCRATCH + "".join(f'[[file]]\nfrom = "{n}"\nto = "/{n}"\nlayer = "{n}"\n' for n, _ in named),
           {name: File(data) for name, data in named})
    recipe("many", SCRATCH + '[[file]]\nfrom = "tree"\nto = "/srv/tree"\nowner = "12:34"\n',
           {f"tree/{n % 23}/{n % 7}/{sha(str(n).encode())[:n % 30 + 3]}-{n}": File(prose(n * 3, str(n)), x=n % 5 == 0) for n in range(700)})
    long = "/".join(["a-directory-with-a-name-that-is-rather-long"] * 6)
    recipe("deep", OS + '[[file]]\nfrom = "d"\nto = "/opt/d"\nowner = "huge"\n', {
        f"d/{long}/{'f' * 200}": File("deep"), f"d/{'e' * 93}": File("100 with /opt/d"), f"d/{'n' * 250}": File("250"),
        f"d/{long}/to": Link("../" * 40 + "x" * 150)})
    recipe("names", OS + '[[file]]\nfrom = "n/"\nto = "/opt/n/"\n', {
        b"n/" + name: File(b"is " + name) for name in [
            "\u00e9".encode(), "e\u0301".encode(), "\u0131I\u0130i".encode(), "\u65e5\u672c".encode(), "\U0001F6E2".encode(), b"\xff\xfe",
            b"\xe9t\xe9/\x80", b"README", b"readme", b"a b", b"a-b", b"a.b", b"a", b"A", b"_", b"~a", b"'quoted\"\\", b".dot", b"-dash",
            b"a0", b"\xc3", "\uffff".encode(), "\ufb01".encode(), b"zz/z", b"zz.z", b"zz-z"]})
    recipe("links", OS + """
[[file]]
from = "l/"
to = "/opt/l/"
[[link]]
path = "/opt/abs"
target = "/opt/l/\u00e9"
[[link]]
path = "/opt/l/second"
target = "/opt/l/one"
hard = true
[[link]]
path = "/opt/a-first"
target = "/opt/l/one"
hard = true
[[link]]
path = "/opt/dangling"
target = "nowhere/../\u65e5"
""", {"l/one": File("one"), "l/sub/two": File("two", x=True), b"l/to": Link(b"sub/two"), b"l/odd": Link(b"\xff/ \xc3"),
      b"l/up": Link(b"../../etc"), b"l/dir": Link(b"sub")})
    recipe("taking", OS + """
[[remove]]
path = "/lib/conf.d/*.conf"
[[remove]]
path = "/opt/{tool,same}"
[[remove]]
path = "/nothing/here"
missing = "ok"
[[file]]
from = "www"
to = "/srv"
replace = true
owner = "web:staff"
[[file]]
text = "again"
to = "/usr/lib/conf.d/10-a.conf"
[variant.edge]
[[variant.edge.remove]]
path = "/home/app"
[config]
remove = { env = ["OLD"], labels = ["gone"], volumes = ["/data"], expose = ["80/tcp"] }
""", {"www/index.html": File("<p>"), "www/sub/x": File("x")})
    recipe("modes", OS + """
[[file]]
from = "m/"
to = "/opt/late/m/"
mode = "0640"
dir-mode = "2750"
owner = "2097151:2097152"
xattrs = { "user.one" = "1", "user.\u00e9" = "\u00fc" }
[[file]]
from = "suid"
to = "/opt/suid"
mode = "4755"
[[dir]]
path = "/tmp"
mode = "0700"
[[dir]]
path = "/home/app"
owner = "web"
[[dir]]
path = "/opt/new/sticky"
mode = "1777"
owner = "app"
""", {"m/a": File("a", x=True), "m/b/c": File("c"), "suid": File("#!/bin/sh\n")})
    recipe("times", '[image]\nepoch = 1500000001\n' + OS + """
[[file]]
from = "t/"
to = "/srv/t/"
mtime = "content"
[[file]]
from = "t/1"
to = "/opt/rfc"
mtime = "1999-12-31T23:59:59+14:00"
[[file]]
from = "t/2"
to = "/opt/seconds"
mtime = 700000000
""", {f"t/{n}": File(prose(n * 100, f"t{n}")) for n in range(30)})
    recipe("globs", OS + """
[[file]]
from = "g/**/*.{txt,md}"
to = "/opt/g/"
[[file]]
from = ["g/one.txt", "g/deep", "h*"]
to = "/opt/list/"
[[file]]
from = "g"
to = "/opt/some"
include = ["**/*.txt", "deep"]
exclude = ["deep/[!x-z]*", "**/?.txt"]
""", {"g/one.txt": File("1"), "g/b.txt": File("b"), "g/deep/two.md": File("2"), "g/deep/y": File("y"), "g/deep/a": File("a"),
      "g/deep/\u00e9.txt": File("e"), "g/other": File("no"), "h1": File("h1"), "h2/in": File("h2"), "g/.hidden.txt": File("h")})
    recipe("templates", OS + """
[vars]
name2 = "Stra\u00dfe \u0130\u0131 iI"
number = 42
yes = true
[[file]]
from = "t/"
to = "/opt/t/"
template = ["*.j2"]
[[file]]
from = "braces"
to = "/opt/braces"
template = true
delimiters = "<% %>"
""", {"t/up.j2": File("{{ name2 | upper }}|{{ name2 | lower }}|{{ name2 | json }}|{{ name2 | base64 }}\n"),
      "t/mix.conf.j2": File(b"\xff {{ number }} {{ yes }} {{ base.env.OS_VERSION }} {{ none | default(\"d\") | replace(\"d\", \"dd\") }} \xfe"),
      "t/plain": File("{{ stays }}"), "braces": File("{{ stays }} <% number %>"), "t/arch.j2": File("{{ platform.arch }}")})
    recipe("mounts", OS + """
[[file]]
from = "data"
to = "/opt/data"
owner = "app"
mount-in = ["dev", "edge"]
[[file]]
from = "one.conf.in"
to = "/etc/one.conf"
template = true
mount-in = ["dev"]
mount = "rw"
""", {"data/a": File("a"), "data/b/c": File("c"), "one.conf.in": File("{{ variant }}")})
    recipe("layers", OS + "".join(
        f'[[file]]\nfrom = "f{n}"\nto = "/opt/f{n}"\nlayer = "l{n * 7 % 13}"\nowner = "{["web", "app", "5:6"][n % 3]}"\n' for n in range(30)),
        {f"f{n}": File(noise(n * 99, f"f{n}")) for n in range(30)})
    recipe("patched", '[image]\nplatforms = ["linux/amd64", "linux/arm64", "linux/riscv64"]\n' + SCRATCH + """
[vars]
level = 1
[[file]]
from = "common"
to = "/common"
[[file]]
text = "x86"
to = "/machine"
platforms = ["linux/amd64"]
[[file]]
text = "arm or risc-v"
to = "/machine"
platforms = ["linux/arm64", "linux/riscv64"]
[[file]]
text = "in two"
to = "/two"
in = ["dev", "edge"]
[variant.dev.vars]
level = 2
[[variant.dev.drop]]
to = "/common"
[[variant.edge.file]]
text = "{{ level }}"
to = "/common"
template = true
[variant.edge.image]
title = "Edge"
[config.env]
LEVEL = "{{ level }}"
""", {"common": File("common")})
    recipe("switched", """
[base]
layout = "bases/os:1"
[variant.dev.base]
layout = "bases/web:1"
[[file]]
from = "f"
to = "/lib/f"
[config.healthcheck]
cmd = ["true"]
[variant.prod.config]
healthcheck = "none"
entrypoint = []
""", {"f": File("under a link in both")})
    return tree, recipes

# ---------------------------------------------------------------------------------------------- checkouts

def write(tree, where, order=sorted, mode=None, stamp=None):
    """A checkout; `order` decides which file is made first."""
    os.makedirs(where, exist_ok=True)
    for number, path in enumerate(order(tree)):
        node, full = tree[path], os.path.join(where, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if isinstance(node, Link):
            os.symlink(node.target, full.decode("utf-8", "surrogateescape") if isinstance(node.target, str) else full)
            continue
        with open(full, "wb") as file:
            file.write(node.data)
        os.chmod(full, (mode or 0o644) | (0o100 if node.x else 0))
        if stamp:
            os.utime(full, (stamp[number % len(stamp)],) * 2)
    return where

def backwards(paths):
    return sorted(paths, reverse=True)

def shuffled(paths):
    paths = sorted(paths)
    random.Random(20).shuffle(paths)
    return paths

def orders(where):
    """How every directory of the sources lists its names."""
    found = {}
    for above, _, _ in os.walk(os.path.join(where, b"recipes")):
        found[os.path.relpath(above, where)] = [entry.name for entry in os.scandir(above)]
    return found

# ---------------------------------------------------------------------------------------------- cells

class Skip(Exception):
    pass

class Differs(Exception):
    pass

class Cell:
    def __init__(self, name, note, *, binary="dist", prefix=(), env=None, umask=0o022, args=(), make=None, run=None, uid=None,
                 start=None, expect=None, pristine=False, terminal=False, ordered=False):
        self.name, self.note, self.binary, self.prefix, self.env, self.umask = name, note, binary, list(prefix), env or {}, umask
        self.args, self.make, self.run, self.uid, self.start, self.expect = list(args), make, run, uid, start, expect
        self.pristine, self.terminal, self.ordered = pristine, terminal, ordered

class Binary:
    def __init__(self, path, runner=()):
        self.path, self.runner = path, list(runner)

    def kind(self):
        with open(self.path, "rb") as file:
            head = file.read(20)
        order = "little" if head[5] == 1 else "big"
        machine = int.from_bytes(head[18:20], order)
        names = {62: "x86-64", 183: "aarch64", 22: "s390x", 40: "arm", 243: "riscv", 21: "ppc64", 3: "i386"}
        return f"{names.get(machine, machine)}, {32 * head[4]} bit, {order} endian"

class Matrix:
    def __init__(self, work, binaries, tree, reference=None):
        self.work, self.binaries, self.tree, self.locks = work, binaries, tree, {}
        self.mounts = []

    def directory(self, name):
        path = os.path.join(self.work, name.encode())
        os.makedirs(path)
        return path

    def mount(self, *words):
        if os.geteuid() or not os.environ.get("MATRIX_NAMESPACE"):
            raise Skip("mounting needs root and unshare")
        done = subprocess.run(["mount", *words], capture_output=True)
        if done.returncode:
            raise Skip("mount: " + done.stderr.decode(errors="replace").strip().splitlines()[0])
        self.mounts.append(words[-1])

    def unmount(self):
        while self.mounts:
            subprocess.run(["umount", self.mounts.pop()], check=True)

    def call(self, cell, checkout, words, cwd=None, env=None, prefix=None):
        binary = self.binaries[cell.binary]
        command = [*(cell.prefix if prefix is None else prefix), *binary.runner, binary.path, *words, *cell.args]
        environment = {"PATH": "/usr/bin:/bin", "HOME": os.path.join(os.fsdecode(self.work), "home"), "LANG": "C.UTF-8", **cell.env, **(env or {})}
        environment = {name: value for name, value in environment.items() if value is not None}
        options = dict(cwd=cwd or checkout, env=environment, umask=cell.umask, stdin=subprocess.DEVNULL)
        if cell.uid:
            options.update(user=cell.uid, group=cell.uid, extra_groups=[])
        if not cell.terminal:
            return subprocess.run(command, capture_output=True, **options)
        ours, theirs = pty.openpty()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, **options)
        os.close(theirs)
        said = []
        def drain():
            try:
                while piece := os.read(ours, 65536):
                    said.append(piece)
            except OSError:
                pass
        reader = threading.Thread(target=drain)
        reader.start()
        out = child.communicate()[0]
        reader.join()
        os.close(ours)
        return subprocess.CompletedProcess(command, child.returncode, out, b"".join(said))

    def cooper(self, cell, checkout, *words, **more):
        cwd, first = checkout, []
        if cell.start:
            cwd, first = cell.start(checkout)
        done = self.call(cell, checkout, [*first, *words], cwd=cwd, **more)
        if done.returncode:
            shown = " ".join(os.fsdecode(word) for word in words)
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise Differs(f"cooper {shown}: exit code {done.returncode}\n{said[-1500:]}")
        return done.stdout.decode()

    def measure(self, cell, keep=False):
        """What a cell gives: {what: digest}."""
        here = self.directory(cell.name.replace("/", "-"))
        try:
            checkout = cell.make(self, here) if cell.make else write(self.tree, os.path.join(here, b"checkout"))
            locks = os.path.join(checkout, b"lockfiles")
            if self.locks and not os.path.exists(locks):
                write(self.locks, locks)
            out = os.path.join(here, b"out")
            os.makedirs(out)
            if cell.uid:
                for above, directories, files in os.walk(here):
                    for name in directories + files:
                        os.chown(os.path.join(above, name), cell.uid, cell.uid, follow_symlinks=False)
                os.chown(here, cell.uid, cell.uid)
            found = {}
            if cell.expect:
                words, expected = cell.expect
                options = dict(user=cell.uid, group=cell.uid, extra_groups=[]) if cell.uid else {}
                control = subprocess.run([*cell.prefix, *words], capture_output=True, text=True, umask=cell.umask,
                                         env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **cell.env}, **options)
                if expected not in control.stdout:
                    raise Skip(f"{shlex.join([*cell.prefix, *words])} says {(control.stdout + control.stderr).strip()[:80]!r}, not {expected!r}")
            place = lambda name: os.path.join(out, name)
            if self.locks:
                store = place(b"store")
                self.build(cell, checkout, store, found)
                if keep:
                    self.kept = here
            self.fresh_lock(cell, checkout, place, found)
            return found, checkout, here
        finally:
            if not keep:
                self.unmount()

    def build(self, cell, checkout, store, found):
        build = ["build", "--all", "--locked", "--offline", "--store", store]
        if cell.run:
            said = cell.run(self, cell, checkout, store)
        else:
            said = self.cooper(cell, checkout, *build)
        for line in said.splitlines():
            target, digest, *verdict = line.split()
            found[f"image {target}"] = f"{digest} {' '.join(verdict)}"
        self.blobs(store, "built", found)
        one = ["--platform", "linux/amd64"]
        for name, kind, options in (("whole", "oci-archive", []), ("oci", "oci-archive", one), ("docker", "docker-archive", one)):
            for target in ("m/child#prod", "m/taking#edge", "m/text#dev"):
                file = os.path.join(os.path.dirname(store), f"{name}-{target.replace('/', '-')}.tar".encode())
                self.cooper(cell, checkout, "build", target, "--locked", "--offline", "--store", store, *options,
                            "--to", f"{kind}:".encode() + (file if self.utf8(file) else os.path.relpath(file, checkout)))
                if name != "whole":
                    found[f"{kind} {target}"] = sha(open(file, "rb").read())
                    continue
                # It holds all platforms; which of them docker loads is that of the machine that wrote it.
                with tarfile.open(file) as tar:
                    for member in tar:
                        content = sha(tar.extractfile(member).read()) if member.isfile() else ""
                        key = ENTRY if member.name == "manifest.json" else "entry of oci-archive"
                        found[f"{key} {target} {member.name}"] = f"{member.get_info()} {content}"

    @staticmethod
    def utf8(path):
        try:
            return path.decode() is not None
        except UnicodeDecodeError:
            return False

    def blobs(self, store, what, found):
        for above, _, names in os.walk(os.path.join(store, b"blobs")):
            for name in names:
                data = open(os.path.join(above, name), "rb").read()
                if sha(data) != name.decode():
                    raise Differs(f"blob {name.decode()} holds {sha(data)}")
                found[f"blob, {what}, {name.decode()}"] = str(len(data))

    def fresh_lock(self, cell, checkout, place, found):
        locks = os.path.join(checkout, b"lockfiles")
        words = []
        if cell.pristine:
            locks = place(b"lockfiles")
            words = ["--lockfiles", locks]
        elif os.path.exists(locks):
            shutil.rmtree(locks)
        # A lock that is made now takes its time from there: that is what the variable is for.
        env = {"SOURCE_DATE_EPOCH": None} if "SOURCE_DATE_EPOCH" in cell.env else {}
        self.cooper(cell, checkout, "lock", "--all", "--offline", "--store", place(b"store-lock"), *words, env=env)
        first = self.listing(locks)
        if env:
            self.cooper(cell, checkout, "lock", "--all", "--offline", "--store", place(b"store-lock"), *words)
            if self.listing(locks) != first:
                raise Differs("SOURCE_DATE_EPOCH changes a lock that is there")
        found.update(first)
        self.blobs(place(b"store-lock"), "locked", found)

    @staticmethod
    def listing(locks):
        found = {}
        for above, _, names in os.walk(locks):
            for name in names:
                path = os.path.join(above, name)
                if not name.startswith(b"."):
                    found["lockfiles/" + os.fsdecode(os.path.relpath(path, locks))] = sha(open(path, "rb").read())
        return found

def missing(*programs):
    absent = [program for program in programs if not shutil.which(program)]
    return f"{', '.join(absent)} not installed" if absent else None

def need(*programs, root=False):
    def check():
        why = missing(*programs)
        if why:
            raise Skip(why)
        if root and os.geteuid():
            raise Skip("not root")
    return check

def checkout(**how):
    return lambda matrix, here: write(matrix.tree, os.path.join(here, b"checkout"), **how)

def at(*names, **how):
    return lambda matrix, here: write(matrix.tree, os.path.join(here, *names), **how)

def on_tmpfs(matrix, here):
    os.makedirs(os.path.join(here, b"mnt"))
    matrix.mount("-t", "tmpfs", "tmpfs", os.fsdecode(os.path.join(here, b"mnt")))
    return write(matrix.tree, os.path.join(here, b"mnt/checkout"), order=shuffled)

def on_ext4(seed, *options):
    def make(matrix, here):
        image, mount = (os.fsdecode(os.path.join(here, name)) for name in (b"image", b"mnt"))
        os.makedirs(mount)
        with open(image, "wb") as file:
            file.truncate(300 << 20)
        why = missing("mkfs.ext4")
        if why:
            raise Skip(why)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", f"hash_seed={seed}", *options, image], check=True)
        matrix.mount("-o", "loop", image, mount)
        return write(matrix.tree, os.path.join(mount.encode(), b"checkout"), order=backwards)
    return make

def on_overlay(matrix, here):
    lower, upper, inner, mount = (os.path.join(here, name) for name in (b"lower", b"upper", b"inner", b"mnt"))
    for path in (upper, inner, mount):
        os.makedirs(path)
    paths = shuffled(matrix.tree)
    write({path: matrix.tree[path] for path in paths[::2]}, lower)
    write({path: matrix.tree[path] for path in paths[1::2]}, upper)
    options = ",".join(f"{key}={os.fsdecode(path)}" for key, path in (("lowerdir", lower), ("upperdir", upper), ("workdir", inner)))
    matrix.mount("-t", "overlay", "-o", options, "overlay", os.fsdecode(mount))
    return mount

def read_only(matrix, here):
    path = write(matrix.tree, os.path.join(here, b"checkout"))
    write(matrix.locks, os.path.join(path, b"lockfiles"))
    matrix.mount("--bind", "-o", "ro", os.fsdecode(path), os.fsdecode(path))
    return path

def hard_linked(matrix, here):
    """Every file is a link to a pool, and files of equal content are one inode."""
    pool, path = os.path.join(here, b"pool"), os.path.join(here, b"checkout")
    os.makedirs(pool)
    for name, node in matrix.tree.items():
        full = os.path.join(path, name)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if isinstance(node, Link):
            os.symlink(node.target, full)
            continue
        one = os.path.join(pool, f"{sha(node.data)}{node.x:d}".encode())
        if not os.path.exists(one):
            write({os.path.basename(one): node}, pool)
        os.link(one, full)
    return path

def cloned(matrix, here):
    why = missing("git")
    if why:
        raise Skip(why)
    first, second = write(matrix.tree, os.path.join(here, b"first")), os.path.join(here, b"checkout")
    write(matrix.locks, os.path.join(first, b"lockfiles"))
    env = {"PATH": "/usr/bin:/bin", "HOME": os.fsdecode(here), "GIT_CONFIG_NOSYSTEM": "1"}
    for words in (["init", "-q"], ["add", "-A", "-f"], ["-c", "user.name=m", "-c", "user.email=m@m", "commit", "-qm", "m"]):
        subprocess.run(["git", "-c", "core.autocrlf=false", *words], cwd=first, env=env, check=True)
    subprocess.run(["git", "clone", "-q", "-c", "core.autocrlf=true", "-c", "core.eol=crlf", first, second], env=env, check=True)
    return second

def through_link(matrix, here):
    write(matrix.tree, os.path.join(here, b"real/deep/checkout"))
    os.symlink(b"real/deep/checkout", os.path.join(here, b"link"))
    return os.path.join(here, b"link")

def with_junk(matrix, here):
    path = write(matrix.tree, os.path.join(here, b"checkout"))
    for above in [above for above, _, _ in os.walk(os.path.join(path, b"recipes"))]:
        for name in (b".DS_Store", b"Thumbs.db", b"a~", b".a.swp", b"._a", b".#lock", b"#saved#", b"desktop.ini"):
            if not os.path.exists(os.path.join(above, name)):
                open(os.path.join(above, name), "wb").close()
        os.makedirs(os.path.join(above, b".git"), exist_ok=True)
    return path

def with_xattrs(matrix, here):
    path = write(matrix.tree, os.path.join(here, b"checkout"))
    try:
        for name, node in matrix.tree.items():
            if isinstance(node, File):
                os.setxattr(os.path.join(path, name), "user.checkout", b"x")
    except OSError as error:
        raise Skip(f"no extended attributes here: {error.strerror}")
    return path

def one_by_one(matrix, cell, checkout, store):
    names = sorted({path.split(b"/")[2].decode() for path in matrix.tree if path.startswith(b"recipes/")}, reverse=True)
    return "".join(matrix.cooper(cell, checkout, "build", f"m/{name}#{variant}", "--locked", "--offline", "--store", store)
                   for name in names for variant in ("prod", "edge", "dev"))

def all_at_once(matrix, cell, checkout, store):
    names = sorted({path.split(b"/")[2].decode() for path in matrix.tree if path.startswith(b"recipes/")})
    said, wrong = [None] * len(names), []
    def one(number, name):
        try:
            said[number] = matrix.cooper(cell, checkout, "build", f"m/{name}", "--locked", "--offline", "--store", store)
        except Differs as error:
            wrong.append(error)
    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return "".join(said)

def warm(matrix, cell, checkout, store):
    matrix.cooper(cell, checkout, "build", "m/big", "m/grandchild#dev", "m/kinds#prod", "--locked", "--offline", "--store", store)
    return matrix.cooper(cell, checkout, "build", "--all", "--locked", "--offline", "--store", store)

def twice(matrix, cell, checkout, store):
    return matrix.cooper(cell, checkout, "build", "--all", "--twice", "--locked", "--offline", "--store", store)

def limit(words):
    return ["sh", "-c", f'{words} && exec "$@"', "sh"]

def cells(binaries):
    turkish = {"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "tr"}
    table = [
        Cell("reference", "x86-64, glibc, dist build, files made in sorted order, umask 022"),
        # where and how the checkout lies
        Cell("second checkout", "another directory", make=at(b"elsewhere", b"a-second-one")),
        Cell("git clone", "with core.autocrlf=true and core.eol=crlf", make=cloned),
        Cell("created backwards", "last name first", make=checkout(order=backwards), ordered=True),
        Cell("created shuffled", "in a random order", make=checkout(order=shuffled), ordered=True),
        Cell("tmpfs", "files made in a random order", make=on_tmpfs, ordered=True),
        Cell("ext4 A", "on a loop device, one hash seed, backwards", make=on_ext4("11111111-2222-3333-4444-555555555555"), ordered=True),
        Cell("ext4 B", "another hash seed", make=on_ext4("99999999-8888-7777-6666-555555555555"), ordered=True),
        Cell("ext4 without index", "names in the order of creation", make=on_ext4("99999999-8888-7777-6666-555555555555", "-O", "^dir_index"), ordered=True),
        Cell("overlayfs", "half of the files in each branch", make=on_overlay, ordered=True),
        Cell("read-only checkout", "mounted so; the new locks go elsewhere", make=read_only, pristine=True),
        Cell("hard links", "of files with equal content", make=hard_linked),
        Cell("times", "of files from 1901 to 2200", make=checkout(stamp=[-2_147_483_648, 0, 1, 4_000_000_000, 7_258_118_400])),
        Cell("modes", "of files 0606", make=checkout(mode=0o606)),
        Cell("extended attributes", "on every source", make=with_xattrs),
        Cell("junk", "of editors and systems beside every source", make=with_junk),
        Cell("odd path", "with spaces, quotes, a line end and bytes that aren't UTF-8", make=at(b"a b", b"'\"$x\n", b"\xff\xc3", "\u00e9".encode())),
        Cell("long path", "of 1600 bytes", make=at(*[b"l" * 200] * 8)),
        Cell("path through a link", "to the checkout", make=through_link),
        Cell("relative -C", "from the directory above", start=lambda path: (os.path.dirname(path), ["-C", os.path.basename(path)])),
        Cell("absolute -C", "from /", start=lambda path: (b"/", ["-C", path])),
        Cell("inside a recipe", "started in its directory", start=lambda path: (os.path.join(path, b"recipes/m/web"), [])),
        # who, when, which words
        Cell("umask 077", "and sources that only their owner reads", umask=0o077, make=checkout(mode=0o600), expect=(["sh", "-c", "umask"], "077")),
        Cell("umask 000", "nothing is masked", umask=0, expect=(["sh", "-c", "umask"], "000")),
        Cell("another user", "nobody in place of root", uid=65534, expect=(["id", "-u"], "65534")),
        Cell("another host name", "other.example", prefix=["unshare", "--uts", *limit("hostname other.example")], expect=(["uname", "-n"], "other.example")),
        Cell("TZ", "14 hours ahead", env={"TZ": "Pacific/Kiritimati"}, expect=(["date", "+%z"], "+1400")),
        Cell("TZ of an odd kind", "a rule of its own", env={"TZ": "<-0330>3:30<+9999>"}),
        Cell("LANG and LC_ALL", "set to Turkish, where i isn't the small I", env=turkish),
        Cell("LC_ALL=POSIX", "ASCII only", env={"LANG": "C", "LC_ALL": "POSIX"}),
        Cell("clock in 1985", "faketime", prefix=["faketime", "-f", "@1985-06-01 00:00:00"], expect=(["date", "+%Y"], "1985")),
        Cell("clock in 2107", "faketime", prefix=["faketime", "-f", "@2107-01-01 00:00:00"], expect=(["date", "+%Y"], "2107")),
        Cell("clock 5000 times as fast", "faketime", prefix=["faketime", "-f", "@2000-01-01 00:00:00 x5000"], expect=(["date", "+%Y"], "2000")),
        Cell("SOURCE_DATE_EPOCH", "builds don't read it, and locks that are there keep theirs", env={"SOURCE_DATE_EPOCH": EPOCH}),
        Cell("no environment", "neither HOME nor PATH", env={"HOME": None, "PATH": None, "LANG": None}),
        Cell("proxies", "that nobody answers at", env={name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY")}),
        Cell("no network", "a namespace without one", prefix=["unshare", "--net"], expect=(["grep", "-c", ":", "/proc/net/dev"], "1")),
        Cell("standard error a terminal", "with progress", terminal=True, env={"TERM": "xterm-256color", "COLUMNS": "40"}),
        # threads and memory
        Cell("-j 1", "one thread", args=["-j", "1"]),
        Cell("-j 2", "two", args=["-j", "2"]),
        Cell("-j 8", "eight", args=["-j", "8"]),
        Cell("-j 61", "many more than cores", args=["-j", "61"]),
        Cell("RAYON_NUM_THREADS", "3, without -j", env={"RAYON_NUM_THREADS": "3"}),
        Cell("one core", "taskset, eight threads", prefix=["taskset", "-c", "0"], args=["-j", "8"]),
        Cell("MALLOC_PERTURB_", "fresh memory is full of 0x5a", env={"MALLOC_PERTURB_": "165", "MALLOC_ARENA_MAX": "1"}),
        Cell("without ASLR", "setarch -R", prefix=["setarch", "-R"]),
        Cell("large stack", "ulimit -s 65536", prefix=limit("ulimit -s 65536"), expect=(["sh", "-c", "ulimit -s"], "65536")),
        Cell("small stack", "ulimit -s 512", prefix=limit("ulimit -s 512"), expect=(["sh", "-c", "ulimit -s"], "512")),
        Cell("64 open files", "ulimit -n 64", prefix=limit("ulimit -n 64"), expect=(["sh", "-c", "ulimit -n"], "64")),
        # the store
        Cell("one recipe at a time", "and variant, backwards, into one store", run=one_by_one),
        Cell("all recipes at once", "a process for each, into one store", run=all_at_once),
        Cell("warm store", "that has some of the layers", run=warm),
        Cell("--twice", "Cooper's own comparison", run=twice),
        # the program
        Cell("debug build", "no optimisation, debug assertions", binary="debug"),
    ]
    for cpu, note in (("qemu64", "x86-64 of the first kind: SSE2, no SHA, no AVX"), ("Haswell", "AVX2"), ("max", "all that qemu has")):
        table.append(Cell(f"qemu-x86_64 -cpu {cpu}", note, prefix=["qemu-x86_64", "-cpu", cpu]))
    known = {"musl": [("", "musl in place of glibc")],
             "aarch64": [("cortex-a53", ""), ("max", "")], "s390x": [("qemu", ""), ("max", "")], "armhf": [("cortex-a15", "")]}
    for name, binary in binaries.items():
        if name in ("dist", "debug"):
            continue
        for cpu, note in known.get(name, [("", "")]) if not binary.runner else [("", "")]:
            emulator = {"aarch64": "qemu-aarch64", "s390x": "qemu-s390x", "armhf": "qemu-arm"}.get(name)
            prefix = [emulator, "-cpu", cpu] if emulator and cpu and not binary.runner else []
            kind = binary.kind() if binary.path and os.path.exists(binary.path) else "not there"
            table.append(Cell(f"{name}{' build' if not cpu else f' -cpu {cpu}'}", ", ".join(filter(None, [kind, note])), binary=name, prefix=prefix))
    return table

# ---------------------------------------------------------------------------------------------- other decoders

def decoders(store):
    """Every gzip of the store, inflated by others: one member, the same bytes, nothing behind it."""
    blobs = os.path.join(store, b"blobs/sha256")
    names = [os.path.join(blobs, name) for name in sorted(os.listdir(blobs))]
    layers = [name for name in names if open(name, "rb").read(10) == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"]
    plain = {}
    for name in layers:
        data = open(name, "rb").read()
        inflater = zlib.decompressobj(31)
        plain[name] = sha(inflater.decompress(data) + inflater.flush())
        if not inflater.eof or inflater.unused_data or sha(gzip.decompress(data)) != plain[name]:
            raise Differs(f"Python: {os.fsdecode(name)} is not one member")
    yield "Python's zlib and gzip", f"{len(layers)} layers"
    for program in ("zcat", "pigz", "busybox"):
        words = {"zcat": ["zcat"], "pigz": ["pigz", "-dc"], "busybox": ["busybox", "gzip", "-dc"]}[program]
        if missing(program):
            yield program, "skipped: not installed"
            continue
        for name in layers:
            with open(name, "rb") as file:
                done = subprocess.run(words, stdin=file, capture_output=True)
            if done.returncode or done.stderr or sha(done.stdout) != plain[name]:
                raise Differs(f"{program}: {os.fsdecode(name)}: {done.stderr.decode(errors='replace')}")
        yield shlex.join(words), f"{len(layers)} layers"
    if missing("java"):
        yield "Java's GZIPInputStream", "skipped: java not installed"
        return
    done = subprocess.run(["java", os.path.join(HERE, "tests/acceptance/Inflate.java"), *map(os.fsdecode, layers)], capture_output=True, text=True)
    if done.returncode or done.stdout.split() != [plain[name] for name in layers]:
        raise Differs(f"Java: {done.stderr[-500:]}")
    yield "Java's GZIPInputStream, and Inflater up to the trailer", f"{len(layers)} layers"

# ---------------------------------------------------------------------------------------------- main

def compare(expected, found):
    keys = sorted(set(expected) | set(found))
    return [f"{key}: {found.get(key, 'missing')} in place of {expected.get(key, 'nothing')}" for key in keys if expected.get(key) != found.get(key)]

def cargo(*words):
    print("cargo", *words, file=sys.stderr)
    subprocess.run(["cargo", *words, "--locked", "--bin", "cooper"], cwd=HERE, check=True)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", action="append", default=[], metavar="NAME=PATH[:RUNNER]")
    parser.add_argument("--cross", metavar="DIR")
    parser.add_argument("--only", action="append", default=[], metavar="GLOB")
    parser.add_argument("--markdown", metavar="FILE")
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    options = parser.parse_args()
    if not os.geteuid() and not os.environ.get("MATRIX_NAMESPACE") and not missing("unshare"):
        # What is mounted goes with the process, whatever happens to it.
        os.environ["MATRIX_NAMESPACE"] = "1"
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0:
            os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
        del os.environ["MATRIX_NAMESPACE"]

    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "target"))
    paths = {"dist": os.environ.get("COOPER"), "debug": os.environ.get("COOPER_DEBUG")}
    for name, words in (("dist", ["build", "--profile", "dist"]), ("debug", ["build"])):
        if not paths[name]:
            cargo(*words)
            paths[name] = os.path.join(target, name, "cooper")
    binaries = {name: Binary(os.path.realpath(path)) for name, path in paths.items()}
    if options.cross:
        names = ["musl", "s390x", "aarch64", "armhf"]
        wanted = [name for name in names if not os.path.exists(os.path.join(options.cross, f"cooper-{name}"))]
        if wanted:
            subprocess.run([os.path.join(HERE, "tests/acceptance/cross.sh"), options.cross, *wanted], check=False)
        for name in names:
            binaries[name] = Binary(os.path.realpath(os.path.join(options.cross, f"cooper-{name}")))
    for word in options.binary:
        name, _, rest = word.partition("=")
        path, _, runner = rest.partition(":")
        binaries[name] = Binary(os.path.realpath(path), shlex.split(runner))

    work = tempfile.mkdtemp(prefix="cooper-matrix-").encode()
    os.chmod(work, 0o755)
    for directory in (b"home", b"bin"):
        os.makedirs(os.path.join(work, directory))
    # Where every user can run them, and where a build that goes on beside this doesn't reach them.
    for name, binary in binaries.items():
        if os.path.exists(binary.path):
            binary.path = shutil.copy(binary.path, os.path.join(os.fsdecode(work), "bin", f"cooper-{name}"))
    tree, recipes = workspace()
    matrix = Matrix(work, binaries, tree)
    print(f"{recipes} recipes, {len(tree)} files, {sum(len(node.data) for node in tree.values() if isinstance(node, File)) >> 20} MiB", flush=True)

    table = cells(binaries)
    reference = table[0]
    try:
        locked, path, here = matrix.measure(Cell("locking", ""))
        for above, _, names in os.walk(os.path.join(path, b"lockfiles")):
            for name in names:
                full = os.path.join(above, name)
                matrix.locks[os.path.relpath(full, os.path.join(path, b"lockfiles"))] = File(open(full, "rb").read())
        shutil.rmtree(here)
        expected, path, kept = matrix.measure(reference, keep=True)
    except Differs as error:
        print(error, file=sys.stderr)
        return 2
    listed = orders(path)
    # A matrix that cannot fail shows nothing: one byte of one source, and this recipe's lock must differ, no other.
    locks, matrix.locks = matrix.locks, {}
    matrix.tree = {**tree, b"recipes/m/globs/h1": File("h2")}
    found, _, _ = matrix.measure(Cell("control", ""))
    matrix.tree, matrix.locks = tree, locks
    moved = {key for key, value in found.items() if key.endswith(".lock") and value != expected[key]}
    if moved != {"lockfiles/m/globs.lock"}:
        print(f"one byte of a source was changed, and these locks differ: {sorted(moved)}", file=sys.stderr)
        return 2
    count = lambda prefix: sum(key.startswith(prefix) for key in expected)
    print(f"{count('image')} images, {count('blob, built')} blobs, {count('lockfiles')} files below lockfiles/\n", flush=True)

    rows, bad = [], 0
    for cell in table:
        if options.only and cell is not reference and not any(fnmatch.fnmatch(cell.name, glob) for glob in options.only):
            continue
        begun, detail = time.monotonic(), []
        note = cell.note
        try:
            binary = binaries[cell.binary]
            if not os.path.exists(binary.path):
                raise Skip(f"no binary {cell.binary}")
            words = [word for word in [*cell.prefix[:1], *binary.runner[:1]] if word]
            need(*words)()
            if cell.uid and os.geteuid():
                raise Skip("not root")
            if cell is reference:
                verdict = "reference"
            else:
                found, path, here = matrix.measure(cell, keep=True)
                detail = compare(expected, found)
                if cell.ordered:
                    other = orders(path)
                    moved = sum(other[name] != names for name, names in listed.items())
                    if not detail and not moved:
                        raise Skip("this file system lists the names in one order, whatever came first")
                    note += f"; {moved} of {len(listed)} directories list their names in another order"
                verdict = "DIFFERS" if detail else "equal"
                if detail and all(line.startswith(ENTRY) for line in detail) and not binary.kind().startswith(binaries["dist"].kind()):
                    verdict, detail = "equal but for what docker loads of an oci-archive of several platforms: this machine's", []
        except Skip as why:
            verdict = f"skipped: {why}"
        except Differs as error:
            verdict, detail = "DIFFERS", [str(error)]
        finally:
            matrix.unmount()
            where = os.path.join(work, cell.name.replace("/", "-").encode())
            if cell is not reference and not (options.keep or detail):
                subprocess.run(["rm", "-rf", where], check=True)
        bad += bool(detail)
        rows.append((cell.name, note, verdict))
        print(f"{cell.name:28} {verdict:10} {time.monotonic() - begun:6.1f} s  {note}", flush=True)
        for line in detail[:6]:
            print("    " + line.replace("\n", "\n    "), flush=True)
        if len(detail) > 6:
            print(f"    and {len(detail) - 6} more; see {os.fsdecode(where)}")

    print("\nother decoders, over every layer of the reference:")
    try:
        for name, what in decoders(os.path.join(kept, b"out/store")):
            rows.append((name, "inflates the reference's layers", what if what.startswith("skipped") else f"equal, {what}"))
            print(f"{name:28} {what}")
    except Differs as error:
        bad += 1
        print(error)

    if options.markdown:
        with open(options.markdown, "w") as file:
            file.write("| cell | what is different | result |\n|---|---|---|\n")
            file.writelines(f"| {name} | {note} | {verdict} |\n" for name, note, verdict in rows)
    skipped = sum(verdict.startswith("skipped") for _, _, verdict in rows)
    print(f"\n{len(rows) - skipped - bad} as expected, {bad} differ, {skipped} skipped")
    if not (options.keep or bad):
        subprocess.run(["rm", "-rf", work], check=True)
    else:
        print(os.fsdecode(work))
    return 1 if bad else 0

if __name__ == "__main__":
    sys.exit(main())
