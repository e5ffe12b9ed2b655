"""Groups of the API server that nobody may name in a certificate of ours."""

from __future__ import annotations

from typing import Final

# Those that Kubernetes and kubeadm give rights to: system:masters, kubeadm:cluster-admins.
_RESERVED_GROUPS: Final = ("system:", "kubeadm:")


def is_reserved_group(name: str) -> bool:
    """Tell whether a group is one that Kubernetes or kubeadm gives rights to."""
    return name.strip().casefold().startswith(_RESERVED_GROUPS)
