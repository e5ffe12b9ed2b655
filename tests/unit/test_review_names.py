"""Names of many nodes in few words, none of them lost."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from kube_nodes.review.names import list_names

_NAMES = st.sets(st.from_regex(r"[a-z]{1,2}-?[0-9]{0,3}", fullmatch=True), max_size=40)


def expand(text: str) -> set[str]:
    """Undo list_names."""
    names: set[str] = set()
    for part in filter(None, text.split(", ")):
        first, is_range, last = part.partition("…")
        if not is_range:
            names.add(part)
            continue
        before, start = re.fullmatch(r"(.*?)(0|[1-9]\d*|0\d+)", first).groups()  # type: ignore[union-attr]
        for number in range(int(start), int(last[len(before) :]) + 1):
            names.add(f"{before}{str(number).zfill(len(start) if start.startswith('0') else 0)}")
    return names


@given(_NAMES)
def test_no_name_is_lost_and_none_is_added(names: set[str]) -> None:
    assert expand(list_names(names)) == names


def test_three_that_follow_each_other_are_a_range() -> None:
    assert list_names(["w10", "w2", "w9", "w8"]) == "w2, w8…w10"
    assert list_names([f"node-{number:03}" for number in range(1, 201)]) == "node-001…node-200"


def test_two_are_no_range_and_other_widths_do_not_follow() -> None:
    assert list_names(["a1", "a2"]) == "a1, a2"
    assert list_names(["a09", "a10", "a11", "a1", "a2"]) == "a1, a2, a09…a11"
