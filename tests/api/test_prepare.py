"""prepare and forget against a real API server."""

from __future__ import annotations

import base64
import datetime
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_nodes.membership import prepare, tokens
from kube_nodes.membership.api import Api
from kube_nodes.model.machine import Machine as MachineNumbers
from kube_nodes.model.requests import Cluster, Drain, parse_open_until
from tests.api.conftest import Machine, Result, in_background
from tests.api.kubelet import NODE_INFO
from tests.api.pods import PODS, make_budget, make_pod, node_pods
from tests.documented import assert_documented

Run = Callable[..., Result]


def make_node(machine: Machine, annotations: dict[str, str]) -> None:
    """Make the Node as an administrator, as nothing of ours would."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": machine.node.name, "annotations": annotations},
    }
    assert machine.plane.call("POST", "/api/v1/nodes", manifest).status == 201


def test_the_token_of_a_new_node_is_opened_for_ten_minutes(machine: Machine, run: Run) -> None:
    result = run("prepare", machine.prepare())
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("run ")
    data = {key: base64.b64decode(value).decode() for key, value in machine.data().items()}
    assert data["usage-bootstrap-authentication"] == "true"
    assert data["auth-extra-groups"] == "system:bootstrappers:kube-nodes"
    left = datetime.datetime.fromisoformat(data["expiration"]) - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(minutes=9) < left <= datetime.timedelta(minutes=10)
    assert machine.kubelet.call("GET", "/version", token=machine.bearer).status == 200


def test_each_run_has_an_id_of_its_own(machine: Machine, run: Run) -> None:
    first, second = run("prepare", machine.prepare()), run("prepare", machine.prepare())
    assert first.out != second.out


def test_a_token_whose_secret_is_missing_is_made_again(machine: Machine, run: Run) -> None:
    machine.plane.call("DELETE", machine.secret_path)
    assert run("prepare", machine.prepare()).status == 0
    assert machine.plane.get(machine.secret_path)["type"] == "bootstrap.kubernetes.io/token"


def test_a_token_that_is_not_let_in_is_said_so(
    machine: Machine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_TRY_SECONDS", 0.3)
    # A closed token is refused like any token where bootstrap tokens are off.
    monkeypatch.setattr(tokens, "open_token", lambda *_: None)
    result = run("prepare", machine.prepare())
    assert result.status == 1
    assert_documented(result.err, "Token closed", 2)
    assert machine.token.secret not in result.err


def test_a_member_is_left_alone(member: Machine, run: Run) -> None:
    before = member.plane.get(member.path)["metadata"]["resourceVersion"]
    result = run("prepare", member.prepare())
    assert (result.status, result.out.splitlines()[1]) == (0, "member")
    assert member.plane.get(member.path)["metadata"]["resourceVersion"] == before
    assert "token-secret" not in member.data()


@pytest.mark.parametrize("version", ["v1.36.9", "v1.34.0"])
def test_a_member_whose_minor_changes_is_drained_and_then_uncordoned(
    member: Machine, run: Run, version: str
) -> None:
    make_pod(member, "web")
    newer = replace(member.node, version=version)
    assert run("prepare", member.prepare(node=newer)).status == 0
    assert node_pods(member) == []
    assert member.plane.get(member.path)["spec"]["unschedulable"] is True
    # The update failed and was reverted: the next run finds the old version, and uncordons.
    assert run("join", member.join()).status == 0
    assert "unschedulable" not in member.plane.get(member.path)["spec"]


@pytest.mark.parametrize("change", [{"version": "v1.36.9"}, {"generation": 2}])
@pytest.mark.parametrize("fault", ["stuck", "bare"])
def test_a_drain_that_fails_leaves_the_node_schedulable(
    member: Machine, run: Run, change: dict[str, Any], fault: str
) -> None:
    """The engine records no failed update: once it is reverted, nothing would undo the cordon."""
    controller = None if fault == "bare" else "ReplicaSet"
    make_pod(member, fault, grace_seconds=600, controller=controller)
    newer = replace(member.node, **change)
    result = run("prepare", member.prepare(node=newer, drain=Drain(timeout_seconds=1)))
    assert result.status == 1
    assert "set drainForce" in result.err
    assert "unschedulable" not in member.plane.get(member.path)["spec"]
    assert "kube-nodes/cordoned" not in member.annotations()


def test_a_budget_that_forbids_the_drain_is_named_with_what_to_do(
    member: Machine, run: Run
) -> None:
    make_pod(member, "web")
    make_budget(member, "web", allowed=0)
    newer = replace(member.node, version="v1.36.9")
    result = run("prepare", member.prepare(node=newer, drain=Drain(timeout_seconds=1)))
    assert result.status == 1
    assert_documented(result.err, "Drain blocked by a budget")
    assert node_pods(member) == ["web"]


def test_an_operators_cordon_outlasts_a_drain_that_fails(member: Machine, run: Run) -> None:
    make_pod(member, "stuck", grace_seconds=600)
    member.plane.merge(member.path, {"spec": {"unschedulable": True}})
    newer = replace(member.node, version="v1.36.9")
    request = member.prepare(node=newer, drain=Drain(timeout_seconds=1))
    assert run("prepare", request).status == 1
    assert member.plane.get(member.path)["spec"]["unschedulable"] is True


def test_a_member_that_is_not_ready_is_upgraded_without_waiting_for_its_pods(
    member: Machine, run: Run
) -> None:
    make_pod(member, "stuck", grace_seconds=600)
    member.kubelet.report(ready=False)
    newer = replace(member.node, version="v1.36.9")
    result = run("prepare", member.prepare(node=newer))
    assert result.status == 0, result.err
    assert "its pods are not waited for" in result.err
    assert member.annotations()["kube-nodes/cordoned"] == "true"


def test_a_patch_version_needs_no_drain(member: Machine, run: Run) -> None:
    make_pod(member, "stays")
    assert run("prepare", member.prepare(node=replace(member.node, version="v1.37.9"))).status == 0
    assert node_pods(member) == ["stays"]


def test_a_node_of_an_earlier_generation_is_drained_and_deleted(member: Machine, run: Run) -> None:
    make_pod(member, "web")
    newer = replace(member.node, generation=2)
    assert run("prepare", member.prepare(node=newer)).status == 0
    assert not member.plane.exists(member.path)
    assert node_pods(member) == []
    assert "token-secret" in member.data()


def test_a_node_whose_deletion_lasts_is_waited_for_and_told(
    member: Machine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "_DELETE_SECONDS", 2.0)
    finalizers = {"metadata": {"finalizers": ["example.com/mine"]}}
    member.plane.merge(member.path, finalizers)
    result = run("prepare", member.prepare(node=replace(member.node, generation=2)))
    member.plane.merge(member.path, {"metadata": {"finalizers": None}})
    assert result.status == 1
    name = member.node.name
    assert f"waiting for the Node {name} to be deleted (" in result.err
    assert f"the Node {name} is not deleted; its finalizers: example.com/mine" in result.err


def test_a_dead_node_of_an_earlier_generation_is_deleted_without_waiting_for_its_pods(
    member: Machine, run: Run
) -> None:
    make_pod(member, "stuck", grace_seconds=600)
    member.kubelet.report(ready=False)
    newer = replace(member.node, generation=2)
    assert run("prepare", member.prepare(node=newer)).status == 0
    assert not member.plane.exists(member.path)


def test_a_node_that_came_in_by_other_means_is_refused(machine: Machine, run: Run) -> None:
    make_node(machine, {})
    result = run("prepare", machine.prepare())
    assert result.status == 1
    assert f"kubectl delete node {machine.node.name}" in result.err
    assert machine.plane.exists(machine.path)
    assert "token-secret" not in machine.data()


def test_forget_deletes_the_node_and_is_done_when_there_is_none(member: Machine, run: Run) -> None:
    assert run("forget", member.prepare()).status == 0
    assert not member.plane.exists(member.path)
    assert run("forget", member.prepare()).status == 0


def test_forget_deletes_the_pods_that_still_name_the_node(member: Machine, run: Run) -> None:
    """Else they count as endpoints until the pod garbage collector comes."""
    make_pod(member, "agent", controller="DaemonSet", grace_seconds=600)
    assert run("forget", member.prepare()).status == 0
    assert not member.plane.exists(f"{PODS}/agent-{member.node.name}")


@pytest.mark.parametrize("annotations", [{}, {"kube-nodes/generation": "7"}])
def test_forget_leaves_a_node_that_is_not_of_its_generation(
    machine: Machine, run: Run, annotations: dict[str, str]
) -> None:
    make_node(machine, annotations)
    result = run("forget", machine.prepare())
    assert result.status == 0
    assert "left alone" in result.err
    assert machine.plane.exists(machine.path)


@pytest.mark.parametrize("verb", ["prepare", "forget", "join", "leave"])
def test_another_cluster_is_refused_before_any_write(member: Machine, run: Run, verb: str) -> None:
    before = member.plane.get(member.path)["metadata"]["resourceVersion"]
    make = member.prepare if verb in ("prepare", "forget") else member.join
    request = replace(make(), cluster=Cluster(uid="of-another-cluster"))
    result = run(verb, request)
    assert result.status == 1
    assert result.err.startswith(f"{member.node.id}: the kubeconfig reaches another cluster")
    assert_documented(result.err, "Wrong context")
    assert member.plane.get(member.path)["metadata"]["resourceVersion"] == before
    assert "token-secret" not in member.data()


def test_a_context_that_is_not_there_is_said_so(
    machine: Machine, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = yaml.safe_load(machine.plane.kubeconfig.read_text())
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(yaml.safe_dump({**config, "current-context": "not-there"}))
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig)
    )
    result = run("prepare", machine.prepare())
    assert result.status == 1
    assert "not-there" in result.err
    assert_documented(result.err, "Wrong context", 2)


def test_an_api_server_before_1_19_is_refused(
    machine: Machine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Api, "minor", 18)
    result = run("prepare", machine.prepare())
    assert result.status == 1
    assert "the API server is 1.18" in result.err
    assert "token-secret" not in machine.data()


def test_a_kubelet_newer_than_the_api_server_is_refused(member: Machine, run: Run) -> None:
    make_pod(member, "stays")
    result = run("prepare", member.prepare(node=replace(member.node, version="v1.99.0")))
    assert result.status == 1
    assert_documented(result.err, "Version skew")
    assert node_pods(member) == ["stays"]
    older = run("prepare", member.prepare(node=replace(member.node, version="v1.33.9")))
    assert older.status == 1
    assert_documented(older.err, "Version skew", 2)


IDS = MachineNumbers(
    machine_id="592d7339d2d648179d9c63bef315a7de",
    product_uuid="4c4c4544-0035-4a10-8052-cac04f4d3233",
)


@pytest.mark.parametrize(
    ("reported", "shared"),
    [
        ({"machineID": IDS.machine_id}, f"machine-id {IDS.machine_id}"),
        ({"systemUUID": IDS.product_uuid.upper()}, f"product_uuid {IDS.product_uuid}"),
        ({"machineID": "0" * 32, "systemUUID": "00000000-0000-0000-0000-000000000000"}, ""),
    ],
)
def test_a_machine_that_another_node_reports_does_not_join(
    machine: Machine, run: Run, reported: dict[str, str], shared: str
) -> None:
    """Before its token is opened: nothing was changed then."""
    other = f"other-{machine.node.name}"
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": other}}
    assert machine.plane.call("POST", "/api/v1/nodes", manifest).status == 201
    path = f"/api/v1/nodes/{other}"
    info = dict.fromkeys((*NODE_INFO, "kubeletVersion", "machineID"), "x") | reported
    try:
        machine.plane.merge(f"{path}/status", {"status": {"nodeInfo": info}})
        result = run("prepare", machine.prepare(machine=IDS))
    finally:
        machine.plane.call("DELETE", path)
    if not shared:
        assert result.status == 0
        return
    assert result.status == 1
    assert result.err.startswith(f"{machine.node.id}: the Node {other} reports the same {shared}")
    assert f"as {machine.node.name}'s host" in result.err
    assert "token-secret" not in machine.data()


def test_it_says_until_when_the_token_is_open(machine: Machine, run: Run) -> None:
    end = parse_open_until(run("prepare", machine.prepare()).out)
    assert end is not None
    assert 590 < end - time.time() < 610


def test_a_member_with_another_machine_id_is_told_what_to_do_if_it_was_installed_anew(
    member: Machine, run: Run
) -> None:
    """It may also be the same host with a new machine id, so it is not refused."""
    same = MachineNumbers(machine_id=member.kubelet.machine_id)
    assert run("prepare", member.prepare(machine=same)).err == ""
    result = run("prepare", member.prepare(machine=MachineNumbers(machine_id="f" * 32)))
    assert result.status == 0
    assert f"{member.node.id}: the Node is reported by another machine" in result.err
    assert "if the host was installed anew, raise the node's generation" in result.err


def test_a_host_that_was_installed_anew_joins_by_a_raised_generation(
    member: Machine, run: Run
) -> None:
    """Its Node and pods of before go, its old life is nobody's, and its token opens."""
    make_pod(member, "web", grace_seconds=600)
    member.kubelet.report(ready=False)
    uid = member.plane.get(member.path)["metadata"]["uid"]
    raised = replace(member.node, generation=2)
    anew = MachineNumbers(machine_id="b" * 32)
    assert run("prepare", member.prepare(node=raised, machine=anew)).status == 0
    new = replace(member.kubelet, identity=None, _registered=False, machine_id="b" * 32)
    kubelet = in_background(lambda: new.join(member.bearer))
    result = run("join", member.join(node=raised))
    kubelet.join()
    assert result.status == 0, result.err
    assert member.plane.get(member.path)["metadata"]["uid"] != uid
    assert member.annotations()["kube-nodes/generation"] == "2"
