"""Nodes that go: a host that dies, one that is installed anew, several at once; on real hosts.

The tests share one lab and one stack, in this order: each begins with what the one before left.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import hosts, lifecycle
from lab.stack import Stack
from tests.lab.conftest import temporary_lab, wish
from tests.lab.nodes_stack import NodesStack, copy_project

pytestmark = pytest.mark.lab
NAMES = ("n1", "n2", "n3")
ALL = dict.fromkeys(NAMES, "v1.37.2")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodesStack]:
    """Three hosts, joined."""
    with temporary_lab() as spec:
        lab = lifecycle.up(spec.directory, wish(spec, NAMES), print)
        stack = NodesStack(Stack(lab, copy_project(tmp_path_factory.mktemp("project")), "dev"))
        stack.prepare()
        stack.up()
        assert stack.ready() == ALL
        yield stack


def declare(nodes: NodesStack, name: str, **changes: Any) -> None:
    """Change a node's own keys in the configuration; None takes one away."""
    with configuration(nodes) as config:
        node = config["kube-nodes:pools"]["workers"]["nodes"][name]
        node |= changes
        for key in [key for key, value in node.items() if value is None]:
            del node[key]


@contextlib.contextmanager
def configuration(nodes: NodesStack) -> Iterator[dict[str, Any]]:
    """Give the stack's configuration to be changed."""
    file = nodes.stack.project / "Pulumi.dev.yaml"
    document = yaml.safe_load(file.read_text())
    yield document["config"]
    file.write_text(yaml.safe_dump(document))


def remove(nodes: NodesStack, *names: str) -> None:
    """Take nodes out of the configuration."""
    with configuration(nodes) as config:
        for name in names:
            del config["kube-nodes:pools"]["workers"]["nodes"][name]


def die(nodes: NodesStack, name: str) -> None:
    """Let a host be gone, with everything on it."""
    hosts.remove(nodes.lab, name)


def install(nodes: NodesStack, name: str) -> None:
    """Install a host anew, under its name; its new key is in the configuration then."""
    lifecycle.remove_host(nodes.lab.directory, nodes.lab, name)
    lifecycle.up(nodes.lab.directory, lifecycle.Wish(hosts=NAMES), lambda _: None)
    nodes.stack = Stack(nodes.reload_lab(), nodes.stack.project, "dev")
    nodes.prepare()


def pods_of(nodes: NodesStack, name: str) -> list[str]:
    """Name the pods that still name a node."""
    selector = f"--field-selector=spec.nodeName={name}"
    return nodes.kubectl("get", "pods", "-A", "-o", "name", selector).split()


def test_another_user_runs_the_scripts_and_restarts_nothing(nodes: NodesStack) -> None:
    before = nodes.start_times("n1")
    declare(nodes, "n1", options={"ssh": {"user": "admin"}})
    shown = nodes.pulumi("preview", "--diff", "--non-interactive")
    assert "sshUser" in shown and '"admin"' in shown
    changed = nodes.changed_resources(nodes.up())
    assert changed == {
        *(f"n1-{step}" for step in ("scripts", "preflight", "credentials", "units", "membership")),
        "n1-service-check",
        "n1",
    }
    assert nodes.start_times("n1") == before
    declare(nodes, "n1", options=None)
    nodes.up()
    assert nodes.start_times("n1") == before


def test_a_lost_host_goes_and_holds_nobody_up(nodes: NodesStack) -> None:
    logins = {name: nodes.logins(name) for name in ("n1", "n2")}
    die(nodes, "n3")
    declare(nodes, "n3", lost=True)
    # Its kubelet reported a moment ago: its pods may run.
    assert "the Node n3 is Ready, so its kubelet reports" in nodes.up(expect=False)
    nodes.kubectl("wait", "node/n3", "--for=condition=Ready=Unknown", "--timeout=120s")
    assert pods_of(nodes, "n3")
    begin = time.monotonic()
    changed = nodes.changed_resources(nodes.up())
    print(f"a lost host taken out in {time.monotonic() - begin:.1f} s")
    # An SSH connection to it would be given up after twelve.
    # The first run has told prepare of it already, and the Node's refusal held nothing else up.
    assert {name for name in changed if "-wave-" not in name} == {"n3-membership"}
    assert "node/n3" not in nodes.kubectl("get", "nodes", "-o", "name").split()
    assert pods_of(nodes, "n3") == []
    assert nodes.ready() == {"n1": "v1.37.2", "n2": "v1.37.2"}
    nodes.pulumi("preview", "--expect-no-changes")
    assert {name: nodes.logins(name) for name in ("n1", "n2")} == logins


