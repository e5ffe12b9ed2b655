"""Serve the component package; the engine starts this, with its own address as an argument."""

from __future__ import annotations

import sys

from pulumi.provider import main

from kube_nodes.provider.nodes import NodesProvider


def serve() -> None:
    """Serve until the engine ends it; the console script `pulumi-resource-kube-nodes`."""
    main(NodesProvider(), sys.argv[1:])


if __name__ == "__main__":
    serve()
