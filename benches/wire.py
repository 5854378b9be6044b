#!/usr/bin/env python3
"""Bytes on the wire: what a push of an overlay moves, counted by a proxy in front of Debian's docker-registry.

    benches/wire.py [--cooper BINARY] [--debian ROOT.tar]

Ten new files on a Debian base that lies in the same registry, two platforms, one variant; once into the base's own
repository, once into another one. Cooper builds and pushes from its lock, with an empty store. The others copy the same two
images, from a layout that holds them whole. Each starts with a registry that holds the base alone. Wants docker-registry; regctl,
crane, skopeo and buildah are left out where they aren't. Everything listens on 127.0.0.1.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import peers

RECIPE = '[base]\nimage = "{base}"\n[image]\ntags = ["web"]\n[[file]]\nfrom = "conf/"\nto = "/etc/web/"\n[config]\ncmd = ["web"]\n'


class Proxy:
    """Passes bytes on, and counts them."""

    def __init__(self, to):
        self.to, self.up, self.down, self.requests = to, 0, 0, 0
        self.lock = threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.socket.accept()
            server = socket.create_connection(("127.0.0.1", self.to()))
            for source, sink, way in [(client, server, "up"), (server, client, "down")]:
                threading.Thread(target=self.pump, args=(source, sink, way), daemon=True).start()

    def pump(self, source, sink, way):
        try:
            while data := source.recv(1 << 16):
                with self.lock:
                    setattr(self, way, getattr(self, way) + len(data))
                    if way == "up" and data[:5] in (b"HEAD ", b"GET /", b"POST ", b"PUT /", b"PATCH"):
                        self.requests += 1
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Registry:
    """docker-registry, whose content can be put back."""

    def __init__(self, work):
        self.work, self.child = work, None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.config = work / "registry.yml"
        self.config.write_text("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
                               f"storage: {{filesystem: {{rootdirectory: {work}/data}}}}\nhttp: {{addr: 127.0.0.1:{self.port}}}\n")

    def start(self):
        self.child = subprocess.Popen(["docker-registry", "serve", self.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                return socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                time.sleep(0.05)
        sys.exit("docker-registry does not start")

    def stop(self):
        if self.child:
            self.child.kill()
            self.child.wait()

    def restore(self):
        self.stop()
        shutil.rmtree(self.work / "data")
        shutil.copytree(self.work / "seed", self.work / "data")
        self.start()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cooper", default=peers.HERE / "target/dist/cooper", type=Path)
    parser.add_argument("--debian")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cooper-wire-") as work:
        work = Path(work)
        registry = Registry(work)
        try:
            measure(args, work, registry)
        finally:
            registry.stop()


def measure(args, work, registry):
    peers.layout(peers.debian_root(args.debian, work), work / "base")
    (work / "data").mkdir()
    registry.start()
    proxy = Proxy(lambda: registry.port)
    host = f"127.0.0.1:{proxy.port}"
    env = os.environ | {"COOPER_STORE": str(work / "store"), "HOME": str(work), "REGCTL_CONFIG": str(work / "regctl.json"),
                        "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
    cooper = [args.cooper, "-C", work / "ws"]
    peers.quiet(args.cooper, "copy", f"oci:{work}/base:1", f"docker://{host}/base/debian:12", env=env)
    files = work / "ws/recipes/app/web/conf"
    files.mkdir(parents=True)
    (files.parent / "recipe.toml").write_text(RECIPE.format(base=f"{host}/base/debian:12"))
    workspace = work / "ws/cooper.toml"
    head = 'cooper = ">=0.1"\n[workspace]\nvariants = ["prod"]\nplatforms = ["linux/amd64", "linux/arm64"]\n'
    renew = peers.new_files(work)
    peers.run(renew, files)
    workspace.write_text(head)
    peers.quiet(*cooper, "lock", env=env)
    locked = proxy.down
    shutil.copytree(work / "data", work / "seed")
    peers.run(renew, files)
    peers.quiet(*cooper, "build", "--to", f"oci:{work}/whole:web", env=env)
    whole = f"{work}/whole"

    peers_of = {
        "regctl image copy": ("regctl", lambda to: ["regctl", "image", "copy", f"ocidir://{whole}:web", to]),
        "crane push": ("crane", lambda to: ["crane", "push", "--insecure", whole, to]),
        "skopeo copy --all": ("skopeo", lambda to: ["skopeo", "--insecure-policy", "copy", "--all", "--dest-tls-verify=false",
                                                   f"oci:{whole}:web", f"docker://{to}"]),
    }
    if shutil.which("regctl"):
        peers.quiet("regctl", "registry", "set", "--tls", "disabled", host, env=env)
    print("\n| command | into | up | down | requests |\n|---|---|---|---|---|")
    for where, repository in [("the base's repository", "base/debian"), ("another repository", "shop/web")]:
        rows = {}
        registry.restore()
        workspace.write_text(head + f'[publish]\nrepository = "{host}/{repository}"\n')
        shutil.rmtree(work / "store")
        rows["cooper build and push"] = counted(proxy, lambda: (
            peers.quiet(*cooper, "build", "--locked", "--quiet", env=env), peers.quiet(*cooper, "push", "--locked", env=env)))
        for name, (program, command) in peers_of.items():
            if shutil.which(program):
                registry.restore()
                rows[name] = counted(proxy, lambda: peers.quiet(*command(f"{host}/{repository}:web"), env=env, stderr=subprocess.DEVNULL))
        for name, (up, down, requests) in rows.items():
            print(f"| {name} | {where} | {up:,} | {down:,} | {requests} |")
        up, down, _ = rows["cooper build and push"]
        if other := rows.get("regctl image copy"):
            peers.ratio(f"{where}: bytes up, cooper / regctl", up / other[0], 1.1)
        peers.ratio(f"{where}: bytes down", down, 16_000)
    print(f"\n(making the lock read {locked:,} bytes of the base, once)")


def counted(proxy, work):
    with proxy.lock:
        before = proxy.up, proxy.down, proxy.requests
    work()
    time.sleep(0.2)
    with proxy.lock:
        return proxy.up - before[0], proxy.down - before[1], proxy.requests - before[2]


if __name__ == "__main__":
    main()
