"""Kubernetes versions: which this program renders for, and how one is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The minors that configuration_fields.yaml and component_settings.yaml describe. Kubelets that an
# API server from 1.19 on supports are joined, and those from 1.35 on were run in the lab; what is
# older is rendered only.
OLDEST_MINOR = 8
NEWEST_MINOR = 37
# The API server that membership/ needs is 1.19; it supports kubelets that are two minors older.
OLDEST_JOINING_MINOR = 17

_PATTERN = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
_LONGEST = 40


def parse_minor(name: str) -> int:
    """Read the minor of `1.37`."""
    return int(name.removeprefix("1."))


@dataclass(frozen=True)
class Span:
    """The minors that have something, the first and the last one included."""

    since: int = OLDEST_MINOR
    until: int = NEWEST_MINOR

    @classmethod
    def read(cls, entry: Mapping[str, Any], since: int = OLDEST_MINOR) -> Span:
        """Read `since` and `until` of a table's entry; `since` is that of an entry without it."""
        first, last = entry.get("since"), entry.get("until")
        return cls(
            parse_minor(first) if first else since, parse_minor(last) if last else NEWEST_MINOR
        )

    def __contains__(self, minor: int) -> bool:
        """Say whether a minor has it."""
        return self.since <= minor <= self.until

    def refuse(self, version: KubernetesVersion) -> str:
        """Say why a version does not have it, or "" where it does."""
        if version.minor < self.since:
            return f"exists only since 1.{self.since}, and this is {version}"
        if version.minor > self.until:
            return f"was removed after 1.{self.until}, and this is {version}"
        return ""


@dataclass(frozen=True, order=True)
class KubernetesVersion:
    """A release of Kubernetes, such as 1.37.2."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> KubernetesVersion:
        """Read `1.37.2` or `v1.37.2`.

        Raises:
            ValueError: the text is no full version, or one that is not rendered for; the message
                is a rule and a remedy.
        """
        if len(text) > _LONGEST:
            raise ValueError("is too long for a version; give one such as 1.37.2")
        found = _PATTERN.fullmatch(text)
        if not found:
            raise ValueError("is not a full Kubernetes version; give one such as 1.37.2")
        version = cls(*(int(part) for part in found.groups()))
        known = f"give one from 1.{OLDEST_MINOR} to 1.{NEWEST_MINOR}"
        if (version.major, version.minor) > (1, NEWEST_MINOR):
            raise ValueError(f"is newer than this program knows; {known}, or update the program")
        if (version.major, version.minor) < (1, OLDEST_MINOR):
            raise ValueError(f"is older than this program knows; {known}")
        return version

    @property
    def minor_name(self) -> str:
        """The minor release, such as `1.37`."""
        return f"{self.major}.{self.minor}"

    def __str__(self) -> str:
        """Write it as a kubelet reports it, such as `v1.37.2`."""
        return f"v{self.major}.{self.minor}.{self.patch}"
