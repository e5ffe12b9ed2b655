"""join against a real API server, with a kubelet that is played."""

from __future__ import annotations

import base64
import datetime
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kube_nodes.membership import readiness
from kube_nodes.model.requests import Runs, Token
from tests.api.conftest import Machine, Result, declare_closed, in_background
from tests.api.kubelet import NO_NETWORK, REQUESTS, Kubelet
from tests.documented import assert_documented

Run = Callable[..., Result]
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
WEB = {"key": "dedicated", "value": "web", "effect": "NoSchedule"}


def taints(machine: Machine) -> list[dict[str, str]]:
    """Return the Node's taints, without the one that admission gives a new Node."""
    listed = machine.plane.get(machine.path)["spec"].get("taints", [])
    return [taint for taint in listed if taint != NOT_READY]


def labels(machine: Machine) -> dict[str, str]:
    """Return the Node's labels."""
    return dict(machine.plane.get(machine.path)["metadata"].get("labels") or {})


def open_until(machine: Machine, when: datetime.datetime) -> None:
    """Leave the token open, as a run that was killed does."""
    fields = {
        "token-secret": machine.token.secret,
        "expiration": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "usage-bootstrap-authentication": "true",
    }
    data = {key: base64.b64encode(value.encode()).decode() for key, value in fields.items()}
    machine.plane.merge(machine.secret_path, {"data": data})


def test_a_new_node_joins_and_its_token_is_closed(machine: Machine, run: Run) -> None:
    assert run("prepare", machine.prepare()).status == 0
    assert base64.b64decode(machine.data()["token-secret"]) == machine.token.secret.encode()
    kubelet = in_background(lambda: machine.kubelet.join(machine.bearer))
    result = run("join", machine.join(), labels="tier=web", taints="dedicated=web:NoSchedule")
    kubelet.join()
    assert result.status == 0, result.err
    assert result.out.splitlines()[0].startswith("run ")
    assert labels(machine)["tier"] == "web"
    assert taints(machine) == [WEB]
    annotations = machine.annotations()
    assert annotations["kube-nodes/generation"] == "1"
    assert set(machine.data()) == {"token-id", "usage-bootstrap-authentication"}
    assert base64.b64decode(machine.data()["usage-bootstrap-authentication"]) == b"false"


def test_the_token_and_its_secret_are_nowhere_in_the_output(machine: Machine, run: Run) -> None:
    results = [run("prepare", machine.prepare())]
    kubelet = in_background(lambda: machine.kubelet.join(machine.bearer))
    results.append(run("join", machine.join()))
    kubelet.join()
    results.append(run("join", machine.join(timeout_seconds=1, node=replace(machine.node, id="x"))))
    for result in results:
        assert machine.token.secret not in result.out + result.err


@pytest.mark.parametrize("loss", ["expired", "deleted", "closed"])
def test_a_token_that_was_lost_before_the_join_is_opened_again(
    machine: Machine, run: Run, loss: str
) -> None:
    run("prepare", machine.prepare())
    if loss == "expired":
        open_until(machine, datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1))
    elif loss == "deleted":
        assert machine.plane.call("DELETE", machine.secret_path).status == 200
    else:
        declare_closed(machine)
    kubelet = in_background(lambda: machine.kubelet.join(machine.bearer))
    result = run("join", machine.join())
    kubelet.join()
    assert result.status == 0, result.err
    secret = machine.plane.get(machine.secret_path)
    assert secret["metadata"]["annotations"] == {"pulumi.com/patchForce": "true"}
    assert set(secret["data"]) == {"token-id", "usage-bootstrap-authentication"}


def test_a_second_run_changes_nothing(member: Machine, run: Run) -> None:
    before = member.plane.get(member.path)["metadata"]["resourceVersion"]
    secret = member.plane.get(member.secret_path)["metadata"]["resourceVersion"]
    result = run("join", member.join())
    assert (result.status, result.err) == (0, "")
    assert member.plane.get(member.path)["metadata"]["resourceVersion"] == before
    assert member.plane.get(member.secret_path)["metadata"]["resourceVersion"] == secret


