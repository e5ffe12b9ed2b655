"""Drift on real hosts: what is changed by hand is found, kind by kind, and the next up repairs it.

The tests share one lab and one stack, and run in this order.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lab.spec import LabSpec
from lab.ssh import new_key_pair
from lab.stack import Stack
from tests.lab.nodes_stack import NodesStack, copy_project
from tests.unit.healthy_node import CLIENT, Authority, encoded, issue

pytestmark = pytest.mark.lab

_BOTH = {"n1": "v1.37.2", "n2": "v1.37.2"}
_TAINT = "kind=drift:PreferNoSchedule"


@pytest.fixture(scope="module")
def nodes(lab: LabSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodesStack]:
    """The stack `dev` of a copy of the project; n1 has a taint of its own."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    stack = NodesStack(Stack(lab, project, "dev"))
    stack.prepare()
    place = "kube-nodes:pools.workers.nodes.n1.options.taints[0]"
    stack.pulumi("config", "set-all", "--path", "--plaintext", f"{place}={_TAINT}")
    yield stack
    stack.up("destroy")
    stack.pulumi("stack", "rm", "--yes")


def _run(nodes: NodesStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [".venv/bin/python", "-m", "kube_nodes.fleet", "drift", "--stack", "dev", *arguments],
        cwd=nodes.stack.project,
        env=nodes.stack.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    nodes.printed += [done.stdout, done.stderr]
    return done


def _look(nodes: NodesStack, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = _run(nodes, "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _states(document: dict[str, Any]) -> dict[str, str]:
    return {node: each["state"] for node, each in document["nodes"].items()}


def _declared(nodes: NodesStack) -> dict[str, Any]:
    text = (nodes.stack.project / "Pulumi.dev.yaml").read_text()
    config: dict[str, Any] = yaml.safe_load(text)["config"]
    return config


def _found(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    """What is said, with its diff, by node and by what it is of."""
    return {
        (node, each["what"]): "\n".join((each["value"], *each["diff"]))
        for each in document["differences"]
        for node in each["nodes"]
    }


def test_nodes_that_have_not_joined_are_said_so_and_are_no_drift(nodes: NodesStack) -> None:
    status, document = _look(nodes)
    assert (status, document["differences"]) == (0, [])
    assert _states(document) == {"n1": "not joined yet", "n2": "not joined yet"}


def test_after_an_up_there_is_no_drift(nodes: NodesStack) -> None:
    nodes.up()
    status, document = _look(nodes)
    assert (status, document["differences"]) == (0, [])
    assert _states(document) == {"n1": "as declared", "n2": "as declared"}


_PLANT = {
    "n1": r"""
printf '# by hand \033[31m\n' >>/var/lib/kubelet/config.yaml
rm /var/lib/kube-proxy/config.conf
chmod 644 /etc/kubernetes/proxy.conf
sed -i 's|client-certificate-data: .*|client-certificate-data: FOREIGN|' /etc/kubernetes/proxy.conf
chown 1:1 /etc/kubernetes/pki/ca.crt
systemctl -q disable kubelet
d=/etc/systemd/system/kubelet.service.d; mkdir $d; printf '[Service]\nNice=1\n' >$d/10-x.conf
systemctl daemon-reload
systemctl stop kube-proxy
printf x >>/usr/local/bin/kube-proxy
touch /etc/kubernetes/old.conf; echo /etc/kubernetes/old.conf >>/var/lib/kube-nodes/units.list
echo '# by hand' >>/etc/kubernetes/bootstrap-kubelet.conf
sed -i 's|server: .*|server: https://192.0.2.9:6443|' /etc/kubernetes/kubelet.conf
chmod 755 /var/lib/kubelet
rm -r .kube-nodes
""",
    "n2": r"""
rm /etc/kubernetes/kubelet.conf
ln -sf /dev/null /etc/systemd/system/kube-proxy.service; systemctl daemon-reload
rm /usr/local/bin/kube-proxy
sed -i 's/^Restart=.*/Restart=no/' /etc/systemd/system/kubelet.service
cd /usr/local/bin; cp -p kubelet x; printf x >>x; mv x kubelet
chmod 644 /var/lib/kubelet/pki/kubelet-client-current.pem
sed -i 's|client-certificate-data: .*|client-certificate-data: NEAR|' /etc/kubernetes/proxy.conf
echo 0 >/proc/sys/net/ipv4/ip_forward
ln -sf config.other /var/lib/kube-proxy/config.conf
""",
}
_KUBELET, _PROXY = "/usr/local/bin/kubelet", "/usr/local/bin/kube-proxy"
_UNITS = "/etc/systemd/system"
# Node, what it is of, what is said: each is a kind of its own.
_KINDS = [
    ("n1", _KUBELET, "SHA-256"),
    ("n1", f"version of {_KUBELET}", "Kubernetes v1.36.3"),
    ("n1", "Node version", "v1.36.3"),
    ("n1", "/var/lib/kubelet/config.yaml", "\n+# by hand \\x1b[31m"),
    ("n1", "/var/lib/kube-proxy/config.conf", "is absent"),
    ("n1", "/etc/kubernetes/proxy.conf", "mode 0644"),
    ("n1", "/etc/kubernetes/proxy.conf", "content of another"),
    ("n1", "kube-proxy's certificate in /etc/kubernetes/proxy.conf", "was not issued by"),
    ("n1", "/etc/kubernetes/pki/ca.crt", "owner 1:1"),
    ("n1", "unit kubelet", "is disabled"),
    ("n1", "unit kubelet", f"is changed by {_UNITS}/kubelet.service.d/10-x.conf"),
    ("n1", "unit kube-proxy", "is inactive (dead)"),
    ("n1", _PROXY, "SHA-256"),
    ("n1", "/etc/kubernetes/old.conf", "is there by us"),
    ("n1", "/etc/kubernetes/bootstrap-kubelet.conf", "content of another"),
    ("n1", "names in /etc/kubernetes/kubelet.conf", "server https://192.0.2.9:6443"),
    ("n1", "/var/lib/kubelet", "mode 0755"),
    ("n1", "~/.kube-nodes", "nothing whole is there"),
    ("n1", "Node labels", "no kube-nodes/pool"),
    ("n1", "Node taints", f"no {_TAINT}"),
    ("n2", "/etc/kubernetes/kubelet.conf", "is absent"),
    ("n2", "names in /etc/kubernetes/kubelet.conf", "server none"),
    ("n2", f"{_UNITS}/kube-proxy.service", "is link"),
    ("n2", "unit kube-proxy", "is masked"),
    ("n2", _PROXY, "is absent"),
    ("n2", f"version of {_PROXY}", "it does not run"),
    ("n2", f"{_UNITS}/kubelet.service", "\n+Restart=no"),
    ("n2", "unit kubelet", "has changed since systemd read it"),
    ("n2", "unit kubelet", f"runs {_KUBELET} (deleted)"),
    ("n2", _KUBELET, "SHA-256"),
    ("n2", CLIENT, "mode 0644"),
    ("n2", "/etc/kubernetes/proxy.conf", "content of another"),
    ("n2", "kube-proxy's certificate in /etc/kubernetes/proxy.conf", "9 days left"),
    ("n2", "sysctl net/ipv4/ip_forward", "0"),
    ("n2", "/var/lib/kube-proxy/config.conf", "is link"),
    ("n2", "Node", "there is none"),
]


def _start_another_kubelet(nodes: NodesStack, url: str) -> None:
    script = f"cd /usr/local/bin && curl -fsSo x {url} && chmod 755 x && mv x kubelet"
    nodes.ssh("n1", f"{script} && systemctl restart kubelet")
    deadline = time.monotonic() + 60
    while nodes.ready().get("n1") != "v1.36.3":
        assert time.monotonic() < deadline, nodes.ssh("n1", "journalctl -u kubelet -n 20")
        time.sleep(0.5)


def _plant(nodes: NodesStack) -> None:
    """Change everything by hand that is in the table."""
    now = datetime.datetime.now(datetime.UTC)
    key = load_pem_private_key(nodes.lab.path("pki", "ca.key").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate(nodes.lab.path("pki", "ca.crt").read_bytes())
    end = now + datetime.timedelta(days=9, hours=12)
    ours = Authority(key, certificate)  # type: ignore[arg-type]
    near = issue("system:kube-proxy", ours, begins=now, ends=end).pem
    foreign = issue("system:kube-proxy", begins=now, ends=end).pem
    url = _declared(nodes)["kube-nodes:binaries"]["1.36.3"]["kubelet"]["url"]
    _start_another_kubelet(nodes, url)
    given = {"FOREIGN": encoded(foreign), "NEAR": encoded(near)}
    for host, script in _PLANT.items():
        filled = re.sub("|".join(given), lambda word: given[word[0]], script)
        nodes.ssh(host, f"set -e\n{filled}")
    nodes.kubectl("label", "node", "n1", "kube-nodes/pool-")
    nodes.kubectl("taint", "node", "n1", f"{_TAINT}-")
    nodes.kubectl("delete", "node", "n2")


def test_every_kind_of_drift_is_found_and_repaired_by_the_next_up(nodes: NodesStack) -> None:
    _plant(nodes)
    status, document = _look(nodes)
    found = _found(document)
    missed = [kind for kind in _KINDS if kind[2] not in found.get(kind[:2], "")]
    assert missed == [], found
    assert set(found) == {kind[:2] for kind in _KINDS}
    assert len(_KINDS) >= 20
    assert (status, _states(document)) == (3, {"n1": "drifted", "n2": "drifted"})
    nodes.ssh("n2", "echo 1 >/proc/sys/net/ipv4/ip_forward")  # the host's own

    before = _declared(nodes)
    assert _run(nodes, "--repair").returncode == 3
    for node in before["kube-nodes:pools"]["workers"]["nodes"].values():
        node["reapply"] = node.get("reapply", 0) + 1
    assert _declared(nodes) == before
    nodes.up()
    assert nodes.ready() == _BOTH
    status, document = _look(nodes)
    assert (status, document["differences"]) == (0, [])
    nodes.pulumi("preview", "--expect-no-changes")
    # What was in the way of our unit is the host's own, and comes back when the node is removed.
    kept = nodes.ssh("n1", f"ls {_UNITS}/kubelet.service.d; rm -r {_UNITS}/kubelet.service.d")
    assert kept.split() == ["10-x.conf.kn-orig"]


def test_a_preview_warns_of_drift_only_when_it_is_asked_to(
    nodes: NodesStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.ssh("n2", "echo '# by hand' >>/var/lib/kubelet/config.yaml")
    logins = nodes.logins("n2")
    assert "drift:" not in nodes.pulumi("preview")
    assert nodes.logins("n2") == logins
    monkeypatch.setenv("KUBE_NODES_DRIFT", "1")
    printed = nodes.pulumi("preview", "--expect-no-changes", "--non-interactive")
    assert re.search(r"drift: n2: /var/lib/kubelet/config.yaml: SHA-256", printed)
    assert "+# by hand" in printed
    nodes.ssh("n2", "sed -i '$d' /var/lib/kubelet/config.yaml")


def test_a_node_without_its_identity_joins_again_and_no_other_is_touched(nodes: NodesStack) -> None:
    """A host that is down, and a unit that was started again, are lines and no drift."""
    nodes.ssh("n2", f"rm $(readlink -f {CLIENT}) {CLIENT} /var/lib/kube-nodes/units.list")
    nodes.ssh("n1", "kill -9 $(systemctl show -p MainPID --value kube-proxy); sleep 3")
    address = str(nodes.lab.network.network_address + 99)
    down = {"address": address, "hostKey": new_key_pair().public}
    place = "pools.workers.nodes.n3"
    with nodes.changed({f"{place}.{key}": value for key, value in down.items()}):
        status, document = _look(nodes)
    found = _found(document)
    assert status == 3
    assert _states(document) == {"n1": "as declared", "n2": "drifted", "n3": "not looked at"}
    assert "started it again 1 times" in found.pop(("n1", "unit kube-proxy"))
    assert set(found) == {
        ("n2", CLIENT),
        ("n2", f"kubelet's certificate in {CLIENT}"),
        ("n2", "/var/lib/kube-nodes/units.list"),
    }
    before, logins = nodes.start_times("n1"), nodes.logins("n1")
    printed = _run(nodes, "--repair").stdout
    assert "n2: generation 1 -> 2" in printed
    assert nodes.logins("n1") == logins + 1
    changed = nodes.changed_resources(nodes.up()) - {"workers-wave-2"}
    assert changed and all(name.startswith("n2") for name in changed)
    assert nodes.ready() == _BOTH
    assert nodes.logins("n1") == logins + 1
    assert nodes.start_times("n1") == before
    status, document = _look(nodes)
    assert status == 0
    assert [each["nodes"] for each in document["differences"]] == [["n1"]]
    nodes.pulumi("preview", "--expect-no-changes")
