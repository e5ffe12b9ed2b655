"""Which nodes of a pool wait for which, and what stands between them."""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import Any

import pytest

from kube_nodes.model.recorded import Recorded, RecordedNode
from tests.components.recording import Graph, declare, opened
from tests.components.stacks import STEPS, configuration, of_node

# What changes a host, or the cluster for its sake; a look at the host is none of it.
_CHANGING = ("prepare", "credentials", "units", "membership", "service-check")


def pool(**more: Any) -> dict[str, Any]:
    """Give changes of the pool as changes of the configuration."""
    return {"pools": {"workers": more}}


@cache
def six() -> Graph:
    """Six nodes: a canary, two, two, one."""
    return declare(configuration(*range(1, 7)))


def request(graph: Graph, gate: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(opened(graph[gate].inputs["stdin"]))
    return found


def waits_for(graph: Graph, node: str) -> set[str]:
    """Name the nodes that all have to be up before anything of this one changes."""
    each = [
        {
            key
            for key in graph.transitively_after(f"{node}-{step}")
            if key.endswith("-service-check")
        }
        for step in _CHANGING
    ]
    return {key.removesuffix("-service-check") for key in set.intersection(*each)}


def test_a_wave_waits_for_the_ones_before_it_by_one_gate() -> None:
    graph = six()
    assert [waits_for(graph, f"n{number}") for number in range(1, 7)] == [
        set(),
        {"n1"},
        {"n1"},
        {"n1", "n2", "n3"},
        {"n1", "n2", "n3"},
        {"n1", "n2", "n3", "n4", "n5"},
    ]
    gates = sorted(key for key in graph.resources if "-wave-" in key)
    assert gates == ["workers-wave-2", "workers-wave-3", "workers-wave-4"]
    # The certificate that all share is no node: it makes nothing wait.
    shared = {"kube-proxy-request-1", "kube-proxy-certificate-1"}
    assert graph.after("workers-wave-3") - shared == {
        "workers-wave-2", "n2-service-check", "n3-service-check"
    }  # fmt: skip


def test_hosts_are_looked_at_all_at_once() -> None:
    assert "workers-wave-4" not in six().transitively_after("n6-preflight")


def test_edges_do_not_grow_with_the_square_of_the_nodes() -> None:
    graph = declare(configuration(*range(1, 41)))
    edges = sum(len(each.dependencies) for each in graph.resources.values())
    assert edges < 40 * 25


def test_a_gate_names_the_wave_before_and_is_tried_when_what_is_behind_it_changes() -> None:
    graph = six()
    gate = request(graph, "workers-wave-3")
    assert [each["name"] for each in gate["before"]] == ["n2", "n3"]
    assert {each["version"] for each in gate["before"]} == {"v1.37.2"}

    changed = declare(configuration(*range(1, 7), **of_node("n4", reapply=1)))
    differing = [
        key
        for key in graph.resources
        if "-wave-" in key and request(graph, key) != request(changed, key)
    ]
    assert differing == ["workers-wave-3"]


def test_another_certificate_of_kube_proxy_goes_through_every_gate() -> None:
    """It changes what is secret of each node, and none of its texts."""
    graph = six()
    renewed = declare(configuration(*range(1, 7), kubeProxyCertificate={"epoch": 2}))
    gates = [key for key in graph.resources if "-wave-" in key]
    assert len(gates) == 3
    assert all(request(graph, key) != request(renewed, key) for key in gates)
    assert graph["n4-units"].inputs == renewed["n4-units"].inputs


def test_other_waves_change_nothing_of_a_node() -> None:
    graph, other = six(), declare(configuration(*range(1, 7), **pool(canary=2, batch=1)))
    nodes = {key: value for key, value in graph.inputs().items() if "-wave-" not in key}
    assert {key: value for key, value in other.inputs().items() if "-wave-" not in key} == nodes
    assert waits_for(other, "n6") == {"n1", "n2", "n3", "n4", "n5"}
    assert waits_for(other, "n2") == set()


def test_a_new_node_waits_for_no_wave_and_no_wave_waits_for_it() -> None:
    graph = declare(configuration(*range(1, 7)), joined={"n1", "n2", "n4", "n5", "n6"})
    assert waits_for(graph, "n3") == set()
    assert waits_for(graph, "n4") == {"n1", "n2"}
    # Only the order differs: what is declared is the same as in a preview.
    assert graph.inputs() == six().inputs()


def test_a_node_that_is_adopted_serves_already_and_waits_although_it_never_joined() -> None:
    adopting = of_node("n3", options={"adopt": True})
    joined = {"n1", "n2", "n4", "n5", "n6"}
    graph = declare(configuration(*range(1, 7), **adopting), joined=joined)
    assert waits_for(graph, "n3") == {"n1"}
    assert waits_for(graph, "n4") == {"n1", "n2", "n3"}


def test_all_nodes_of_a_new_cluster_join_at_once() -> None:
    graph = declare(configuration(*range(1, 7)), joined=set())
    assert all(waits_for(graph, f"n{number}") == set() for number in range(1, 7))


def test_a_node_that_joins_anew_waits_as_any_other() -> None:
    changed = configuration(*range(1, 4), **of_node("n3", generation=2))
    assert waits_for(declare(changed, joined={"n1", "n2", "n3"}), "n3") == {"n1", "n2"}


def test_a_node_without_a_kubelet_waits_too() -> None:
    changed = configuration(*range(1, 4), **of_node("n3", options={"role": "proxy-only"}))
    graph = declare(changed, joined={"n1", "n2"})
    steps = ("credentials", "units", "service-check")
    assert all("workers-wave-3" in graph.transitively_after(f"n3-{step}") for step in steps)


def test_a_held_node_is_in_no_wave() -> None:
    graph = declare(configuration(*range(1, 4), **of_node("n2", held=True)))
    assert waits_for(graph, "n3") == {"n1"}
    assert waits_for(graph, "n2") == set()
    assert [each["name"] for each in request(graph, "workers-wave-2")["before"]] == ["n1"]


def held(*steps: str, begun: bool = True) -> Graph:
    """Two nodes, of which n2 is held; these of its steps are in the state."""
    nodes = {"n2": RecordedNode(pool="workers", lost=False)} if begun else {}
    recorded = Recorded(names=frozenset(f"n2-{step}" for step in steps), nodes=nodes)
    return declare(configuration(1, 2, **of_node("n2", held=True)), recorded=recorded)


def test_a_held_node_that_is_new_is_left_out_until_it_is_held_no_more() -> None:
    graph = held(begun=False)
    assert [key for key in graph.resources if "n2" in key] == []
    assert set(graph.outputs["nodes"]) == {"n1"}


@pytest.mark.parametrize("steps", [(), ("preflight",), ("preflight", "prepare", "credentials")])
def test_a_join_that_is_held_half_way_stays_where_it_stands(steps: tuple[str, ...]) -> None:
    graph = held(*steps)
    found = {each.key for each in graph.of_node("n2")}
    assert {f"n2-{step}" for step in STEPS if f"n2-{step}" in found} == {f"n2-{s}" for s in steps}
    for step in steps:
        options = graph[f"n2-{step}"].options
        assert options["ignoreChanges"] == ["*"]
        # Its delete does what it always did.
        assert "retainOnDelete" not in options
    # Its removal undoes the steps in their order.
    for before, after in itertools.pairwise(steps):
        assert f"n2-{before}" in graph.after(f"n2-{after}")


def test_a_node_that_is_held_once_it_has_come_up_keeps_every_step() -> None:
    found = {each.key for each in held(*STEPS).of_node("n2")}
    assert {f"n2-{step}" for step in STEPS} <= found


def test_a_node_that_is_held_since_a_version_that_sent_nothing_is_sent_nothing() -> None:
    """A create heeds no ignored changes, and would contact its host."""
    graph = held(*(step for step in STEPS if step != "scripts"))
    assert "n2-scripts" not in graph.resources
    assert graph.after("n2-preflight") == set()
    assert "n1-scripts" in graph.resources


@pytest.mark.parametrize("held", [True, False])
def test_nothing_of_a_held_node_changes(held: bool) -> None:
    graph = declare(configuration(1, 2, **of_node("n2", held=held)))
    custom = [each for each in graph.of_node("n2") if each.custom]
    ignoring = [each.key for each in custom if each.options.get("ignoreChanges")]
    assert ignoring == ([each.key for each in custom] if held else [])
