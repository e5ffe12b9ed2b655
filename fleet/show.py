"""Show every option of a node as it is in force, and where it was written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kube_nodes.fleet.errors import FleetError
from kube_nodes.fleet.stack import read_stack
from kube_nodes.model.effective_options import DEFAULT, EffectiveOption, explain_options
from kube_nodes.settings import Settings

DESCRIPTION = "show every option of a node, and where it was written; contacts nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own arguments."""
    parser.add_argument("--node", required=True, help="the node's id")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--all", action="store_true", help="name the defaults, too")


def run(options: argparse.Namespace) -> int:
    """Print the options; return 0."""
    settings = read_stack(options.stack).settings
    found = explain_node(settings, options.node)
    shown = [each for each in found if options.all or each.origin != DEFAULT]
    if options.json:
        rows = [
            {"option": ".".join(each.path), "value": _plain(each.value), "from": each.origin}
            for each in shown
        ]
        print(json.dumps(rows, indent=2))
        return 0
    table = Table("OPTION", "VALUE", "FROM", title=f"{options.node}")
    for each in shown:
        value = json.dumps(_plain(each.value), ensure_ascii=False)
        table.add_row(*(Text(cell) for cell in (".".join(each.path), value, each.origin)))
    Console().print(table)
    left = len(found) - len(shown)
    if left:
        print(f"{left} more have their defaults; --all (ALL=1) names them")
    return 0


def explain_node(settings: Settings, node_id: str) -> list[EffectiveOption]:
    """Explain the options of one node. Raises FleetError where the stack has none of this id."""
    for node in settings.nodes:
        if node.id == node_id:
            return list(explain_options(settings.options, settings.pools[node.pool], node))
    known = ", ".join(sorted(node.id for node in settings.nodes))
    raise FleetError(f'"{node_id}" is no node of the stack; its nodes are: {known}')


def _plain(value: Any) -> Any:
    """Make what JSON knows of a value."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    return value if isinstance(value, str | int | float | bool | None) else str(value)