def test_a_token_left_open_by_a_killed_run_is_closed_by_the_next(member: Machine, run: Run) -> None:
    open_until(member, datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=9))
    assert run("join", member.join()).status == 0
    assert "token-secret" not in member.data()


def test_labels_that_are_no_longer_declared_go_and_others_stay(member: Machine, run: Run) -> None:
    run("join", member.join(), labels="tier=web\nold=1")
    member.plane.merge(member.path, {"metadata": {"labels": {"theirs": "1", "tier": "changed"}}})
    run("join", member.join(), labels="tier=db")
    found = labels(member)
    assert (found["tier"], found["theirs"]) == ("db", "1")
    assert "old" not in found


def test_only_our_own_taints_are_changed(member: Machine, run: Run) -> None:
    run("join", member.join(), taints="dedicated=web:NoSchedule\nold:NoSchedule")
    theirs = {
        "key": "theirs",
        "effect": "NoExecute",
        "timeAdded": "2024-01-01T00:00:00Z",
    }
    member.plane.merge(member.path, {"spec": {"taints": [theirs, WEB]}})
    run("join", member.join(), taints="dedicated=db:NoSchedule")
    assert taints(member) == [theirs, {**WEB, "value": "db"}]
    run("join", member.join())
    assert taints(member) == [theirs]


def test_our_own_cordon_is_undone_and_an_operators_is_left(member: Machine, run: Run) -> None:
    ours = {"metadata": {"annotations": {"kube-nodes/cordoned": "true"}}}
    member.plane.merge(member.path, {"spec": {"unschedulable": True}, **ours})
    run("join", member.join())
    assert "unschedulable" not in member.plane.get(member.path)["spec"]
    assert "kube-nodes/cordoned" not in member.annotations()
    member.plane.merge(member.path, {"spec": {"unschedulable": True}})
    run("join", member.join())
    assert member.plane.get(member.path)["spec"]["unschedulable"] is True


def test_a_kubelet_of_another_version_is_waited_for(member: Machine, run: Run) -> None:
    request = member.join(timeout_seconds=1, node=replace(member.node, version="v1.37.9"))
    result = run("join", request)
    assert result.status == 1
    assert "the kubelet reports v1.37.2, declared is v1.37.9" in result.err
    assert result.err.splitlines()[-1].startswith(f"{member.node.id}: ")


def test_a_node_that_is_not_ready_is_waited_for(member: Machine, run: Run) -> None:
    member.kubelet.report(ready=False)

    def come_up() -> None:
        time.sleep(1)
        member.kubelet.report()

    waiting = in_background(come_up)
    result = run("join", member.join())
    waiting.join()
    assert result.status == 0
    assert f"Ready is False: KubeletNotReady {NO_NETWORK}" in result.err


def test_a_node_without_a_network_for_pods_is_told_of_with_what_to_do(
    member: Machine, run: Run
) -> None:
    member.kubelet.report(ready=False)
    result = run("join", member.join(timeout_seconds=1))
    assert result.status == 1
    assert_documented(result.err, "Node not Ready because of CNI")


def test_ready_from_before_the_restart_does_not_count(member: Machine, run: Run) -> None:
    started = time.time() + 1
    stdout = f"run 1\nchanged /var/lib/kubelet/config.yaml\nrestarted kubelet {started}\n"
    request = member.join(timeout_seconds=1, runs=Runs(units=stdout))
    result = run("join", request)
    assert result.status == 1
    assert "the kubelet has not reported since it was started" in result.err
    time.sleep(max(0.0, started + 1 - time.time()))
    member.kubelet.report()
    assert run("join", request).status == 0


def test_in_the_second_of_the_restart_the_lease_decides(member: Machine, run: Run) -> None:
    while time.time() % 1 > 0.3:
        time.sleep(0.05)
    member.kubelet.renew_lease()
    started = time.time()
    member.kubelet.report()
    request = member.join(timeout_seconds=1, runs=Runs(units=f"restarted kubelet {started}"))
    assert run("join", request).status == 1
    member.kubelet.renew_lease()
    assert run("join", request).status == 0


