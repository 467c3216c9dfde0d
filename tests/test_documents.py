"""What the pages say of the code is so: links, functions, rooms, the drawing."""

import ast
import re
import runpy

import pytest

from tests.test_architecture import ROOMS, ROOT

PAGES = sorted([*ROOT.glob("*.md"), ROOT / "examples/README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def links(page):
    """(text, target) of every link to a file of the repository."""
    found = LINK.findall(page.read_text(encoding="utf-8"))
    return [(text, target) for text, target in found if "://" not in target]


def anchors(page):
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


def defined(path):
    """Names of a module's functions and classes, and ``Class.method``."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
            found |= {f"{node.name}.{getattr(inner, 'name', '')}" for inner in node.body}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_something(page):
    for text, target in links(page):
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), (text, target)
        assert not anchor or anchor in anchors(path), (text, target)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_function_that_a_page_names_is_in_the_file_that_it_links_to(page):
    for text, target in links(page):
        path = page.parent / target
        if path.suffix == ".py" and text.startswith("`"):
            assert text.strip("`") in defined(path), (text, target)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_is_there(page):
    text = page.read_text(encoding="utf-8")
    for path in re.findall(
        r"\b(?:stilt|launcher|jobs|analysis|tests|benchmarks|docs|examples)/[\w./-]+\w", text
    ):
        assert (ROOT / path).exists(), path


def said_by_the_code():
    """Every text in the code, in which ``…`` stands for what is put in."""
    for part in ROOMS:
        for path in (ROOT / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                elif isinstance(node, ast.JoinedStr):
                    yield "".join(
                        str(value.value) if isinstance(value, ast.Constant) else "…"
                        for value in node.values
                    )


def test_every_message_of_the_page_on_trouble_is_one_of_the_program_s():
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?`) \|", page, re.MULTILINE)
    messages = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    assert len(messages) > 25
    texts = list(said_by_the_code())
    for message in messages:
        parts = [re.escape(part.strip()) for part in message.split("…") if part.strip(" .")]
        pattern = re.compile(r".*?".join(parts), re.DOTALL)
        assert parts and any(pattern.search(text) for text in texts), message


def test_the_page_on_models_says_what_was_tried():
    from tests.stilt.training.test_trial import CONFIGS, TAKEN

    text = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `([\w-]+)` \| (yes|no) \| (yes|no) \|$", text, re.MULTILINE)
    answers = {"both": ("yes", "yes"), "classification": ("yes", "no"), None: ("no", "no")}
    assert shown == [(name, *answers[TAKEN.get(name)]) for name in sorted(CONFIGS)]


def test_each_walk_has_at_most_six_functions():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    walks = re.split(r"^## ", text, flags=re.MULTILINE)
    lives = [walk for walk in walks if walk.startswith("The life of")]
    assert len(lives) == 4
    for walk in lives:
        named = re.findall(r"\[`[\w.]+`\]\([^)]+\.py\)", walk)
        assert 3 <= len(named) == len(re.findall(r"^\d\. ", walk, re.MULTILINE)) <= 6


def test_the_page_has_a_line_for_each_room_as_the_room_itself_says():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for part, rooms in ROOMS.items():
        for room in rooms:
            sign = ROOT / part / room / "__init__.py"
            if sign.is_file():
                said = ast.get_docstring(ast.parse(sign.read_text(encoding="utf-8"))) or ""
                line = f"- [`{part}/{room}/`](../{part}/{room}): {said.splitlines()[0]}"
                assert line in text.splitlines()


def test_the_drawing_is_of_the_code_as_it_is():
    draw = runpy.run_path(str(ROOT / "docs/draw_architecture.py"))
    drawn = (ROOT / "docs/architecture.svg").read_text(encoding="utf-8")
    assert drawn == draw["drawing"](), "python docs/draw_architecture.py draws it anew"
