"""Requests of the local commands: written, read back, and refused with a clear text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_nodes.model.labels import Taint
from kube_nodes.model.request_text import RequestError, parse
from kube_nodes.model.requests import (
    ApproveRequest,
    Cluster,
    DeclaredNode,
    Drain,
    JoinRequest,
    PrepareRequest,
    Runs,
    SignRequest,
    Token,
    parse_labels,
    parse_taints,
    render_labels,
    render_taints,
)

CLUSTER = Cluster(uid="6f1c7b0e")
NODE = DeclaredNode(
    id="web-1",
    name="n1",
    generation=2,
    addresses=("10.0.0.11", "fd00::11"),
    dns_names=("n1.example.org",),
    version="v1.37.2",
    token_id="abc123",
)
TOKEN = Token(id="abc123", secret="0123456789abcdef")
PREPARE = PrepareRequest(
    cluster=CLUSTER, node=NODE, token=TOKEN, drain=Drain(timeout_seconds=60, force=True)
)
JOIN = JoinRequest(
    cluster=CLUSTER, node=NODE, token=TOKEN, runs=Runs(prepare="run 1\n", units="run 2\n")
)
SIGN = SignRequest(cluster=CLUSTER, name="kube-proxy", request_pem="…", user="system:kube-proxy")
APPROVE = ApproveRequest(cluster=CLUSTER, nodes=(NODE, replace(NODE, id="web-2", name="n2")))


@pytest.mark.parametrize("request_", [PREPARE, JOIN, SIGN, APPROVE], ids=lambda r: type(r).__name__)
def test_what_is_written_is_read_back(request_: Any) -> None:
    assert parse(type(request_), request_.to_json()) == request_


def test_names_of_a_certificate_are_read_back_and_none_are_the_text_of_before() -> None:
    named = replace(SIGN, names=("C=CN", "O=k8s"))
    assert parse(SignRequest, named.to_json()) == named
    assert "names" not in SIGN.to_json()


@pytest.mark.parametrize("group", ["system:masters", "System:masters", "kubeadm:cluster-admins"])
def test_a_certificate_with_a_group_that_has_rights_is_not_asked_for(group: str) -> None:
    with pytest.raises(RequestError, match=r"names\[1\]: .* is a group with rights"):
        parse(SignRequest, replace(SIGN, names=("C=CN", f"O={group}")).to_json())


def test_equal_requests_are_equal_texts() -> None:
    text = JOIN.to_json()
    assert text == replace(JOIN).to_json()
    assert "\n" not in text
    assert json.loads(text)["schema"] == 1


def test_a_secret_is_in_no_repr() -> None:
    assert TOKEN.secret in JOIN.to_json()
    assert TOKEN.secret not in repr(JOIN)


def test_the_node_takes_the_id_of_its_token() -> None:
    request = replace(JOIN, node=replace(NODE, token_id=None))
    read = parse(JoinRequest, request.to_json())
    assert read.node.requester == "system:bootstrap:abc123"


def test_a_node_of_the_static_mode_has_the_static_user_as_requester() -> None:
    node = replace(NODE, token_id=None, bootstrap_user="kubelet-bootstrap")
    request = replace(JOIN, node=node, token=None)
    assert parse(JoinRequest, request.to_json()).node.requester == "kubelet-bootstrap"


def test_the_static_token_is_a_secret_of_its_form() -> None:
    node = replace(NODE, token_id=None, bootstrap_user="kubelet-bootstrap")
    token = "0123456789abcdef" * 2
    request = PrepareRequest(cluster=CLUSTER, node=node, static_token=token)
    assert token not in repr(request)
    assert parse(PrepareRequest, request.to_json()) == request
    wrong = replace(request, static_token=f"{token}\n")
    with pytest.raises(RequestError, match="static_token: is not") as raised:
        parse(PrepareRequest, wrong.to_json())
    assert token not in str(raised.value)


def test_fields_that_came_later_have_defaults_and_unknown_ones_are_ignored() -> None:
    known = {
        "schema": 1,
        "cluster": {"uid": "u", "context": "of an earlier version"},
        "node": {"id": "a", "name": "a", "version": "v1.37.2"},
        "token": {"id": "abc123", "secret": "0123456789abcdef"},
        "of_tomorrow": True,
    }
    request = parse(JoinRequest, json.dumps(known))
    assert (request.timeout_seconds, request.drain) == (300, Drain())


def _changed(path: str, value: object) -> str:
    document = json.loads(JOIN.to_json())
    *parents, last = path.split(".")
    target = document
    for parent in parents:
        target = target[parent]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", 2, "schema: 2 is not known here"),
        ("schema", True, "schema: True is not known here"),
        ("schema", None, "schema: None is not known here"),
        ("cluster", None, "cluster: is missing"),
        ("cluster", [], "cluster: expected an object"),
        ("cluster.uid", "", "cluster.uid: must name the cluster"),
        ("cluster.uid", 1, "cluster.uid: expected str"),
        ("node.id", None, "node.id: is missing"),
        ("node.id", "", "node.id: must not be empty"),
        ("node.name", "../x", "node.name: '../x' is not a Node's name"),
        ("node.name", "N1", "node.name: 'N1' is not a Node's name"),
        ("node.name", "a" * 254, "is not a Node's name"),
        ("node.generation", "1", "node.generation: expected int"),
        ("node.generation", True, "node.generation: expected int"),
        ("node.addresses", "10.0.0.1", "node.addresses: expected a list"),
        ("node.addresses", ["10.0.0"], "node.addresses: '10.0.0' is not an IP address"),
        ("node.addresses", [1], "node.addresses[0]: expected str"),
        ("node.version", "1.37.2", "node.version: '1.37.2' is not like v1.37.2"),
        ("node.version", None, "node.version: must name the kubelet's version"),
        ("token", None, "token: needs a token"),
        ("token.id", "ABC123", "token.id: is not [a-z0-9]{6}"),
        ("token.id", "abc123/../x", "token.id: is not [a-z0-9]{6}"),
        ("token.secret", "short", "token.secret: is not [a-z0-9]{16}"),
        ("timeout_seconds", 0, "timeout_seconds: must be above 0"),
        ("timeout_seconds", 1.5, "timeout_seconds: expected int"),
        ("drain.timeout_seconds", 0, "drain.timeout_seconds: must be above 0"),
        ("drain.force", "yes", "drain.force: expected bool"),
    ],
)
def test_a_wrong_field_is_named_with_its_rule(path: str, value: object, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(JoinRequest, _changed(path, value))
    assert message in str(caught.value)
    assert TOKEN.secret not in str(caught.value)


@given(st.text())
def test_text_that_is_no_request_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(JoinRequest, text + TOKEN.secret)
    assert TOKEN.secret not in str(caught.value)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(RequestError) as caught:
        parse(JoinRequest, _changed("token.secret", "ALMOST-A-SECRET"))
    assert "ALMOST" not in str(caught.value)


def test_labels_are_read_as_they_are_written() -> None:
    labels = {"tier": "web", "example.com/empty": "", "example.com/a": "b"}
    text = render_labels(labels.items())
    assert text == "example.com/a=b\nexample.com/empty=\ntier=web"
    assert parse_labels(text) == labels


def test_taints_are_read_as_they_are_written() -> None:
    taints = [Taint("dedicated", "web", "NoSchedule"), Taint("alone", "", "NoExecute")]
    text = render_taints(taints)
    assert text == "alone:NoExecute\ndedicated=web:NoSchedule"
    assert parse_taints(text) == tuple(sorted(taints))


@pytest.mark.parametrize("line", ["tier", "=web", " = "])
def test_a_line_that_is_no_label_is_named(line: str) -> None:
    with pytest.raises(RequestError, match="KUBE_NODES_LABELS"):
        parse_labels(line)


@pytest.mark.parametrize(
    "line", ["a=b", "a=b:Never", ":NoSchedule", "=b:NoSchedule", "a b:NoExecute"]
)
def test_a_line_that_is_no_taint_is_named(line: str) -> None:
    with pytest.raises(RequestError, match="KUBE_NODES_TAINTS"):
        parse_taints(line)
