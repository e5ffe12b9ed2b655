"""What a program of many nodes costs: its work grows with them, and not with their square."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pulumi.runtime import resource_cycle_breaker

from kube_nodes.model import options
from kube_nodes.model.options import NodeOptions, merge_options
from kube_nodes.settings import parse_settings
from tests.components.recording import Graph, declare
from tests.components.stacks import configuration


def _waves(count: int) -> dict[str, Any]:
    """Every node a wave of its own, as in a preview, where none is known to be new."""
    one_by_one = {"workers": {"canary": 1, "batch": 1}}
    return configuration(*range(1, count + 1), pools=one_by_one)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Whatever the SDK looks at to find a cycle, each time that it does."""
    found: list[object] = []
    walk = resource_cycle_breaker._with_transitive_deps

    def noting(resource: Any, visited: Any) -> Iterator[Any]:
        for each in walk(resource, visited):
            found.append(each)
            yield each

    monkeypatch.setattr(resource_cycle_breaker, "_with_transitive_deps", noting)
    return found


def test_the_search_for_cycles_grows_with_the_nodes_and_not_with_their_square(
    looked_at: list[object],
) -> None:
    declare(_waves(10))
    ten = len(looked_at)
    looked_at.clear()
    declare(_waves(20))
    assert ten > 100
    assert len(looked_at) < 2.2 * ten


def test_a_node_late_in_a_pool_depends_on_no_more_than_an_early_one() -> None:
    graph = declare(_waves(20))

    def counts(graph: Graph, node: str) -> dict[str, int]:
        return {
            each.key.replace(node, "node"): len(each.dependencies) for each in graph.of_node(node)
        }

    assert counts(graph, "n20") == counts(graph, "n2")


def test_a_gate_is_still_what_the_nodes_behind_it_depend_on() -> None:
    graph = declare(_waves(3))
    assert "workers-wave-2" in graph.after("n2-prepare")
    assert "workers-wave-3" in graph.after("n3-prepare")
    assert graph.after("workers-wave-3") >= {"workers-wave-2", "n2-service-check"}


def test_the_nodes_of_a_configuration_are_resolved_once() -> None:
    settings = parse_settings(configuration(1, 2))
    assert settings.nodes is settings.nodes


def test_the_defaults_of_a_nodes_options_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Noting:
        """The class of the options, with a note of each time that it is called."""

        def __call__(self) -> NodeOptions:
            made.append(self)
            return NodeOptions()

        def __getattr__(self, name: str) -> Any:
            return getattr(NodeOptions, name)

    levels = (NodeOptions(), NodeOptions())
    monkeypatch.setattr(options, "NodeOptions", Noting())
    assert merge_options(levels) == NodeOptions()
    assert len(made) == 1
