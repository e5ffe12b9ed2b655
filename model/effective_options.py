"""Where each option of a node was written: at the node, its pool or the stack, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kube_nodes.model.declaration import Declaration
from kube_nodes.model.nodes import Node, PoolDeclaration
from kube_nodes.model.options import NodeOptions

DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class EffectiveOption:
    """One option as a node has it."""

    path: tuple[str, ...]
    """Keys as in the configuration, below `options`."""
    value: Any
    origin: str
    """Place in the configuration, such as `pools.workers.options`, or `default`."""


def explain_options(
    cluster: NodeOptions, pool: PoolDeclaration, node: Node
) -> Iterator[EffectiveOption]:
    """Yield every option of a node with its origin; a map's keys one by one, in order of paths."""
    here = f"pools.{node.pool}"
    # The nearest first: whoever says something of a path has the word.
    levels = [
        (f"{here}.nodes.{node.id}.options", _written(pool.nodes[node.id].options)),
        (f"{here}.options", _written(pool.options)),
        ("options", _written(cluster)),
    ]
    for path, value in sorted(_walk(node.options, set_only=False)):
        origin = next((name for name, written in levels if path in written), DEFAULT)
        yield EffectiveOption(path=path, value=value, origin=origin)


def _written(level: NodeOptions) -> set[tuple[str, ...]]:
    """Give the paths that a level itself says something of."""
    return {path for path, _ in _walk(level, set_only=True)}


def _walk(value: Any, *, set_only: bool) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each value that is no mapping, with its path."""
    if isinstance(value, Declaration):
        names = value.model_fields_set if set_only else type(value).model_fields
        inner = {str(type(value).model_fields[name].alias): getattr(value, name) for name in names}
    elif isinstance(value, Mapping) and value:
        inner = dict(value)
    else:
        yield (), value
        return
    for key, below in inner.items():
        for path, leaf in _walk(below, set_only=set_only):
            yield (key, *path), leaf
