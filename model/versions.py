"""Kubernetes versions: which this program renders for, and how one is written."""

from __future__ import annotations

import re
from dataclasses import dataclass

# The minors whose configuration files are described in configuration_fields.yaml and whose
# kubelet and kube-proxy were run in the lab.
OLDEST_MINOR = 35
NEWEST_MINOR = 37

_PATTERN = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


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
        found = _PATTERN.fullmatch(text)
        if not found:
            raise ValueError("is not a full Kubernetes version; give one such as 1.37.2")
        version = cls(*(int(part) for part in found.groups()))
        if version.major != 1 or not OLDEST_MINOR <= version.minor <= NEWEST_MINOR:
            raise ValueError(
                f"is not a version that is rendered for; give one from 1.{OLDEST_MINOR} "
                f"to 1.{NEWEST_MINOR}"
            )
        return version

    @property
    def minor_name(self) -> str:
        """The minor release, such as `1.37`."""
        return f"{self.major}.{self.minor}"

    def __str__(self) -> str:
        """Write it as a kubelet reports it, such as `v1.37.2`."""
        return f"v{self.major}.{self.minor}.{self.patch}"
