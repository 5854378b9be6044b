#!/usr/bin/env python3
"""Follows the tutorial: tutorial.py COOPER TUTORIAL

In an empty directory with a clone beside it: a code block after a line that ends in "`path`:" is written to that path,
and each command of a `console` block is run and its output compared with what stands there. BLESS=1 writes the page anew.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def main(cooper: Path, page: Path) -> int:
    lines, out, wrong = page.read_text(encoding="utf-8").splitlines(), [], 0
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "bin").mkdir()
        (Path(root) / "bin" / "cooper").symlink_to(cooper.resolve())
        (Path(root) / "cooperage").symlink_to(Path.cwd())
        keep = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        env = keep | {"PATH": f"{root}/bin:{os.environ['PATH']}", "COOPER_STORE": f"{root}/store"}
        here, at = Path(root), 0
        while at < len(lines):
            fence = re.fullmatch(r"```(\w+)", lines[at])
            out.append(lines[at])
            at += 1
            if not fence:
                continue
            end = lines.index("```", at)
            block = lines[at:end]
            named = re.search(r"`([^`]+)`:$", out[-3] if len(out) > 2 else "")
            if fence[1] == "console":
                told, block = block, []
                for command in (line[2:] for line in told if line.startswith("$ ")):
                    done = subprocess.run(
                        ["bash", "-c", f"{command}\npwd > {root}/pwd"],
                        cwd=here, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                    )
                    here = Path((Path(root) / "pwd").read_text(encoding="utf-8").strip())
                    text = done.stdout.replace(f"{here}/", "")
                    block += [f"$ {command}"] + [line.rstrip() for line in text.splitlines()]
                if block != told:
                    wrong += 1
                    print(f"{page}:{at + 1}: this is what happens now:", *block, "", sep="\n")
            elif named:
                file = here / named[1]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("\n".join(block) + "\n", encoding="utf-8")
            out += block + ["```"]
            at = end + 1
    if os.environ.get("BLESS"):
        page.write_text("\n".join(out) + "\n", encoding="utf-8")
        return 0
    print(f"{page}: followed, {wrong} of its blocks are wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
