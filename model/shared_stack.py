"""A stack of pools alone: what it takes from the stack that holds what a cluster shares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kube_nodes.model.faults import Fault
from kube_nodes.model.nodes import Node

# As a StackReference wants it; `organization` is what a backend without organizations calls its.
_NAME = re.compile(r"[\w.-]{1,100}/[\w.-]{1,100}/[\w.-]{1,100}", re.ASCII)


def check_stack_name(value: str) -> str:
    """Check the full name of another stack: a StackReference takes no shorter one."""
    if value and not _NAME.fullmatch(value):
        raise ValueError(
            "is not a stack's full name; write such as organization/kube-nodes/prod-shared"
        )
    return value


def find_sharing_faults(nodes: Iterable[Node]) -> Iterator[Fault]:
    """Find what a stack of pools can't have: a stack that holds everything makes it."""
    declared = tuple(nodes)
    if not declared:
        yield ("sharedStack",), "is set in a stack without nodes; declare some, or remove it"
    for node in declared:
        if node.uses_static_token:
            yield (
                ("pools", node.pool, "nodes", node.id, "options", "tokenMode"),
                '"static" is for a stack that holds everything; use bootstrap, or remove'
                " sharedStack",
            )
