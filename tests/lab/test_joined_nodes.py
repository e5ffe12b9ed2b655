"""What is seen of nodes that have joined, and a third host that comes and goes beside them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kube_nodes.model.findings import Finding
from lab import lifecycle, pod_network
from lab.host_files import CNI_CONFIG
from lab.spec import LabSpec
from lab.stack import Stack
from tests.cis import failed_checks
from tests.documented import assert_documented
from tests.lab.dns_server import cluster_dns
from tests.lab.hardening import SEEN_BY_THE_POD, assert_sandboxed, known_node, read_volumes
from tests.lab.host_script.proxy_host import proxy_chains
from tests.lab.nodes_stack import NodesStack, copy_project

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def nodes(lab: LabSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodesStack]:
    """The stack `dev` of a copy of the project, up on the tests' lab."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    stack = NodesStack(Stack(lab, project, "dev"))
    stack.prepare()
    stack.up()
    # The Service answers from one pod already; the other one may still be starting.
    check = "daemonset/service-check"
    stack.kubectl("rollout", "status", check, "-n", "kube-nodes", "--timeout=60s")
    _await_no_taint(stack)
    yield stack
    stack.up("destroy")


def _await_no_taint(nodes: NodesStack) -> None:
    """Wait until the cluster has taken away what it gave Nodes that were not Ready yet."""
    end = time.monotonic() + 30
    while "not-ready" in nodes.kubectl("get", "nodes", "-o", "jsonpath={.items[*].spec.taints}"):
        assert time.monotonic() < end, "the taint stays"
        time.sleep(0.5)


_DNS = "service-check.kube-nodes.svc.cluster.local at 10.96.0.10"
_PATH = "{.spec.clusterIP}"


def test_verify_finds_a_new_stack_well_in_every_line(nodes: NodesStack) -> None:
    service = nodes.kubectl("get", "service", "-n", "kube-nodes", "service-check", "-o",
                            f"jsonpath={_PATH}")  # fmt: skip
    with cluster_dns(nodes, "10.96.0.10", service):
        assert nodes.verify() == (0, [])


def test_status_tells_of_the_nodes_without_a_look_at_their_hosts(nodes: NodesStack) -> None:
    logins = {host: nodes.logins(host) for host in ("n1", "n2")}
    status, document = nodes.fleet("status")
    assert (status, document["well"]) == (0, True)
    assert 300 < document["kubeProxyCertificate"]["daysLeft"] < 366
    told = {name: (each["ready"], each["running"]) for name, each in document["nodes"].items()}
    assert told == dict.fromkeys(("n1", "n2"), ("True", "v1.37.2"))
    assert {host: nodes.logins(host) for host in logins} == logins
    status, document = nodes.fleet("status", "--drift")
    assert status == 0
    assert {each["drift"] for each in document["nodes"].values()} == {"as declared"}
    assert all(nodes.logins(host) > logins[host] for host in logins)


# What somebody does on a host by hand, and what undoes it.
_FAULTS = {
    "n1": (
        "echo '# by hand' >>/var/lib/kubelet/config.yaml; chmod 644 /etc/kubernetes/proxy.conf;"
        " systemctl disable kubelet; d=/etc/systemd/system/kube-proxy.service.d; mkdir $d;"
        " printf '[Service]\\nNice=1\\n' >$d/10-x.conf; systemctl daemon-reload",
        "sed -i '$d' /var/lib/kubelet/config.yaml; chmod 600 /etc/kubernetes/proxy.conf;"
        " rm -r /etc/systemd/system/kube-proxy.service.d; systemctl enable kubelet;"
        " systemctl daemon-reload",
    ),
    "n2": ("systemctl stop kube-proxy", "systemctl start kube-proxy"),
}
_MANUALS = (
    "Failed to execute iptables-restore for nat: exit status 1 (iptables-restore: line 7 failed"
)
# A line of kube-proxy's own journal: whoever writes it must be in its cgroup while it is read.
_WRITE = f"""p=$(systemctl show -p MainPID --value kube-proxy)
for d in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
  g=$(sed -n 's/^0:://p; s/^[0-9]*:name=systemd://p' /proc/$p/cgroup | head -n 1)
  [ ! -e $d$g/cgroup.procs ] || echo $$ >$d$g/cgroup.procs
done
systemd-cat -t kube-proxy sh -c 'echo "E1126 1 proxier.go:423] {_MANUALS}"; sleep 0.5'
journalctl --sync"""


