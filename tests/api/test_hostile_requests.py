"""Hostile certificate requests, sent to a real API server with real credentials: none is approved.

Each line of the table is what was tried, by whom, and who refused it for which reason. Beside each
its honest twin is approved within two seconds.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from kube_nodes.membership.api import Api
from kube_nodes.membership.approval import approve, outcome
from kube_nodes.membership.connection import connect
from kube_nodes.model.certificate_requests import (
    USER_SIGNER,
    Standing,
    judge,
    read_certificate_request,
)
from kube_nodes.model.host_output import plain
from kube_nodes.model.requests import JoinRequest
from tests.api.attack import (
    DECLARED,
    HONEST_SECONDS,
    MEMBER,
    TOKENS,
    Attack,
    client_for,
    give_identities,
    manifest_of,
    open_tokens,
    run_attack,
    wait_until_approved,
)
from tests.api.conftest import Result, in_background
from tests.api.kubelet import REQUESTS
from tests.unit.certificate_requests import CLIENT, NODE, OTHER, SERVING, STATIC, Case
from tests.unit.hostile_requests import HOSTILE

Run = Callable[..., Result]
# How the API server itself refuses: not known, not allowed, too large, not valid.
_REFUSED = (401, 403, 413, 422)
NAMES = [
    "n1?dryRun=All",
    "n1#fragment",
    "x\nweb-2: csr-x approved: serving certificate",
    "\x1b[2J\x1b[31mred",
    "\u202enoitcerid",
    "a b;$(id)",
]
_FREE = dict.fromkeys(DECLARED, Standing())
NOISE = b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    tried: str
    by: str
    answer: str
    """`API server STATUS`, or the rule that refused."""

    def __str__(self) -> str:
        return f"{self.tried:50} {self.by:24} {self.answer}"


@pytest.fixture(scope="module")
def cluster_under_attack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    with (
        run_attack(tmp_path_factory.mktemp("attack")) as running,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setenv("KUBECONFIG", str(running.plane.kubeconfig))
        location = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
        m.setattr(location, str(running.plane.kubeconfig))
        open_tokens()
        give_identities(running)
        yield running


@pytest.fixture
def attack(cluster_under_attack: Attack) -> Attack:
    """The cluster with all tokens open, as a stranger would choose the moment, and no request."""
    open_tokens()
    cluster_under_attack.clear()
    return cluster_under_attack


def can_be_played(case: Case, attack: Attack) -> bool:
    """Tell whether a real credential can send it: user and groups are the API server's to say.

    Left out is what kube-controller-manager approves itself: all that an administrator asks for,
    and the renewal of a node's own certificate.
    """
    if case.reason == "renewal":
        return False
    faults = case.fault.keys()
    return case.hostile.username in attack.credentials.keys() - {"admin"} and not (
        "groups" in faults and "username" not in faults
    )


def try_case(attack: Attack, case: Case) -> Row:
    """Send the hostile one, then its twin, and approve what may be."""
    answer = attack.send(case.hostile)
    began = time.monotonic()
    twin = attack.send(case.base)
    assert twin.status == 201, twin.body
    told = attack.approve()
    seconds = wait_until_approved(attack, twin.body["metadata"]["name"], began)
    assert seconds < HONEST_SECONDS, f"{case.title}: its twin waited {seconds:.1f} s"
    if answer.status != 201:
        assert answer.status in _REFUSED, (case.title, answer)
        return Row(case.title, case.hostile.username, f"API server {answer.status}")
    held = attack.read(answer.body["metadata"]["name"])
    assert outcome(held) == "pending", case.title
    verdict = judge(read_certificate_request(held), DECLARED, _FREE)
    assert verdict.reason == case.reason, (case.title, verdict)
    # What is for no signer of kubelets is somebody else's, and is not told of.
    line = f"{held['metadata']['name']} left pending ({case.hostile.username}): {verdict.text}"
    assert (plain(line) in told) == (verdict.reason != "signer"), (case.title, told)
    return Row(case.title, case.hostile.username, verdict.reason)


def test_no_hostile_request_is_approved_and_each_twin_is_within_two_seconds(
    attack: Attack,
) -> None:
    rows = []
    for case in HOSTILE:
        if can_be_played(case, attack):
            rows.append(try_case(attack, case))
            # What was approved moments ago counts for the next one.
            attack.clear()
    by_rule = [row for row in rows if not row.answer.startswith("API server")]
    print(*rows, f"tried {len(rows)}, approved 0, by our rules {len(by_rule)}", sep="\n")
    assert len(rows) >= 120
    assert len(by_rule) >= 80
    assert {row.by for row in rows} >= attack.credentials.keys() - {
        "admin",
        MEMBER.user,
        MEMBER.requester,
        STATIC.user,
    }


@dataclass(frozen=True)
class Trial:
    """A request that no recipe makes: who sends which object, and what refuses it."""

    title: str
    by: str
    manifest: Any
    reason: str
    """The rule, or `API server`."""


def spec(recipe: Any, **fields: Any) -> Any:
    """Make the object of a recipe, with other fields of its spec."""
    manifest = manifest_of(recipe)
    return {**manifest, "spec": {**manifest["spec"], **fields}}


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def pem_of(recipe: Any) -> bytes:
    return base64.b64decode(manifest_of(recipe)["spec"]["request"])


def _trials() -> list[Trial]:
    own, other = str(NODE.requester), str(OTHER.requester)
    subject = (CLIENT.subject[0], (NameOID.COMMON_NAME, "system:masters"))
    two = pem_of(CLIENT) + pem_of(replace(CLIENT, subject=subject))
    forged = {"username": NODE.user, "groups": ["system:nodes"], "uid": "0"}
    approved = {"type": "Approved", "status": "True", "reason": "Me", "message": ""}
    names = [*SERVING.names, x509.DNSName("kubernetes.default.svc.cluster.local")]
    return [
        Trial("two requests in one PEM", own, spec(CLIENT, request=encoded(two)), "pem"),
        Trial("no PEM", own, spec(CLIENT, request=encoded(b"no PEM")), "API server"),
        Trial("an empty request", own, spec(CLIENT, request=""), "API server"),
        Trial("no base64", own, spec(CLIENT, request="*"), "API server"),
        Trial(
            "a PEM block of noise",
            own,
            spec(
                CLIENT,
                request=encoded(NOISE),
            ),
            "API server",
        ),
        Trial(
            "more than a megabyte of text after the request",
            own,
            spec(CLIENT, request=encoded(pem_of(CLIENT) + b"\n" * 900_000)),
            "size",
        ),
        Trial(
            "more than the API server takes",
            own,
            spec(CLIENT, request=encoded(pem_of(CLIENT) + b"\n" * 1_900_000)),
            "API server",
        ),
        Trial("the same usage twice", own, spec(CLIENT, usages=["client auth"] * 2), "API server"),
        Trial("an unknown usage", own, spec(CLIENT, usages=["root"]), "API server"),
        Trial("a signer that is no name", own, spec(CLIENT, signerName="kubelet"), "API server"),
        Trial("no signer", own, spec(CLIENT, signerName=""), "API server"),
        Trial(
            "another signer's blank",
            own,
            spec(CLIENT, signerName=f"{CLIENT.signer} "),
            "API server",
        ),
        Trial("another requester in its spec", other, spec(CLIENT, **forged), "requester"),
        Trial(
            "a member's name, with its own open token",
            str(MEMBER.requester),
            manifest_of(client_for(MEMBER)),
            "member",
        ),
        Trial(
            "its status says approved",
            other,
            {**manifest_of(CLIENT), "status": {"conditions": [approved]}},
            "requester",
        ),
        Trial(
            "an administrator's group, by the users' signer",
            own,
            spec(
                replace(
                    CLIENT,
                    subject=((NameOID.ORGANIZATION_NAME, "system:masters"), CLIENT.subject[1]),
                ),
                signerName=USER_SIGNER,
            ),
            "API server",
        ),
        Trial(
            "a Service's name",
            NODE.user,
            manifest_of(replace(SERVING, names=tuple(names))),
            "names",
        ),
        Trial(
            "a member's name, by the static user",
            "kubelet-bootstrap",
            manifest_of(client_for(MEMBER)),
            "requester",
        ),
        Trial(
            "the static node's name, by a token",
            own,
            manifest_of(replace(client_for(STATIC), username=own)),
            "requester",
        ),
        Trial("a member for a node that waits", MEMBER.user, manifest_of(CLIENT), "API server"),
    ]


@pytest.mark.parametrize("trial", _trials(), ids=lambda trial: trial.title)
def test_what_no_kubelet_would_send_is_refused(attack: Attack, trial: Trial) -> None:
    answer = attack.send_as(trial.by, trial.manifest)
    told = attack.approve()
    print(Row(trial.title, trial.by, f"{answer.status} {trial.reason}"))
    if trial.reason == "API server":
        assert answer.status >= 400, answer.body
        assert attack.plane.get(REQUESTS)["items"] == []
        return
    assert answer.status == 201, answer.body
    name = answer.body["metadata"]["name"]
    assert outcome(attack.read(name)) == "pending", told
    assert f"{name} left pending ({trial.by})" in told
    standings = {**_FREE, MEMBER.name: Standing(member=True)}
    verdict = judge(read_certificate_request(attack.read(name)), DECLARED, standings)
    assert verdict.reason == trial.reason, verdict
    assert verdict.text in told


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
    decades = 60 * 365 * 86400
    name = attack.send_as(NODE.user, spec(SERVING, expirationSeconds=decades)).body["metadata"][
        "name"
    ]
    attack.approve()
    while not (certificate := attack.read(name)["status"].get("certificate")):
        time.sleep(0.05)
    leaf = x509.load_pem_x509_certificate(base64.b64decode(certificate))
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days <= 366
