"""What a reviewer should look at before anything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

from kube_nodes.model.version_skew import check_skew, check_spread
from kube_nodes.review.changes import Kind, NodeChange
from kube_nodes.review.names import list_names
from kube_nodes.review.preview import Preview, Step

# One node in so many may be drained at once in a fleet that keeps working.
_FLEET_SHARE = 4
_KEY = "tls:index/privateKey:PrivateKey"
_TOKEN_OBJECT = "token"  # noqa: S105 (a part's name, no secret)


def find_risks(
    preview: Preview, changes: Sequence[NodeChange], api_server_minor: int | None = None
) -> list[str]:
    """Name what is risky, one sentence each, in Markdown.

    Args:
        preview: the whole preview.
        changes: what happens to each node.
        api_server_minor: of the cluster, such as 37, where the caller knows it.
    """
    return [
        *_drains(preview, changes),
        *_rejoins(changes),
        *_skew(preview, changes, api_server_minor),
        *_older(changes),
        *_open_tokens(preview.steps),
        *_certificate(preview.steps),
        *_uncompared(changes),
    ]


def _drains(preview: Preview, changes: Iterable[NodeChange]) -> Iterator[str]:
    changes = list(changes)
    drained = {change.node for change in changes if change.drains}
    joined = {change.node for change in changes if change.kind is Kind.CREATE}
    removed = {change.node for change in changes if change.kind is Kind.REMOVE}
    there = (preview.declared.keys() | removed) - joined
    at_once = _at_once(preview, drained, removed)
    if at_once > 1 and at_once * _FLEET_SHARE > len(there):
        of = f" of {len(there)}" if there else ""
        yield (
            f"{len(drained)}{of} nodes are drained, up to {at_once} of them at once. Their pods"
            " need room on the others, and the others must stay up meanwhile."
        )


def _at_once(preview: Preview, drained: Set[str], removed: Set[str]) -> int:
    """Count what the widest wave of each pool drains; pools do not wait for each other.

    What is removed waits for no wave.
    """
    changing = drained - removed
    if not preview.waves:
        return len(drained)
    widest = (
        max((len(changing & {*wave}) for wave in waves), default=0)
        for waves in preview.waves.values()
    )
    return sum(widest) + len(drained & removed)


def _rejoins(changes: Iterable[NodeChange]) -> Iterator[str]:
    again = [change.node for change in changes if change.kind is Kind.REJOIN]
    if again:
        yield (
            f"The generation of {list_names(again)} changes: joins anew, with another identity,"
            " after its pods were moved away or ended."
        )


def _skew(
    preview: Preview, changes: Iterable[NodeChange], api_server_minor: int | None
) -> Iterator[str]:
    versions = set(preview.declared.values()) or {
        change.new.version for change in changes if change.new.minor is not None
    }
    try:
        check_spread(versions)
    except ValueError as error:
        yield f"Version skew: {error}."
    if api_server_minor is not None:
        for version in sorted(versions):
            try:
                check_skew(version, api_server_minor)
            except ValueError as error:
                yield f"Version skew: {error}."


def _older(changes: Iterable[NodeChange]) -> Iterator[str]:
    older = [
        change.node
        for change in changes
        if None not in (change.old.minor, change.new.minor)
        and (change.new.minor or 0) < (change.old.minor or 0)
    ]
    if older:
        yield f"{list_names(older)} go back to an older minor version, which is untried upstream."


def _open_tokens(steps: Iterable[Step]) -> Iterator[str]:
    """A token's Secret is declared closed once and for all: it is updated where it was open."""
    left = [
        step.node
        for step in steps
        if step.node
        and step.part == _TOKEN_OBJECT
        and step.op == "update"
        and "data" in step.changed
    ]
    if left:
        yield f"The bootstrap token of {list_names(left)} was left open; this update closes it."


def _certificate(steps: Iterable[Step]) -> Iterator[str]:
    ops = {step.op for step in steps if step.type == _KEY and step.node is None}
    if "replace" in ops or {"create", "delete"} <= ops:
        yield (
            "kube-proxy gets a new key and certificate: every host restarts it. The old"
            " certificate stays valid until it expires."
        )


def _uncompared(changes: Iterable[NodeChange]) -> Iterator[str]:
    hidden = [change.node for change in changes if change.is_hidden]
    if hidden:
        yield (
            f"The files of {list_names(hidden)} can't be compared: their text is secret, or not"
            " known before the update."
        )
