"""Hostile certificate requests, sent to a real API server with real credentials: none is approved.

Each line of the table is what was tried, by whom, and who refused it for which reason. Beside each
its honest twin is approved within two seconds.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from kube_nodes.membership.approval import outcome
from kube_nodes.model.certificate_requests import (
    USER_SIGNER,
    Standing,
    judge,
    read_certificate_request,
)
from kube_nodes.model.host_output import plain
from tests.api.attack import (
    DECLARED,
    HONEST_SECONDS,
    MEMBER,
    Attack,
    client_for,
    manifest_of,
    wait_until_approved,
)
from tests.api.conftest import Result
from tests.api.kubelet import REQUESTS
from tests.unit.certificate_requests import CLIENT, NODE, OTHER, SERVING, STATIC, Case
from tests.unit.hostile_requests import HOSTILE

Run = Callable[..., Result]
# How the API server itself refuses: not known, not allowed, too large, not valid.
_REFUSED = (401, 403, 413, 422)
_FREE = dict.fromkeys(DECLARED, Standing())
NOISE = b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    tried: str
    by: str
    answer: str
    """`API server STATUS`, or the rule that refused."""
    approved: bool = False

    def __str__(self) -> str:
        return f"{self.tried:50} {self.by:24} {self.answer}"


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
    verdict = judge(read_certificate_request(held), DECLARED, _FREE)
    assert verdict.reason == case.reason, (case.title, verdict)
    # What is for no signer of kubelets is somebody else's, and is not told of.
    line = f"{held['metadata']['name']} left pending ({case.hostile.username}): {verdict.text}"
    assert (plain(line) in told) == (verdict.reason != "signer"), (case.title, told)
    return Row(case.title, case.hostile.username, verdict.reason, outcome(held) != "pending")


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
    approved = [row for row in rows if row.approved]
    print(
        *rows, f"tried {len(rows)}: {len(by_rule)} by our rules; approved {len(approved)}", sep="\n"
    )
    assert approved == []
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