def test_verify_finds_every_planted_fault_and_nothing_else(nodes: NodesStack) -> None:
    nodes.ssh("n1", _WRITE)
    for host, (plant, _) in _FAULTS.items():
        nodes.ssh(host, plant)
    nodes.kubectl("label", "node", "n1", "kube-nodes/pool-")
    nodes.kubectl("cordon", "n2")
    try:
        status, found = nodes.verify()
    finally:
        nodes.kubectl("label", "node", "n1", "kube-nodes/pool=workers")
        nodes.kubectl("uncordon", "n2")
        for host, (_, undo) in _FAULTS.items():
            nodes.ssh(host, undo)
    assert status == 1
    assert {(each["node"], each["what"]) for each in found if each["level"] == "failed"} == {
        ("n1", "/var/lib/kubelet/config.yaml"),
        ("n1", "/etc/kubernetes/proxy.conf"),
        ("n1", "unit kubelet"),
        ("n1", "unit kube-proxy"),
        ("n1", "Node labels"),
        ("n2", "unit kube-proxy"),
        ("n2", "health of kube-proxy"),
        ("n2", "mode of kube-proxy"),
        ("n2", "Node schedulable"),
    }
    notes = {(each["node"], each["what"]) for each in found if each["level"] != "failed"}
    message = "journal of kube-proxy: iptables-restore"
    assert notes == {("n1", message), ("n1", _DNS), ("n2", _DNS)}
    (note,) = (each for each in found if each["what"] == message)
    assert _MANUALS in note["value"]
    assert "kubernetes#68447" in note["rule"]


def test_a_node_without_its_cni_configuration_is_told_of_with_what_to_do(
    nodes: NodesStack,
) -> None:
    """The lab's network add-on is stopped meanwhile: it would bring the file back."""
    file, kept = f"/{CNI_CONFIG}", "/run/kept.conflist"
    with nodes.paused(pod_network.NAME):
        nodes.ssh("n1", f"mv {file} {kept}; systemctl restart containerd")
        try:
            nodes.await_not_ready("n1")
            with nodes.changed({"pools.workers.nodes.n1.options.joinTimeoutSeconds": 10}):
                said = nodes.up(expect=False)
        finally:
            nodes.ssh("n1", f"mv {kept} {file}")
    assert_documented(said, "Node not Ready because of CNI")
    nodes.up()


def test_a_sandbox_image_that_is_missing_is_told_by_verify(nodes: NodesStack) -> None:
    image, kept = "localhost/kube-nodes/pause:1", "/run/kept-pause.tar"
    images = "ctr -n k8s.io images"
    nodes.ssh("n1", f"{images} export {kept} {image} && {images} rm --sync {image}")
    try:
        nodes.kubectl("delete", "pods", "-n", "kube-nodes", "--field-selector=spec.nodeName=n1")
        end = time.monotonic() + 60
        while not (found := _of_sandboxes(nodes)):
            assert time.monotonic() < end, "no pod lacked the image"
    finally:
        nodes.ssh("n1", f"{images} import {kept} && rm {kept}")
    assert found["level"] == "failed"
    assert_documented(str(Finding(**found)), "Image of the sandbox missing")
    nodes.kubectl("rollout", "status", "-n", "kube-nodes", "daemonset/service-check")