def test_it_leaves_the_stack_without_a_connection(nodes: NodesStack) -> None:
    remove(nodes, "n3")
    changed = nodes.changed_resources(nodes.up())
    assert changed and all(name.startswith("n3") for name in changed)
    assert "::n3" not in nodes.pulumi("stack", "export")
    secrets = nodes.kubectl("get", "secrets", "-n", "kube-system", "-o", "name")
    assert secrets.count("bootstrap-token-") == 2
    nodes.pulumi("preview", "--expect-no-changes")


def test_a_new_machine_of_that_name_joins_as_any_other(nodes: NodesStack) -> None:
    install(nodes, "n3")
    host = nodes.lab.host("n3")
    with configuration(nodes) as config:
        declared = {"address": host.address, "hostKey": host.host_key}
        config["kube-nodes:pools"]["workers"]["nodes"]["n3"] = declared
    nodes.up()
    assert nodes.ready() == ALL


def test_a_host_installed_anew_joins_by_a_raised_generation(nodes: NodesStack) -> None:
    """Its old Node may still be Ready when the new system is up: it is not taken for it."""
    install(nodes, "n3")
    declare(nodes, "n3", options={"joinTimeoutSeconds": 15})
    said = nodes.up(expect=False)
    assert "if the host was installed anew, raise the node's generation" in said
    declare(nodes, "n3", options=None, generation=2)
    nodes.up()
    assert nodes.ready() == ALL
    nodes.pulumi("preview", "--expect-no-changes")


def test_a_lost_host_that_is_found_joins_by_a_raised_generation(nodes: NodesStack) -> None:
    """Its kubelet runs, and nobody told it anything: what it is at now ends with the new life."""
    nodes.kubectl("delete", "node", "n3")
    declare(nodes, "n3", lost=True)
    nodes.up()
    assert nodes.ready().keys() == {"n1", "n2"}
    declare(nodes, "n3", lost=None, generation=3)
    nodes.up()
    assert nodes.ready() == ALL


class _Draining:
    """Looks, again and again, at who drains."""

    def __init__(self, nodes: NodesStack) -> None:
        self.most = 0
        self.seen: set[str] = set()
        self._nodes = nodes
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Draining:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            listed = json.loads(self._nodes.kubectl("get", "nodes", "-o", "json"))["items"]
            cordoned = [each for each in listed if each["spec"].get("unschedulable")]
            names = {each["metadata"]["name"] for each in cordoned}
            draining = {name for name in names if any("/web-" in pod for pod in self._pods(name))}
            self.seen |= draining
            self.most = max(self.most, len(draining))

    def _pods(self, name: str) -> list[str]:
        return pods_of(self._nodes, name)


_WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: {matchLabels: {app: web}}
      containers:
        - name: web
          image: localhost/kube-nodes/web:1
          imagePullPolicy: IfNotPresent
          lifecycle: {preStop: {sleep: {seconds: 4}}}
"""


def test_removing_two_of_three_needs_a_yes_and_drains_one_at_a_time(
    nodes: NodesStack, tmp_path: Path
) -> None:
    web = tmp_path / "web.yaml"
    web.write_text(_WEB)
    nodes.kubectl("apply", "-f", str(web))
    nodes.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    remove(nodes, "n2", "n3")
    for verb in ("preview", "up"):
        extra = [] if verb == "preview" else ["--yes", "--skip-preview"]
        said = nodes.pulumi(verb, "--non-interactive", *extra, expect=False)
        assert "pool workers: 2 of its 3 nodes are declared no more (n2, n3)" in said
    assert nodes.ready() == ALL
    with configuration(nodes) as config:
        config["kube-nodes:allowRemovals"] = {"workers": 2}
    with _Draining(nodes) as draining:
        said = nodes.up()
    assert (draining.most, draining.seen) == (1, {"n2", "n3"})
    assert "its turn to drain: n" in said
    assert nodes.ready() == {"n1": "v1.37.2"}
    nodes.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert "allowRemovals.workers is not needed any more" in nodes.pulumi("preview")
    for name in ("n2", "n3"):
        left = nodes.ssh(name, "ls /etc/kubernetes /var/lib/kubelet 2>/dev/null", check=False)
        assert left == ""
    leases = nodes.kubectl("get", "leases", "-n", "kube-system", "-o", "name")
    assert "kube-nodes-drain-" not in leases
