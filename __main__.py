"""The stack: what the cluster shares, and the nodes of every pool."""

from kube_nodes.program import run

run()
