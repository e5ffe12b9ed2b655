"""sign and approve against a real API server."""

from __future__ import annotations

import base64
import datetime
import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kube_nodes.membership import approval
from kube_nodes.membership.api import Api
from kube_nodes.membership.connection import connect
from kube_nodes.model.requests import ApproveRequest, Cluster, SignRequest
from kube_nodes.model.subject_names import read_names
from tests.api.conftest import Machine, Result
from tests.api.kubelet import REQUESTS, make_request
from tests.configurations import private_pem
from tests.plugins.control_plane import ControlPlane
from tests.unit.certificate_requests import CLIENT, make_key, make_pem

Run = Callable[..., Result]
USER = "system:kube-proxy"


def sign_request(cluster: Cluster, key: str = "rsa2048", user: str = USER) -> SignRequest:
    """Make the request for kube-proxy's certificate."""
    subject = ((NameOID.COMMON_NAME, user),)
    pem = make_pem(replace(CLIENT, key=key, subject=subject)).decode()
    return SignRequest(cluster=cluster, name="kube-proxy", request_pem=pem, user=USER)


@pytest.mark.parametrize("key", ["rsa2048", "p256"])
def test_the_cluster_signs_a_client_certificate(
    plane: ControlPlane, cluster: Cluster, run: Run, key: str
) -> None:
    result = run("sign", sign_request(cluster, key))
    assert result.status == 0, result.err
    leaf = x509.load_pem_x509_certificate(result.out.encode())
    assert leaf.subject.rfc4514_string() == f"CN={USER}"
    assert leaf.public_key() == make_key(key).public_key()
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    names = [r["metadata"]["name"] for r in plane.get(REQUESTS)["items"]]
    assert not [name for name in names if name.startswith("kube-nodes-kube-proxy")]


_MANUALS = ("C=CN", "O=k8s", "OU=paas", "L=ShangHai", "ST=ShangHai")


def test_the_cluster_signs_the_declared_names_and_the_api_server_knows_user_and_group(
    plane: ControlPlane, cluster: Cluster, run: Run
) -> None:
    subject = (
        (NameOID.COUNTRY_NAME, "CN"),
        (NameOID.ORGANIZATION_NAME, "k8s"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "paas"),
        (NameOID.LOCALITY_NAME, "ShangHai"),
        (NameOID.STATE_OR_PROVINCE_NAME, "ShangHai"),
        (NameOID.COMMON_NAME, USER),
    )
    pem = make_pem(replace(CLIENT, key="rsa2048", subject=subject)).decode()
    request = SignRequest(
        cluster=cluster, name="kube-proxy", request_pem=pem, user=USER, names=_MANUALS
    )
    result = run("sign", request)
    assert result.status == 0, result.err
    assert read_names(x509.load_pem_x509_certificate(result.out.encode()).subject) == sorted(
        (f"CN={USER}", *_MANUALS)
    )
    assert _who(plane, result.out, make_key("rsa2048")) == (
        USER,
        {"k8s", "system:authenticated"},
    )


def test_a_group_that_was_not_declared_is_not_signed(cluster: Cluster, run: Run) -> None:
    subject = ((NameOID.ORGANIZATION_NAME, "system:masters"), (NameOID.COMMON_NAME, USER))
    pem = make_pem(replace(CLIENT, key="rsa2048", subject=subject)).decode()
    request = SignRequest(cluster=cluster, name="kube-proxy", request_pem=pem, user=USER)
    result = run("sign", request)
    assert result.status == 1
    assert "its subject is not exactly CN=system:kube-proxy" in result.err


def _who(plane: ControlPlane, certificate: str, key: Any) -> tuple[str, set[str]]:
    """Ask the API server whom it takes the holder of this certificate for."""
    file = plane.directory / "who.pem"
    file.touch(mode=0o600)
    file.write_text(private_pem(key) + certificate)
    context = ssl.create_default_context(cafile=str(plane.directory / "ca.crt"))
    context.load_cert_chain(file)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    connection = http.client.HTTPSConnection(plane.server.partition("//")[2], context=context)
    connection.request(
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        json.dumps(review),
        {"Content-Type": "application/json"},
    )
    info = json.load(connection.getresponse())["status"]["userInfo"]
    connection.close()
    return info["username"], set(info["groups"])


