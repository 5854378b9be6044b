"""The container engine, Compose and the registry: what answers already is used, what is started here is ended here."""

import os
import shutil
import socket
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from shell import Failure, run, say, until


class Servers:
    """Ends what it started, the last one first."""

    def __init__(self, work: Path):
        self.work = work
        self.running = []
        self.removed = []

    def start(self, name: str, *command, env=None):
        log = open(self.work / f"{name}.log", "wb")
        process = subprocess.Popen(
            [str(word) for word in command], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=os.environ | (env or {}), start_new_session=True,
        )
        self.running.append((name, process))
        return process

    def alive(self, name: str):
        for known, process in self.running:
            if known == name and process.poll() is not None:
                text = (self.work / f"{name}.log").read_text(errors="replace")
                raise SystemExit(f"{name} has ended with {process.returncode}:\n{text[-2000:]}")

    def close(self):
        for _, process in reversed(self.running):
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for path in self.removed:
            shutil.rmtree(path, ignore_errors=True)


def docker(servers: Servers, work: Path) -> str:
    """Its version. DOCKER_HOST says from here on where it is."""
    ask = ["docker", "version", "--format", "{{.Server.Version}}"]
    if not shutil.which("docker"):
        raise SystemExit("docker is not installed")
    if run(*ask, check=False).returncode == 0:
        return run(*ask)
    # A socket's path must be short; the images may be large.
    state = Path(tempfile.mkdtemp(prefix="cooper-accept-"))
    data = work / "engine"
    shutil.rmtree(data, ignore_errors=True)
    servers.removed += [state, data]
    os.environ["DOCKER_HOST"] = f"unix://{state}/sock"
    servers.start(
        "dockerd", "dockerd", "--host", os.environ["DOCKER_HOST"], "--data-root", data, "--exec-root", state / "exec",
        "--pidfile", state / "pid",
    )

    def answers():
        servers.alive("dockerd")
        return run(*ask)

    return until(answers, 60)


def forget(images: list[str]) -> None:
    """Takes images out of the engine again."""
    run("docker", "image", "rm", "-f", *images, check=False)


def compose() -> list[str]:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and run(*command, "version", check=False).returncode == 0:
            return command
    raise SystemExit("neither `docker compose` nor docker-compose is there")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def registry(servers: Servers, work: Path) -> str:
    """Its address. What was pushed before is still there."""
    address = f"127.0.0.1:{free_port()}"
    config = work / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {work / 'registry'}}}\n"
        f"http:\n  addr: {address}\n"
    )
    servers.start("registry", "docker-registry", "serve", config)

    def answers():
        servers.alive("registry")
        try:
            urllib.request.urlopen(f"http://{address}/v2/", timeout=5).close()
        except OSError as error:
            raise Failure(str(error)) from None

    until(answers, 30, 0.1)
    say(f"registry at {address}")
    return address
