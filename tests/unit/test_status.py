"""How a node is, by its Node; the table; what is well and what is not."""

from __future__ import annotations

import datetime
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from kube_nodes.fleet.node_status import NodeStatus, Ready, judge, plan
from kube_nodes.fleet.status import Status, render, to_json, watch
from kube_nodes.settings import parse_settings
from tests.components.stacks import configuration, of_node

NOW = datetime.datetime(2031, 5, 1, 12, tzinfo=datetime.UTC)


def _node(
    version: str = "v1.37.2", ready: str = "True", **annotations: str | None
) -> dict[str, Any]:
    """A Node that has joined; annotations without their prefix, None takes one away."""
    told = {"generation": "1", **annotations}
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": "KubeletReady" if ready == "True" else "NodeStatusUnknown",
        "lastTransitionTime": "2031-05-01T11:56:30Z",
    }
    return {
        "metadata": {
            "name": "n1",
            "annotations": {f"kube-nodes/{key}": each for key, each in told.items() if each},
        },
        "spec": {},
        "status": {"conditions": [condition], "nodeInfo": {"kubeletVersion": version}},
    }


def _see(node: dict[str, Any] | None, **changes: Any) -> NodeStatus:
    values = configuration(1, **of_node("n1", **changes))
    values["binaries"]["1.36.3"] = values["binaries"]["1.37.2"]
    settings = parse_settings(values)
    return judge(settings, {"n1": node} if node else {}, NOW)[0]


_CORDONED = _node() | {"spec": {"unschedulable": True}}
_JOINING = _node(generation=None) | {
    "spec": {"taints": [{"key": "kube-nodes/joining", "effect": "NoSchedule"}]}
}
_KINDS: list[tuple[dict[str, Any] | None, dict[str, Any], Ready, str, bool]] = [
    (_node(), {}, Ready.YES, "", True),
    (None, {}, Ready.ABSENT, "not joined", False),
    (_JOINING, {}, Ready.YES, "joining", False),
    (_node(generation=None), {}, Ready.YES, "somebody else's Node", False),
    (_node(), {"generation": 2}, Ready.YES, "generation 1, declared is 2", False),
    (_node(ready="Unknown"), {}, Ready.UNKNOWN, "NodeStatusUnknown for 3 min", False),
    (_node(ready="False"), {}, Ready.NO, "NodeStatusUnknown for 3 min", False),
    (_node(version="v1.36.3"), {}, Ready.YES, "another version", False),
    (_node(cordoned="true") | {"spec": {"unschedulable": True}}, {}, Ready.YES,
     "drained for an update", False),
    (_CORDONED, {}, Ready.YES, "cordoned by somebody", True),
    (_node(version="v1.36.3"), {"held": True, "generation": 2}, Ready.YES, "held", True),
    (None, {"held": True}, Ready.ABSENT, "held", True),
    (_node(ready="Unknown"), {"held": True}, Ready.UNKNOWN,
     "held, NodeStatusUnknown for 3 min", False),
    (None, {"lost": True}, Ready.ABSENT, "lost", True),
    (_node(), {"lost": True}, Ready.YES, "lost, its Node is still there", False),
    (None, {"options": {"role": "proxy-only"}}, Ready.NONE, "kube-proxy alone", True),
]  # fmt: skip


@pytest.mark.parametrize(("node", "changes", "ready", "notes", "is_well"), _KINDS)
def test_each_way_a_node_can_be_is_told(
    node: dict[str, Any] | None, changes: dict[str, Any], ready: Ready, notes: str, is_well: bool
) -> None:
    seen = _see(node, **changes)
    assert (seen.ready, ", ".join(seen.notes), seen.is_well) == (ready, notes, is_well)


def test_versions_are_the_declared_and_the_reported_one() -> None:
    seen = _see(_node("v1.36.3"), options={"kubeProxyVersion": "1.36.3"})
    assert (seen.declared, seen.kube_proxy, seen.running) == ("v1.37.2", "v1.36.3", "v1.36.3")
    alone = _see(None, options={"role": "proxy-only", "kubeProxyVersion": "1.36.3"})
    assert (alone.declared, alone.kube_proxy, alone.running) == ("v1.36.3", "", "")


def test_without_an_answer_of_the_cluster_nothing_is_well_and_nothing_is_claimed() -> None:
    [seen] = judge(parse_settings(configuration(1)), None, NOW)
    assert (seen.ready, seen.notes, seen.is_well, seen.running) == (Ready.NONE, (), False, "")


def test_what_a_node_says_of_itself_cannot_obey_a_terminal() -> None:
    node = _node(ready="False")
    node["status"]["conditions"][0]["reason"] = "\x1b[2J" + "x" * 500
    [note] = _see(node).notes
    assert "\x1b" not in note and len(note) < 100


