#!/usr/bin/env python3
"""Checks what `cooper compose --kube` makes of the catalogue's stacks.

    tests/acceptance/kube.py [--cooper target/debug/cooper] [STACK…]

Each document against Kubernetes' schemas (`kubernetes-validate` of PyPI), each pod against Pod Security "restricted" by
Kubernetes' own checks (podsecurity/, a Go program). A system that can't be restricted says why in a comment of its recipe.
Upstream's images aren't there: in their place stand their users, ports and volumes alone, as the stand-ins have them.

Go and a Python with venv are needed, and registries for both. Exit code 1 if anything is refused without a comment.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

sys.dont_write_bytecode = True
here = Path(__file__).resolve().parent
sys.path.insert(0, str(here / "catalogue"))

from shell import Failure, run, say
from standins import PLAYED_BY, split

STACKS = ["mupets", "openchami", "skillbase"]
VALIDATE = "kubernetes-validate==1.37.0"
EXPLAINED = re.compile(r"#.*Pod Security")


def skeleton(recipe: dict) -> str:
    """A base of a stand-in's users and settings, and nothing else."""
    lines = ["[base]", "scratch = true", ""]
    entries = {kind: list(recipe.get(kind, [])) for kind in ("group", "user")}
    for entry in recipe.get("file", []):
        rows = [line.split(":") for line in entry.get("text", "").splitlines() if line]
        if entry["to"] == "/etc/passwd":
            keys = ("name", "_", "uid", "gid", "_", "home", "shell")
            entries["user"] += [dict(zip(keys, row)) for row in rows]
        if entry["to"] == "/etc/group":
            entries["group"] += [{"name": row[0], "gid": row[2]} for row in rows]
    for kind, all_of_it in entries.items():
        for entry in all_of_it:
            values = {key: int(value) if key in ("uid", "gid") else value for key, value in entry.items() if key != "_" and value != ""}
            lines += [f"[[{kind}]]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
    # What recipes change there.
    for path in ("usr/bin", "usr/local/bin", "tmp"):
        lines += ["[[dir]]", f'path = "/{path}"', ""]
    config = {key: value for key, value in recipe.get("config", {}).items() if key in ("user", "expose", "volumes", "cmd", "entrypoint")}
    lines += ["[config]", *(f"{key} = {json.dumps(value)}" for key, value in config.items())]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin"} | recipe.get("config", {}).get("env", {})
    lines += ["[config.env]", *(f"{key} = {json.dumps(str(value))}" for key, value in env.items())]
    return "\n".join(lines) + "\n"


def arrange(work: Path, root: Path) -> None:
    """The catalogue on such bases, without locks."""
    shutil.copy(root / "cooper.toml", work)
    shutil.copytree(root / "recipes", work / "recipes")
    for name in PLAYED_BY.values():
        recipe = tomllib.loads((here / "standins/recipes/standin" / name / "recipe.toml").read_text(encoding="utf-8"))
        place = work / "recipes/standin" / name
        place.mkdir(parents=True)
        (place / "recipe.toml").write_text(skeleton(recipe), encoding="utf-8")
    for path in work.glob("recipes/*/*/recipe.toml"):
        text = path.read_text(encoding="utf-8")
        base = re.search(r'(?m)^\[base\]\n(?:#.*\n)*image = "([^"]+)".*$', text)
        if base and (name := PLAYED_BY.get(split(base[1])[0])):
            path.write_text(text.replace(base[0], f'[base]\nrecipe = "standin/{name}"'), encoding="utf-8")


def tools(work: Path) -> tuple[Path, Path]:
    """Both checkers, out of their registries."""
    venv.create(work / "venv", with_pip=True)
    python = work / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", VALIDATE)
    run("go", "build", "-o", work / "podsecurity", ".", cwd=here / "podsecurity", seconds=1800)
    return python, work / "podsecurity"


# Run by the Python that has the packages: prints the documents as JSON once all of them are valid.
VALIDATED = """
import json, sys, yaml, kubernetes_validate as k
wrong = []
documents = list(yaml.safe_load_all(sys.stdin))
for one in documents:
    try:
        k.validate(one, k.latest_version(), strict=True)
    except k.ValidationError as error:
        wrong.append(f"{one['kind']} {one['metadata']['name']}: {error}")
json.dump({"documents": documents, "wrong": wrong}, sys.stdout)
"""


def pods(documents: list) -> list:
    found = []
    for one in documents:
        template = one["spec"].get("template")
        if template:
            labels = template["metadata"]["labels"]
            service = labels["app.kubernetes.io/component"]
            found.append({"name": f"{service} {one['kind']} {one['metadata']['name']}", **template})
    return found


def shape(stack: str, documents: list) -> list[str]:
    """What neither checker looks at."""
    wrong = []
    services = {one["metadata"]["name"]: one["spec"] for one in documents if one["kind"] == "Service"}
    for one in documents:
        name, spec = one["metadata"]["name"], one["spec"]
        if one["kind"] == "StatefulSet" and services.get(spec["serviceName"], {}).get("clusterIP") != "None":
            wrong.append(f"StatefulSet {name}: {spec['serviceName']} is no headless Service")
        if one["kind"] in ("StatefulSet", "Deployment"):
            container = spec["template"]["spec"]["containers"][0]
            if "resources" not in container:
                wrong.append(f"{name}: no limits")
            if ("readinessProbe" in container) != ("livenessProbe" in container):
                wrong.append(f"{name}: one probe without the other")
    if stack == "openchami":
        ports = [port["port"] for spec in services.values() for port in spec.get("ports", [])]
        wrong += [f"{port} is in a Service" for port in (4445, 3333) if port in ports]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cooper", default="target/debug/cooper", type=Path)
    parser.add_argument("stacks", nargs="*", metavar="STACK")
    options = parser.parse_args()
    root, bad = here.parent.parent, 0
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        workspace = work / "workspace"
        workspace.mkdir()
        arrange(workspace, root)
        say("the checkers")
        python, restricted = tools(work)
        for stack in options.stacks or STACKS:
            cooper = [options.cooper.resolve(), "--store", work / "store", "-C", workspace]
            text = run(*cooper, "compose", stack, "--kube", "--offline")
            checked = json.loads(run(python, "-c", VALIDATED, stdin=text))
            documents, wrong = checked["documents"], checked["wrong"] + shape(stack, checked["documents"])
            refused = json.loads(run(restricted, stdin=json.dumps(pods(documents))))
            for name, reasons in sorted(refused.items()):
                recipe = (root / "recipes" / stack / name.split()[0] / "recipe.toml").read_text(encoding="utf-8")
                explained = EXPLAINED.search(recipe)
                say(f"{stack}: {name}: {'; '.join(reasons)} ({'explained' if explained else 'NOT EXPLAINED'})")
                wrong += [] if explained else [f"{name} isn't restricted, and no comment says why"]
            for fault in wrong:
                print(f"{stack}: {fault}")
            bad += len(wrong)
            print(f"{stack}: {len(documents)} documents, {len(pods(documents))} pods, {len(refused)} not restricted, {len(wrong)} faults")
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failure, subprocess.SubprocessError) as failure:
        sys.exit(f"kube.py: {failure}")
