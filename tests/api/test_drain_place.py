"""Several drains at once, against a real API server: never more than the pool's maxUnavailable."""

from __future__ import annotations

import datetime
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from kube_nodes.membership.cluster import reach
from kube_nodes.membership.drain_place import LEASE_SECONDS, LEASES, Place, drain_place
from kube_nodes.membership.leave import leave
from kube_nodes.membership.prepare import prepare
from kube_nodes.membership.progress import Progress
from kube_nodes.model.requests import Cluster, Drain
from tests.api.conftest import Machine, make_machine
from tests.api.kubelet import NODE_INFO
from tests.api.pods import PODS, make_pod, node_pods
from tests.plugins.control_plane import ControlPlane

_CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps"
_pools = itertools.count(1)


@pytest.fixture
def pool() -> str:
    """A pool of the test's own."""
    return f"pool-{next(_pools)}"


def limit(plane: ControlPlane, pool: str, nodes: int | str) -> None:
    """Write the pool's limit, as Pulumi does."""
    name = f"kube-nodes-pool-{pool}"
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"maxUnavailable": str(nodes)},
    }
    plane.apply(f"{_CONFIG_MAPS}/{name}", body)


def leases(plane: ControlPlane, pool: str) -> dict[str, str]:
    """Read who holds which of the pool's places."""
    items = plane.get(f"{LEASES}?labelSelector=kube-nodes/pool={pool}")["items"]
    return {each["metadata"]["name"]: each["spec"]["holderIdentity"] for each in items}


@pytest.fixture
def members(plane: ControlPlane, cluster: Cluster) -> list[Machine]:
    """Four members, each with a pod that takes a while to end."""
    made = [make_machine(plane, cluster) for _ in range(4)]
    for machine in made:
        annotations = {"kube-nodes/generation": "1"}
        metadata = {"name": machine.node.name, "annotations": annotations}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
        assert plane.call("POST", "/api/v1/nodes", node).status == 201
        report(machine, "True")
        make_pod(machine, "web", grace_seconds=600)
    return made


def report(machine: Machine, ready: str) -> None:
    """Report Ready or not, as its kubelet does."""
    status = {
        "conditions": [{"type": "Ready", "status": ready}],
        "nodeInfo": dict.fromkeys(NODE_INFO, "") | {"kubeletVersion": "v1.37.2", "machineID": "1"},
    }
    machine.plane.merge(f"{machine.path}/status", {"status": status})


@contextmanager
def kubelets(members: list[Machine], seconds: float = 1.5) -> Iterator[None]:
    """End each evicted pod after a while, as a kubelet does."""
    ended = threading.Event()
    plane = members[0].plane
    names = {machine.node.name for machine in members}

    def run() -> None:
        seen: dict[str, float] = {}
        while not ended.wait(0.05):
            for pod in plane.get(PODS)["items"]:
                name = pod["metadata"]["name"]
                ours = pod["spec"]["nodeName"] in names
                if not (ours and "deletionTimestamp" in pod["metadata"]):
                    continue
                if time.monotonic() - seen.setdefault(name, time.monotonic()) > seconds:
                    body = {"apiVersion": "v1", "kind": "DeleteOptions"}
                    plane.call("DELETE", f"{PODS}/{name}", {**body, "gracePeriodSeconds": 0})

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Watcher:
    """Counts, again and again, the nodes that are cordoned and still have pods."""

    def __init__(self, members: list[Machine]) -> None:
        self.most = 0
        self._members = members
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            # Pods first: a node whose last pod goes in between is not counted for it.
            draining = 0
            for machine in self._members:
                node = machine.plane.get(machine.path)
                if node["spec"].get("unschedulable") and node_pods(machine):
                    draining += 1
            self.most = max(self.most, draining)


def drain_all(steps: list[Callable[[], object]]) -> None:
    """Run the steps at once; the first error of one is this one's."""
    errors: list[BaseException] = []

    def run(step: Callable[[], object]) -> None:
        try:
            step()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def leaving(machine: Machine, pool: str) -> Callable[[], object]:
    """Make the delete of a membership, as a process of its own runs it."""
    request = machine.join(drain=Drain(timeout_seconds=20, pool=pool))
    return partial(leave, request, Progress(machine.node.id))


@pytest.mark.parametrize("at_once", [1, 2])
def test_four_nodes_are_drained_no_more_than_max_unavailable_at_a_time(
    members: list[Machine], pool: str, at_once: int
) -> None:
    plane = members[0].plane
    limit(plane, pool, at_once)
    began = time.monotonic()
    with kubelets(members), _Watcher(members) as watcher:
        drain_all([leaving(machine, pool) for machine in members])
    # Not one by one either, where two may.
    assert watcher.most == at_once
    assert time.monotonic() - began > 1.5 * 4 / at_once
    assert [node_pods(machine) for machine in members] == [[]] * 4
    assert leases(plane, pool) == {}


def test_without_a_limit_in_the_cluster_it_is_one(members: list[Machine], pool: str) -> None:
    with kubelets(members), _Watcher(members) as watcher:
        drain_all([leaving(machine, pool) for machine in members])
    assert watcher.most == 1


