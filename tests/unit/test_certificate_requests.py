"""The approval rules: what a kubelet asks for is approved, and nothing else."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from kube_nodes.model import certificate_requests as rules
from kube_nodes.model.certificate_requests import (
    CertificateRequest,
    Standing,
    Verdict,
    is_pending,
    judge_user,
    read_certificate_request,
)
from kube_nodes.model.requests import DeclaredNode
from tests.unit.certificate_requests import (
    CLIENT,
    NODE,
    NODES,
    SERVING,
    Case,
    Recipe,
    make_pem,
    make_request,
)
from tests.unit.hostile_requests import HOSTILE

_NEW = dict.fromkeys(NODES, Standing())


def judge(request: CertificateRequest, nodes: Mapping[str, DeclaredNode]) -> Verdict:
    """Judge it where the cluster knows nothing of the nodes yet."""
    return rules.judge(request, nodes, _NEW)


_CASES = pytest.mark.parametrize("case", HOSTILE, ids=[case.title for case in HOSTILE])


@_CASES
def test_a_hostile_request_is_refused_for_its_fault(case: Case) -> None:
    verdict = judge(make_request(case.hostile), NODES)
    assert (verdict.approve, verdict.reason) == (False, case.reason), verdict.text


@_CASES
def test_its_twin_without_the_fault_is_approved(case: Case) -> None:
    verdict = judge(make_request(case.base), NODES)
    assert verdict.approve, verdict.text


def test_every_hostile_request_has_a_title_of_its_own() -> None:
    titles = [case.title for case in HOSTILE]
    assert len(set(titles)) == len(titles) >= 40


@pytest.mark.parametrize("recipe", [CLIENT, SERVING], ids=["client", "serving"])
@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048"])
def test_key_encipherment_may_be_asked_for_with_every_key(recipe: Recipe, key: str) -> None:
    usages = (*recipe.usages, "key encipherment")
    assert judge(make_request(replace(recipe, key=key, usages=usages)), NODES).approve


def test_a_verdict_names_the_declared_node_also_when_it_refuses() -> None:
    verdict = judge(make_request(replace(CLIENT, username="admin")), NODES)
    assert verdict.node == NODE
    assert "admin" in verdict.text


def test_the_static_user_may_ask_for_a_node_that_is_declared_with_it() -> None:
    subject = (CLIENT.subject[0], (NameOID.COMMON_NAME, "system:node:n3"))
    recipe = replace(CLIENT, username="kubelet-bootstrap", groups=("any",), subject=subject)
    assert judge(make_request(recipe), NODES).approve


_OWN = st.sampled_from(["n1", "n1.example.org", "10.0.0.11", "fd00::11"])
_OTHERS = st.sampled_from(["n2", "example.org", "10.0.0.12", "fd00::12", "localhost"])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


@given(st.lists(_OWN, min_size=1, unique=True), st.lists(_OTHERS, unique=True))
def test_a_serving_request_is_approved_only_if_every_name_is_declared(
    own: list[str], others: list[str]
) -> None:
    names = tuple(_general_name(text) for text in own + others)
    verdict = judge(make_request(replace(SERVING, names=names)), NODES)
    assert verdict.approve == (not others)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_changed_byte_of_what_is_signed_is_approved(position: int, change: int) -> None:
    request = make_request(SERVING)
    parsed = x509.load_pem_x509_csr(request.pem)
    der = bytearray(parsed.public_bytes(serialization.Encoding.DER))
    der[position % len(der)] ^= change
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n%s-----END CERTIFICATE REQUEST-----\n"
    changed = pem % base64.encodebytes(bytes(der))
    if judge(replace(request, pem=changed), NODES).approve:
        # The parser ignores how many bits of the signature's last byte count; nothing else.
        signed = x509.load_pem_x509_csr(changed).tbs_certrequest_bytes
        assert signed == parsed.tbs_certrequest_bytes


@given(st.binary(max_size=400), st.booleans())
def test_arbitrary_bytes_are_refused_and_never_raise(content: bytes, framed: bool) -> None:
    if framed:
        body = base64.encodebytes(content)
        content = b"-----BEGIN CERTIFICATE REQUEST-----\n" + body
        content += b"-----END CERTIFICATE REQUEST-----\n"
    assert not judge(replace(make_request(CLIENT), pem=content), NODES).approve


@given(st.text(max_size=20), st.frozensets(st.text(max_size=30), max_size=4))
def test_no_other_requester_is_let_in(username: str, groups: frozenset[str]) -> None:
    request = replace(make_request(CLIENT), username=username, groups=groups)
    assert not judge(request, NODES).approve


_OTHER_KEY = make_request(replace(CLIENT, key="p384"))
_OF_N3 = (CLIENT.subject[0], (NameOID.COMMON_NAME, "system:node:n3"))


@pytest.mark.parametrize(
    ("reason", "standing"),
    [
        ("member", Standing(member=True)),
        ("member", Standing(member=True, ready=True)),
        ("ready", Standing(ready=True)),
        ("rival", Standing(approved=(_OTHER_KEY,))),
        ("client", Standing(approved=(make_request(CLIENT),))),
        ("client", Standing(approved=(make_request(replace(CLIENT, subject=_OF_N3)),))),
        ("client", Standing(approved=(replace(_OTHER_KEY, pem=b"not a request"),))),
    ],
    ids=["member", "member-ready", "ready", "rival", "same-key", "other-node", "unreadable"],
)
def test_a_name_that_is_taken_is_refused_to_its_own_token(reason: str, standing: Standing) -> None:
    verdict = rules.judge(make_request(CLIENT), NODES, {**_NEW, "n1": standing})
    assert verdict.reason == reason, verdict.text
    assert verdict.approve == (reason == "client")


def test_a_name_that_is_taken_is_refused_to_the_static_user_too() -> None:
    recipe = replace(CLIENT, username="kubelet-bootstrap", subject=_OF_N3)
    taken = {**_NEW, "n3": Standing(member=True)}
    assert rules.judge(make_request(recipe), NODES, _NEW).approve
    assert rules.judge(make_request(recipe), NODES, taken).reason == "member"


def test_a_member_gets_its_serving_certificate_renewed() -> None:
    taken = {**_NEW, "n1": Standing(member=True, ready=True)}
    assert rules.judge(make_request(SERVING), NODES, taken).approve


def _manifest(recipe: Recipe) -> dict[str, object]:
    return {
        "metadata": {"name": "csr-1", "uid": "uid-1", "resourceVersion": "7"},
        "spec": {
            "request": base64.b64encode(make_pem(recipe)).decode(),
            "signerName": recipe.signer,
            "username": recipe.username,
            "groups": list(recipe.groups),
            "usages": list(recipe.usages),
        },
    }


def test_a_request_is_read_from_its_api_object() -> None:
    assert read_certificate_request(_manifest(CLIENT)) == make_request(CLIENT)


def test_an_api_object_with_missing_fields_is_read_and_refused() -> None:
    spec: dict[str, object] = {"request": "not base64!"}
    request = read_certificate_request({"metadata": {"name": "a", "uid": "b"}, "spec": spec})
    assert isinstance(request, CertificateRequest)
    assert judge(request, NODES).reason == "signer"


@pytest.mark.parametrize(
    ("status", "pending"),
    [
        (None, True),
        ({}, True),
        ({"conditions": [{"type": "Approved"}]}, False),
        ({"conditions": [{"type": "Denied"}]}, False),
        ({"certificate": "…"}, False),
    ],
)
def test_a_request_is_pending_until_somebody_has_decided(status: object, pending: bool) -> None:
    assert is_pending({"status": status}) is pending


_USER = replace(CLIENT, subject=((NameOID.COMMON_NAME, "system:kube-proxy"),))


@pytest.mark.parametrize(
    ("reason", "recipe"),
    [
        ("subject", replace(_USER, subject=((NameOID.COMMON_NAME, "system:admin"),))),
        (
            "subject",
            replace(_USER, subject=((NameOID.ORGANIZATION_NAME, "system:masters"), *_USER.subject)),
        ),
        ("names", replace(_USER, names=(x509.DNSName("kube-proxy"),))),
        ("extensions", replace(_USER, extensions=(x509.BasicConstraints(True, None),))),
        ("signature", replace(_USER, spoil="signature")),
        ("key", replace(_USER, key="rsa1024")),
    ],
)
def test_a_users_request_holds_the_user_and_nothing_else(reason: str, recipe: Recipe) -> None:
    assert judge_user(make_pem(_USER), "system:kube-proxy").approve
    assert judge_user(make_pem(recipe), "system:kube-proxy").reason == reason


_NAMES = ("C=CN", "O=k8s", "OU=paas", "L=ShangHai", "ST=ShangHai")
_FIELDS = (
    (NameOID.COUNTRY_NAME, "CN"),
    (NameOID.ORGANIZATION_NAME, "k8s"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "paas"),
    (NameOID.LOCALITY_NAME, "ShangHai"),
    (NameOID.STATE_OR_PROVINCE_NAME, "ShangHai"),
    *_USER.subject,
)
_MASTERS = (NameOID.ORGANIZATION_NAME, "system:masters")


def test_a_users_request_with_the_declared_names_is_approved_in_any_order() -> None:
    for subject in (_FIELDS, _FIELDS[::-1]):
        pem = make_pem(replace(_USER, subject=subject))
        assert judge_user(pem, "system:kube-proxy", _NAMES).approve


@pytest.mark.parametrize(
    "subject",
    [
        _USER.subject,
        _FIELDS[1:],
        (_MASTERS, *_FIELDS),
        (*_FIELDS, _FIELDS[1]),
        (*_FIELDS, _USER.subject[0]),
        (_FIELDS[0], _MASTERS, *_FIELDS[2:]),
        (*_FIELDS[:-1], (NameOID.COMMON_NAME, "system:admin")),
        (*_FIELDS, (NameOID.SERIAL_NUMBER, "1")),
    ],
    ids=[
        "none",
        "one less",
        "a group more",
        "group twice",
        "user twice",
        "another group",
        "another user",
        "another kind",
    ],
)
def test_a_users_request_with_other_names_is_refused(
    subject: tuple[tuple[x509.ObjectIdentifier, str], ...],
) -> None:
    pem = make_pem(replace(_USER, subject=subject))
    assert judge_user(pem, "system:kube-proxy", _NAMES).reason == "subject"
