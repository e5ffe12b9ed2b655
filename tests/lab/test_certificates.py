"""Certificates and keys are renewed on nodes that run and serve: nothing is drained, none is lost.

The tests share one lab and one stack, and run in this order.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from lab.kubeconfig import write_kubeconfig
from lab.pki import Authority
from lab.spec import LabSpec
from lab.ssh import agent_socket, key_file, new_key_pair
from lab.stack import Stack
from tests.lab.cluster_ca import ClusterCa, put_back, restart_with
from tests.lab.nodes_stack import NodesStack, copy_project
from tests.lab.steady_requests import Requests, steady_requests

pytestmark = pytest.mark.lab

_BOTH = {"n1": "v1.37.2", "n2": "v1.37.2"}
_PKI = "/var/lib/kubelet/pki"
_PROXY = "kube-proxy's certificate"
_CLIENT, _SERVING = "kubelet's certificate", "kubelet's serving certificate"


@pytest.fixture(scope="module")
def nodes(lab: LabSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodesStack]:
    """The stack `dev` of a copy of the project, up; the control plane is put back at the end."""
    stack = NodesStack(Stack(lab, copy_project(tmp_path_factory.mktemp("project")), "dev"))
    stack.prepare()
    stack.up()
    try:
        yield stack
        stack.up("destroy")
    finally:
        put_back(lab)
    stack.pulumi("stack", "rm", "--yes")


@pytest.fixture
def asked(nodes: NodesStack) -> Iterator[Requests]:
    """Ask the test Service from n1 all the while: not one request may be lost."""
    path = ["get", "service", "-n", "kube-nodes", "service-check"]
    address = nodes.kubectl(*path, "-o", "jsonpath={.spec.clusterIP}")
    with steady_requests(nodes.lab, "n1", address, 50) as seen:
        yield seen
    assert seen.asked > 300
    assert seen.lost == []


@pytest.fixture
def unmoved(nodes: NodesStack) -> Iterator[None]:
    """Nodes stay Ready, and pods where they are, without a start of a container."""
    before = _standing(nodes)
    yield
    assert _standing(nodes) == before
    assert nodes.ready() == _BOTH


def _standing(nodes: NodesStack) -> tuple[dict[str, str], dict[str, str]]:
    """Tell since when each Node has been Ready, and which containers run where."""
    listed = json.loads(nodes.kubectl("get", "nodes", "-o", "json"))["items"]
    ready = {
        node["metadata"]["name"]: f"{each['status']} since {each['lastTransitionTime']}"
        for node in listed
        for each in node["status"]["conditions"]
        if each["type"] == "Ready"
    }
    pods = json.loads(nodes.kubectl("get", "pods", "-A", "-o", "json"))["items"]
    containers = {
        each["containerID"]: pod["spec"]["nodeName"]
        for pod in pods
        for each in pod["status"]["containerStatuses"]
    }
    assert len(containers) >= 2
    return ready, containers


def _certificates(nodes: NodesStack, *arguments: str) -> tuple[int, dict[str, Any]]:
    command = [".venv/bin/python", "-m", "kube_nodes.fleet", "certificates", "--stack", "dev"]
    done = subprocess.run(
        [*command, "--json", *arguments],
        cwd=nodes.stack.project,
        env=nodes.stack.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _issuers(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Which CA has issued what, by node and certificate."""
    return {
        (node, each["certificate"]): each["issuer"]
        for each in document["certificates"]
        for node in each["nodes"]
    }


def _all_from(issuer: str) -> dict[tuple[str, str], str]:
    return {(node, each): issuer for node in _BOTH for each in (_CLIENT, _SERVING, _PROXY)}


def _read(nodes: NodesStack, host: str, kind: str) -> x509.Certificate:
    text = nodes.ssh(host, f"cat {_PKI}/kubelet-{kind}-current.pem")
    return x509.load_pem_x509_certificate(text.encode())


def _keys_of_hosts(nodes: NodesStack) -> dict[tuple[str, str], str]:
    """Read every certificate's number."""
    kinds = ("client", "server")
    return {(n, kind): str(_read(nodes, n, kind).serial_number) for n in _BOTH for kind in kinds}


