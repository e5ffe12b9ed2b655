"""Each failure of docs/troubleshooting.md is brought about by a test, and has a remedy."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documented import assert_documented, failures, remedies

_TESTS = Path(__file__).parents[1]


def _held() -> Iterator[tuple[str, int]]:
    """Find which texts the tests hold against what is printed."""
    for path in _TESTS.rglob("test_*.py"):
        if path == Path(__file__) or "assert_documented" not in (text := path.read_text()):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "assert_documented":
                _, failure, *number = (
                    each.value if isinstance(each, ast.Constant) else None for each in node.args
                )
                yield str(failure), int(str(number[0])) if number else 1


def test_twenty_failures_are_told() -> None:
    assert len(failures()) == 20


def test_each_text_is_provoked_and_each_that_a_test_knows_is_told() -> None:
    told = {
        (name, number + 1) for name, texts in failures().items() for number in range(len(texts))
    }
    assert set(_held()) == told


@pytest.mark.parametrize("failure", failures())
def test_each_failure_has_a_remedy(failure: str) -> None:
    assert len(remedies()[failure].split()) > 8


def test_a_text_that_is_printed_otherwise_is_noticed() -> None:
    said = "n1: swap: /dev/sda2 is on; failSwapOn is true; {}, or set failSwapOn to false\n"
    assert_documented(said.format("swapoff -a and remove it from /etc/fstab"), "Swap on")
    for other in ("swapoff -a", "swapoff -a and remove it from /etc/fstab or so"):
        with pytest.raises(AssertionError, match="not as documented"):
            assert_documented(said.format(other), "Swap on")
    with pytest.raises(AssertionError, match="not as documented"):
        assert_documented(f"{said.strip()} and more", "Swap on")
