#!/usr/bin/env python3
"""Holds every dependency against .deny.toml: its licence, its source, and whether it is banned."""

import json
import re
import subprocess
import sys
import tomllib

with open(".deny.toml", "rb") as file:
    rules = tomllib.load(file)
allowed = set(rules["licenses"]["allow"])
banned = {ban["crate"]: ban["reason"] for ban in rules["bans"]["deny"]}


def permitted(licence):
    """Whether an SPDX expression can be met; the slash is how old manifests write OR."""
    words = re.findall(r"[()]|[^()\s]+", re.sub(r"\s+WITH\s+", "+WITH+", licence.replace("/", " OR ")))
    known = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    return eval(" ".join(known.get(word) or str(word in allowed) for word in words))


command = ["cargo", "metadata", "--format-version", "1", "--locked"]
packages = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["packages"]
faults = []
for package in packages:
    name = f"{package['name']} {package['version']}"
    if not package["license"] or not permitted(package["license"]):
        faults.append(f"{name}: the licence {package['license']} is not allowed")
    # Without a source it is this package.
    if not (package["source"] or "registry+").startswith("registry+"):
        faults.append(f"{name}: from {package['source']}")
    if package["name"] in banned:
        faults.append(f"{name}: {banned[package['name']]}")
print("\n".join(faults) or f"{len(packages)} packages: licences and sources as .deny.toml wants them")
sys.exit(bool(faults))
