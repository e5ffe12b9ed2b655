"""The way to a host over SSH, and what is sent there (plain data)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Hop:
    """A host on the way, and the key that it must show."""

    address: str
    port: int
    user: str
    host_key: str


@dataclass(frozen=True, kw_only=True)
class Route:
    """The way to a host over SSH."""

    hops: tuple[Hop, ...]
    """The jump host, if there is one, then the host itself."""


@dataclass(frozen=True, kw_only=True)
class SentFile:
    """A program that is sent from the operator's machine."""

    source: str
    """Where it is in the project's folder."""
    path: str
    """Where it will be on the host."""
    digest: str
    """SHA-256 or SHA-512, which the length tells."""
