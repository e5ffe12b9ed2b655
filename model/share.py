"""A number of nodes, or a share of them, as Kubernetes writes it: `2` or `25%`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

_SHARE = re.compile(r"(0|[1-9]\d*)(%?)", re.ASCII)
_LARGEST = 10_000
_RULE = "is neither a number of nodes nor a share; give such as 2 or '25%'"


@dataclass(frozen=True)
class Share:
    """So many nodes, or so many in a hundred of them.

    Source: IntOrString, as maxUnavailable of a Deployment is written.
    """

    number: int
    per_cent: bool = False

    def of(self, total: int) -> int:
        """Tell how many of `total` nodes it is, rounded up: a share of some is at least one."""
        return -(-total * self.number // 100) if self.per_cent else self.number

    def __str__(self) -> str:
        """Write it as it is declared."""
        return f"{self.number}%" if self.per_cent else str(self.number)


def parse_share(value: Any) -> Share:
    """Read `2`, `'2'` or `25%`.

    Raises:
        ValueError: it is none of them, with the rule and a remedy.
    """
    if isinstance(value, Share):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(_RULE)  # noqa: TRY004
    found = _SHARE.fullmatch(str(value)[:20])
    if not found:
        raise ValueError(_RULE)
    number, per_cent = int(found[1]), bool(found[2])
    if per_cent and number > 100:
        raise ValueError("is more than all; give at most 100%")
    if number > _LARGEST:
        raise ValueError(f"is out of range; give at most {_LARGEST}")
    return Share(number, per_cent)


def parse_positive_share(value: Any) -> Share:
    """Read a share that must not be none at all.

    Raises:
        ValueError: with the rule and a remedy.
    """
    share = parse_share(value)
    if share.number == 0:
        raise ValueError("is no node at all; give at least 1")
    return share


NodeShare = Annotated[Share, BeforeValidator(parse_share)]
PositiveNodeShare = Annotated[Share, BeforeValidator(parse_positive_share)]
