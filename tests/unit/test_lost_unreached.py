"""A look at all hosts is none at one that is declared lost."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

import pytest

from kube_nodes.fleet import drift, preflight, verify
from kube_nodes.fleet.stack import Stack
from kube_nodes.model.nodes import Node
from kube_nodes.settings import parse_settings
from tests.components.stacks import configuration, of_node


@pytest.mark.parametrize("command", [drift, preflight, verify])
def test_a_lost_host_is_not_contacted(command: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parse_settings(configuration(1, 2, 3, **of_node("n2", lost=True)))
    contacted: list[str] = []

    class EndedError(Exception):
        pass

    def run_on_all(nodes: Sequence[Node], *_: Any, **__: Any) -> NoReturn:
        contacted.extend(node.id for node in nodes)
        raise EndedError

    monkeypatch.setattr(command, "run_on_all", run_on_all)
    monkeypatch.setattr(command, "read_stack", lambda _: Stack(name="dev", settings=settings))
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    with pytest.raises(EndedError):
        command.run(argparse.Namespace(stack="dev", json=False, all=False, repair=False))
    assert contacted == ["n1", "n3"]
