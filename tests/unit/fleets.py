"""A fleet without a fault, to change and to break."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from tests.components.stacks import configuration, node


def fleet_document(**stacks: Any) -> dict[str, Any]:
    """Make a fleet of these stacks; by default of two with a pool and two nodes each."""
    common = {f"kube-nodes:{key}": value for key, value in configuration(1).items()}
    del common["kube-nodes:pools"]
    return {
        "name": "prod",
        "config": common,
        "stacks": stacks or {"a": pool_stack("a", 1, 2), "b": pool_stack("b", 3, 4)},
    }


def pool_stack(pool: str, *numbers: int, **more: Any) -> dict[str, Any]:
    """Make a stack with one pool of these nodes, and more keys."""
    nodes = {f"n{number}": node(number) for number in numbers}
    return {"config": {"kube-nodes:pools": {pool: {"nodes": nodes}}, **more}}


def write_fleet(folder: Path, document: dict[str, Any]) -> Path:
    """Write a fleet's file."""
    path = folder / "prod.fleet.yaml"
    path.write_text(yaml.safe_dump(copy.deepcopy(document)))
    return path
