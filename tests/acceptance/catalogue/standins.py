"""Which stand-in plays which upstream repository, and what it is made of."""

import shutil
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import roots
from software import Software

# Repository of the upstream image: recipe in standins/recipes/standin/.
PLAYED_BY = {
    "docker.io/apache/kafka": "kafka",
    "docker.io/flowable/flowable-rest": "flowable",
    "docker.io/fluent/fluentd": "fluentd",
    "docker.io/library/krakend": "krakend",
    "docker.io/library/nginx": "nginx",
    "docker.io/library/node": "node",
    "docker.io/library/orientdb": "orientdb",
    "docker.io/library/postgres": "postgres",
    "docker.io/library/redis": "redis",
    "docker.io/library/zookeeper": "zookeeper",
    "docker.io/oryd/hydra": "hydra",
    "docker.io/prom/prometheus": "prometheus",
    "docker.io/smallstep/step-ca": "step-ca",
    "gcr.io/etcd-development/etcd": "etcd",
    "ghcr.io/open-feature/flagd": "flagd",
    "ghcr.io/openchami/bss": "bss",
    "ghcr.io/openchami/cloud-init": "cloud-init",
    "ghcr.io/openchami/opaal": "opaal",
    "ghcr.io/openchami/smd": "smd",
    "quay.io/debezium/server": "debezium",
    "quay.io/keycloak/keycloak": "keycloak",
    "quay.io/wildfly/wildfly": "wildfly",
}

# What can't be had from any package registry, and why: it takes a checkout of its source.
FROM_SOURCE = {
    "fluentd": "fluentd is a Ruby gem, and neither Debian nor a registry at hand has it; --source fluentd=CHECKOUT takes its source",
}

# What another program than upstream's plays: said beside the evidence.
ONLY_IN_PART = {
    "docker.io/flowable/flowable-rest": "Flowable's engine and REST API under a main class of ours",
    "docker.io/library/krakend": "KrakenD's engine under a main program of ours",
    "ghcr.io/openchami/opaal": "a program of ours in opaal's place",
}


def split(reference: str) -> tuple[str, str]:
    repository, _, tag = reference.partition("@")[0].rpartition(":")
    return repository, tag


def missing(reference: str, sources: dict[str, Path]) -> str | None:
    """Why an image has no stand-in."""
    repository = split(reference)[0]
    name = PLAYED_BY.get(repository)
    if not name:
        return f"no stand-in for {repository}"
    return None if name in sources else FROM_SOURCE.get(name)


def notes(references: set[str]) -> list[str]:
    return [ONLY_IN_PART[name] for name in sorted({split(reference)[0] for reference in references}) if name in ONLY_IN_PART]


class Standins:
    """The workspace of the stand-ins, in the runner's own directory."""

    def __init__(self, source: Path, work: Path, binaries: Path | None, sources: dict[str, Path]):
        self.work, self.place = work, work / "standins"
        self.software = Software(source, self.place / "inputs", binaries, sources)
        (self.place / "bases").mkdir(parents=True, exist_ok=True)
        (self.place / "inputs").mkdir(exist_ok=True)
        shutil.copy(source / "cooper.toml", self.place)
        shutil.rmtree(self.place / "recipes", ignore_errors=True)
        shutil.copytree(source / "recipes", self.place / "recipes")

    def recipe(self, name: str) -> dict:
        return tomllib.loads((self.place / "recipes" / "standin" / name / "recipe.toml").read_text(encoding="utf-8"))

    def bases(self, names: set[str]) -> None:
        """The roots that these recipes stand on, and the tools' one."""
        layouts = {self.recipe(name)["base"].get("layout") for name in names} - {None}
        wanted = {layout.removeprefix("bases/").removesuffix(":1") for layout in layouts} | {"debian"}
        with ThreadPoolExecutor() as pool:
            # At once, since they wait for the network most of the time.
            for made in [pool.submit(roots.make, name, self.work, self.place / "bases") for name in sorted(wanted)]:
                made.result()

    def inputs(self, name: str) -> None:
        """The software that a recipe takes."""
        for entry in self.recipe(name).get("input", {}).values():
            self.software.make(entry["path"].removeprefix("inputs/"))
