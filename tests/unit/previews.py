"""Previews for tests that start nothing: those recorded from the engine, and made-up large ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kube_nodes.render.host_script import Binary, ManagedFile, render_units_script
from kube_nodes.review.preview import Preview, parse_preview

RECORDINGS = Path(__file__).parent / "data" / "previews"
_STACK = "urn:pulumi:dev::kube-nodes::"
_ROW = re.compile(r"^\| ([^|]+) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
_NODE = f"{_STACK}kube-nodes:index:NodePool$kube-nodes:index:WorkerNode"


def recorded(change: str) -> Preview:
    """Read a preview of the real engine (tests/pull_requests/record.py)."""
    return parse_preview((RECORDINGS / f"{change}.json").read_text())


def script(node: str, content: str = "maxPods: 110\n", **changes: Any) -> str:
    """Render a node's units script."""
    version = changes.pop("version", "v1.37.2")
    address = changes.pop("address", "192.0.2.1")
    own = f"name: {node}\nbindAddress: {address}\n"
    known: dict[str, Any] = {
        "node_id": node,
        "generation": 1,
        "cluster_uid": "uid-1",
        "api_server": "https://192.0.2.200:6443",
        "files": [
            ManagedFile(path="/etc/kubelet.yaml", content=own + content, restarts=("kubelet",))
        ],
        "binaries": [Binary(path="/usr/local/bin/kubelet", version=version, restarts=("kubelet",))],
    }
    return render_units_script(**(known | changes))


def units_step(node: str, old: str | None, new: str | None) -> dict[str, Any]:
    """Make the step of `<node>-units` as the engine writes it."""
    op = "update" if old and new else "create" if new else "delete"
    return step(node, "units", op, *({"stdin": text} if text else None for text in (old, new)))


def step(
    node: str, part: str, op: str, old: dict[str, Any] | None, new: dict[str, Any] | None
) -> dict[str, Any]:
    """Make a step of one of a node's parts."""
    made: dict[str, Any] = {"op": op, "urn": f"{_NODE}$command:remote:Command::{node}-{part}"}
    for side, inputs in (("oldState", old), ("newState", new)):
        if inputs is not None:
            made[side] = {"parent": f"{_NODE}::{node}", "inputs": inputs}
    changed = [key for key in (new or {}) if (old or {}).get(key) != (new or {})[key]]
    return made | {"diffReasons": changed}


def shared_step(kind: str, name: str, op: str, **more: Any) -> dict[str, Any]:
    """Make a step of something that is no part of a node."""
    return {"op": op, "urn": f"{_STACK}{kind}::{name}", **more}


def document(steps: Iterable[dict[str, Any]], **more: Any) -> str:
    """Write a whole preview."""
    stack = shared_step("pulumi:pulumi:Stack", "kube-nodes-dev", "same")
    return json.dumps({"config": {}, "steps": [stack, *steps], **more})


def preview(*steps: dict[str, Any], **more: Any) -> Preview:
    """Read a made-up preview."""
    return parse_preview(document(steps, **more))


def rows(comment: str) -> list[tuple[str, ...]]:
    """Take the rows out of the table of nodes, without its head."""
    return [tuple(found) for found in _ROW.findall(comment) if found[0] not in ("change", "---")]


def changed(comment: str) -> list[str]:
    """Take the changed lines out of all diffs."""
    return [line for line in comment.splitlines() if re.match(r"[+-](?!--|\s*$)[^+-]", line)]
