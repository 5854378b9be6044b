"""What the runner has to know of the catalogue's recipes: read, never changed."""

import tomllib
from pathlib import Path


def merge(below: dict, above: dict) -> dict:
    """A patch as in a recipe: tables key by key, everything else replaced."""
    out = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        # A base is replaced as a whole.
        out[key] = merge(out[key], value) if both and key != "base" else value
    return out


class Catalogue:
    def __init__(self, workspace: Path, stacks: list[str]):
        self.workspace = workspace
        # A system runs with all services of its stack, not only with those that it waits for.
        self.whole = False
        self.names = [
            f"{stack}/{path.parent.name}"
            for stack in stacks
            for path in sorted((workspace / "recipes" / stack).glob("*/recipe.toml"))
        ]

    def recipe(self, name: str, variant: str) -> dict:
        path = self.workspace / "recipes" / name / "recipe.toml"
        own = tomllib.loads(path.read_text(encoding="utf-8"))
        patch = own.pop("variant", {}).get(variant, {})
        parent = own.get("base", {}).pop("extends", None)
        below = {}
        if parent:
            del own["base"]
            below = self.recipe(parent, variant)
        return merge(merge(below, own), patch)

    def bases(self, name: str, variant: str) -> set[str]:
        """The images out of registries that it takes something of."""
        recipe = self.recipe(name, variant)
        base = recipe.get("base", {})
        found = {base["image"]} if "image" in base else set()
        if "recipe" in base:
            found |= self.bases(base["recipe"], variant)
        return found | {entry["image"] for entry in recipe.get("file", []) if "image" in entry}

    def below(self, name: str, variant: str) -> list[str]:
        """It and the recipes that its service waits for, or the whole stack, in the order of start."""
        stack, order = name.split("/")[0], []

        def visit(service: str) -> None:
            if f"{stack}/{service}" not in self.names:
                # A job, by the name of its service.
                owner = next(s for s in self.services(stack) if service.startswith(f"{s}-"))
                return visit(owner)
            full = f"{stack}/{service}"
            if full in seen:
                return
            seen.add(full)
            table = self.recipe(full, variant).get("service", {})
            waits = [table] + list(table.get("job", {}).values())
            for other in [other for wait in waits for other in wait.get("after", {})]:
                visit(other)
            order.append(full)

        seen = set()
        others = [s for s in self.services(stack) if "service" in self.recipe(f"{stack}/{s}", variant)]
        for service in [name.split("/")[1], *(others if self.whole else [])]:
            visit(service)
        return order

    def services(self, stack: str) -> list[str]:
        """Longest first: `bss-init` is a job of `bss`, unless there is a recipe `bss-init`."""
        names = [name.split("/")[1] for name in self.names if name.startswith(f"{stack}/")]
        return sorted(names, key=len, reverse=True)
