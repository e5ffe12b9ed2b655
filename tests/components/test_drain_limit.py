"""How many nodes of a pool may be drained at once: in the cluster, and in no node's inputs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.components.recording import Graph, declare, opened
from tests.components.stacks import configuration, of_node, one, two


def limited(*numbers: int, limit: int | str, **changes: Any) -> Graph:
    values = configuration(*numbers, **changes)
    values["pools"]["workers"]["maxUnavailable"] = limit
    return declare(values)


def test_it_is_one_unless_declared_and_stands_in_a_config_map() -> None:
    inputs = one()["workers-drain-limit"].inputs
    assert inputs["metadata"] == {"name": "kube-nodes-pool-workers", "namespace": "kube-system"}
    assert inputs["data"] == {"maxUnavailable": "1"}


@pytest.mark.parametrize(
    ("limit", "nodes", "at_once"),
    [(3, 20, "3"), ("3", 2, "3"), ("10%", 20, "2"), ("10%", 2, "1"), ("51%", 2, "2"),
     ("100%", 2, "2")],
)  # fmt: skip
def test_a_share_is_of_the_declared_nodes_rounded_up(
    limit: int | str, nodes: int, at_once: str
) -> None:
    graph = limited(*range(1, nodes + 1), limit=limit)
    assert graph["workers-drain-limit"].inputs["data"] == {"maxUnavailable": at_once}


def test_hosts_without_a_node_and_lost_ones_are_no_part_of_the_pool() -> None:
    nodes = of_node("n1", options={"role": "proxy-only"})
    graph = limited(1, 2, 3, limit="100%", **nodes)
    assert graph["workers-drain-limit"].inputs["data"] == {"maxUnavailable": "2"}


def test_a_changed_limit_changes_nothing_else() -> None:
    before, after = two().inputs(), limited(1, 2, limit=2).inputs()
    assert {key for key in before | after if before.get(key) != after.get(key)} == {
        "workers-drain-limit"
    }


def test_every_drain_knows_its_pool_and_no_limit() -> None:
    for step in ("prepare", "membership"):
        request = json.loads(opened(one()[f"n1-{step}"].inputs)["stdin"])
        assert request["drain"]["pool"] == "workers"
        assert "maxUnavailable" not in json.dumps(request)


def test_it_is_there_before_the_nodes_and_goes_after_their_last_drain() -> None:
    graph = one()
    for step in ("prepare", "membership"):
        assert "workers-drain-limit" in graph.transitively_after(f"n1-{step}")


def test_the_provider_changes_it_in_place() -> None:
    assert one()["cluster"].inputs["enableConfigMapMutable"] in (True, "true")
