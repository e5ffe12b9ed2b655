"""Hostile requests at the right moment, against a real API server: races, replays, exchanges."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.approval import approve, outcome
from kube_nodes.membership.connection import connect
from kube_nodes.membership.own_requests import OwnRequests
from kube_nodes.membership.progress import Progress
from kube_nodes.model.certificate_requests import Standing, judge, read_certificate_request
from kube_nodes.model.host_output import plain
from kube_nodes.model.requests import JoinRequest
from tests.api.attack import (
    DECLARED,
    HONEST_SECONDS,
    MEMBER,
    TOKENS,
    Attack,
    client_for,
    manifest_of,
    open_tokens,
)
from tests.api.conftest import Result, in_background
from tests.api.kubelet import REQUESTS
from tests.unit.certificate_requests import CLIENT, NODE, OTHER, SERVING

Run = Callable[..., Result]
NAMES = [
    "n1?dryRun=All",
    "n1#fragment",
    "x\nweb-2: csr-x approved: serving certificate",
    "\x1b[2J\x1b[31mred",
    "\u202enoitcerid",
    "a b;$(id)",
]
_FREE = dict.fromkeys(DECLARED, Standing())


def test_of_two_racing_requests_with_one_token_only_the_first_is_approved(attack: Attack) -> None:
    """The second is told of: either the kubelet was started again, or its token is stolen."""
    first = attack.send(CLIENT).body["metadata"]["name"]
    second = attack.send(replace(CLIENT, key="p384")).body["metadata"]["name"]
    told = attack.approve()
    assert len(attack.approved()) == 1
    winner, loser = (first, second) if f"{first} approved" in told else (second, first)
    assert f"{winner} approved: client certificate" in told
    assert f"{loser} left pending" in told
    assert f"{winner} was approved for {NODE.id} moments ago" in told
    assert f"{loser} left pending" in attack.approve()


def test_of_two_racing_requests_two_approvers_at_once_approve_only_the_older(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has listed both before the other approves: the younger waits for what becomes of it."""
    names = [f"csr-{letter}" for letter in "ba"]  # the older one is not the first by name
    for name, key in zip(names, ("p256", "p384"), strict=True):
        attack.send(replace(CLIENT, key=key), name)
    joining = OwnRequests(api := Api(connect()), NODE, Progress("test"))
    for name in names:
        joining.take(attack.read(name), deleted=False)

    def list_and_be_overtaken(own: Api, path: str, **query: str) -> Object:
        listed = Api.get(own, path, **query)
        if path == REQUESTS:
            assert approve(api, attack.read(names[0]), "another approver")
        return listed

    overtaken = type("Overtaken", (Api,), {"get": list_and_be_overtaken})
    with monkeypatch.context() as patch:
        patch.setattr("kube_nodes.membership.approve.reach", lambda *_: overtaken(connect()))
        told = attack.approve()
    joining.approve_pending(None)
    assert attack.approved() == names[:1]
    assert f"{names[1]} left pending" in told
    assert f"{names[0]} was approved for {NODE.id} moments ago" in attack.approve()


def test_of_two_tokens_that_race_for_one_name_only_its_own_gets_it(attack: Attack) -> None:
    thief = attack.send(replace(CLIENT, key="p384", username=str(OTHER.requester)))
    owner = attack.send(CLIENT)
    told = attack.approve()
    assert f"{owner.body['metadata']['name']} approved" in told
    assert f"{thief.body['metadata']['name']} left pending" in told


def test_a_request_that_is_replayed_after_the_node_joined_is_refused(attack: Attack) -> None:
    """Byte for byte what was approved before, and the token is let in (again, or still)."""
    recipe = client_for(MEMBER)
    for name in ("", "csr-again"):
        replayed = attack.send(recipe, name).body["metadata"]["name"]
        assert f"{replayed} left pending" in attack.approve()
        assert not attack.approved()
        open_tokens()


def test_a_ready_nodes_name_is_refused_before_it_is_a_member(attack: Attack) -> None:
    kubelet, _ = attack.credentials[OTHER.user]
    kubelet.register()
    try:
        name = attack.send(client_for(OTHER)).body["metadata"]["name"]
        assert f"{name} left pending" in (told := attack.approve())
        assert f"a Node {OTHER.name} is Ready already" in told
        # A machine that was set up again under its unfinished join.
        kubelet.report(ready=False)
        assert f"{name} approved" in attack.approve()
    finally:
        attack.plane.call("DELETE", f"/api/v1/nodes/{OTHER.name}")
        kubelet.restart()


