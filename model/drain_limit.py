"""Where the cluster holds how many nodes of a pool are drained at once, and which are."""

from __future__ import annotations

NAMESPACE = "kube-system"
KEY = "maxUnavailable"
POOL_LABEL = "kube-nodes/pool"
"""Label of a pool's Leases."""


def config_map_name(pool: str) -> str:
    """Name of the pool's ConfigMap."""
    return f"kube-nodes-pool-{pool}"


def lease_name(pool: str, number: int) -> str:
    """Name of the Lease of one of the pool's places."""
    return f"kube-nodes-drain-{pool}-{number}"