def test_ready_of_the_machine_that_was_replaced_does_not_count(member: Machine, run: Run) -> None:
    other = Runs(units="run 1\nmachine ffffffffffffffffffffffffffffffff\n")
    result = run("join", member.join(timeout_seconds=1, runs=other))
    assert result.status == 1
    assert "another machine" in result.err
    same = Runs(units=f"run 1\nmachine {member.kubelet.machine_id}\n")
    assert run("join", member.join(runs=same)).status == 0


def test_another_machine_under_a_members_id_is_refused_at_once_and_joins_as_a_new_generation(
    member: Machine, run: Run
) -> None:
    moved = replace(member.node, addresses=("10.0.9.9",))
    machine_id = "f" * 32
    runs = Runs(units=f"run 1\nmachine {machine_id}\n")
    assert run("prepare", member.prepare(node=moved)).out.splitlines()[1] == "member"
    start = time.monotonic()
    result = run("join", member.join(node=moved, runs=runs, timeout_seconds=60))
    assert (result.status, time.monotonic() - start < 5) == (1, True)
    assert f"{member.node.id} is now another machine" in result.err
    assert "or raise its generation" in result.err

    token = Token(id=f"new{member.token.id[3:]}", secret=member.token.secret)
    newer = replace(moved, generation=2, token_id=token.id)
    anew = replace(member, node=newer, token=token)
    assert run("prepare", anew.prepare()).status == 0
    assert not member.plane.exists(member.path)
    kubelet = Kubelet(member.plane, member.node.name, address="10.0.9.9", machine_id=machine_id)
    thread = in_background(lambda: kubelet.join(anew.bearer))
    result = run("join", anew.join(runs=runs))
    thread.join()
    assert result.status == 0, result.err
    assert member.annotations()["kube-nodes/generation"] == "2"


def test_a_member_at_its_own_address_is_waited_for_whatever_its_machine_id(
    member: Machine, run: Run
) -> None:
    """A machine id may be written anew on the same host: its kubelet reports it when it starts."""
    member.kubelet.machine_id = "e" * 32

    def report_later() -> None:
        time.sleep(1)
        member.kubelet.report()

    thread = in_background(report_later)
    runs = Runs(units=f"run 1\nmachine {member.kubelet.machine_id}\n")
    result = run("join", member.join(runs=runs))
    thread.join()
    assert result.status == 0, result.err


def test_a_request_for_another_nodes_name_stays_pending_and_is_reported(
    machine: Machine, run: Run
) -> None:
    run("prepare", machine.prepare())
    attempt = in_background(lambda: _try(machine, "system:node:somebody-else"))
    result = run("join", machine.join(timeout_seconds=2))
    attempt.join()
    assert result.status == 1
    assert "'somebody-else' is not a declared node" in result.err
    assert_documented(result.err, "Certificate request refused")
    assert_documented(result.err, "Certificate request refused", 2)
    assert not _approved(machine)


def _try(machine: Machine, common_name: str) -> None:
    machine.kubelet.patience_seconds = 2
    with pytest.raises(AssertionError):
        machine.kubelet.bootstrap(machine.bearer, common_name)


def _approved(machine: Machine) -> list[dict[str, Any]]:
    return [
        request
        for request in machine.plane.get(REQUESTS)["items"]
        if request["spec"]["username"] == f"system:bootstrap:{machine.token.id}"
        and (request.get("status") or {}).get("conditions")
    ]


def test_a_renewal_is_approved_and_one_for_a_foreign_address_is_not(
    member: Machine, run: Run
) -> None:
    hostile = member.kubelet.request_serving("10.99.99.99")
    renewal = member.kubelet.request_serving()
    assert run("join", member.join()).status == 0
    assert not member.plane.get(f"{REQUESTS}/{hostile}").get("status")
    conditions = member.plane.get(f"{REQUESTS}/{renewal}")["status"]["conditions"]
    assert [condition["type"] for condition in conditions] == ["Approved"]


