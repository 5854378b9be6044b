#!/usr/bin/env python3
"""Checks the links of the built book: links.py target/book book/src README.md

Over the rendered pages, so that anchors are what mdbook really makes of a heading. Links that leave the book are not
followed: CI's result must not depend on somebody else's server. Also told: chapters that no page of the book shows.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    def __init__(self, path: Path):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for key, value in attrs:
            if key == "id" or (key == "name" and tag == "a"):
                self.ids.add(value)
            elif value and key in ("href", "src"):
                self.links.append(value)


def main(book: Path, source: Path, readme: Path) -> int:
    # print.html repeats every chapter in one page, 404.html is served from anywhere.
    pages = {p.resolve(): Page(p) for p in sorted(book.rglob("*.html")) if p.name not in ("print.html", "404.html")}
    wrong, checked = [], 0

    def check(page: str, place: Path, ids: set, link: str) -> None:
        nonlocal checked
        url = urlsplit(link)
        if url.scheme or url.netloc:
            return
        checked += 1
        target = (place / unquote(url.path)).resolve() if url.path else None
        if target and not target.exists():
            wrong.append(f"{page}: {link}: no such file")
        elif url.fragment and (not target or target in pages):
            known = pages[target].ids if target else ids
            if unquote(url.fragment) not in known:
                wrong.append(f"{page}: {link}: no such heading")

    for path, page in pages.items():
        name = str(path.relative_to(book.resolve()))
        for link in page.links:
            if link != "print.html":
                check(name, path.parent, page.ids, link)
    if readme.exists():
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", readme.read_text(encoding="utf-8")):
            check(readme.name, readme.parent, set(), link)
    for chapter in sorted(source.rglob("*.md")):
        html = book / chapter.relative_to(source).with_suffix(".html")
        if chapter.name != "SUMMARY.md" and not html.exists():
            wrong.append(f"{chapter}: not in SUMMARY.md")

    print("\n".join(wrong) or f"{checked} links in {len(pages)} pages, all lead somewhere")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
