"""Nodes of the manual and of kubeadm are taken over with their pods; in this order.

n1 is set up by hand as the manual says (tests/lab/manual_setup.py), n2 by the real `kubeadm join`
(tests/lab/kubeadm_setup.py); on each runs a pod that counts.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.images import WEB, WEB_PORT
from lab.spec import LabSpec
from lab.stack import CHECKOUT, Stack
from tests.lab import kubeadm_setup, manual_setup
from tests.lab.kubeadm_setup import DROP_IN
from tests.lab.nodes_stack import NodesStack, copy_project

pytestmark = pytest.mark.lab

HOSTS = ("n1", "n2")
_BOTH = {"n1": "v1.37.2", "n2": "v1.37.2"}
_PLACE = "pools.workers.options.adopt"
_COUNT = f"""mkdir -p /tmp/www; cd /tmp/www; httpd -p {WEB_PORT} -h /tmp/www; i=0
while :; do
  i=$((i + 1)); echo "$i $(hostname)" >new; /bin/busybox mv new count; sleep 0.1
done"""


@pytest.fixture(scope="module")
def nodes(lab: LabSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodesStack]:
    """Two nodes of other people, with their pods, and a stack that declares both hosts."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    stack = NodesStack(Stack(lab, project, "dev"))
    stack.prepare()
    manual_setup.set_up_by_hand(stack, "n1")
    kubeadm_setup.set_up_by_kubeadm(stack, "n2")
    _run_counters(stack)
    yield stack
    stack.up("destroy")


def _run_counters(nodes: NodesStack) -> None:
    manifests: list[dict[str, Any]] = []
    for host in HOSTS:
        labels = {"app": "count", "on": host}
        container = {
            "name": "count",
            "image": WEB,
            "imagePullPolicy": "IfNotPresent",
            "command": [
                "/bin/sh",
                "-c",
                _COUNT,
            ],
        }
        pod = {"nodeName": host, "automountServiceAccountToken": False, "containers": [container]}
        metadata = {"name": f"count-{host}", "labels": labels}
        service = {"selector": labels, "ports": [{"port": 80, "targetPort": WEB_PORT}]}
        manifests += [
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        ]
    file = nodes.lab.path("count.json")
    file.write_text("".join(f"{json.dumps(each)}\n" for each in manifests))
    nodes.kubectl("apply", "-f", str(file))
    nodes.kubectl("wait", "pod", "-l", "app=count", "--for=condition=Ready", "--timeout=60s")


def _pods(nodes: NodesStack) -> dict[str, tuple[str, str, int]]:
    """Tell of each pod that counts its container, since when it runs, and how often it began."""
    listed = json.loads(nodes.kubectl("get", "pods", "-l", "app=count", "-o", "json"))["items"]
    found = {}
    for pod in listed:
        (status,) = pod["status"]["containerStatuses"]
        started = status["state"]["running"]["startedAt"]
        found[pod["spec"]["nodeName"]] = (status["containerID"], started, status["restartCount"])
    return found


def _uids(nodes: NodesStack) -> dict[str, str]:
    listed = json.loads(nodes.kubectl("get", "nodes", "-o", "json"))["items"]
    return {node["metadata"]["name"]: node["metadata"]["uid"] for node in listed}


def _counts(nodes: NodesStack, hosts: tuple[str, ...] = HOSTS) -> dict[tuple[str, str], int]:
    """Ask each pod's Service from these hosts."""
    path = "{.spec.clusterIP}"
    found = {}
    for of in HOSTS:
        address = nodes.kubectl("get", "service", f"count-{of}", "-o", f"jsonpath={path}")
        for host in hosts:
            ask = f"curl -sf -m 2 http://{address}/count"
            said = nodes.ssh(host, f"timeout 30 sh -c 'until {ask}; do sleep 0.2; done'")
            count, name = said.split()
            assert name == f"count-{of}"
            found[host, of] = int(count)
    return found


def _keep_kube_proxy_off(nodes: NodesStack) -> None:
    """Give n2 the label that kubeadm's DaemonSet avoids."""
    nodes.kubectl("label", "node", "n2", "kube-nodes/kube-proxy=unit")
    end = time.monotonic() + 60
    while nodes.ssh("n2", "pgrep -x kube-proxy || :"):
        assert time.monotonic() < end, "the DaemonSet's pod stays"
        time.sleep(0.5)


