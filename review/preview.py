"""Read `pulumi preview --json`, and of each resource only what anybody may see.

The engine writes "[secret]" for what is secret. This reader does not rely on it alone: of a
resource's inputs it takes those that are declared in the open by this program, and drops the rest
before anything else sees them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kube_nodes.model.requests import LABELS_VARIABLE, TAINTS_VARIABLE, VERSION_VARIABLE
from kube_nodes.model.secret_shapes import mask_secrets
from kube_nodes.model.waves import plan_waves
from kube_nodes.settings import (
    NAMESPACE,
    SECRET_KEYS,
    ConfigurationError,
    Settings,
    parse_stored,
)

_PREFIX = f"{NAMESPACE}:"
NODE = "kube-nodes:index:WorkerNode"
_TOKEN = "kube-nodes:index:BootstrapToken"  # noqa: S105 (a type, no secret)
UNITS, MEMBERSHIP = "units", "membership"
# What the engine writes for a text that it cannot know yet.
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SECRET = "[secret]"  # noqa: S105 (the engine's word for one)
_UNCHANGED = frozenset({"same", "read", "refresh"})


class PreviewError(ValueError):
    """What was read is no preview."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A resource before or after the change: what of its inputs is in the open."""

    script: str | None = None
    """stdin of `<node>-units`; None: there is none, or it is not known or not in the open."""
    environment: Mapping[str, str] | None = None
    """Labels, taints and version of `<node>-membership`."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What the engine intends to do with one resource."""

    op: str
    """create, update, replace, delete or another of the engine's words."""
    urn: str
    type: str
    name: str
    node: str | None
    """Id of the node that it is a part of."""
    part: str
    """Which part: `units`, `membership`, `token-id` …; "" for the node's component itself."""
    changed: tuple[str, ...]
    """Names of the inputs that differ, sorted."""
    old: Side
    new: Side


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A whole preview."""

    stack: str
    project: str
    steps: tuple[Step, ...]
    """Those that change something, in the engine's order."""
    warnings: tuple[str, ...]
    errors: tuple[str, ...]
    declared: Mapping[str, str]
    """Version of every kubelet that the configuration declares, by node; empty where it does not
    tell."""
    waves: Mapping[str, tuple[tuple[str, ...], ...]]
    """By pool, the nodes that change at once, wave after wave; empty where it does not tell."""


def parse_preview(text: str) -> Preview:
    """Read a preview.

    Raises:
        PreviewError: it is not what `pulumi preview --json` prints.
    """
    try:
        document = json.loads(text)
    except ValueError:
        # The parser's message quotes nothing, but neither does it help.
        document = None
    if not isinstance(document, dict) or not {"steps", "diagnostics"} & document.keys():
        raise PreviewError("is no preview; give what `pulumi preview --json` prints")
    steps = [_step(raw) for raw in document.get("steps") or []]
    stack, project = _origin(steps[0].urn) if steps else ("", "")
    settings = _settings(document.get("config") or {})
    return Preview(
        stack=stack,
        project=project,
        steps=tuple(step for step in steps if step.op not in _UNCHANGED),
        warnings=tuple(_messages(document, "warning")),
        errors=tuple(_messages(document, "error")),
        declared=_declared(settings) if settings else {},
        waves=_waves(settings) if settings else {},
    )


def _step(raw: Mapping[str, Any]) -> Step:
    urn = str(raw["urn"])
    old, new = raw.get("oldState") or {}, raw.get("newState") or {}
    kind, name = _type(urn), _name(urn)
    node, part = _place(kind, name, str((new or old).get("parent") or ""))
    reasons = raw.get("diffReasons") or raw.get("replaceReasons") or raw.get("detailedDiff") or ()
    return Step(
        op=str(raw["op"]),
        urn=urn,
        type=kind,
        name=name,
        node=node,
        part=part,
        changed=tuple(sorted({_input(str(reason)) for reason in reasons})),
        old=_side(part if node else "", old.get("inputs") or {}),
        new=_side(part if node else "", new.get("inputs") or {}),
    )


def _side(part: str, inputs: Mapping[str, Any]) -> Side:
    if part == UNITS:
        script = inputs.get("stdin")
        if isinstance(script, str) and script not in (_SECRET, _UNKNOWN):
            return Side(script=script)
    if part == MEMBERSHIP:
        found = inputs.get("environment")
        if isinstance(found, Mapping):
            names = (LABELS_VARIABLE, TAINTS_VARIABLE, VERSION_VARIABLE)
            return Side(
                environment={name: mask_secrets(str(found.get(name, ""))) for name in names}
            )
    return Side()


def _place(kind: str, name: str, parent: str) -> tuple[str | None, str]:
    """Say which node a resource belongs to, and as which part."""
    if kind == NODE:
        return name, ""
    if _type(parent) == NODE:
        return _name(parent), name.removeprefix(f"{_name(parent)}-")
    if _type(parent) == _TOKEN and f"{NODE}$" in parent:
        node = _name(parent).removesuffix("-token")
        return node, name.removeprefix(f"{node}-")
    return None, ""


def _origin(urn: str) -> tuple[str, str]:
    stack, project = urn.removeprefix("urn:pulumi:").split("::")[:2]
    return stack, project


def _type(urn: str) -> str:
    """Take the resource's own type from a URN, without those of its parents."""
    parts = urn.split("::", 3)
    return parts[2].rpartition("$")[2] if len(parts) == 4 else ""


def _name(urn: str) -> str:
    return urn.split("::", 3)[-1]


def _input(path: str) -> str:
    """Take the input's name from the path of a difference, such as `data["token-id"]`."""
    return path.partition(".")[0].partition("[")[0]


def _messages(document: Mapping[str, Any], severity: str) -> Iterator[str]:
    for each in document.get("diagnostics") or []:
        if each.get("severity") == severity:
            message = str(each.get("message", "")).strip()
            yield mask_secrets(message.removeprefix(f"{severity}: "))


def _settings(config: Mapping[str, Any]) -> Settings | None:
    """Read the configuration; another program that uses ours has its own, and gives None."""
    texts = {
        key.removeprefix(_PREFIX): str(value)
        for key, value in config.items()
        if key.startswith(_PREFIX)
    }
    secret = SECRET_KEYS.keys() & texts.keys()
    try:
        return parse_stored(
            {key: text for key, text in texts.items() if key not in secret}, {}, unread=secret
        )
    except ConfigurationError:
        return None


def _declared(settings: Settings) -> dict[str, str]:
    return {node.id: str(node.kubelet_version) for node in settings.nodes if node.is_worker}


def _waves(settings: Settings) -> dict[str, tuple[tuple[str, ...], ...]]:
    return {
        name: tuple(
            plan_waves(
                (node.id for node in settings.nodes if node.pool == name and not node.held),
                pool.canary,
                pool.batch,
            )
        )
        for name, pool in settings.pools.items()
    }