@pytest.mark.parametrize("change", ["other content", "same content", "an annotation"])
def test_what_changed_between_check_and_approval_is_not_approved(
    attack: Attack, change: str
) -> None:
    name = "csr-under-this-name"
    attack.send(CLIENT, name)
    judged = attack.read(name)
    assert judge(read_certificate_request(judged), DECLARED, _FREE).approve
    if change == "an annotation":
        patch = {"metadata": {"annotations": {"changed": "true"}}}
        attack.plane.merge(f"{REQUESTS}/{name}", patch)
    else:
        attack.clear()
        same = change == "same content"
        thief = replace(CLIENT, username=str(OTHER.requester), key="p384")
        assert attack.send(CLIENT if same else thief, name).status == 201
    assert approve(Api(connect()), judged, "test") is None
    assert outcome(attack.read(name)) == "pending"


@pytest.mark.parametrize(
    "by", [str(NODE.requester), NODE.user, "kubelet-bootstrap", "system:anonymous"]
)
def test_nobody_who_asks_can_approve(attack: Attack, by: str) -> None:
    name = attack.send(CLIENT).body["metadata"]["name"]
    held = attack.read(name)
    condition = {"type": "Approved", "status": "True", "reason": "Me", "message": ""}
    body = {**held, "status": {"conditions": [condition]}}
    for path in ("approval", "status"):
        answer = attack.call(by, "PUT", f"{REQUESTS}/{name}/{path}", body)
        assert answer.status == 403, answer.body
    assert outcome(attack.read(name)) == "pending"


@pytest.mark.parametrize("name", NAMES)
def test_a_requests_own_name_deceives_nobody_and_stops_no_other(attack: Attack, name: str) -> None:
    """Kubernetes lets it be anything but a slash and a per cent sign."""
    undeclared = (CLIENT.subject[0], (NameOID.COMMON_NAME, "system:node:n9"))
    assert attack.send(replace(CLIENT, subject=undeclared), name).status == 201
    honest = attack.send(SERVING).body["metadata"]["name"]
    told = attack.approve()
    assert attack.approved() == [honest]
    assert f"-: {plain(name)} left pending" in told
    assert [line for line in told.splitlines() if re.match(r"web-\d: csr-\S+ approved", line)] == [
        f"{NODE.id}: {honest} approved: serving certificate"
    ]
    assert told.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", NAMES)
def test_an_honest_request_is_approved_under_any_name(attack: Attack, name: str) -> None:
    assert attack.send(SERVING, name).status == 201
    attack.approve()
    assert attack.approved() == [name]


def test_a_join_approves_the_honest_request_within_two_seconds_among_hostile_ones(
    attack: Attack, run: Run
) -> None:
    """Strangers ask with the node's own token and another's all the while it joins."""
    kubelet, bearer = attack.credentials[OTHER.user][0], attack.credentials[str(OTHER.requester)][1]
    request = JoinRequest(
        cluster=attack.request.cluster, node=OTHER, token=TOKENS[OTHER.name], timeout_seconds=30
    )
    hostile = [
        replace(CLIENT, username=str(OTHER.requester)),
        replace(client_for(OTHER), usages=("digital signature", "server auth")),
        replace(client_for(OTHER), extensions=(x509.BasicConstraints(True, None),)),
        replace(client_for(OTHER), username=str(NODE.requester)),
    ]
    names, waited = [attack.send(recipe).body["metadata"]["name"] for recipe in hostile], []

    def play() -> None:
        began = time.monotonic()
        kubelet.bootstrap(bearer, meanwhile=lambda: waited.append(time.monotonic() - began))
        waited.append(time.monotonic() - began)
        kubelet.register()
        kubelet.request_serving()

    thread = in_background(play)
    result = run("join", request)
    thread.join()
    assert result.status == 0, result.err
    assert waited[1] < HONEST_SECONDS
    assert [outcome(attack.read(name)) for name in names] == ["pending"] * len(names)
    for name in names[:3]:
        assert f"{OTHER.id}: {name} left pending" in result.err


def test_an_issued_certificate_ends_when_the_signer_says_and_not_when_the_request_does(
    attack: Attack,
) -> None:
    honest = manifest_of(SERVING)
    honest["spec"]["expirationSeconds"] = 60 * 365 * 86400
    name = attack.send_as(NODE.user, honest).body["metadata"]["name"]
    attack.approve()
    while not (certificate := attack.read(name)["status"].get("certificate")):
        time.sleep(0.05)
    leaf = x509.load_pem_x509_certificate(base64.b64decode(certificate))
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days <= 366
