"""The static token, as a stack declares it: one for all nodes that use it, for ever.

Defaults are the manual's. What stands in the API server's file is checked here, so that no name can
break its line or give a joining host more than the right to ask for a certificate.
Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kube_nodes.model.declaration import Declaration
from kube_nodes.model.host_keys import check_host_key
from kube_nodes.model.nodes import HostAddress
from kube_nodes.model.options import File, SshOptions
from kube_nodes.model.values import between, check_dns_label

# Neither comma nor quote nor white space: each would need quoting in the file.
_NAME = re.compile(r"[A-Za-z0-9][\w.:@-]{0,252}", re.ASCII)
# The group of every bootstrap token, and below it groups of one's own.
_GROUP = re.compile(r"system:bootstrappers(:[a-z0-9:-]{0,255}[a-z0-9])?")


def check_static_user(value: str) -> str:
    """Check the user of the token: a name of its own, none of the cluster's."""
    if not _NAME.fullmatch(value):
        raise ValueError("is not a user's name; use letters, digits and '.:@_-' alone")
    if value.startswith("system:"):
        raise ValueError("is a user of the cluster's own; give one such as kubelet-bootstrap")
    return value


def check_static_group(value: str) -> str:
    """Check the group of the token: none that may do more in a cluster than ask to join."""
    if not _NAME.fullmatch(value):
        raise ValueError("is not a group's name; use letters, digits and '.:@_-' alone")
    if value.startswith("system:") and not _GROUP.fullmatch(value):
        raise ValueError("is a group of the cluster's own; give system:bootstrappers or your own")
    return value


class ControlPlaneHost(Declaration):
    """A host of the control plane, whose file of static tokens gets our line."""

    address: HostAddress = Field(description="IP address of the host, for SSH.")
    host_key: Annotated[str, AfterValidator(check_host_key)] = Field(
        description="The host's SSH public key, as in /etc/ssh/ssh_host_ed25519_key.pub."
    )
    ssh: SshOptions = Field(SshOptions(), description="How to reach the host.")


class StaticTokenSettings(Declaration):
    """The static token, and where it is written."""

    user: Annotated[str, AfterValidator(check_static_user)] = Field(
        "kubelet-bootstrap", description="The token's user."
    )
    uid: Annotated[int, between(0, 4294967295)] = Field(10001, description="The user's uid.")
    group: Annotated[str, AfterValidator(check_static_group)] = Field(
        "system:bootstrappers", description="The user's group."
    )
    binding: Literal["user", "group"] = Field(
        "user",
        description="Who may ask for a node's certificate: that user alone, or its whole group.",
    )
    epoch: Annotated[int, between(1, 1000000)] = Field(
        1, description="Raise it to make a new token."
    )
    file: File = Field(
        "/etc/kubernetes/token.csv", description="The API server's `--token-auth-file` on `hosts`."
    )
    hosts: dict[Annotated[str, AfterValidator(check_dns_label)], ControlPlaneHost] = Field(
        {},
        description="Control-plane hosts whose file gets the token's line; restarting the API "
        "server is yours.",
    )
