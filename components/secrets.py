"""The two secrets that a stack may be given."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi

from kube_nodes.settings import read_secret


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What is set of them; secret outputs."""

    ca_key: pulumi.Output[str] | None = field(default=None, repr=False)
    """The cluster CA's private key, PEM, for the issuer `ca`."""
    ssh_private_key: pulumi.Output[str] | None = field(default=None, repr=False)
    """None: the SSH agent."""


def read_secrets() -> Secrets:
    """Read them from the stack's configuration."""
    return Secrets(ca_key=read_secret("caKey"), ssh_private_key=read_secret("sshPrivateKey"))
