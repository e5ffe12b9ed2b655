"""Short ways to write a finding of one check; whose node it is of is added at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kube_nodes.model.findings import Finding, Level, Repair

REAPPLY = "raise the node's reapply, and run up"


def of_node(node: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Say whose findings these are."""
    for finding in findings:
        yield replace(finding, node=node)


def passed(what: str, value: str = "") -> Finding:
    """Say that something is as it should be."""
    return Finding(node="", what=what, level=Level.OK, value=value)


def failed(what: str, value: str, rule: str, remedy: str, repair: Repair | None = None) -> Finding:
    """Say that something has to be mended."""
    return Finding(
        node="", what=what, level=Level.FAILED, value=value, rule=rule, remedy=remedy, repair=repair
    )


def note(
    what: str, value: str, rule: str, remedy: str = "", repair: Repair | None = None
) -> Finding:
    """Say what is worth knowing."""
    return Finding(
        node="", what=what, level=Level.NOTE, value=value, rule=rule, remedy=remedy, repair=repair
    )


def unchecked(what: str, value: str, remedy: str = "") -> Finding:
    """Say that something could not be looked at."""
    return Finding(node="", what=what, level=Level.UNCHECKED, value=value, remedy=remedy)