def _of_sandboxes(nodes: NodesStack) -> dict[str, Any]:
    """Return what verify says of the image of sandboxes."""
    what = "journal of kubelet: sandbox image"
    return next((each for each in nodes.verify()[1] if each["what"] == what), {})


def test_a_joined_node_can_be_asked_for_logs(nodes: NodesStack) -> None:
    """The kubelet's serving certificate was issued, and the API server trusts it."""
    pod = nodes.kubectl("get", "pods", "-n", "kube-nodes", "-o", "name").split()[0]
    nodes.kubectl("logs", "-n", "kube-nodes", pod)


def test_a_joined_node_passes_every_check_of_the_cis_benchmark(nodes: NodesStack) -> None:
    known = known_node(nodes, "n1")
    assert failed_checks(known) == []
    assert len(known.files) == 5


def test_both_services_run_in_their_sandboxes(nodes: NodesStack) -> None:
    assert_sandboxed(nodes, "n1")


def test_what_the_kubelet_mounts_reaches_a_pod(nodes: NodesStack, tmp_path: Path) -> None:
    assert read_volumes(nodes, "n1", tmp_path / "pod.yaml") == SEEN_BY_THE_POD


SAVE = "iptables-save; ip6tables-save"
CONTAINERD = {
    "containerd.sandboxImage": "localhost/kube-nodes/pause:1",
    "containerd.cniBinDir": "/usr/lib/cni",
    "containerd.restrictOomScoreAdj": "true",
}


@pytest.fixture(scope="module")
def third(nodes: NodesStack) -> Iterator[dict[str, str | int]]:
    """A third host in the lab, and what declares it."""
    lifecycle.up(nodes.lab.directory, lifecycle.Wish(hosts=("n1", "n2", "n3")), lambda _: None)
    host = nodes.reload_lab().host("n3")
    place = "pools.workers.nodes.n3"
    yield {f"{place}.address": host.address, f"{place}.hostKey": host.host_key}
    lifecycle.remove_host(nodes.lab.directory, nodes.lab, "n3")
    nodes.reload_lab()


def _with_options(
    declared: Mapping[str, str | int], options: Mapping[str, str | int]
) -> dict[str, str | int]:
    place = "pools.workers.nodes.n3.options"
    return {**declared} | {f"{place}.{key}": value for key, value in options.items()}


TOKENS = "/srv/control-plane/token.csv"


def _join_with_static_token(nodes: NodesStack, others: str) -> str:
    """Let `up` write the token, which the API server has not read; be its administrator; `up`.

    Returns what the second `up` printed.
    """
    seed = f"umask 077; mkdir -p {TOKENS.rpartition('/')[0]}; echo '{others}' >{TOKENS}"
    nodes.ssh("n3", seed)
    said = nodes.up(expect=False)
    assert f"n3: changed {TOKENS}; kube-apiserver reads it when it starts" in said
    assert "n3: the API server does not know the static token of the user kubelet-boot" in said
    assert not nodes.ssh("n3", "ls /etc/kubernetes 2>/dev/null", check=False)
    written = nodes.ssh("n3", f"cat {TOKENS}")
    pattern = rf'{others}\n[0-9a-f]{{32}},kubelet-bootstrap,10001,"system:bootstrappers"\n'
    assert re.fullmatch(pattern, written)
    assert nodes.ssh("n3", f"stat -c %a:%U {TOKENS}") == "600:root\n"
    nodes.give_api_server_tokens(written)
    return nodes.up()


