"""One run of a system: its services by the compose file, a container beside them to ask from, and what probes use."""

import json
import os
import secrets
import shutil
from hashlib import sha256

from shell import Failure, Final, run, until

# Below a name of its own: on somebody's machine these are no images of theirs.
MINE = "cooper-accept"
TOOLS = f"{MINE}/tools:1"


def image(system: str, variant: str) -> str:
    return f"{MINE}/{system}:{variant}"


# Secrets that aren't just a password.
SHAPED = {
    # INFO counts as dangerous, and is what the probe asks for.
    "REDIS_USERS": lambda word: f"user skillbase on #{sha256(word.encode()).hexdigest()} ~* &* +@all -@admin -@dangerous +info\n",
}


class Stack:
    def __init__(self, site, system: str, variant: str):
        self.site, self.system, self.variant = site, system, variant
        self.stack, self.service = system.split("/")
        self.project = f"accept-{self.stack}-{self.service}-{variant}"
        self.services = site.catalogue.below(system, variant)
        self.place = site.work / "compose" / self.project
        self.words = {}
        self.tools = None

    def __enter__(self):
        shutil.rmtree(self.place, ignore_errors=True)
        (self.place / "secrets").mkdir(parents=True)
        os.chmod(self.place / "secrets", 0o700)
        for name in self.services:
            for secret in self.site.catalogue.recipe(name, self.variant).get("service", {}).get("secrets", {}):
                if secret not in self.words:
                    word = self.words[secret] = secrets.token_hex(16)
                    text = SHAPED.get(secret, lambda word: word)(word)
                    (self.place / "secrets" / secret).write_text(text)
        self.environment = {"COOPER_SECRETS": str(self.place / "secrets")} | self.words
        file = self.place / "compose.yaml"
        if self.is_service():
            self.site.cooper("compose", *self.services, "--variant", self.variant, "--output", file)
        else:
            file.write_text("services: {}\n")
        self.command = [*self.site.compose, "-p", self.project, "-f", str(file)]
        if self.containers():
            self.compose("down", "-v", "-t", "1", check=False)
        return self

    def __exit__(self, kind, *_):
        if kind:
            (self.place / "logs").write_text(self.compose("logs", "--no-color", check=False).stdout)
        if self.tools:
            run("docker", "rm", "-f", self.tools, check=False)
        self.compose("down", "-v", "-t", "2", check=False)

    def compose(self, *words, check=True, seconds=600):
        return run(*self.command, *words, check=check, env=self.environment, cwd=self.place, seconds=seconds)

    def up(self):
        """Starts the system with what it waits for; what has a health check is healthy then."""
        if not self.is_service():
            return
        own = self.site.catalogue.recipe(self.system, self.variant)["service"]
        jobs = [f"{self.service}-{job}" for job in own.get("job", {})]
        self.compose("up", "-d", *([] if self.site.catalogue.whole else [self.service, *jobs]))
        network = f"{self.project}_default"
        self.tools = run("docker", "run", "-d", "--network", network, "--init", TOOLS, "sleep", "3600")
        for name in self.services:
            service = name.split("/")[1]
            health = self.site.catalogue.recipe(name, self.variant).get("service", {}).get("health", {})
            until(lambda: self.healthy(service, health), 600)
        for job in jobs:
            code = run("docker", "wait", self.container(job), seconds=300)
            if code != "0":
                raise Failure(f"{job} has ended with {code}")

    def healthy(self, service: str, health: dict):
        """Runs the health check that the container has: the engine itself would ask once an interval only."""
        found = json.loads(run("docker", "inspect", self.container(service)))[0]
        if found["State"]["Status"] != "running":
            again = found["HostConfig"]["RestartPolicy"]["Name"] not in ("", "no")
            raise (Failure if again else Final)(f"{service} has ended with {found['State']['ExitCode']}")
        test = found["Config"].get("Healthcheck", {}).get("Test", [])
        if test[:1] in (["CMD"], ["CMD-SHELL"]):
            command = test[1:] if test[0] == "CMD" else ["/bin/sh", "-c", test[1]]
            self.exec(service, *command)
        elif "http" in health:
            # What Compose can't ask: from outside.
            self.curl(health["http"].replace("127.0.0.1", service).replace("localhost", service))

    def containers(self, *labels: str) -> list[str]:
        labels = (f"com.docker.compose.project={self.project}", *labels)
        return run("docker", "ps", "-aq", *(word for label in labels for word in ("--filter", f"label={label}"))).split()

    def container(self, service: str) -> str:
        found = self.containers(f"com.docker.compose.service={service}")
        if not found:
            raise Failure(f"{service} was not started")
        return found[0]

    # What probes use.

    def exec(self, service: str, *words, stdin=None, check=True):
        return run("docker", "exec", "-i", self.container(service), *words, stdin=stdin, check=check, seconds=120)

    def logs(self, service: str) -> str:
        return run("docker", "logs", self.container(service), seconds=120)

    def ask(self, *words, check=True):
        """A command in the container beside the services."""
        return run("docker", "exec", self.tools, *words, check=check, seconds=120)

    def curl(self, url: str, *options) -> str:
        return self.ask("curl", "-sS", "--max-time", "60", "--fail-with-body", *options, url)

    def json(self, url: str, *options):
        text = self.curl(url, *options)
        try:
            return json.loads(text)
        except ValueError:
            raise Failure(f"{url}: no JSON: {text[:200]}") from None

    def status(self, url: str, *options) -> int:
        return int(self.ask("curl", "-sS", "--max-time", "60", "-o", "/dev/null", "-w", "%{http_code}", *options, url))

    def once(self, *words) -> str:
        """A command in a container of the image alone, with what dev mounts into it."""
        recipe, mounts = self.site.catalogue.recipe(self.system, self.variant), []
        for entry in recipe.get("file", []):
            if self.variant in entry.get("mount-in", []):
                source = self.site.catalogue.workspace / "recipes" / self.system / entry["from"]
                mounts += ["-v", f"{source}:{entry['to'].rstrip('/')}:ro"]
        return run("docker", "run", "--rm", "--network", "none", *mounts, image(self.system, self.variant), *words)

    def soon(self, probe, seconds=60):
        """Asks again for a while: for what comes some time after ready."""
        return until(probe, seconds)

    def is_service(self):
        return "service" in self.site.catalogue.recipe(self.system, self.variant)

    def is_dev(self):
        return self.variant == "dev"


def expect(what: str, found, wanted) -> str:
    """The evidence, or why it is none."""
    if str(found).strip() != str(wanted):
        raise Failure(f"{what} is {str(found).strip()[:200]!r}, not {str(wanted)!r}")
    return f"{what} = {wanted}"


def expect_in(what: str, text: str, part: str) -> str:
    if part not in text:
        raise Failure(f"{what}: {part!r} is not in {text.strip()[:300]!r}")
    return f"{what} has {part!r}"
