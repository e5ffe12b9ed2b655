"""The main job on real hosts: join, change, add, break, interrupt, remove; in this order.

The tests share one lab and one stack; each leaves both nodes Ready with the stack's own values.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator

import pytest

from lab.spec import LabSpec
from lab.ssh import new_key_pair
from lab.stack import Stack
from tests.lab.nodes_stack import NodesStack, copy_project

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def nodes(lab: LabSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodesStack]:
    """The stack `dev` of a copy of the project, run against the tests' lab."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    stack = NodesStack(Stack(lab, project, "dev"))
    stack.prepare()
    yield stack
    stack.up("destroy")


def test_up_joins_both_hosts_and_a_service_answers_from_each(nodes: NodesStack) -> None:
    nodes.up()
    assert nodes.ready() == {"n1": "v1.37.2", "n2": "v1.37.2"}
    answers = {name: node["serviceAnswer"] for name, node in nodes.outputs()["nodes"].items()}
    assert set(answers) == {"n1", "n2"}
    assert all(answer.startswith("pod=service-check-") for answer in answers.values())
    # The Service answers from one pod already; the other one may still be starting.
    check = "daemonset/service-check"
    nodes.kubectl("rollout", "status", check, "-n", "kube-nodes", "--timeout=60s")
    pods = nodes.kubectl("get", "pods", "-n", "kube-nodes", "-o", "json")
    assert {pod["spec"]["nodeName"] for pod in json.loads(pods)["items"]} == {"n1", "n2"}


def test_the_tokens_are_closed_after_the_join(nodes: NodesStack) -> None:
    text = nodes.kubectl("get", "secrets", "-n", "kube-system", "-o", "json")
    tokens = [
        secret["data"]
        for secret in json.loads(text)["items"]
        if secret["type"] == "bootstrap.kubernetes.io/token"
    ]
    assert len(tokens) == 2
    for data in tokens:
        assert sorted(data) == ["token-id", "usage-bootstrap-authentication"]
        assert data["usage-bootstrap-authentication"] == "ZmFsc2U="


def test_a_second_up_and_a_refresh_find_nothing_to_change(nodes: NodesStack) -> None:
    assert nodes.changes(nodes.up()) == {}
    nodes.pulumi("preview", "--expect-no-changes")
    assert nodes.changes(nodes.up("refresh")) == {}
    nodes.pulumi("preview", "--expect-no-changes")


def test_a_changed_max_pods_is_one_line_and_restarts_one_kubelet(nodes: NodesStack) -> None:
    before = {name: nodes.start_times(name) for name in ("n1", "n2")}
    with nodes.changed({"pools.workers.nodes.n1.options.maxPods": 50}):
        shown = nodes.pulumi("preview", "--diff", "--non-interactive")
        lines = [line.strip() for line in shown.splitlines()]
        text_lines = [line for line in lines if re.match(r"[-+] \w+: ", line)]
        outputs = {"- maxPods: 110", "+ maxPods: 50"}
        assert set(text_lines) == outputs
        assert nodes.changed_resources(shown) == {"n1-units", "n1-membership", "n1-service-check"}
        nodes.up()
        after = {name: nodes.start_times(name) for name in ("n1", "n2")}
        assert after["n1"]["kubelet"] != before["n1"]["kubelet"]
        assert after["n1"]["kube-proxy"] == before["n1"]["kube-proxy"]
        assert after["n2"] == before["n2"]
        assert nodes.kubectl("get", "node", "n1", "-o", "jsonpath={.status.capacity.pods}") == "50"
    nodes.up()


def test_labels_and_taints_follow_the_configuration_and_foreign_ones_stay(
    nodes: NodesStack,
) -> None:
    nodes.kubectl("label", "node", "n1", "owner=operator")
    nodes.kubectl("taint", "node", "n1", "operator/own=yes:PreferNoSchedule")
    before = nodes.start_times("n1")
    change = {
        "pools.workers.nodes.n1.options.labels.tier": "gold",
        "pools.workers.nodes.n1.options.taints[0]": "dedicated=db:PreferNoSchedule",
    }
    with nodes.changed(change):
        nodes.up()
        node = json.loads(nodes.kubectl("get", "node", "n1", "-o", "json"))
        assert node["metadata"]["labels"]["tier"] == "gold"
        assert _taints(node) == {"operator/own", "dedicated"}
    nodes.up()
    node = json.loads(nodes.kubectl("get", "node", "n1", "-o", "json"))
    assert "tier" not in node["metadata"]["labels"]
    assert node["metadata"]["labels"]["owner"] == "operator"
    assert _taints(node) == {"operator/own"}
    assert nodes.start_times("n1") == before
    nodes.kubectl("taint", "node", "n1", "operator/own-")
    nodes.kubectl("label", "node", "n1", "owner-")


def _taints(node: dict[str, dict[str, list[dict[str, str]]]]) -> set[str]:
    return {taint["key"] for taint in node["spec"].get("taints", [])}


