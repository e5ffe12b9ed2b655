"""What documents name is there: tests that prove a claim, functions, files."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_DOCUMENTS = [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
_SECURITY = (_ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def _found(pattern: str) -> list[str]:
    """Give all that matches in any of the documents, sorted."""
    texts = [document.read_text(encoding="utf-8") for document in _DOCUMENTS]
    return sorted({match for text in texts for match in re.findall(pattern, text)})


@cache
def _names(file: Path) -> set[str]:
    """Give what a Python or shell file defines."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".sh":
        return set(re.findall(r"^(\w+)\(\)", text, re.MULTILINE))
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


@cache
def _tests() -> set[str]:
    return {name for file in (_ROOT / "tests").rglob("test_*.py") for name in _names(file)}


@pytest.mark.parametrize("reference", _found(r"`([\w/]+\.\w+:\w+)`"))
def test_each_function_that_a_document_names_is_there(reference: str) -> None:
    file, _, name = reference.partition(":")
    assert name in _names(_ROOT / file)


@pytest.mark.parametrize("name", _found(r"`(test_\w+)`"))
def test_each_test_that_a_document_names_is_there(name: str) -> None:
    assert name in _tests()


@pytest.mark.parametrize("path", _found(r"`((?:docs|model|tests|host|render)/[\w./-]+)`"))
def test_each_file_that_a_document_names_is_there(path: str) -> None:
    assert (_ROOT / path).exists()


def _thefts() -> list[list[str]]:
    table = _SECURITY.partition("## What a thief can do")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[1:]]


def test_each_row_of_what_a_thief_can_do_is_proved() -> None:
    rows = _thefts()
    assert len(rows) >= 9
    unproved = [row[0] for row in rows if "`test_" not in row[3]]
    # All but the credentials that are others of the table together.
    assert unproved == ["an SSH key", "root on a host"]
    assert all(row[1] and row[4] for row in rows)
