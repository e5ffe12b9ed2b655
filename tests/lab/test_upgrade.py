"""Four nodes are upgraded in waves under load, a wave that fails stops the rest; in this order."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab import lifecycle
from lab.images import WEB, WEB_PORT
from lab.spec import LabSpec
from lab.stack import Stack
from tests.lab.nodes_stack import NodesStack, copy_project
from tests.lab.steady_requests import steady_requests

pytestmark = pytest.mark.lab

WORKERS = ("n1", "n2", "n3", "n4")
CLIENT = "n5"
OLD, NEW = "v1.36.3", "v1.37.2"
VERSION = "options.kubernetesVersion"
_LABELS = {"app": "steady"}
_WEB: dict[str, Any] = {
    "name": "web",
    "image": WEB,
    "imagePullPolicy": "IfNotPresent",
    "readinessProbe": {"tcpSocket": {"port": WEB_PORT}, "periodSeconds": 1},
    # What a web service does that loses nothing: it goes on while the word of its end spreads.
    "lifecycle": {"preStop": {"exec": {"command": ["/bin/sleep", "5"]}}},
}
_OBJECTS: list[dict[str, Any]] = [
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "steady"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": _LABELS},
            "template": {
                "metadata": {"labels": _LABELS},
                "spec": {
                    "automountServiceAccountToken": False,
                    "containers": [_WEB],
                    "topologySpreadConstraints": [
                        {
                            "maxSkew": 1,
                            "topologyKey": "kubernetes.io/hostname",
                            "whenUnsatisfiable": "ScheduleAnyway",
                            "labelSelector": {"matchLabels": _LABELS},
                        }
                    ],
                },
            },
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "steady"},
        "spec": {"selector": _LABELS, "ports": [{"port": 80, "targetPort": WEB_PORT}]},
    },
    {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "steady"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": _LABELS}},
    },
]


@pytest.fixture(scope="module")
def nodes(lab: LabSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodesStack]:
    """Four workers of an old version and a host with kube-proxy alone; a web service runs."""
    more = (*WORKERS[2:], CLIENT)
    wish = lifecycle.Wish(hosts=(*WORKERS, CLIENT))
    grown = lifecycle.up(lab.directory, wish, print)
    stack = NodesStack(Stack(grown, copy_project(tmp_path_factory.mktemp("upgrade")), "dev"))
    try:
        stack.prepare()
        with stack.changed(
            {
                VERSION: OLD.removeprefix("v"),
                f"pools.workers.nodes.{CLIENT}.options.role": "proxy-only",
            }
        ):
            stack.up()
            _apply(stack, _OBJECTS)
            stack.kubectl("rollout", "status", "deployment/steady", "--timeout=60s")
            # The client's own kube-proxy learns of the Service a moment after its pods are ready.
            ask = f"curl -s -m 1 -o /dev/null http://{cluster_ip(stack)}/"
            stack.ssh(CLIENT, f"timeout 30 sh -c 'until {ask}; do sleep 0.1; done'")
            yield stack
            subprocess.run(
                ["kubectl", "delete", "deployment,service,pdb", "steady"],
                env=stack.stack.environment(), capture_output=True, check=False,
            )  # fmt: skip
            stack.up("destroy")
    finally:
        for name in more:
            lifecycle.remove_host(lab.directory, stack.reload_lab(), name)


def _apply(nodes: NodesStack, objects: list[dict[str, Any]]) -> None:
    subprocess.run(
        ["kubectl", "apply", "-f", "-"],
        input="".join(f"{json.dumps(each)}\n" for each in objects),
        env=nodes.stack.environment(),
        capture_output=True,
        text=True,
        check=True,
    )


def cluster_ip(nodes: NodesStack) -> str:
    return nodes.kubectl("get", "service", "steady", "-o", "jsonpath={.spec.clusterIP}")


def boots(nodes: NodesStack) -> dict[str, float]:
    """Read when each worker's kubelet was started last, in seconds of the machine's clock."""
    show = "systemctl show --value -p ExecMainStartTimestampMonotonic kubelet"
    return {host: int(nodes.ssh(host, show)) / 1e6 for host in WORKERS}


def pods(nodes: NodesStack) -> dict[str, str]:
    """Name each pod of the web service, with its node."""
    listed = nodes.kubectl("get", "pods", "-l", "app=steady", "-o", "json")
    return {
        each["metadata"]["name"]: each["spec"]["nodeName"] for each in json.loads(listed)["items"]
    }


def test_a_canary_that_does_not_come_up_stops_the_rest_which_goes_on_serving(
    nodes: NodesStack,
) -> None:
    before, running = boots(nodes), pods(nodes)
    with (
        steady_requests(nodes.lab, CLIENT, cluster_ip(nodes), 50) as seen,
        nodes.changed({'options.kubeletConfiguration["cpuManagerPolicy"]': "bogus"}),
    ):
        printed = nodes.up(expect=False)
    assert "n1: kubelet did not come up: " in printed
    assert 'unknown policy: \\"bogus\\"' in printed.replace('\\\\"', '\\"')
    after = boots(nodes)
    assert {host for host in WORKERS if before[host] != after[host]} == {"n1"}
    assert nodes.ready() == dict.fromkeys(WORKERS, OLD)
    assert pods(nodes) == running
    assert seen.lost == []
    # The cause is gone: what had not been reached was not changed, and needs nothing.
    assert nodes.changed_resources(nodes.up()) <= {"n1-units", "n1-membership", "n1-service-check"}


def test_an_operators_cordon_and_a_held_node_stay_as_they_are_in_a_change_of_all(
    nodes: NodesStack,
) -> None:
    before, running = boots(nodes), pods(nodes)
    nodes.kubectl("cordon", "n3")
    try:
        with nodes.changed({"options.maxPods": 60, "pools.workers.nodes.n2.held": "true"}):
            nodes.up()
            unschedulable = "{.items[?(@.spec.unschedulable)].metadata.name}"
            assert nodes.kubectl("get", "nodes", "-o", f"jsonpath={unschedulable}") == "n3"
            capacity = "{range .items[*]}{.metadata.name}={.status.capacity.pods} {end}"
            assert nodes.kubectl("get", "nodes", "-o", f"jsonpath={capacity}").split() == [
                "n1=60", "n2=110", "n3=60", "n4=60",
            ]  # fmt: skip
            after = boots(nodes)
            assert {host for host in WORKERS if before[host] == after[host]} == {"n2"}
            # A change in place stops no pod.
            assert pods(nodes) == running
            nodes.pulumi("preview", "--expect-no-changes", "--non-interactive")
    finally:
        nodes.kubectl("uncordon", "n3")
    nodes.up()


def test_a_minor_upgrade_in_waves_loses_no_request(
    nodes: NodesStack, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = time.monotonic()
    with (
        steady_requests(nodes.lab, CLIENT, cluster_ip(nodes), 50) as seen,
        # A kube-proxy without a Node waits for half a minute when it starts, and its rules stay as
        # they were: the client's own is left out of what is measured.
        nodes.changed(
            {VERSION: NEW.removeprefix("v"), f"pools.workers.nodes.{CLIENT}.held": "true"}
        ),
    ):
        nodes.up()
        took = time.monotonic() - begin
        assert nodes.ready() == dict.fromkeys(WORKERS, NEW)
        started = boots(nodes)
        # The canary, and one at a time after it: a quarter of four.
        assert sorted(WORKERS, key=started.__getitem__) == list(WORKERS)
    with capsys.disabled():
        print(
            f"\nupgrade of 4 nodes in 4 waves: {took:.0f} s, {took / 4:.1f} s a node;"
            f" {len(seen.lost)} of {seen.asked} requests lost, slowest {seen.slowest:.2f} s"
        )
    assert seen.asked > 50 * 10
    assert seen.lost == []


def test_the_way_back_is_the_same(nodes: NodesStack) -> None:
    """The stack's own values are the old version's again."""
    printed = nodes.up()
    assert nodes.ready() == dict.fromkeys(WORKERS, OLD)
    gates = {f"workers-wave-{number}" for number in (2, 3)}
    assert gates <= nodes.changed_resources(printed)


def test_a_drain_that_a_budget_holds_up_says_so_and_leaves_the_node_in_service(
    nodes: NodesStack,
) -> None:
    budget = {"spec": {"minAvailable": 3}}
    nodes.kubectl("patch", "pdb", "steady", "--type=merge", "-p", json.dumps(budget))
    try:
        with nodes.changed({VERSION: NEW.removeprefix("v"), "options.drainTimeoutSeconds": 5}):
            printed = nodes.up(expect=False)
    finally:
        nodes.kubectl("patch", "pdb", "steady", "--type=merge", "-p", '{"spec":{"minAvailable":2}}')
    assert "drain: 5 s passed, still there: default/steady-" in printed
    assert "disruption budget steady needs 3 healthy pods" in printed
    assert nodes.ready() == dict.fromkeys(WORKERS, OLD)


# A kubelet that runs, and reaches no API server.
_CUT = """nft add table inet cut
nft 'add chain inet cut out { type filter hook output priority 0; }'
nft add rule inet cut out tcp dport 6443 drop"""


def test_a_join_that_fails_shows_the_kubelets_last_lines(nodes: NodesStack) -> None:
    nodes.ssh("n4", _CUT)
    try:
        with nodes.changed(
            {"pools.workers.nodes.n4.options.maxPods": 61, "options.joinTimeoutSeconds": 10}
        ):
            printed = nodes.up(expect=False)
    finally:
        nodes.ssh("n4", "nft delete table inet cut")
    assert "n4: 10 s passed waiting for the Node to be Ready: " in printed
    assert re.search(r"n4: kubelet's journal: [EWI]\d{4} ", printed)
    nodes.up()
    assert nodes.ready() == dict.fromkeys(WORKERS, OLD)
