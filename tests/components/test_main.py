"""The program as the engine starts it: what it does before the first resource."""

from __future__ import annotations

import asyncio
import json
import logging
import runpy
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from kube_nodes.fleet import drift
from kube_nodes.fleet.drift import Look, NodeDrift, State
from kube_nodes.membership import preflight
from kube_nodes.membership.errors import MembershipError
from kube_nodes.model.drift import Difference
from kube_nodes.model.findings import Finding, Level, Repair
from tests.components.recording import Graph, monitor_of
from tests.components.stacks import configuration
from tests.documented import assert_documented

_MAIN = Path(__file__).parents[2] / "__main__.py"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every look at the cluster; the handler of Ctrl-C stays the tests' own."""
    made: list[Any] = []

    def look(*args: Any, **more: Any) -> preflight.Seen:
        made.append((args, more))
        return preflight.Seen(warnings=["n1: maxPods 512 is a warning"], joined=frozenset())

    monkeypatch.setattr(preflight, "check_cluster", look)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    yield made
    pulumi.runtime.set_all_config({}, [])


def run(
    graph: Graph,
    values: dict[str, Any],
    *,
    preview: bool,
    state: dict[str, Any] | None = None,
) -> None:
    """Run the program over a configuration, with what is in the stack's state."""
    texts = {
        key: text if isinstance(text, str) else json.dumps(text) for key, text in values.items()
    }
    pulumi.runtime.set_all_config({f"kube-nodes:{key}": text for key, text in texts.items()}, [])
    monitor = monitor_of(graph, state)
    pulumi.runtime.set_mocks(monitor.mocks, "kube-nodes", "test", preview, monitor=monitor)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def main() -> None:
        runpy.run_path(str(_MAIN), run_name="__main__")

    main()


@pytest.mark.parametrize("preview", [True, False])
def test_a_wrong_configuration_ends_it_with_every_fault_and_nothing_else(
    checks: list[Any], caplog: pytest.LogCaptureFixture, preview: bool
) -> None:
    graph = Graph()
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as ended:
        run(graph, configuration(1, server="x", options={"maxPods": 0}), preview=preview)

    assert ended.value.code == 1
    assert (graph.resources, checks) == ({}, [])
    (record,) = caplog.records
    assert record.getMessage().splitlines()[0].startswith("2 faults in the stack's configuration")


def test_a_preview_declares_everything_without_a_look_at_the_cluster(checks: list[Any]) -> None:
    graph = Graph()
    run(graph, configuration(1), preview=True)

    assert "n1-service-check" in graph.resources
    assert checks == []


def test_a_preview_looks_for_drift_only_when_it_is_asked_to(
    checks: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    finding = Finding(node="n1", what="/etc/x", level=Level.FAILED, repair=Repair.REAPPLY)
    difference = Difference(finding=finding, diff=("-a", "+b"))
    found = NodeDrift(node="n1", state=State.DRIFTED, differences=(difference,))
    looked: list[Any] = []

    def look(settings: Any, private_key: str | None) -> Look:
        # As the real one, which runs an event loop of its own.
        asyncio.run(asyncio.sleep(0))
        looked.append(([node.id for node in settings.nodes], private_key))
        return Look(nodes=(found,))

    monkeypatch.setattr(drift, "look", look)
    run(Graph(), configuration(1), preview=True)
    monkeypatch.setenv("KUBE_NODES_DRIFT", "1")
    run(Graph(), configuration(1), preview=False)
    assert looked == []
    graph = Graph()
    with caplog.at_level(logging.WARNING):
        run(graph, configuration(1), preview=True)
    assert looked == [(["n1"], None)]
    assert "drift: n1: /etc/x: repair: reapply\n-a\n+b" in caplog.text
    assert "n1-service-check" in graph.resources


def test_an_update_without_an_agent_is_warned_and_a_preview_needs_none(
    checks: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with caplog.at_level(logging.WARNING):
        run(Graph(), configuration(1), preview=True)
        assert "SSH_AUTH_SOCK" not in caplog.text
        run(Graph(), configuration(1), preview=False)
    assert_documented(caplog.text, "No SSH agent")


def test_an_update_is_sure_of_the_cluster_before_the_first_resource(
    checks: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(cluster: Any, *_: Any, **__: Any) -> preflight.Seen:
        raise MembershipError(f"the kubeconfig is of another cluster than {cluster.uid}")

    monkeypatch.setattr(preflight, "check_cluster", refuse)
    graph = Graph()
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as ended:
        run(graph, configuration(1), preview=False)

    assert (ended.value.code, graph.resources) == (1, {})
    assert [record.getMessage() for record in caplog.records] == [
        f"the kubeconfig is of another cluster than {configuration(1)['clusterUid']}"
    ]


def test_an_update_of_the_right_cluster_goes_on_and_tells_its_warnings(
    checks: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    graph = Graph()
    with caplog.at_level(logging.WARNING):
        run(graph, configuration(1), preview=False)

    ((_, more),) = checks
    assert more["network"].cidrs == tuple(configuration(1)["podCidrs"])
    assert more["network"].allocated
    assert [node.id for node in more["nodes"]] == ["n1"]
    assert "n1: maxPods 512 is a warning" in caplog.text
    assert "n1-service-check" in graph.resources


def recorded(*numbers: int, pool: str = "workers") -> dict[str, Any]:
    """Make a state with these nodes."""
    outputs = {"pool": pool, "lost": False}
    return {
        f"urn:pulumi:test::kube-nodes::kube-nodes:index:WorkerNode::n{number}": {
            "type": "kube-nodes:index:WorkerNode",
            "outputs": outputs,
        }
        for number in numbers
    }


@pytest.mark.parametrize("preview", [True, False])
def test_a_run_that_would_remove_too_many_nodes_ends_before_the_first_resource(
    checks: list[Any], caplog: pytest.LogCaptureFixture, preview: bool
) -> None:
    graph = Graph()
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as ended:
        run(graph, configuration(1), preview=preview, state=recorded(1, 2, 3))

    assert (ended.value.code, graph.resources, checks) == (1, {}, [])
    (record,) = caplog.records
    assert record.getMessage().startswith("pool workers: 2 of its 3 nodes are declared no more")
    assert record.getMessage().endswith(". Nothing was changed")


def test_it_goes_on_where_the_configuration_says_yes(checks: list[Any]) -> None:
    graph = Graph()
    values = configuration(1, allowRemovals={"workers": 2})
    run(graph, values, preview=True, state=recorded(1, 2, 3))
    assert "n1-service-check" in graph.resources


def test_an_old_yes_is_warned_of(checks: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    values = configuration(1, allowRemovals={"workers": 2})
    with caplog.at_level(logging.WARNING):
        run(Graph(), values, preview=True, state=recorded(1))
    assert "allowRemovals.workers is not needed any more" in caplog.text