def test_after_a_renewal_the_serving_certificate_is_waited_for(member: Machine, run: Run) -> None:
    """The kubelet gave its own up, and asks for one some time after it reports."""
    started = time.time() + 6  # what it had before does not count
    time.sleep(7)
    member.kubelet.report()
    asked: list[str] = []

    def ask() -> None:
        time.sleep(1)
        asked.append(member.kubelet.request_serving())

    thread = in_background(ask)
    stdout = f"run 1\nrestarted kubelet {started}\nrenewed kubelet\n"
    assert run("join", member.join(runs=Runs(units=stdout))).status == 0
    thread.join()
    assert member.plane.get(f"{REQUESTS}/{asked[0]}")["status"]["certificate"]


def test_nothing_seen_of_the_kubelet_is_said_so(machine: Machine, run: Run) -> None:
    result = run("join", machine.join(timeout_seconds=1))
    assert result.status == 1
    assert "waiting for the kubelet's client certificate request" in result.err
    assert "none seen" in result.err


def test_an_unfinished_join_is_taken_up_where_it_stands(machine: Machine, run: Run) -> None:
    run("prepare", machine.prepare())
    thread = in_background(lambda: _join_halfway(machine.kubelet, machine.bearer))
    assert run("join", machine.join(timeout_seconds=2)).status == 1
    thread.join()
    uid = machine.plane.get(machine.path)["metadata"]["uid"]
    result = run("prepare", machine.prepare())
    assert (result.status, result.out.splitlines()[1]) == (0, "joining")
    # The kubelet runs on, and would not register anew.
    machine.kubelet.register()
    machine.kubelet.request_serving()
    assert machine.plane.get(machine.path)["metadata"]["uid"] == uid
    assert run("join", machine.join()).status == 0
    assert machine.annotations()["kube-nodes/generation"] == "1"


def test_an_unfinished_join_can_be_undone(machine: Machine, run: Run) -> None:
    run("prepare", machine.prepare())
    thread = in_background(lambda: _join_halfway(machine.kubelet, machine.bearer))
    assert run("join", machine.join(timeout_seconds=2)).status == 1
    thread.join()
    assert run("forget", machine.prepare()).status == 0
    assert not machine.plane.exists(machine.path)


def test_the_unfinished_join_of_another_machine_is_taken_out(machine: Machine, run: Run) -> None:
    run("prepare", machine.prepare())
    machine.kubelet.address = "10.9.9.9"
    thread = in_background(lambda: _join_halfway(machine.kubelet, machine.bearer))
    assert run("join", machine.join(timeout_seconds=2)).status == 1
    thread.join()
    assert run("prepare", machine.prepare()).status == 0
    assert not machine.plane.exists(machine.path)


def _join_halfway(kubelet: Kubelet, bearer: str) -> None:
    kubelet.bootstrap(bearer)
    kubelet.register(ready=False)


def test_a_kubelet_that_would_not_register_again_is_told_of_with_the_remedy(
    member: Machine, run: Run
) -> None:
    for name in [r["metadata"]["name"] for r in member.plane.get(REQUESTS)["items"]]:
        member.plane.call("DELETE", f"{REQUESTS}/{name}")
    member.plane.call("DELETE", member.path)
    result = run("join", member.join(timeout_seconds=1))
    assert result.status == 1
    assert "`systemctl restart kubelet` on the host" in result.err
    assert "raise the generation" in result.err


def test_a_node_object_that_was_deleted_by_mistake_is_made_a_member_again(
    member: Machine, run: Run
) -> None:
    for name in [r["metadata"]["name"] for r in member.plane.get(REQUESTS)["items"]]:
        member.plane.call("DELETE", f"{REQUESTS}/{name}")
    member.plane.call("DELETE", member.path)
    member.kubelet.restart()
    member.kubelet.register()
    result = run("join", member.join(timeout_seconds=5))
    assert (result.status, result.err) == (0, "")
    assert member.annotations()["kube-nodes/generation"] == "1"


def test_the_run_of_the_host_is_read_leniently() -> None:
    stdout = "run 1\nrestarted kube-proxy 5\nrestarted kubelet.service soon\nmachine abc\n\nx y z"
    assert readiness.read_runs(stdout) == readiness.Started(machine_id="abc")
    units = "restarted kubelet.service 7.5"
    assert readiness.read_runs("restarted kubelet 8", units).kubelet_seconds == 8
    assert readiness.read_runs("renewed kubelet").renewed