def _adopt(nodes: NodesStack) -> tuple[int, dict[str, Any]]:
    status, document = nodes.fleet("adopt")
    return status, document["nodes"]


def test_what_differs_is_shown_and_nothing_changed(nodes: NodesStack) -> None:
    started = {host: nodes.ssh(host, "systemctl show -p InvocationID kubelet") for host in HOSTS}
    status, seen = _adopt(nodes)
    assert status == 1
    assert seen["n1"]["state"] == "can be adopted", seen["n1"]
    # Debian 12 names /usr/lib by its link.
    assert seen["n1"]["runs"] == [
        "kubelet v1.37.2: /lib/systemd/system/kubelet.service",
        "kube-proxy v1.37.2: /lib/systemd/system/kube-proxy.service",
    ]
    by_hand = seen["n1"]["differences"]
    kubelet = by_hand["settings of kubelet, in flags and file together"]
    assert {"-maxPods: 512", "+maxPods: 110", "-hairpinMode: promiscuous-bridge"} <= set(kubelet)
    proxy = by_hand["settings of kube-proxy, in flags and file together"]
    assert "-mode: iptables" in proxy and "+mode: nftables" in proxy
    assert (
        "-ExecStopPost=/sbin/iptables -A INPUT -p tcp --dport 4194 -j DROP"
        in (by_hand["unit kubelet"])
    )
    assert seen["n2"]["state"] == "cannot be adopted"
    (stranger,) = (each for each in seen["n2"]["findings"] if "DaemonSet" in each)
    assert "kube-proxy, and not of kube-proxy.service; one kube-proxy runs on a host" in stranger
    by_kubeadm = seen["n2"]["differences"]
    kubelet = by_kubeadm["settings of kubelet, in flags and file together"]
    assert {"-maxPods: 99", "+maxPods: 110"} <= set(kubelet)
    assert f"-# {DROP_IN.removeprefix('/usr')}" in (
        each.replace("/usr/lib/", "/lib/") for each in by_kubeadm["unit kubelet"]
    )
    after = {host: nodes.ssh(host, "systemctl show -p InvocationID kubelet") for host in HOSTS}
    assert after == started


def test_without_the_choice_an_up_leaves_both_alone(nodes: NodesStack) -> None:
    uids, pods = _uids(nodes), _pods(nodes)
    printed = nodes.up(expect=False)
    assert "only our own kubelet runs on a host" in printed
    assert (_uids(nodes), _pods(nodes), set(nodes.ready())) == (uids, pods, set(HOSTS))


def test_kubeadms_kube_proxy_is_kept_off_as_the_page_says(nodes: NodesStack) -> None:
    page = (CHECKOUT / "docs" / "operations.md").read_text()
    (patch,) = re.findall(r"patch daemonset kube-proxy -p '([^']+)'", page)
    nodes.kubectl("-n", "kube-system", "patch", "daemonset", "kube-proxy", "-p", patch)
    _keep_kube_proxy_off(nodes)
    status, seen = _adopt(nodes)
    assert (status, {each["state"] for each in seen.values()}) == (0, {"can be adopted"}), seen


def test_one_that_fails_leaves_what_was_there_running(nodes: NodesStack) -> None:
    uids, pods, counts = _uids(nodes), _pods(nodes), _counts(nodes)
    files = (
        "find /etc/systemd/system /usr/lib/systemd/system/kube* /etc/kubernetes /var/lib/kubelet"
        " -maxdepth 2 ! -name '*_state' ! -name '*.sock' -type f -exec sha256sum {} + | sort -k 2;"
        " ls -d /usr/local/bin/kube* /var/lib/kube-nodes/generation /etc/kubernetes/kubelet.conf"
    )
    before = {host: nodes.ssh(host, files, check=False) for host in HOSTS}
    # Both at once: else the second would not be touched once the first has failed.
    waves: dict[str, str | int] = {"pools.workers.canary": 0, "pools.workers.batch": 2}
    broken = waves | {_PLACE: "true", 'options.kubeletConfiguration["cpuManagerPolicy"]': "bogus"}
    with nodes.changed(broken):
        printed = nodes.up(expect=False)
    for host in HOSTS:
        assert f"{host}: kubelet did not come up: " in printed
        show = "systemctl show -p FragmentPath --value kubelet; systemctl is-enabled kubelet"
        theirs = "/lib/systemd/system/kubelet.service\nenabled\n"
        assert nodes.ssh(host, show) == theirs
        after = nodes.ssh(host, files, check=False)
        # What credentials wrote is there for the next attempt, and nothing reads it.
        own = re.compile(r"^\S+  /etc/kubernetes/(bootstrap-kubelet|proxy)\.conf\n", re.MULTILINE)
        assert own.sub("", after) == own.sub("", before[host])
    end = time.monotonic() + 60
    while nodes.ready() != _BOTH:
        assert time.monotonic() < end, nodes.ready()
        time.sleep(0.5)
    assert (_uids(nodes), _pods(nodes)) == (uids, pods)
    later = _counts(nodes, ("n1",))
    assert all(later[key] > counts[key] for key in later)
    # As the page says: n2 has the other kube-proxy back, until the next attempt.
    nodes.kubectl("label", "node", "n2", "kube-nodes/kube-proxy-")
    later = _counts(nodes)
    assert all(later[key] > count for key, count in counts.items())
    _keep_kube_proxy_off(nodes)
    annotations = nodes.kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.annotations}")
    assert "kube-nodes/generation" not in annotations


