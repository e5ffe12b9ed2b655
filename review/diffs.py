"""The line diffs of a preview, each once, with the nodes that it is the same for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kube_nodes.model.secret_shapes import mask_secrets
from kube_nodes.review.changes import AROUND, Kind, NodeChange, State

# Where a node's own address stands in its files: render/kubelet.py and render/kube_proxy.py.
_ADDRESSES = re.compile(r"(?:--node-ip=|--bind-address=|^bindAddress: )'?([0-9A-Fa-f.:,]+)", re.M)
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 (addresses that are no node's own)


@dataclass(frozen=True, kw_only=True)
class GroupedDiff:
    """One change of one text, on one or many nodes."""

    subject: str
    """A path in backquotes, or words such as `labels`."""
    text: str
    """Lines that begin with a sign, and those that say where (`@@ …`); as on the first node."""
    nodes: tuple[str, ...]
    varies: bool
    """Whether the nodes' own names and addresses stand in it, so that it differs in them."""
    is_new: bool
    """Whether it is the whole text of nodes that join."""


def group_diffs(changes: Iterable[NodeChange]) -> list[GroupedDiff]:
    """Compare each text of each node, and put together what is the same change.

    Two changes are the same if they differ in nothing but the node's own name and addresses.
    """
    groups: dict[tuple[str, str, bool], list[tuple[str, str]]] = {}
    for change in changes:
        if change.kind is Kind.REMOVE:
            continue
        own = _own_words(change)
        for subject, text in _diffs(change):
            key = (subject, own.sub("…", text), change.kind is Kind.CREATE)
            groups.setdefault(key, []).append((change.node, text))
    found = [
        GroupedDiff(
            subject=subject,
            text=members[0][1],
            nodes=tuple(node for node, _ in members),
            varies=len({text for _, text in members}) > 1,
            is_new=is_new,
        )
        for (subject, _, is_new), members in groups.items()
    ]
    return sorted(found, key=lambda each: (each.is_new, -len(each.nodes)))


def _diffs(change: NodeChange) -> Iterator[tuple[str, str]]:
    old, new = change.old.texts, change.new.texts
    if change.kind is Kind.CREATE:
        # All of the shell would be new, and says nothing of this node.
        new.pop(AROUND, None)
    for subject in sorted(old.keys() | new.keys()):
        text = diff_lines(old.get(subject, ""), new.get(subject, ""))
        if text:
            yield subject, text


def diff_lines(old: str, new: str) -> str:
    """Compare two texts line by line, with three lines around; "" where they are the same."""
    before, after = (_split(mask_secrets(text)) for text in (old, new))
    lines = difflib.unified_diff(before, after, lineterm="")
    # The first two name the files, which the caller does.
    return "\n".join(list(lines)[2:])


def _split(text: str) -> list[str]:
    """Split at line breaks alone: nothing else ends a line of a file."""
    return text.removesuffix("\n").split("\n") if text else []


def _own_words(change: NodeChange) -> re.Pattern[str]:
    """Find what stands in a node's text for itself alone.

    They are those of one side: an address that changes is a change like any other.
    """
    state = change.new if change.new.script.files else change.old
    words = {change.node, *_addresses(state)}
    choice = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![\w.-])(?:{choice})(?![\w-]|\.\w)")


def _addresses(state: State) -> Iterator[str]:
    for file in state.script.files:
        for found in _ADDRESSES.findall(file.content):
            yield from (each for each in found.split(",") if each and each not in _WILDCARDS)