def test_the_waves_are_those_that_the_next_up_plans() -> None:
    values = configuration(*range(1, 7), pools={"workers": {"batch": 2}})
    values["pools"]["workers"]["nodes"]["n2"]["held"] = True
    values["pools"]["workers"]["nodes"]["n3"]["lost"] = True
    waves = plan(parse_settings(values))
    assert waves == {"n1": 1, "n4": 2, "n5": 2, "n6": 3}


def _status(*seen: NodeStatus, days: float | None = 300, error: str = "") -> Status:
    expires = None if days is None else NOW + datetime.timedelta(days=days)
    return Status(stack="prod", nodes=seen, certificate_expires=expires, now=NOW, error=error)


def _text(status: Status, *, terminal: bool = False) -> str:
    out = io.StringIO()
    kind: dict[str, Any] = {"force_terminal": True, "color_system": "standard"} if terminal else {}
    Console(file=out, width=140, **kind).print(render(status))
    return out.getvalue()


def test_the_table_begins_with_what_is_not_well_and_ends_with_the_numbers() -> None:
    well, ill = _see(_node()), replace(_see(None), id="n2")
    text = _text(_status(well, ill, days=12.5))
    assert text.index("n2") < text.index("n1")
    assert "prod at 12:00:00 UTC: 2 nodes, 1 well" in text
    assert "kube-proxy's certificate: 12 days left; raise kubeProxyCertificate.epoch" in text
    assert "DRIFT" not in text


def test_colours_are_for_a_terminal_alone() -> None:
    status = _status(_see(_node()), _see(None))
    assert "\x1b[" not in _text(status)
    assert "\x1b[32m" in _text(status, terminal=True)


def test_a_certificate_that_is_over_and_one_that_no_run_has_told_of() -> None:
    assert "IT IS OVER" in _text(_status(_see(_node()), days=-0.5))
    assert "certificate" not in _text(_status(_see(_node()), days=None))


def test_drift_is_a_column_where_it_was_looked_for() -> None:
    text = _text(_status(replace(_see(_node()), drift="drifted")))
    assert "DRIFT" in text and "drifted" in text


def test_exit_status_tells_well_from_ill_from_unknown() -> None:
    assert _status(_see(_node())).exit_status == 0
    assert _status(_see(_node()), _see(None)).exit_status == 1
    assert _status(_see(_node()), error="no answer").exit_status == 2
    assert "the cluster does not tell: no answer" in _text(_status(error="no answer"))


def test_json_has_everything_of_the_table() -> None:
    document = json.loads(json.dumps(to_json(_status(_see(_node("v1.36.3"))))))
    assert document == {
        "stack": "prod",
        "time": "2031-05-01T12:00:00Z",
        "well": False,
        "error": "",
        "kubeProxyCertificate": {"expires": "2032-02-25T12:00:00Z", "daysLeft": 300},
        "nodes": {
            "n1": {
                "pool": "workers",
                "wave": 1,
                "ready": "True",
                "declared": "v1.37.2",
                "kubeProxy": "v1.37.2",
                "running": "v1.36.3",
                "notes": ["another version"],
                "well": False,
                "drift": "",
            }
        },
    }


class _Looks:
    """Looks one after the other, and Ctrl-C when there are no more."""

    def __init__(self, *looks: Status) -> None:
        self.left = list(looks)

    def look(self) -> Status:
        if not self.left:
            raise KeyboardInterrupt
        return self.left.pop(0)


@pytest.mark.parametrize("terminal", [True, False])
def test_watching_draws_each_look_and_ends_as_the_last_one(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kube_nodes.fleet.status.time.sleep", lambda _: None)
    looks: Any = _Looks(_status(_see(_node())), _status(_see(None)))
    out = io.StringIO()
    console = Console(file=out, width=140, height=50, force_terminal=terminal)
    assert watch(looks, 5.0, as_json=False, console=console) == 1
    text = out.getvalue()
    assert text.index("1 node, 1 well") < text.index("1 node, 0 well")
    # On a terminal the second look stands in the place of the first.
    assert ("\x1b[1A" in text) == terminal


def test_watching_that_ends_before_the_first_look_has_no_answer() -> None:
    looks: Any = _Looks()
    assert watch(looks, 5.0, as_json=False, console=Console(file=io.StringIO())) == 2


def test_a_fleet_fits_a_terminal_with_its_ill_nodes_on_top() -> None:
    well = [replace(_see(_node()), id=f"w{number}") for number in range(300)]
    out = io.StringIO()
    console = Console(file=out, width=120, height=20, force_terminal=True)
    looks: Any = _Looks(_status(*well, replace(_see(None), id="ill")))
    watch(looks, 5.0, as_json=False, console=console)
    shown = out.getvalue().splitlines()[:20]
    assert "301 nodes, 300 well" in shown[0]
    assert any("ill" in line for line in shown) and not any("w299" in line for line in shown)
