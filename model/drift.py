"""What of a node is no longer as it was declared, and as it was left by the last run."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kube_nodes.model.check import of_node
from kube_nodes.model.expectation import Expectation
from kube_nodes.model.findings import Finding, Level, Repair
from kube_nodes.model.host_facts import HostFacts
from kube_nodes.model.host_output import plain
from kube_nodes.model.node_checks import judge_node
from kube_nodes.model.verification import verify_host

_MOST_LINES = 60
_MOST_CHARACTERS = 300
_WITHHELD = "its text looks as if it held a credential, and is not shown"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is other than declared, or worth knowing about it."""

    finding: Finding
    diff: tuple[str, ...] = ()
    """For a text that is not secret: `-` is declared, `+` is on the host."""

    @property
    def repair(self) -> Repair:
        """What brings back what is declared."""
        return self.finding.repair or Repair.NOTHING

    @property
    def counts(self) -> bool:
        """Whether it is drift, and not a note."""
        return self.repair is not Repair.NOTHING and self.finding.level is Level.FAILED


def is_new(facts: HostFacts, node: Mapping[str, Any] | None) -> bool:
    """Say whether nothing of the node is there yet, on its host and in the cluster."""
    return (
        facts.complete and node is None and not facts.record and not facts.texts.get("generation")
    )


def host_differences(
    expected: Expectation, facts: HostFacts, now: datetime.datetime
) -> Iterator[Difference]:
    """Find what is other than declared on a host; see verify_host."""
    texts = {file.path: file.content for file in expected.files if file.content}
    for finding in verify_host(expected, facts, now):
        if finding.repair is None:
            continue
        diff: tuple[str, ...] = ()
        if finding.what in texts and finding.what in facts.contents:
            there = facts.contents[finding.what]
            diff = (_WITHHELD,) if there is None else line_diff(texts[finding.what], there)
        yield Difference(finding=finding, diff=diff)


def node_differences(
    expected: Expectation, node: Mapping[str, Any] | None, machine: str
) -> Iterator[Difference]:
    """Find what is other than declared of a worker's Node; see judge_node."""
    for finding in of_node(expected.id, judge_node(expected, node, machine)):
        if finding.repair is not None:
            yield Difference(finding=finding)


@lru_cache(maxsize=256)
def line_diff(
    before: str,
    after: str,
    first: str = "declared",
    second: str = "on the host",
    most_lines: int = _MOST_LINES,
) -> tuple[str, ...]:
    """Compare two texts by lines; short, and with nothing that a terminal would obey.

    Hosts that were changed by one hand have the same text: it is compared once.
    """
    pairs = difflib.unified_diff(
        before.split("\n"), after.split("\n"), first, second, n=1, lineterm=""
    )
    lines = [plain(line, _MOST_CHARACTERS) for line in pairs]
    more = len(lines) - most_lines
    return tuple([*lines[:most_lines], f"… {more} more lines"] if more > 0 else lines)
