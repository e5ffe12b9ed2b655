"""What each stolen credential can do to a real API server: docs/security.md tells it by these."""

from __future__ import annotations

import re
import ssl
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from kube_nodes.membership.approval import outcome
from kube_nodes.model.requests import ApproveRequest, SignRequest
from tests.api.conftest import Machine, Result, make_machine
from tests.api.kubelet import REQUESTS, Kubelet
from tests.api.test_prepare import make_node
from tests.plugins.control_plane import ADMIN_TOKEN
from tests.unit.certificate_requests import CLIENT, make_key, make_pem

Run = Callable[..., Result]
MERGE = "application/merge-patch+json"
SECRETS = "/api/v1/namespaces/default/secrets"
DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
SECONDS = 10.0


def await_status(ask: Callable[[], int], status: int) -> None:
    """Ask until the API server answers so: its authorizer and its policies follow by watches."""
    end = time.monotonic() + SECONDS
    while (found := ask()) != status:
        assert time.monotonic() < end, f"{found} instead of {status}"
        time.sleep(0.1)


def make_secret(machine: Machine, name: str) -> str:
    """Make a Secret, and return its path."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    assert machine.plane.call("POST", SECRETS, body).status == 201
    return f"{SECRETS}/{name}"


def run_pod_with(machine: Machine, secret: str) -> None:
    """Place a pod that mounts the Secret on the node."""
    volume = {"name": "v", "secret": {"secretName": secret.rpartition("/")[2]}}
    container = {"name": "c", "image": "none", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"uses-{machine.node.name}"},
        "spec": {"nodeName": machine.node.name, "containers": [container], "volumes": [volume]},
    }
    answer = machine.plane.call("POST", "/api/v1/namespaces/default/pods", body)
    assert answer.status == 201, answer.body


def test_an_open_token_may_ask_for_certificates_and_do_nothing_else(
    machine: Machine, run: Run
) -> None:
    assert run("prepare", machine.prepare()).status == 0

    def ask(method: str, path: str, body: Any = None) -> int:
        return machine.kubelet.call(method, path, body, machine.bearer).status

    assert ask("GET", REQUESTS) == 200
    for path in ("secrets", "configmaps", "pods", "nodes", "services", "namespaces"):
        assert ask("GET", f"/api/v1/{path}") == 403
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": machine.node.name}}
    assert ask("POST", "/api/v1/nodes", node) == 403
    assert ask("DELETE", REQUESTS) == 403


def test_a_kubelets_certificate_reaches_its_own_nodes_things_and_no_others(
    member: Machine,
) -> None:
    other = make_machine(member.plane, member.cluster)
    make_node(other, {})
    own, foreign = make_secret(member, f"of-{member.node.name}"), make_secret(member, "foreign")
    run_pod_with(member, own)
    kubelet = member.kubelet
    await_status(lambda: kubelet.call("GET", own).status, 200)
    assert kubelet.call("GET", foreign).status == 403
    assert kubelet.call("GET", SECRETS).status == 403
    for path in (other.path, f"{other.path}/status"):
        assert kubelet.call("PATCH", path, {"metadata": {}}, kind=MERGE).status == 403
    labels = {"metadata": {"labels": {"node-restriction.kubernetes.io/tier": "secret"}}}
    assert kubelet.call("PATCH", member.path, labels, kind=MERGE).status == 403
    assert kubelet.call("DELETE", member.path).status == 403
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mine"}}
    pod["spec"] = {"nodeName": other.node.name, "containers": [{"name": "c", "image": "none"}]}
    assert kubelet.call("POST", "/api/v1/namespaces/default/pods", pod).status == 403


def test_a_lost_hosts_certificate_works_and_is_renewed_after_its_node_was_deleted(
    member: Machine, run: Run
) -> None:
    """Kubernetes revokes no client certificate, and the cluster renews it: so say the document."""
    assert run("forget", member.prepare()).status == 0
    assert member.kubelet.call("GET", "/api/v1/services").status == 200
    renewal = member.kubelet.request_client()
    path = f"{REQUESTS}/{renewal}"
    end = time.monotonic() + SECONDS
    while outcome(member.plane.get(path)) != "issued":
        assert time.monotonic() < end, "the cluster does not renew it: the document is wrong"
        time.sleep(0.05)
    [condition] = member.plane.get(path)["status"]["conditions"]
    assert condition["reason"] == "AutoApproved"


def test_the_documents_policy_shuts_a_lost_host_out_and_no_other(member: Machine, run: Run) -> None:
    text = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    [policy] = [found for found in text if "ValidatingAdmissionPolicy" in found]
    assert run("forget", member.prepare()).status == 0
    healthy = Kubelet(member.plane, "not-lost")
    paths = []
    for manifest in yaml.safe_load_all(
        textwrap.dedent(policy).replace("system:node:w1", member.node.user)
    ):
        kind = "validatingadmissionpolicybindings" if "Binding" in manifest["kind"] else ""
        kind = kind or "validatingadmissionpolicies"
        collection = f"/apis/admissionregistration.k8s.io/v1/{kind}"
        assert member.plane.call("POST", collection, manifest).status == 201
        paths.append(f"{collection}/{manifest['metadata']['name']}")
    try:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": member.node.name}}
        call = member.kubelet.call
        await_status(lambda: call("POST", "/api/v1/nodes?dryRun=All", node).status, 422)
        with pytest.raises(AssertionError, match="lost"):
            member.kubelet.request_client()
        assert not member.plane.exists(member.path)
        answer = healthy.call("POST", "/api/v1/nodes?dryRun=All", node, ADMIN_TOKEN)
        assert answer.status == 201
    finally:
        for path in paths:
            member.plane.call("DELETE", path)


def test_a_lost_hosts_certificate_gets_no_new_serving_certificate_for_other_addresses(
    member: Machine, run: Run
) -> None:
    assert run("forget", member.prepare()).status == 0
    name = member.kubelet.request_serving("10.99.99.99")
    undeclared = replace(member.node, id="other", name="other", token_id="zzz999")
    for node in (member.node, undeclared):
        run("approve", ApproveRequest(cluster=member.cluster, nodes=(node,)))
    assert outcome(member.plane.get(f"{REQUESTS}/{name}")) == "pending"


def test_kube_proxys_certificate_reads_services_and_nodes_and_no_secrets(
    machine: Machine, run: Run, tmp_path: Path
) -> None:
    pem = make_pem(
        replace(CLIENT, key="rsa2048", subject=((NameOID.COMMON_NAME, "system:kube-proxy"),))
    )
    request = SignRequest(
        cluster=machine.cluster,
        name="kube-proxy",
        request_pem=pem.decode(),
        user="system:kube-proxy",
    )
    signed = run("sign", request)
    assert signed.status == 0, signed.err
    proxy = Kubelet(machine.plane, "proxy", identity=identity(machine, signed.out, tmp_path))
    for path in ("/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/nodes"):
        assert proxy.call("GET", path).status == 200
    for path in ("/api/v1/secrets", "/api/v1/pods", "/api/v1/configmaps", REQUESTS):
        assert proxy.call("GET", path).status == 403
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine"}}
    assert proxy.call("POST", "/api/v1/nodes", node).status == 403
    assert proxy.call("POST", REQUESTS, {}).status == 403


def identity(machine: Machine, certificate: str, folder: Path) -> ssl.SSLContext:
    """Make an identity of a certificate for the test's RSA key."""
    key = make_key("rsa2048").private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / "identity.pem"
    file.write_bytes(certificate.encode() + key)
    context = ssl.create_default_context(cafile=str(machine.plane.directory / "ca.crt"))
    context.load_cert_chain(file)
    return context


def test_an_administrators_request_for_a_node_is_approved_by_the_cluster_itself(
    machine: Machine,
) -> None:
    """An administrator may do all, also what the binding of automatic approval allows."""
    stranger = Kubelet(machine.plane, machine.node.name)
    pem = make_pem(
        replace(CLIENT, subject=(CLIENT.subject[0], (NameOID.COMMON_NAME, machine.node.user)))
    )
    name = stranger.request(pem, CLIENT.signer, "client", ADMIN_TOKEN)
    end = time.monotonic() + SECONDS
    while outcome(machine.plane.get(f"{REQUESTS}/{name}")) == "pending":
        assert time.monotonic() < end
        time.sleep(0.05)
