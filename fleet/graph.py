"""Draw the graph that the program declares for a stack, as SVG: one node opened, pools folded.

The stack's file is read as it stands and the program is run against a stand-in of the engine: no
state, plugin, passphrase, host or cluster is needed, and there is a graph before the first `up`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kube_nodes.fleet.declared import declare
from kube_nodes.fleet.errors import FleetError
from kube_nodes.fleet.stack import read_stack_file
from kube_nodes.model.graph import fold
from kube_nodes.render.graph import render_graph
from kube_nodes.settings import Settings

DESCRIPTION = "draw the graph of a stack's resources as SVG; contacts nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--config", help="the stack's file (default: Pulumi.<stack>.yaml)")
    parser.add_argument("--output", help="where to write it (default: graph-<stack>.svg)")


def run(options: argparse.Namespace) -> int:
    """Draw, and say where the picture is."""
    settings = read_stack_file(Path(options.config or f"Pulumi.{options.stack}.yaml"))
    output = Path(options.output or f"graph-{options.stack}.svg")
    try:
        output.write_text(draw(settings, options.stack), encoding="utf-8")
    except OSError as error:
        raise FleetError(f"{output}: {error.strerror}; give another --output (OUT=)") from None
    print(output)
    return 0


def draw(settings: Settings, stack: str) -> str:
    """Draw the graph of a stack with these settings."""
    apart = {node.id for node in settings.nodes if node.held or node.lost}
    return render_graph(fold(declare(settings, stack), apart), f"kube-nodes: the stack {stack}")