def test_a_request_for_another_user_is_not_signed(cluster: Cluster, run: Run) -> None:
    result = run("sign", sign_request(cluster, user="system:admin"))
    assert result.status == 1
    assert result.err.startswith("kube-proxy: the certificate request is refused")


def test_sign_gives_up_when_nobody_signs(
    cluster: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # kube-controller-manager looks at approved requests only.
    monkeypatch.setattr("kube_nodes.membership.sign.approve", lambda *_: True)
    result = run("sign", replace(sign_request(cluster), timeout_seconds=1))
    assert result.status == 1
    assert "csrsigning" in result.err


def approve_request(*machines: Machine) -> ApproveRequest:
    """Declare these machines."""
    nodes = tuple(machine.node for machine in machines)
    return ApproveRequest(cluster=machines[0].cluster, nodes=nodes)


def test_approve_takes_the_honest_and_reports_the_rest(member: Machine, run: Run) -> None:
    honest = member.kubelet.request_serving()
    foreign = member.kubelet.request_serving("10.99.99.99")
    result = run("approve", approve_request(member))
    assert result.status == 0
    assert f"{member.node.id}: {honest} approved: serving certificate" in result.out
    assert f"{foreign} left pending (system:node:{member.node.name}): 10.99.99.99" in result.out
    assert not member.plane.get(f"{REQUESTS}/{foreign}").get("status")


def test_a_node_that_is_not_declared_is_left_pending(member: Machine, run: Run) -> None:
    name = member.kubelet.request_serving()
    other = replace(member.node, id="other", name="other", token_id="zzz999")
    result = run("approve", ApproveRequest(cluster=member.cluster, nodes=(other,)))
    assert f"-: {name} left pending" in result.out
    assert "is not a declared node" in result.out


def test_approve_closes_the_open_token_of_a_member(member: Machine, run: Run) -> None:
    opened = {"usage-bootstrap-authentication": base64.b64encode(b"true").decode()}
    member.plane.merge(member.secret_path, {"data": opened})
    result = run("approve", approve_request(member))
    assert f"{member.node.id}: closed the token {member.token.id}" in result.out
    closed = base64.b64decode(member.data()["usage-bootstrap-authentication"])
    assert closed == b"false"


def test_approve_closes_an_expired_token_and_leaves_one_in_use(machine: Machine, run: Run) -> None:
    run("prepare", machine.prepare())
    assert "is open while it joins" in run("approve", approve_request(machine)).out
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=30)
    text = base64.b64encode(past.strftime("%Y-%m-%dT%H:%M:%SZ").encode()).decode()
    machine.plane.merge(machine.secret_path, {"data": {"expiration": text}})
    result = run("approve", approve_request(machine))
    assert f"{machine.node.id}: closed the token {machine.token.id}" in result.out
    assert "token-secret" not in machine.data()


def test_only_the_very_object_that_was_judged_is_approved(member: Machine, run: Run) -> None:
    name = member.kubelet.request_serving()
    judged = member.plane.get(f"{REQUESTS}/{name}")
    assert member.plane.call("DELETE", f"{REQUESTS}/{name}").status == 200
    # The same name again, with another content.
    pem = make_request(ec.generate_private_key(ec.SECP256R1()), "system:node:other")
    again = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {**judged["spec"], "request": base64.b64encode(pem).decode()},
    }
    assert member.plane.call("POST", REQUESTS, again).status == 201
    api = Api(connect())
    assert not approval.approve(api, judged, "test")
    assert not member.plane.get(f"{REQUESTS}/{name}").get("status")


def test_a_request_that_somebody_denied_meanwhile_is_not_approved(member: Machine) -> None:
    name = member.kubelet.request_serving()
    judged = member.plane.get(f"{REQUESTS}/{name}")
    denied = {"type": "Denied", "status": "True", "reason": "Test", "message": ""}
    body = {**judged, "status": {"conditions": [denied]}}
    answer = member.plane.call("PUT", f"{REQUESTS}/{name}/approval", body)
    assert answer.status == 200
    assert not approval.approve(Api(connect()), judged, "test")