def test_another_pools_drains_do_not_count(members: list[Machine], pool: str) -> None:
    with kubelets(members), _Watcher(members) as watcher:
        drain_all([leaving(machine, f"{pool}-{machine.node.name}") for machine in members])
    assert watcher.most == 4


def test_a_drain_for_another_minor_takes_a_place_too(members: list[Machine], pool: str) -> None:
    first, second, *_ = members
    newer = replace(second.node, version="v1.36.9")
    request = second.prepare(node=newer, drain=Drain(timeout_seconds=20, pool=pool))
    upgrade = partial(prepare, request, Progress(newer.id))
    with kubelets(members), _Watcher(members) as watcher:
        drain_all([leaving(first, pool), upgrade])
    assert (watcher.most, node_pods(first), node_pods(second)) == (1, [], [])


def test_it_says_whom_it_waits_for(
    members: list[Machine], pool: str, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    api = reach(cluster)
    thread = threading.Thread(target=leaving(members[0], pool))
    with kubelets(members, 0):
        with drain_place(api, pool, "other", Progress("other")):
            thread.start()
            time.sleep(2.5)
            assert "unschedulable" not in members[0].plane.get(members[0].path)["spec"]
        thread.join()
    said = capsys.readouterr().err
    assert (
        f"{members[0].node.id}: waiting for its turn to drain: other"
        f" (maxUnavailable of the pool {pool} is 1)" in said
    )
    assert node_pods(members[0]) == []


def _age(plane: ControlPlane, pool: str, seconds: float) -> None:
    """Set the time at which the pool's one Lease was renewed so far back."""
    (name,) = leases(plane, pool)
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
    plane.merge(f"{LEASES}/{name}", {"spec": {"renewTime": then.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}})


def test_the_place_of_a_run_that_was_killed_is_free_after_its_time(
    plane: ControlPlane, cluster: Cluster, pool: str
) -> None:
    api = reach(cluster)
    killed = Place(api, pool, "killed", Progress("killed"))
    killed.take()
    _age(plane, pool, LEASE_SECONDS - 10)
    assert not Place(api, pool, "next", Progress("next"))._try()
    _age(plane, pool, LEASE_SECONDS + 2)
    with drain_place(api, pool, "next", Progress("next")):
        assert set(leases(plane, pool).values()) == {"next"}
        # The one that was only asleep takes nothing from it, and gives nothing of it away.
        killed.leave()
        assert set(leases(plane, pool).values()) == {"next"}


def test_the_next_run_for_the_same_node_goes_on_at_once(
    plane: ControlPlane, cluster: Cluster, pool: str
) -> None:
    api = reach(cluster)
    Place(api, pool, "n1", Progress("n1")).take()
    began = time.monotonic()
    with drain_place(api, pool, "n1", Progress("n1")):
        assert time.monotonic() - began < 1
    assert leases(plane, pool) == {}


def test_a_place_is_renewed_while_it_is_held(
    plane: ControlPlane, cluster: Cluster, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kube_nodes.membership.drain_place._RENEW_SECONDS", 0.1)
    api = reach(cluster)

    def renewed() -> Any:
        (lease,) = plane.get(f"{LEASES}?labelSelector=kube-nodes/pool={pool}")["items"]
        return lease["spec"]["renewTime"]

    with drain_place(api, pool, "n1", Progress("n1")) as place:
        _age(plane, pool, 30)
        before = renewed()
        time.sleep(0.2)
        # Somebody wrote to it: it is taken anew, as it still is this node's.
        place.keep()
        assert renewed() > before
        before = renewed()
        time.sleep(1.1)
        place.keep()
        assert renewed() > before


def test_of_many_that_want_one_place_at_once_one_gets_it(
    plane: ControlPlane, cluster: Cluster, pool: str
) -> None:
    apis = [reach(cluster) for _ in range(8)]
    start = threading.Barrier(len(apis))
    got: list[bool] = []

    def claim(number: int) -> None:
        place = Place(apis[number], pool, f"n{number}", Progress(f"n{number}"))
        start.wait()
        got.append(place._try())

    for expired in (False, True):
        got.clear()
        drain_all([partial(claim, number) for number in range(len(apis))])
        assert got.count(True) == 1
        assert len(leases(plane, pool)) == 1
        if not expired:
            _age(plane, pool, LEASE_SECONDS + 2)


@pytest.mark.parametrize("value", ["", "0", "many", "-1", "9" * 40])
def test_a_limit_that_is_none_counts_as_one(
    plane: ControlPlane, cluster: Cluster, pool: str, value: str
) -> None:
    limit(plane, pool, value)
    api = reach(cluster)
    with drain_place(api, pool, "n1", Progress("n1")):
        assert not Place(api, pool, "n2", Progress("n2"))._try()


def test_a_node_that_is_not_ready_needs_no_place(
    members: list[Machine], cluster: Cluster, pool: str
) -> None:
    """Nothing is moved away from it: it takes no more capacity, and holds nobody up."""
    report(members[0], "Unknown")
    api = reach(cluster)
    with drain_place(api, pool, "other", Progress("other")):
        began = time.monotonic()
        leaving(members[0], pool)()
        assert time.monotonic() - began < 2
