"""Write a preview as a comment for a pull request, within the size that a forge takes."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from kube_nodes.model.host_output import plain
from kube_nodes.review.changes import Kind, NodeChange, find_changes
from kube_nodes.review.diffs import GroupedDiff, group_diffs
from kube_nodes.review.names import list_names
from kube_nodes.review.preview import Preview, Step
from kube_nodes.review.risks import find_risks

# What a comment may hold, in characters.
LIMITS = {"github": 65_536, "gitlab": 1_000_000}
_WORDS = {
    Kind.CREATE: "joins",
    Kind.DRAIN: "updated and drained",
    Kind.UPDATE: "updated without a drain",
    Kind.REJOIN: "joining anew",
    Kind.REPLACE: "replaced",
    Kind.REMOVE: "removed",
}
# What is removed waits for nobody, and who is new has nothing to lose.
_IN_WAVES = frozenset({Kind.DRAIN, Kind.UPDATE, Kind.REJOIN, Kind.REPLACE})
# Between two waves: components/node_pool.py.
_GATE = "kube-nodes:index:NodePool$command:local:Command::"
# A diff of up to so many lines is open; a longer one unfolds.
_SHORT_LINES = 30
_MOST_OF_A_LIST = 2000
_MOST_OF_A_MESSAGE = 1000
_SENTENCE_RESERVE = 400


@dataclass(frozen=True, kw_only=True)
class _Block:
    """A part of the comment that is shown whole or not at all."""

    kind: str
    """What it is called where it is left out; "" is never left out."""
    text: str


def marker(project: str, stack: str) -> str:
    """Give the hidden first line, by which the comment of a stack is found and replaced."""
    return f"<!-- kube-nodes preview of {project}/{stack} -->"


def render_comment(
    preview: Preview, *, limit: int = LIMITS["github"], api_server_minor: int | None = None
) -> str:
    """Write the comment.

    Args:
        preview: what the engine intends.
        limit: how many characters it may have.
        api_server_minor: of the cluster, where the caller knows it.
    """
    changes = find_changes(preview)
    others = [step for step in preview.steps if step.node is None and not _is_frame(step)]
    blocks = [
        _Block(kind="", text=_head(preview, changes, others)),
        *_risks([*find_risks(preview, changes, api_server_minor)], preview),
        *_table(changes),
        *_waves(preview, changes),
        *_others(others),
        *(_diff(each) for each in group_diffs(changes)),
    ]
    return _fit(blocks, limit)


def _head(preview: Preview, changes: Sequence[NodeChange], others: Sequence[Step]) -> str:
    counts = [
        f"{number} {_WORDS[kind]}"
        for kind in _WORDS
        if (number := sum(1 for change in changes if change.kind is kind))
    ]
    says = f"nodes: {', '.join(counts)}" if counts else "no node changes"
    if preview.errors:
        says = "the preview failed, what follows is not all"
    elif not changes and not others:
        says = "nothing changes"
    return f"{marker(preview.project, preview.stack)}\n### Preview of `{preview.stack}`: {says}\n"


def _risks(risks: Sequence[str], preview: Preview) -> Iterator[_Block]:
    for error in preview.errors:
        yield _Block(kind="message", text=f"\n**Error**\n{_fenced(error[:_MOST_OF_A_MESSAGE])}")
    if risks:
        lines = "".join(f"- :warning: {risk}\n" for risk in risks)
        yield _Block(kind="", text=f"\n{lines}")
    for warning in preview.warnings:
        yield _Block(kind="message", text=f"\n**Warning**\n{_fenced(warning[:_MOST_OF_A_MESSAGE])}")


def _table(changes: Iterable[NodeChange]) -> Iterator[_Block]:
    rows: dict[tuple[Kind, str, str], list[str]] = {}
    for change in changes:
        rows.setdefault((change.kind, _effects(change), _parts(change)), []).append(change.node)
    if rows:
        head = "\n| change | nodes | what happens | steps |\n|---|---|---|---|\n"
        yield _Block(kind="", text=head)
    order = list(Kind)
    for (kind, effects, parts), nodes in sorted(
        rows.items(), key=lambda row: (order.index(row[0][0]), row[0])
    ):
        names = f"{_count(nodes)}{_shortened(list_names(nodes))}"
        text = f"| {kind} | {names} | {effects} | {parts} |\n"
        yield _Block(kind="row of the table", text=text)


def _effects(change: NodeChange) -> str:
    old, new = change.old, change.new
    version = new.version or old.version
    told = []
    if change.kind is Kind.CREATE:
        told.append(f"joins with {version}" if version else "joins")
    elif change.kind is Kind.REMOVE:
        drained = "drained, " if change.drains else ""
        told.append(f"{drained}stopped and cleaned; its Node is deleted")
    elif old.version != new.version:
        told.append(f"{old.version or 'unknown'} → {new.version or 'unknown'}")
    if change.kind not in (Kind.CREATE, Kind.REMOVE):
        if change.restarts:
            told.append(f"restarts {' and '.join(change.restarts)}")
        if change.kind is Kind.REJOIN:
            told.append(f"generation {old.generation} → {new.generation}")
        told += [
            f"{name} change"
            for name in ("labels", "taints")
            if getattr(old, name) != getattr(new, name)
        ]
        if "credentials" in change.steps:
            told.append("secret files are written anew")
        if change.parts == ("token",):
            told.append("its token is closed")
    return _cell("; ".join(told) or "its steps run again, its files stay")


def _parts(change: NodeChange) -> str:
    if change.kind in (Kind.CREATE, Kind.REMOVE):
        return "all"
    return _cell(", ".join(change.parts))


def _others(steps: Iterable[Step]) -> Iterator[_Block]:
    found = sorted(steps, key=lambda step: (step.op, step.type, step.name))
    if found:
        head = (
            "\n**Beside the nodes**\n\n| change | resource | inputs that differ |\n|---|---|---|\n"
        )
        yield _Block(kind="", text=head)
    for (op, kind, changed), group in groupby(found, key=lambda s: (s.op, s.type, s.changed)):
        names = _shortened(list_names(step.name for step in group))
        text = f"| {op} | {_cell(kind)} {_cell(names)} | {_cell(', '.join(changed))} |\n"
        yield _Block(kind="row of the table", text=text)


def _is_frame(step: Step) -> bool:
    """Whether it is the stack, a component or a gate: what stands around that which is listed."""
    kinds = ("kube-nodes:index:", "pulumi:pulumi:Stack")
    return step.type.startswith(kinds) or _GATE in step.urn


def _waves(preview: Preview, changes: Iterable[NodeChange]) -> Iterator[_Block]:
    """Say in which order the nodes of each pool change."""
    changing = {change.node for change in changes if change.kind in _IN_WAVES}
    for pool, waves in sorted(preview.waves.items()):
        shown = [list_names(nodes) for wave in waves if (nodes := changing & {*wave})]
        if len(shown) > 1:
            text = f"\nWaves of `{pool}`: {_shortened('; then '.join(shown))}.\n"
            yield _Block(kind="list of waves", text=text)


def _diff(diff: GroupedDiff) -> _Block:
    names = _shortened(list_names(diff.nodes))
    title = _titled(diff.subject)
    where = f"{'new ' if diff.is_new else ''}on {_count(diff.nodes)}{names}"
    note = ""
    if diff.varies:
        note = f"\nAs on {diff.nodes[0]}; each node has its own name and address in it.\n"
    is_open = " open" if not diff.is_new and diff.text.count("\n") < _SHORT_LINES else ""
    summary = f"<summary>{title} {html.escape(where)}</summary>"
    body = _fenced(diff.text, "diff")
    return _Block(
        kind="diff",
        text=f"\n<details{is_open}>{summary}\n{note}{body}</details>\n",
    )


def _fit(blocks: Iterable[_Block], limit: int) -> str:
    """Put whole blocks together as long as they fit, and say what is left out."""
    shown: list[str] = []
    left: dict[str, list[int]] = {}
    room = limit - _SENTENCE_RESERVE
    for block in blocks:
        if len(block.text) <= room:
            shown.append(block.text)
            room -= len(block.text)
        else:
            left.setdefault(block.kind or "part", []).append(len(block.text))
    if left:
        what = " and ".join(
            f"{len(sizes)} {kind if len(sizes) == 1 else _plural(kind)}"
            for kind, sizes in left.items()
        )
        total = sum(map(sum, left.values()))
        shown.append(
            f"\n**Left out for their length** ({total:,} characters): {what}. See everything with"
            " `pulumi preview --diff`.\n"
        )
    return "".join(shown)


def _plural(kind: str) -> str:
    word, of, rest = kind.partition(" of ")
    return f"{word}s{of}{rest}"


def _count(nodes: Sequence[str]) -> str:
    return f"{len(nodes)} nodes: " if len(nodes) > 1 else ""


def _shortened(names: str) -> str:
    """Bound a list of names, at a whole name."""
    if len(names) <= _MOST_OF_A_LIST:
        return names
    kept, _, _ = names[:_MOST_OF_A_LIST].rpartition(", ")
    return f"{kept} and {names[len(kept) :].count(', ')} more"


def _titled(subject: str) -> str:
    """Write a subject in HTML: Markdown is not read inside of a summary."""
    path = subject.strip("`")
    return f"<code>{html.escape(path)}</code>" if path != subject else html.escape(subject)


def _cell(text: str) -> str:
    """Write a table's cell: nothing in it ends the cell or begins other markup."""
    return re.sub(r"([\\`*_|<>\[\]@#])", r"\\\1", plain(text, _MOST_OF_A_LIST + 100))


def _fenced(text: str, language: str = "text") -> str:
    """Write a block of text as it is; its fence is longer than any that stands in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = "\n".join(plain(line, 4000) for line in text.split("\n"))
    return f"\n{fence}{language}\n{lines}\n{fence}\n"