def test_both_are_taken_over_with_their_nodes_and_pods(nodes: NodesStack) -> None:
    uids, pods, counts = _uids(nodes), _pods(nodes), _counts(nodes)
    with nodes.changed({_PLACE: "true"}):
        nodes.up()
        assert nodes.ready() == _BOTH
        assert (_uids(nodes), _pods(nodes)) == (uids, pods)
        later = _counts(nodes)
        assert all(later[key] > count for key, count in counts.items())
        nodes.pulumi("preview", "--expect-no-changes", "--non-interactive")
        answers = {name: each["serviceAnswer"] for name, each in nodes.outputs()["nodes"].items()}
        assert all(answer.startswith("pod=service-check-") for answer in answers.values())
        for host in HOSTS:
            show = "systemctl show -p FragmentPath -p DropInPaths kubelet kube-proxy"
            shown = nodes.ssh(host, show)
            assert shown.count("FragmentPath=/etc/systemd/system/kube") == 2
            assert shown.count("DropInPaths=\n") == 2
        # No token was opened for them, and nobody asked for a client certificate.
        requests = json.loads(nodes.kubectl("get", "csr", "-o", "json"))["items"]
        asked = {each["spec"]["username"] for each in requests}
        assert not [user for user in asked if user.startswith("system:bootstrap:") and
                    user != "system:bootstrap:abcdef"]  # fmt: skip
        # Their serving certificates are the cluster's now.
        for host in HOSTS:
            assert nodes.kubectl("exec", f"count-{host}", "--", "cat", "/tmp/www/count")
        status, document = nodes.fleet("drift")
        assert (status, document["differences"]) == (0, [])
        status, seen = _adopt(nodes)
        assert (status, {each["state"] for each in seen.values()}) == (0, {"ours already"})


def test_the_choice_may_go_again_and_nothing_restarts(nodes: NodesStack) -> None:
    before = {host: nodes.start_times(host) for host in HOSTS}
    pods = _pods(nodes)
    printed = nodes.up()
    assert {name.partition("-")[2] for name in nodes.changed_resources(printed)} <= {
        "preflight", "prepare", "units", "membership", "service-check", "wave-2",
    }  # fmt: skip
    assert ({host: nodes.start_times(host) for host in HOSTS}, _pods(nodes)) == (before, pods)
    nodes.pulumi("preview", "--expect-no-changes", "--non-interactive")


def test_their_removal_is_that_of_any_node_and_brings_back_what_was_in_our_places(
    nodes: NodesStack,
) -> None:
    # A drain leaves pods without a controller alone, unless it is told otherwise.
    nodes.kubectl("delete", "pod", "-l", "app=count", "--now")
    nodes.up("destroy")
    assert _uids(nodes) == {}
    for host in HOSTS:
        assert nodes.ssh(host, "systemctl is-active kubelet kube-proxy", check=False).split() == (
            ["inactive", "inactive"]
        )
    assert "maxPods: 99" in nodes.ssh("n2", f"cat /var/lib/kubelet/config.yaml; ls {DROP_IN}")
    printed = "".join(nodes.printed)
    assert "PRIVATE KEY" not in printed
    assert not [secret for secret in (manual_setup.TOKEN, kubeadm_setup.TOKEN) if secret in printed]
