"""The documents hold together: links, commands and dependencies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.tools.debian import PACKAGES
from lab.tools.toolchain import DEFAULT_TOOLS

ROOT = Path(__file__).resolve().parents[2]
# Comments of pull requests are written by kube_nodes.review: a line break would show in them.
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(path for path in ROOT.glob("docs/**/*.md") if not path.name.startswith("comment-")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_code(path.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_link_leads_to_a_file_or_a_heading(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", without_code(path.read_text(encoding="utf-8"))):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_no_line_of_prose_is_longer_than_a_line_of_code_may_be(path: Path) -> None:
    text = without_code(path.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if not re.match(r"\||\[.*\]\(https:", line)]
    assert [line for line in lines if len(line) > 100] == []


def test_readme_and_makefile_have_the_same_commands() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.M))
    told = set(re.findall(r"`make ([a-z-]+)", README)) - {"s"}
    assert told == targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_make_command_in_a_document_exists(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.M))
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"(?:`|^|\()make (?:-s )?([a-z-]+)", text, re.M)) <= targets


def test_every_dependency_has_a_reason() -> None:
    lines = [
        line.split("==")[0]
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
        if line and not line.startswith(("#", "-r"))
    ]
    section = README.partition("## Dependencies")[2]
    cells = re.split(r"[|,\s]+", " ".join(re.findall(r"^\| ([^|]+) \|", section, re.M)))
    wanted = {*lines, *DEFAULT_TOOLS, *PACKAGES, "go"}
    assert wanted - set(cells) == set()


def test_every_python_dependency_is_pinned() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            assert not line or line.startswith(("#", "-r")) or "==" in line, line


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = []
    for path in sorted((ROOT / "docs" / "adr").glob("*.md")):
        numbers.append(int(path.name[:4]))
        assert path.read_text(encoding="utf-8").startswith(f"# {numbers[-1]}. "), path.name
    assert numbers == list(range(1, len(numbers) + 1))