@contextmanager
def _timer(nodes: NodesStack) -> Iterator[Callable[[], str]]:
    """Give what a timer runs: `approve`, with the rights that operations.md gives its user."""
    text = (nodes.stack.project / "docs" / "operations.md").read_text()
    (rights,) = (each for each in re.findall(r"```yaml\n(.*?)```", text, re.S) if "signers" in each)
    folder = nodes.stack.project / "timer"
    folder.mkdir()
    (folder / "rights.yaml").write_text(rights)
    Authority(nodes.lab.path("pki"), "ca").ensure_certificate("approver", "kube-nodes-approve")
    write_kubeconfig(nodes.lab, folder / "kubeconfig", "approver")
    output = nodes.start("stack", "output", "inventory", "--show-secrets")
    inventory, _ = output.communicate(timeout=60)

    def approve() -> str:
        done = subprocess.run(
            ["./membership/run", "approve"],
            cwd=nodes.stack.project,
            env=nodes.stack.environment() | {"KUBECONFIG": str(folder / "kubeconfig")},
            input=inventory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    nodes.kubectl("apply", "-f", str(folder / "rights.yaml"))
    yield approve
    nodes.kubectl("delete", "-f", str(folder / "rights.yaml"))


def _read_logs(nodes: NodesStack) -> None:
    """The API server reaches the kubelet of each node, and trusts it."""
    for pod in nodes.kubectl("get", "pods", "-n", "kube-nodes", "-o", "name").split():
        nodes.kubectl("logs", "-n", "kube-nodes", pod)


def test_all_certificates_are_in_one_table_the_soonest_first(nodes: NodesStack) -> None:
    status, document = _certificates(nodes)
    assert status == 0
    assert _issuers(document) == _all_from("CA")
    ends = [each["ends"] for each in document["certificates"]]
    assert ends == sorted(ends)
    outputs = nodes.outputs()
    by_name = {each["certificate"]: each["ends"] for each in document["certificates"]}
    issued = by_name[f"{_PROXY}, as issued"]
    assert by_name[_PROXY] == issued == outputs["kubeProxyCertificateExpires"]
    assert by_name["CA, CN=kube-nodes-lab-ca"] == outputs["caCertificateExpires"]
    status, document = _certificates(nodes, "--days", "1000")
    failed = {each["certificate"] for each in document["certificates"] if each["level"] != "ok"}
    # The lab's CA lasts as long as what it issues; kubelets renew theirs.
    assert (status, failed) == (1, {_PROXY, f"{_PROXY}, as issued", "CA, CN=kube-nodes-lab-ca"})


def _set_ssh_key(nodes: NodesStack, private: str) -> None:
    subprocess.run(
        ["pulumi", "config", "set", "--secret", "kube-nodes:sshPrivateKey", "--stack", "dev"],
        cwd=nodes.stack.project, env=nodes.stack.environment(),
        input=private, capture_output=True, text=True, check=True,
    )  # fmt: skip


def test_another_ssh_key_user_and_port_restart_nothing(nodes: NodesStack, unmoved: None) -> None:
    before = {host: nodes.start_times(host) for host in _BOTH}
    pair = new_key_pair()
    environment = {"SSH_AUTH_SOCK": str(agent_socket(nodes.lab)), "PATH": "/usr/bin:/bin"}
    key = nodes.stack.project / "another"
    key.touch(mode=0o600)
    key.write_text(pair.private)
    key.with_suffix(".pub").write_text(pair.public)
    # Another key in the agent is no input.
    subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True)
    nodes.pulumi("preview", "--expect-no-changes")
    subprocess.run(["ssh-add", "-q", "-d", str(key)], env=environment, check=True)

    with nodes.changed({"options.joinTimeoutSeconds": 200}):
        _set_ssh_key(nodes, key_file(nodes.lab).read_text())
        changed = nodes.changed_resources(nodes.up())
        steps = ("preflight", "credentials", "units", "membership", "service-check")
        assert {f"{host}-{step}" for host in _BOTH for step in steps} <= changed
        _set_ssh_key(nodes, pair.private)
        values: dict[str, str | int] = {"options.ssh.user": "admin", "options.ssh.port": 2222}
        with _only_key_of_admin(nodes, pair.public), nodes.changed(values):
            nodes.up()
    assert {host: nodes.start_times(host) for host in _BOTH} == before


@contextmanager
def _only_key_of_admin(nodes: NodesStack, public: str) -> Iterator[None]:
    """Let each host know the user admin by another key alone, and sshd listen on 2222 as well."""
    keys, port = "/home/admin/.ssh/authorized_keys", "/etc/ssh/sshd_config.d/port.conf"
    listen = f"printf 'Port 22\\nPort 2222\\n' >{port}"
    for host in _BOTH:
        nodes.ssh(
            host, f"cp {keys} /root/keys; echo '{public}' >{keys}; {listen}; systemctl reload ssh"
        )
    yield
    for host in _BOTH:
        nodes.ssh(host, f"cat /root/keys >{keys}; rm /root/keys {port}; systemctl reload ssh")