def test_a_third_host_joins_with_the_static_token_is_upgraded_and_removed_without_the_others(
    nodes: NodesStack, third: dict[str, str | int]
) -> None:
    """It is the control-plane host too: nothing else than it may be touched.

    Its user is not root, and its newer programs come from the operator's machine.
    """
    tokens = {f"staticToken.hosts.n3.{key.rpartition('.')[2]}": each for key, each in third.items()}
    third = third | tokens | {"staticToken.file": TOKENS}
    logins = {name: nodes.logins(name) for name in ("n1", "n2")}
    assert all(logins.values())
    both = {"n1": "v1.37.2", "n2": "v1.37.2"}
    own_file = nodes.ssh("n3", "sha256sum /etc/containerd/config.toml")
    options = {
        "kubernetesVersion": "1.35.4",
        "tokenMode": "static",
        "ssh.user": "admin",
        "proxyMode": "iptables",
        **CONTAINERD,
    }
    others = "t1,somebody,1"
    with nodes.changed(_with_options(third, options)):
        changed = nodes.changed_resources(_join_with_static_token(nodes, others))
        assert changed and all(name.startswith("n3") for name in changed)
        assert nodes.ready() == both | {"n3": "v1.35.4"}
        assert nodes.ssh("n3", "sha256sum /etc/containerd/config.toml") != own_file
        secrets = nodes.kubectl("get", "secrets", "-n", "kube-system", "-o", "name")
        assert secrets.count("bootstrap-token-") == 2
        assert "KUBE-SERVICES" in proxy_chains(nodes.ssh("n3", SAVE))
        assert _answer(nodes, "n3").startswith("pod=service-check-")
    newer = {**options, "kubernetesVersion": "1.36.3", "proxyMode": "nftables"}
    with nodes.changed(_with_options(third, newer)):
        nodes.send_binaries("1.36.3")
        printed = nodes.up()
        assert "n3-binaries" in nodes.changed_resources(printed)
        assert nodes.ready() == both | {"n3": "v1.36.3"}
        assert proxy_chains(nodes.ssh("n3", SAVE)) == set()
        assert "table ip kube-proxy" in nodes.ssh("n3", "nft list tables")
        assert _answer(nodes, "n3").startswith("pod=service-check-")
        journal = nodes.ssh("n3", "journalctl --no-pager -o cat -u kubelet -u kube-proxy")
        assert not re.search(r"has been deprecated|unknown flag|unknown field", journal)
    nodes.up()
    assert nodes.ready() == both
    assert {name: nodes.logins(name) for name in ("n1", "n2")} == logins
    left = nodes.ssh(
        "n3",
        "ls -d /etc/kubernetes /var/lib/kubelet /var/lib/kube-proxy /var/lib/kube-nodes "
        "/etc/systemd/system/kube* /usr/local/bin/kube* 2>/dev/null; "
        "grep -F /var/lib/kubelet /proc/mounts; systemctl is-active kubelet kube-proxy",
        check=False,
    )
    assert left.split() == ["inactive", "inactive"]
    assert nodes.ssh("n3", "sha256sum /etc/containerd/config.toml") == own_file
    assert nodes.ssh("n3", f"cat {TOKENS}") == f"{others}\n"


def _answer(nodes: NodesStack, name: str) -> str:
    """Return what the Service answered from a node in the last `up`."""
    return str(nodes.outputs()["nodes"][name]["serviceAnswer"])


def test_a_host_with_kube_proxy_alone_reaches_services_and_is_no_node(
    nodes: NodesStack, third: dict[str, str | int]
) -> None:
    """It is reached by way of another host, whose key is checked too."""
    way = nodes.lab.host("n1")
    jump = {"address": way.address, "hostKey": way.host_key, "user": "admin"}
    options = {"role": "proxy-only", **{f"ssh.jump.{key}": jump[key] for key in jump}}
    before = nodes.logins("n1")
    with nodes.changed(_with_options(third, options)):
        nodes.up()
        assert nodes.logins("n1") - before >= 4
        answer = nodes.outputs()["nodes"]["n3"]["serviceAnswer"]
        assert answer.startswith("pod=service-check-")
        assert nodes.ready() == {"n1": "v1.37.2", "n2": "v1.37.2"}
        assert "n3" not in nodes.kubectl("get", "nodes")
    nodes.up()
