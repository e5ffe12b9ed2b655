"""What a read-only look at hosts and cluster found: plain data, and its one-line form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """What a finding means for its node."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing has to be done."""
    FAILED = "failed"
    UNCHECKED = "not checked"
    """It could not be looked at; neither good nor bad."""


class Repair(StrEnum):
    """What brings back what is declared, where somebody has changed it."""

    REAPPLY = "reapply"
    """Another `reapply` of the node runs all its steps again."""
    GENERATION = "generation"
    """Another `generation`: the kubelet has lost its identity, and nothing else gives it one."""
    HAND = "by hand"
    """The remedy says what; it is not this program's to change."""
    NOTHING = "nothing"
    """It is as declared all the same."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    node: str
    """Id of the node; empty where the whole cluster or stack is meant."""
    what: str
    level: Level
    value: str = ""
    """What is there. Never a secret."""
    rule: str = ""
    remedy: str = ""
    repair: Repair | None = None
    """None: it is not about what is declared, or as it should be."""

    def __str__(self) -> str:
        """Write `node: what: value; rule; remedy`, without what is empty."""
        says = "; ".join(part for part in (self.value, self.rule, self.remedy) if part)
        return ": ".join(part for part in (self.node, self.what, says) if part)


def has_failed(findings: Iterable[Finding]) -> bool:
    """Say whether one of them has to be mended."""
    return any(finding.level is Level.FAILED for finding in findings)
