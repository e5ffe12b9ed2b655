"""The token mode `static` against a real API server that was started with --token-auth-file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.preflight import check_cluster
from kube_nodes.model.requests import ApproveRequest, Cluster, JoinRequest, PrepareRequest
from kube_nodes.model.static_token import StaticTokenSettings
from tests.api.conftest import STATIC_TOKEN, Machine, Result, in_background
from tests.api.kubelet import REQUESTS, Kubelet
from tests.api.test_preflight import bound
from tests.plugins.control_plane import ControlPlane

Run = Callable[..., Result]
USER = "kubelet-bootstrap"


@pytest.fixture
def machine(machine: Machine) -> Machine:
    """A node that joins with the static token; nothing of it is in the cluster."""
    assert machine.plane.call("DELETE", machine.secret_path).status == 200
    return replace(machine, node=replace(machine.node, token_id=None, bootstrap_user=USER))


def prepare(machine: Machine, token: str = STATIC_TOKEN) -> PrepareRequest:
    """Make the request of prepare and forget in the static mode."""
    return replace(machine.prepare(), token=None, static_token=token)


def join(machine: Machine, timeout_seconds: int = 20) -> JoinRequest:
    """Make the request of join and leave in the static mode."""
    return replace(machine.join(timeout_seconds=timeout_seconds), token=None)


def ask(machine: Machine, common_name: str = "") -> threading.Thread:
    """Let a kubelet ask with the static token, for a node by name, and wait a while in vain."""
    kubelet = Kubelet(machine.plane, machine.node.name, patience_seconds=3)

    def bootstrap() -> None:
        with pytest.raises(AssertionError, match="was not issued"):
            kubelet.bootstrap(STATIC_TOKEN, common_name)

    return in_background(bootstrap)


def states(plane: ControlPlane) -> dict[str, str]:
    """Tell how each request of the static user stands: pending, or its condition."""
    return {
        each["metadata"]["name"]: ((each.get("status") or {}).get("conditions") or [{}])[0].get(
            "type", "pending"
        )
        for each in plane.get(REQUESTS)["items"]
        if each["spec"]["username"] == USER
    }


def test_a_node_joins_with_the_static_token_and_has_no_secret(machine: Machine, run: Run) -> None:
    result = run("prepare", prepare(machine))
    assert (result.status, result.err, result.out.splitlines()[1]) == (0, "", "joining")
    before = set(states(machine.plane))
    kubelet = in_background(lambda: machine.kubelet.join(STATIC_TOKEN))
    result = run("join", join(machine), labels="tier=web")
    kubelet.join()
    assert result.status == 0, result.err
    assert machine.annotations()["kube-nodes/generation"] == "1"
    (own,) = {name: state for name, state in states(machine.plane).items() if name not in before}
    assert states(machine.plane)[own] == "Approved"
    assert not machine.plane.exists(machine.secret_path)
    assert run("leave", join(machine)).status == 0
    assert run("forget", prepare(machine)).status == 0
    assert not machine.plane.exists(machine.path)


def test_a_request_for_a_node_that_is_not_declared_stays_pending(
    machine: Machine, run: Run
) -> None:
    before = set(states(machine.plane))
    attempt = ask(machine, "system:node:somebody-else")
    result = run("join", join(machine, timeout_seconds=2))
    attempt.join()
    assert result.status == 1
    (own,) = set(states(machine.plane)) - before
    assert states(machine.plane)[own] == "pending"
    # Whoever else asks with the token of all is no news to the wait for one node.
    assert "waiting for the kubelet's client certificate request (" in result.err
    everything = run("approve", ApproveRequest(cluster=machine.cluster, nodes=(machine.node,)))
    assert f"-: {own} left pending ({USER})" in everything.out
    assert "'somebody-else' is not a declared node" in everything.out
    assert states(machine.plane)[own] == "pending"


@pytest.mark.parametrize("verb", ["join", "approve"])
def test_whoever_has_the_token_does_not_become_a_node_that_is_a_member(
    machine: Machine, run: Run, verb: str
) -> None:
    run("prepare", prepare(machine))
    kubelet = in_background(lambda: machine.kubelet.join(STATIC_TOKEN))
    assert run("join", join(machine)).status == 0
    kubelet.join()
    before = set(states(machine.plane))
    attempt = ask(machine)
    while not (new := set(states(machine.plane)) - before):
        pass
    if verb == "join":
        assert run("join", join(machine)).status == 0
    else:
        result = run("approve", ApproveRequest(cluster=machine.cluster, nodes=(machine.node,)))
        assert f"{machine.node.id} is a member" in result.out
        assert "raise its generation" in result.out
    attempt.join()
    assert [states(machine.plane)[name] for name in new] == ["pending"]
    if verb == "join":
        return
    # What it may not do as a member it may do to join anew.
    anew = replace(machine.node, generation=2)
    approve = ApproveRequest(cluster=machine.cluster, nodes=(anew,))
    assert "is Ready already" in run("approve", approve).out
    assert run("prepare", replace(prepare(machine), node=anew)).status == 0
    # For ten seconds after its first life began, it could be somebody's who raced with it.
    end = time.monotonic() + 20
    while [states(machine.plane)[name] for name in new] != ["Approved"]:
        assert time.monotonic() < end, run("approve", approve).out
        run("approve", approve)


def test_a_token_that_the_api_server_has_not_read_is_said_so(machine: Machine, run: Run) -> None:
    token = "f" * 32
    result = run("prepare", prepare(machine, token))
    assert result.status == 1
    assert result.err.startswith(
        f"{machine.node.id}: the API server does not know the static token of the user {USER} (401)"
    )
    assert "--token-auth-file" in result.err and "restart" in result.err
    assert token not in result.err + result.out


def test_a_member_does_not_need_the_token_any_more(machine: Machine, run: Run) -> None:
    run("prepare", prepare(machine))
    kubelet = in_background(lambda: machine.kubelet.join(STATIC_TOKEN))
    assert run("join", join(machine)).status == 0
    kubelet.join()
    result = run("prepare", prepare(machine, "f" * 32))
    assert (result.status, result.out.splitlines()[1]) == (0, "member")


@pytest.mark.parametrize(("kind", "name"), [("User", "me"), ("Group", "us")])
def test_a_binding_that_approves_the_static_user_or_its_group_unchecked_is_found(
    plane: ControlPlane, cluster: Cluster, kind: str, name: str
) -> None:
    with bound(plane, name, kind=kind):
        check_cluster(cluster)
        check_cluster(cluster, StaticTokenSettings(user="somebody", group="others"))
        with pytest.raises(MembershipError, match=f"auto-approval .*of {name} unchecked"):
            check_cluster(cluster, StaticTokenSettings(user="me", group="us"))


def test_a_node_is_not_taken_out_for_a_token_that_would_not_let_it_in_again(
    machine: Machine, run: Run
) -> None:
    run("prepare", prepare(machine))
    kubelet = in_background(lambda: machine.kubelet.join(STATIC_TOKEN))
    assert run("join", join(machine)).status == 0
    kubelet.join()
    before = machine.plane.get(machine.path)["metadata"]["uid"]
    anew = replace(machine.node, generation=2)
    assert run("prepare", replace(prepare(machine, "f" * 32), node=anew)).status == 1
    node = machine.plane.get(machine.path)
    assert (node["metadata"]["uid"], node["spec"].get("unschedulable")) == (before, None)
