"""No wait of the local commands is silent: whoever sleeps in a loop says what for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parents[2] / "membership"
# Where another one tells: the loop that reads a watch, and the caller that tries for a place.
_TOLD_ELSEWHERE = {"watching.py": {"_list_and_watch"}, "drain_place.py": {"take"}}


def _calls(node: ast.AST) -> set[str]:
    return {
        call.func.attr
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
    }


def _sleepers(file: Path) -> list[ast.FunctionDef]:
    """Give the functions of a file that sleep."""
    functions = [
        each
        for each in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(each, ast.FunctionDef)
    ]
    return [each for each in functions if "sleep" in _calls(each)]


_SLEEPERS = [
    pytest.param(function, id=f"{file.name}:{function.name}")
    for file in sorted(_FOLDER.glob("*.py"))
    for function in _sleepers(file)
    if function.name not in _TOLD_ELSEWHERE.get(file.name, ())
]


def test_there_are_waits() -> None:
    assert len(_SLEEPERS) >= 4


@pytest.mark.parametrize("function", _SLEEPERS)
def test_a_wait_is_told(function: ast.FunctionDef) -> None:
    assert "awaiting" in _calls(function)
