"""Drain no more nodes of a pool at once than its maxUnavailable: a place each, held by a Lease.

The processes that drain know nothing of each other: one runs for each node, and another operator's
may run at the same time. What decides between two that want one place is the API server, by the
Lease's resourceVersion. A holder that was killed stops renewing, and its place is free a minute
later.

A place is held while pods are moved, and not until the host is back or gone: between the two lie
other steps, which the engine may start only when those that wait here have ended.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kube_nodes.membership.api import Api, ApiError, Object, UnreachableError
from kube_nodes.membership.progress import Progress
from kube_nodes.model.drain_limit import KEY, NAMESPACE, POOL_LABEL, config_map_name, lease_name

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
_CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
# Longer than the API may be unreachable for (membership/api.py), renewed well before.
LEASE_SECONDS = 90
_RENEW_SECONDS = 15.0
_POLL_SECONDS = 1.0
_WITHOUT_LIMIT = 1


class Place:
    """One of the pool's places, taken for a node."""

    def __init__(self, api: Api, pool: str, node: str, progress: Progress) -> None:
        self._api = api
        self._pool = pool
        self._node = node
        self.progress = progress
        self._lease: Object | None = None
        self._renew_at = 0.0

    def take(self) -> None:
        """Wait for a free place, however long others drain, and take it."""
        while not self._try():
            time.sleep(_POLL_SECONDS)

    def keep(self) -> None:
        """Renew it now and then; one that was lost, as this process slept, is waited for anew."""
        if self._lease is None or time.monotonic() < self._renew_at:
            return
        if not self._claim(str(self._lease["metadata"]["name"]), self._lease):
            self._lease = None
            self.take()

    def leave(self) -> None:
        """Free it; one that has another holder by now stays."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        metadata = lease["metadata"]
        try:
            self._api.delete(_path(lease), metadata["uid"], version=metadata["resourceVersion"])
        except (ApiError, UnreachableError):
            # What went well, or wrong, before counts; nobody waits longer than for a killed run.
            self.progress.say(f"its place to drain is free again in {LEASE_SECONDS} s")

    def _try(self) -> bool:
        limit = read_limit(self._api, self._pool)
        listed = self._api.get(LEASES, labelSelector=f"{POOL_LABEL}={self._pool}")["items"]
        leases = {lease["metadata"]["name"]: lease for lease in listed}
        holders = {name: self._holder(lease) for name, lease in leases.items()}
        # A run for this node that was killed has left its place to this one.
        own = [name for name, holder in holders.items() if holder == self._node]
        others = sorted(holder for holder in holders.values() if holder not in ("", self._node))
        if len(others) < limit:
            numbered = [lease_name(self._pool, number) for number in range(limit)]
            free = [name for name in numbered if not holders.get(name)]
            if any(self._claim(name, leases.get(name)) for name in (*own, *free)):
                return True
        self.progress.awaiting(
            f"its turn to drain: {', '.join(others) or 'others'}"
            f" (maxUnavailable of the pool {self._pool} is {limit})"
        )
        return False

    def _holder(self, lease: Object) -> str:
        """Name the node that a Lease is held for; empty: it is free, or its time is over."""
        spec = lease["spec"]
        renewed = spec.get("renewTime")
        if not renewed:
            return ""
        seconds = spec.get("leaseDurationSeconds") or LEASE_SECONDS
        end = datetime.datetime.fromisoformat(renewed) + datetime.timedelta(seconds=seconds)
        return "" if end < self._api.now() else str(spec.get("holderIdentity") or "")

    def _claim(self, name: str, lease: Object | None) -> bool:
        """Make or take over a Lease; False: somebody else was quicker."""
        now = self._api.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": self._node,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
            "acquireTime": now,
        }
        try:
            if lease is None:
                metadata = {"name": name, "labels": {POOL_LABEL: self._pool}}
                body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
                taken = self._api.create(LEASES, {**body, "metadata": metadata, "spec": spec})
            else:
                taken = self._api.replace(_path(lease), {**lease, "spec": spec})
        except ApiError as error:
            if not (error.conflict or error.not_found):
                raise
            return False
        self._lease = taken
        self._renew_at = time.monotonic() + _RENEW_SECONDS
        return True


@contextmanager
def drain_place(api: Api, pool: str, node: str, progress: Progress) -> Iterator[Place]:
    """Hold one of the pool's places for the block; without a pool there is no limit."""
    place = Place(api, pool, node, progress)
    if pool:
        place.take()
    try:
        yield place
    finally:
        place.leave()


def read_limit(api: Api, pool: str) -> int:
    """Read the pool's maxUnavailable from the cluster; one where nothing is known of it."""
    found = api.find(f"{_CONFIG_MAPS}/{config_map_name(pool)}")
    value = str(((found or {}).get("data") or {}).get(KEY, ""))
    return max(1, int(value)) if value.isdecimal() and len(value) < 9 else _WITHOUT_LIMIT


def _path(lease: Object) -> str:
    return f"{LEASES}/{lease['metadata']['name']}"