@pytest.mark.parametrize(("issuer", "epoch"), [("cluster", 2), ("ca", 3)])
def test_kube_proxys_certificate_is_renewed_by_its_epoch(
    nodes: NodesStack, unmoved: None, asked: Requests, issuer: str, epoch: int
) -> None:
    before = {host: nodes.start_times(host) for host in _BOTH}
    numbers = {host: _proxys_number(nodes, host) for host in _BOTH}
    values: dict[str, str | int] = {
        "kubeProxyCertificate.epoch": epoch,
        "kubeProxyCertificate.issuer": issuer,
    }
    with nodes.changed(values):
        if issuer == "ca":
            _set_ca_key(nodes)
        printed = nodes.up()
    assert "workers-wave-2" in nodes.changed_resources(printed)
    for host in _BOTH:
        assert _proxys_number(nodes, host) != numbers[host]
        after = nodes.start_times(host)
        assert after["kube-proxy"] != before[host]["kube-proxy"]
        assert after["kubelet"] == before[host]["kubelet"]
    # The second wave's begins when the first one's has been seen to work.
    assert printed.index("n1-service-check") < printed.index("n2-credentials")


def _set_ca_key(nodes: NodesStack) -> None:
    subprocess.run(
        ["pulumi", "config", "set", "--secret", "kube-nodes:caKey", "--stack", "dev"],
        cwd=nodes.stack.project, env=nodes.stack.environment(),
        input=nodes.lab.path("pki", "ca.key").read_text(),
        capture_output=True, text=True, check=True,
    )  # fmt: skip


def _proxys_number(nodes: NodesStack, host: str) -> int:
    show = "sed -n 's/^ *client-certificate-data: *//p' /etc/kubernetes/proxy.conf | base64 -d"
    return x509.load_pem_x509_certificate(nodes.ssh(host, show).encode()).serial_number


def test_kubelets_renew_their_certificates_and_the_serving_ones_are_approved_by_inventory(
    nodes: NodesStack, unmoved: None
) -> None:
    """The signer gives a life of 90 seconds; it begins five minutes ago, so renewal is near."""
    manager = "kube-controller-manager"
    before = _keys_of_hosts(nodes)
    restart_with(nodes.lab, manager, {"--cluster-signing-duration": "90s"})
    with nodes.changed({"options.kubeletCertificateEpoch": 2}):
        nodes.up()
        _read_logs(nodes)
    soon = datetime.now(UTC) + timedelta(seconds=90)
    for host in _BOTH:
        for kind in ("client", "server"):
            assert _read(nodes, host, kind).not_valid_after_utc < soon
    first = _keys_of_hosts(nodes)
    assert all(first[each] != before[each] for each in before)
    said, second, deadline = "", first, time.monotonic() + 100
    with _timer(nodes) as approve:
        while any(second[each] == first[each] for each in first):
            assert time.monotonic() < deadline, (first, second, said)
            time.sleep(1)
            said += approve()
            second = _keys_of_hosts(nodes)
    assert "approved: serving certificate" in said
    assert "client certificate" not in said  # the cluster approves those by itself
    put_back(nodes.lab)
    _read_logs(nodes)


def test_the_clusters_ca_is_replaced_in_steps_of_an_ordinary_up(
    nodes: NodesStack, unmoved: None, asked: Requests
) -> None:
    assert _status_for(nodes, "admin") == "200"
    ca = ClusterCa(nodes.lab)
    # It was 2, and the certificates of then ended soon: another number renews them.
    renewal = {"kubeProxyCertificate.epoch": 4, "options.kubeletCertificateEpoch": 3}
    ca.trust_both()
    with nodes.changed({"caCertificate": ca.old + ca.new}):
        nodes.up()
        ca.issue_by_new()
    with nodes.changed({"caCertificate": ca.old + ca.new, **renewal}):
        nodes.up()
        status, document = _certificates(nodes)
        assert _issuers(document) == _all_from("CA 2")
        assert status == 0
        _read_logs(nodes)
    with nodes.changed({"caCertificate": ca.new, **renewal}):
        nodes.up()
        ca.drop_old()
        _read_logs(nodes)
        status, document = _certificates(nodes)
        assert (status, _issuers(document)) == (0, _all_from("CA"))
        status, found = nodes.verify()
        assert status == 0, found
        nodes.pulumi("preview", "--expect-no-changes")
        assert _status_for(nodes, "admin") == "401"


def _status_for(nodes: NodesStack, name: str) -> str:
    """Ask the API server with a certificate that the lab's first CA has issued."""
    pki, where = nodes.lab.path("pki"), f"{nodes.lab.server}/api/v1/nodes"
    words = ["--cert", f"{pki}/{name}.crt", "--key", f"{pki}/{name}.key", "-w", "%{http_code}"]
    done = subprocess.run(
        ["curl", "-sk", "--noproxy", "*", "-o", "/dev/null", *words, where],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout
