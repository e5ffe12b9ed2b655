"""A bootstrap token opens the cluster only while its node joins, whatever is killed or forgotten.

No token cleaner runs here: what ends a token is its own expiration, or what closes it.
"""

from __future__ import annotations

import base64
import datetime
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kube_nodes.membership.api import Api, ApiError
from kube_nodes.membership.connection import connect
from kube_nodes.model import cluster as model
from kube_nodes.model.requests import ApproveRequest, Token
from kube_nodes.render.kubeconfig import render_bootstrap_kubeconfig
from tests.api.conftest import Machine, Result, in_background, make_machine
from tests.api.kubelet import REQUESTS, Kubelet
from tests.api.test_launcher import started

Run = Callable[..., Result]
CACHE_SECONDS = 10.0
_MARGIN_SECONDS = 5.0


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def in_seconds(seconds: float) -> str:
    """Write a time as the Secret holds it."""
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_let_in(machine: Machine, bearer: str = "") -> bool:
    """Try a token with a request that any user may send."""
    status = (
        Kubelet(machine.plane, "stranger")
        .call("GET", "/version", token=bearer or machine.bearer)
        .status
    )
    assert status in (200, 401)
    return status == 200


def wait_until_refused(machine: Machine, bearer: str = "") -> float:
    """Try the token until it is refused; return the seconds that it took."""
    began = time.monotonic()
    while is_let_in(machine, bearer):
        assert time.monotonic() < began + CACHE_SECONDS + _MARGIN_SECONDS, "the token is let in"
        time.sleep(0.2)
    return time.monotonic() - began


def is_open(machine: Machine) -> bool:
    """Tell whether the Secret lets its token in."""
    data = machine.data()
    return "token-secret" in data or data["usage-bootstrap-authentication"] == encoded("true")


def approve_request(machine: Machine) -> ApproveRequest:
    return ApproveRequest(cluster=machine.cluster, nodes=(machine.node,))


def test_an_expired_token_that_nobody_closed_opens_nothing(machine: Machine, run: Run) -> None:
    """The node never joined, nobody runs anything, and the cluster has no token cleaner."""
    assert run("prepare", machine.prepare()).status == 0
    machine.plane.merge(machine.secret_path, {"data": {"expiration": encoded(in_seconds(2))}})
    assert is_let_in(machine)
    wait_until_refused(machine)
    left = machine.data()
    assert left["usage-bootstrap-authentication"] == encoded("true")
    assert left["token-secret"] == encoded(machine.token.secret)


def test_a_token_from_an_old_state_file_opens_nothing(member: Machine) -> None:
    """Who has last month's state and its passphrase has the id and the secret of a closed token."""
    stolen = member.bearer
    wait_until_refused(member, stolen)
    body = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
    assert member.kubelet.call("POST", REQUESTS, body, stolen).status == 401


@pytest.mark.parametrize("verb", ["prepare", "join"])
def test_a_token_that_a_killed_run_left_open_is_closed_by_approve_once_it_is_over(
    machine: Machine, tmp_path: Path, run: Run, verb: str
) -> None:
    request = machine.prepare() if verb == "prepare" else machine.join(timeout_seconds=60)
    with started(verb, request.to_json(), tmp_path):
        end = time.monotonic() + 20
        while not is_open(machine):
            assert time.monotonic() < end, "the token is not opened"
            time.sleep(0.01)
        # The block's end kills it with SIGKILL.
    assert is_open(machine)
    expiration = base64.b64decode(machine.data()["expiration"]).decode()
    assert expiration <= in_seconds(10 * 60)
    # Another run may be waiting for this very node: a token in use is left alone.
    assert "is open while it joins" in run("approve", approve_request(machine)).out
    machine.plane.merge(machine.secret_path, {"data": {"expiration": encoded(in_seconds(-1))}})
    assert f"closed the token {machine.token.id}" in run("approve", approve_request(machine)).out
    assert not is_open(machine)
    # prepare may have tried it before it was killed, and the API server remembers that.
    wait_until_refused(machine)


def test_a_join_that_was_killed_when_the_node_was_a_member_is_closed_by_approve(
    machine: Machine, tmp_path: Path, run: Run
) -> None:
    run("prepare", machine.prepare())
    kubelet = in_background(lambda: machine.kubelet.join(machine.bearer))
    with started("join", machine.join().to_json(), tmp_path):
        end = time.monotonic() + 20
        while not (machine.plane.exists(machine.path) and machine.annotations()):
            assert time.monotonic() < end, "the node is no member"
    kubelet.join()
    run("approve", approve_request(machine))
    assert not is_open(machine)


def test_a_join_that_fails_closes_the_token_and_the_next_opens_it(
    machine: Machine, run: Run
) -> None:
    assert run("prepare", machine.prepare()).status == 0
    assert run("join", machine.join(timeout_seconds=1)).status == 1
    assert not is_open(machine)
    kubelet = in_background(lambda: machine.kubelet.join(machine.bearer))
    result = run("join", machine.join())
    kubelet.join()
    assert result.status == 0, result.err
    assert not is_open(machine)


@pytest.mark.parametrize(
    "end",
    [None, "", "soon", in_seconds(3600), "2999-01-01T00:00:00Z"],
    ids=["none", "empty", "no-time", "in-an-hour", "never"],
)
def test_a_token_that_somebody_opened_for_longer_is_closed_by_approve(
    machine: Machine, run: Run, end: str | None
) -> None:
    data = {
        "token-secret": encoded(machine.token.secret),
        "usage-bootstrap-authentication": encoded("true"),
        "expiration": None if end is None else encoded(end),
    }
    machine.plane.merge(machine.secret_path, {"data": data})
    assert f"closed the token {machine.token.id}" in run("approve", approve_request(machine)).out
    assert not is_open(machine)


@pytest.mark.parametrize("hours", [1, -1])
def test_ten_minutes_are_the_api_servers_whatever_the_operators_clock_says(
    machine: Machine, run: Run, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    class Wrong(datetime.datetime):
        """A clock that is an hour off."""

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.datetime.now(tz) + datetime.timedelta(hours=hours)

    wrong = SimpleNamespace(**{**vars(datetime), "datetime": Wrong})
    for module in ("api", "tokens"):
        monkeypatch.setattr(f"kube_nodes.membership.{module}.datetime", wrong)
    result = run("prepare", machine.prepare())
    assert result.status == 0, result.err
    expiration = base64.b64decode(machine.data()["expiration"]).decode()
    assert in_seconds(9 * 60) < expiration <= in_seconds(10 * 60 + 1)
    assert "is open while it joins" in run("approve", approve_request(machine)).out


def test_another_generation_joins_anew_and_nothing_of_the_old_one_opens_anything(
    member: Machine, run: Run, tmp_path: Path
) -> None:
    """A new token, another key, and a first request that is judged again."""
    old_bearer, old_identity = member.bearer, member.kubelet.identity
    old_kubeconfig = bootstrap_kubeconfig(member, tmp_path)
    assert get_with(old_kubeconfig) in (200, 401)  # 200 while the API server remembers its token.
    other = make_machine(member.plane, member.cluster)
    new = replace(
        member,
        node=replace(member.node, generation=2, token_id=other.token.id),
        token=Token(id=other.token.id, secret="fedcba9876543210"),
        kubelet=Kubelet(member.plane, member.node.name, address=member.kubelet.address),
    )
    assert run("prepare", new.prepare()).status == 0
    assert not new.plane.exists(new.path), "the Node of the first generation"
    kubelet = in_background(lambda: new.kubelet.join(new.bearer))
    result = run("join", new.join())
    kubelet.join()
    assert result.status == 0, result.err
    assert new.annotations()["kube-nodes/generation"] == "2"
    assert new.kubelet.identity is not old_identity
    # Pulumi deletes the old Secret after this; it opens nothing while it is still there.
    assert member.data().keys() == {"token-id", "usage-bootstrap-authentication"}
    wait_until_refused(member, old_bearer)
    assert get_with(old_kubeconfig) == 401
    wait_until_refused(new)


def bootstrap_kubeconfig(machine: Machine, folder: Path) -> Path:
    """Write what stands on the host as bootstrap-kubelet.conf."""
    ca = Path(machine.plane.directory) / "ca.crt"
    cluster = model.Cluster(
        name="kubernetes",
        server=machine.plane.server,
        ca_certificate=ca.read_text(),
        uid=machine.cluster.uid,
        pod_cidrs=(),
        service_cidrs=(),
    )
    file = folder / "bootstrap-kubelet.conf"
    file.write_text(render_bootstrap_kubeconfig(cluster, str(ca), machine.bearer))
    return file


def get_with(kubeconfig: Path) -> int:
    """Read a path as who the kubeconfig says, and return the status."""
    location = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(kubeconfig))
        patch.setattr(location, str(kubeconfig))
        api = Api(connect())
    try:
        api.get("/version")
    except ApiError as error:
        return error.status
    return 200
