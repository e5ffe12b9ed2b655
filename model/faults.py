"""What a fault of the configuration is, and where what is wrong was written."""

from __future__ import annotations

from typing import Any, Protocol

Place = tuple[Any, ...]
Fault = tuple[Place, str]


class Origins(Protocol):
    """Where a node's options were written."""

    def of(self, field: str, alias: str, key: str | None = None) -> Place:
        """Find the nearest level that sets this field."""

    def wrote(self, field: str) -> bool:
        """Say whether a level sets this field at all."""