def test_a_host_that_shows_another_key_is_sent_nothing(nodes: NodesStack) -> None:
    files = "cd /; sha256sum /var/lib/kubelet/config.yaml /etc/systemd/system/kubelet.service"
    before, logins = nodes.ssh("n1", files), nodes.logins("n1")
    place = "pools.workers.nodes.n1"
    wrong = new_key_pair().public
    with nodes.changed({f"{place}.hostKey": wrong, f"{place}.options.maxPods": 50}):
        said = nodes.up(expect=False)
        assert "ssh: handshake failed: ssh: host key mismatch" in said
        assert nodes.logins("n1") == logins
    assert nodes.ssh("n1", files) == before
    nodes.up()


def test_another_cluster_is_refused_before_anything_is_written(nodes: NodesStack) -> None:
    other = "11111111-1111-4111-8111-111111111111"
    with nodes.changed({"clusterUid": other, "pools.workers.nodes.n1.options.maxPods": 50}):
        said = nodes.up(expect=False)
        assert f"the stack is for {other}" in said
        assert "Nothing was changed" in said
        assert nodes.changes(said) == {}


def test_a_configuration_that_the_kubelet_refuses_is_rolled_back(nodes: NodesStack) -> None:
    files = "cd /; sha256sum /var/lib/kubelet/config.yaml /etc/systemd/system/kubelet.service"
    before = nodes.ssh("n1", files)
    key = "pools.workers.nodes.n1.options.kubeletConfiguration.topologyManagerPolicy"
    with nodes.changed({key: "no-such-policy"}):
        said = nodes.up(expect=False)
        assert re.search(r"n1: kubelet did not come up: .*no-such-policy", said), said
        assert "what was there before is put back" in said
        assert nodes.ssh("n1", files) == before
    nodes.up()
    nodes.pulumi("preview", "--expect-no-changes")
    assert nodes.ready() == {"n1": "v1.37.2", "n2": "v1.37.2"}


def test_ctrl_c_while_a_node_is_waited_for_ends_at_once_and_the_next_up_goes_on(
    nodes: NodesStack,
) -> None:
    with nodes.changed({"pools.workers.nodes.n1.generation": 2}):
        with (
            nodes.paused("kube-controller-manager"),
            nodes.running_until("n1-membership") as running,
        ):
            time.sleep(1)  # let the wait begin; there is nothing to watch from outside
            running.send_signal(signal.SIGINT)
            begin = time.monotonic()
            running.wait(timeout=30)
            assert time.monotonic() - begin < 2
            assert nodes.processes_of(running.pid) == []
        nodes.up()
        assert nodes.ready() == {"n1": "v1.37.2", "n2": "v1.37.2"}
    nodes.up()


def test_an_up_that_is_killed_while_a_kubelet_starts_is_taken_up_by_the_next(
    nodes: NodesStack,
) -> None:
    with nodes.changed({"pools.workers.nodes.n2.generation": 2}):
        with nodes.running_until("n2-units") as running:
            os.killpg(running.pid, signal.SIGKILL)
        nodes.prepare()
        nodes.up()
        assert nodes.ready() == {"n1": "v1.37.2", "n2": "v1.37.2"}
        nodes.pulumi("preview", "--expect-no-changes")
    nodes.up()


def test_a_token_that_expired_after_a_kill_is_made_anew(nodes: NodesStack) -> None:
    with nodes.changed({"pools.workers.nodes.n2.generation": 3}):
        with (
            nodes.paused("kube-controller-manager"),
            nodes.running_until("n2-membership") as running,
        ):
            os.killpg(running.pid, signal.SIGKILL)
        nodes.expire_open_tokens()
        nodes.prepare()
        nodes.up()
        assert nodes.ready() == {"n1": "v1.37.2", "n2": "v1.37.2"}
        nodes.pulumi("preview", "--expect-no-changes")
        nodes.pulumi("preview", "--refresh", "--expect-no-changes")
    nodes.up()


def test_no_secret_is_left_in_the_open(nodes: NodesStack) -> None:
    secrets = nodes.collect_secrets()
    assert len(secrets) >= 8  # of earlier generations too
    places = {
        "state": nodes.state_text(),
        "outputs": json.dumps(nodes.outputs()),
        "everything that was printed": "".join(nodes.printed),
        "process lists": "".join(nodes.seen_processes),
    }
    for host in ("n1", "n2"):
        places[f"journals of {host}"] = nodes.ssh(host, "journalctl --no-pager -o cat")
        places[f"files of {host} that others may read"] = nodes.ssh(
            host,
            "find /etc /run /tmp /var -xdev -type f -perm /077 -size -100k "
            "-exec cat {} + 2>/dev/null | tr -d '\\0'",
            check=False,
        )
    for place, text in places.items():
        assert text, place
        for name, forms in secrets.items():
            assert not any(form in text for form in forms), f"{name} is in {place}"


def test_destroy_leaves_clean_hosts_and_a_new_up_joins_them_again(nodes: NodesStack) -> None:
    nodes.up("destroy")
    assert nodes.ready() == {}
    for name in ("n1", "n2"):
        left = nodes.ssh(name, "ls /etc/kubernetes /var/lib/kubelet 2>/dev/null", check=False)
        assert left == ""
    bindings = nodes.kubectl("get", "clusterrolebindings", "-o", "name")
    assert "kube-nodes" not in bindings
    nodes.up()
    assert nodes.ready() == {"n1": "v1.37.2", "n2": "v1.37.2"}
