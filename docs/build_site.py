"""Builds the documentation as a site: ``python docs/build_site.py``, or ``make docs``.

Pages are the README, the examples' page and those of this folder. Links to code become the names of
files, since a site holds no code. Every link of the built pages must lead to a page or a heading.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[1]
PAGES, SITE = "build/pages", "build/site"
ELSEWHERE = {"README.md": "index.md", "examples/README.md": "examples.md"}
"""Pages that are not in this folder, and what the site calls them."""
ASSETS = (".svg", ".png", ".css")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def gather(root: Path = ROOT) -> dict[str, str]:
    """Every page's name within the site and its text."""
    docs = root / "docs"
    named = {page: page.relative_to(docs).as_posix() for page in docs.rglob("*.md")}
    named |= {root / page: name for page, name in ELSEWHERE.items()}
    return {name: _with_links(page, named) for page, name in named.items()}


def _with_links(page: Path, named: dict[Path, str]) -> str:
    """A page's text; links to pages lead to them, links to code are the code's name."""
    up = "../" * named[page].count("/")

    def link(found: re.Match[str]) -> str:
        mark, text, target = found.groups()
        file, hash_, anchor = target.partition("#")
        if not file or "://" in target:
            return found[0]
        path = (page.parent / file).resolve()
        if path in named:
            return f"{mark}[{text}]({up}{named[path]}{hash_}{anchor})"
        if path.suffix in ASSETS:
            return f"{mark}[{text}]({up}{path.name})"
        place = path.relative_to(ROOT).as_posix()
        bare = text.strip("`")
        said = bare in (place, path.name, f"{place}/")
        return f"`{place}`" if said else f"{text} (`{place}`)"

    return LINK.sub(link, page.read_text(encoding="utf-8"))


class Links(HTMLParser):
    """What a built page links to, and what can be linked to within it."""

    def __init__(self, text: str) -> None:
        """Reads a page's HTML."""
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps the places of one tag."""
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.targets.add(unquote(value))
            elif value and name == "id":
                self.anchors.add(value)


def broken(site: Path) -> list[str]:
    """Every link of a built site that leads nowhere, with its page."""
    site = site.resolve()
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    found = []
    for path, links in pages.items():
        if path.name == "404.html":
            continue  # its links begin at the site's root, wherever that will be
        for target in sorted(links.targets):
            file, _, anchor = target.partition("#")
            if ":" in file.split("/")[0]:
                continue
            place = (path.parent / file).resolve() if file else path
            place = place / "index.html" if place.is_dir() else place
            known = pages[place].anchors if place in pages else set()
            if not place.exists() or (anchor and place in pages and anchor not in known):
                found.append(f"{path.relative_to(site)}: {target}")
    return found


def main() -> int:
    """Builds the site and checks its links; returns the exit code."""
    folder = ROOT / PAGES
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in gather().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for asset in (ROOT / "docs").rglob("*"):
        if asset.suffix in ASSETS:
            shutil.copy(asset, folder)
    zensical = Path(sysconfig.get_path("scripts")) / "zensical"
    built = subprocess.run([zensical, "build", "--strict", "--clean"], cwd=ROOT, check=False)
    wrong = broken(ROOT / SITE) if built.returncode == 0 else []
    for line in wrong:
        sys.stderr.write(f"leads nowhere: {line}\n")
    return built.returncode or bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
