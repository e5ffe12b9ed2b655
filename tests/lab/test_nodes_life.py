"""The main job on real hosts: join, change, add, break, interrupt, remove; in this order.

The tests share one lab and one stack; each leaves both nodes Ready with the stack's own values.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kube_nodes.model.findings import Finding
from lab import lifecycle, pod_network
from lab.host_files import CNI_CONFIG
from lab.spec import LabSpec
from lab.ssh import new_key_pair
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
