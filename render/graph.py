"""The picture of a folded graph, as SVG: what the stack shares above, pools below, one node opened.

A layout of our own: a general one (Graphviz) is a program to install, and does not know that the
steps of a node are a line and that pools stand below each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kube_nodes.model.graph import FoldedGraph, Group, Pool, Step, Wave
from kube_nodes.render.svg import Canvas, Place, render_document

_WIDTH = 1180.0
_BOX, _GAP, _ROW, _PAD, _HEAD = 34.0, 26.0, 46.0, 14.0, 26.0
_CHARACTER, _SMALL_CHARACTER, _HEAD_CHARACTER = 6.7, 5.6, 7.7
# More than these would be a wall of boxes: the rest is told as a number.
_MOST_WAVES, _MOST_STEPS, _MOST_POOLS, _LONGEST = 4, 4, 8, 30

_WHERE = {
    "ssh": "on a host, over SSH",
    "api": "at the Kubernetes API",
    "engine": "on your machine alone",
    "nodes": "nodes, folded",
}


def render_graph(graph: FoldedGraph, title: str) -> str:
    """Render the picture.

    Args:
        graph: what is drawn.
        title: what the picture says it is of.
    """
    canvas = Canvas(right=_WIDTH)
    canvas.text(_PAD, 24, title, "head")
    bottom = _draw_shared(canvas, graph.shared, 38)
    opened_in = next((pool.name for pool in graph.pools if pool.waves), None)
    y = bottom + 44
    for pool in graph.pools[:_MOST_POOLS]:
        opened = graph.opened if pool.name == opened_in else None
        y = _draw_pool(canvas, pool, opened, y) + 18
    if left := graph.pools[_MOST_POOLS:]:
        nodes = sum(pool.count for pool in left)
        canvas.text(_PAD, y + 12, f"… {len(left)} more pools with {_count(nodes, 'node')}", "small")
        y += 24
    _draw_edges(canvas, graph)
    y = _draw_legend(canvas, y + 4)
    return render_document(canvas, title, y)


def _draw_shared(canvas: Canvas, groups: Sequence[Group], top: float) -> float:
    """Draw the groups beside each other, in as many rows as they need; return where they end."""
    x, y, lowest = _PAD, top, top
    for group in groups:
        width, height = _size(group.steps)
        title = f"{group.kind} {group.title}".strip() or "providers"
        width = max(width, len(title) * _HEAD_CHARACTER)
        if x > _PAD and x + width + 2 * _PAD > _WIDTH:
            x, y = _PAD, lowest + 18
        place = Place(x, y, width + 2 * _PAD, height + _HEAD + _PAD)
        canvas.box(group.kind or "providers", place, "group", radius=8)
        canvas.text(x + _PAD, y + 18, title, "head")
        if not group.steps:
            canvas.text(x + _PAD, y + _HEAD + 14, "without a resource of its own", "small")
        _draw_steps(canvas, group.steps, x + _PAD, y + _HEAD)
        x += place.width + 14
        lowest = max(lowest, y + place.height)
    return lowest


def _draw_pool(canvas: Canvas, pool: Pool, opened: Group | None, top: float) -> float:
    """Draw a pool: the opened node, if it is its, above its waves; return where it ends."""
    words = [f"NodePool {_short(pool.name)}: {_count(pool.count, 'node')}"]
    if pool.waves:
        words.append(f"in {_count(len(pool.waves), 'wave')}")
    if pool.apart:
        words.append(f"and {len(pool.apart)} held or lost")
    inner, height = _HEAD + 6, 0.0
    node: Place | None = None
    if opened:
        width, height = _size(opened.steps, most=None)
        node = Place(2 * _PAD, top + inner + 8, max(width, 260) + 2 * _PAD, height + _HEAD + _PAD)
        height = node.height + 34
    waves = list(_wave_boxes(pool))
    widths = [_box_width(first, second) for _, _, first, second in waves]
    needed = sum(widths) + _GAP * len(widths) + 2 * _PAD
    total = max(_WIDTH - 2 * _PAD, needed, node.width + 2 * _PAD if node else 0)
    place = Place(_PAD, top, total, inner + height + (_BOX if waves else 0) + _PAD)
    canvas.box(f"pool {pool.name}", place, "group", radius=8)
    canvas.text(2 * _PAD, top + 18, " ".join(words), "head")
    if pool.after:
        after = f"after {', '.join(pool.after)}"
        x = place.x + place.width - _PAD - len(after) * _SMALL_CHARACTER
        canvas.text(x, top + 18, after, "small")
    if opened and node:
        canvas.box(f"node {opened.title}", node, "opened", radius=8)
        alike = f"WorkerNode {_short(opened.title)}, opened"
        canvas.text(node.x + _PAD, node.y + 18, alike, "head")
        _draw_steps(canvas, opened.steps, node.x + _PAD, node.y + _HEAD, most=None)
    _draw_waves(canvas, waves, widths, place.y + place.height - _PAD - _BOX)
    if node and opened and waves:
        (x, y), (_, end) = canvas.places[waves[0][0]].top, node.bottom
        canvas.line(f"M{x:g} {y:g}L{x:g} {end:g}", "hint")
    return place.y + place.height


def _draw_waves(
    canvas: Canvas,
    waves: Sequence[tuple[str, str, str, str]],
    widths: Sequence[float],
    y: float,
) -> None:
    x, before = 2 * _PAD, ""
    for (key, kind, first, second), width in zip(waves, widths, strict=True):
        canvas.two_lines(key, Place(x, y, width, _BOX), kind, first, second)
        if before:
            canvas.across(before, key)
        x, before = x + width + _GAP, key


def _wave_boxes(pool: Pool) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, kind and two lines of each box of a pool's line of waves and gates."""
    waves = pool.waves
    left = len(waves) - _MOST_WAVES
    for index, wave in enumerate(waves):
        if left > 0 and index == _MOST_WAVES - 1:
            nodes = sum(len(each.nodes) for each in waves[index:-1])
            words = f"… {_count(left, 'wave')} and gates …"
            yield f"more {pool.name}", "nodes", words, _count(nodes, "node")
        if left > 0 and _MOST_WAVES - 1 <= index < len(waves) - 1:
            continue
        if wave.gate:
            yield wave.gate.key, _kind(wave.gate.type), _short(wave.gate.title), "gate"
        yield f"wave {pool.name} {wave.number}", "nodes", *_wave_words(wave)


def _wave_words(wave: Wave) -> tuple[str, str]:
    first, last = _short(wave.nodes[0], 18), _short(wave.nodes[-1], 18)
    names = first if len(wave.nodes) == 1 else f"{first} … {last}"
    return f"wave {wave.number}: {_count(len(wave.nodes), 'node')}", names


def _draw_edges(canvas: Canvas, graph: FoldedGraph) -> None:
    whole = [group for group, target in graph.edges if f"pool {target}" in canvas.places]
    for before, after in graph.edges:
        if before not in canvas.places:
            continue
        if f"pool {after}" in canvas.places:
            # Side by side, so that no two arrows end in one point.
            canvas.down(before, f"pool {after}", at=canvas.places[before].bottom[0])
        elif after in canvas.places and before not in whole:
            canvas.down(before, after)


def _draw_steps(
    canvas: Canvas, steps: Sequence[Step], x: float, y: float, most: int | None = _MOST_STEPS
) -> None:
    columns, left = _columns(steps, most)
    highest = max((len(column) for column in columns), default=0)
    for column in columns:
        width = max(_step_width(step) for step in column)
        begin = y + (highest - len(column)) * _ROW / 2
        for row, step in enumerate(column):
            place = Place(x, begin + row * _ROW, width, _BOX)
            words = _short(step.title), _type_words(step.type)
            canvas.two_lines(step.key, place, _kind(step.type), *words)
        x += width + _GAP
    for step in steps:
        for before in sorted(step.after):
            if before in canvas.places and step.key in canvas.places:
                canvas.across(before, step.key)
    if left:
        canvas.text(x - _GAP + 6, y + _BOX / 2, f"… {left} more", "small")


def _columns(steps: Sequence[Step], most: int | None) -> tuple[list[list[Step]], int]:
    """Put each step one column after the last of what it needs; tell how many found no place."""
    column_of: dict[str, int] = {}
    columns: list[list[Step]] = []
    left = 0
    for step in steps:
        number = max((column_of[each] + 1 for each in step.after), default=0)
        column_of[step.key] = number
        columns += [[] for _ in range(number + 1 - len(columns))]
        if most is not None and len(columns[number]) >= most:
            left += 1
        else:
            columns[number].append(step)
    return columns, left


def _size(steps: Sequence[Step], most: int | None = _MOST_STEPS) -> tuple[float, float]:
    columns, left = _columns(steps, most)
    width = sum(max(map(_step_width, column)) + _GAP for column in columns) - _GAP
    height = max((len(column) for column in columns), default=0.6) * _ROW
    return max(width, 0 if steps else 150) + (60 if left else 0), height - (_ROW - _BOX)


def _step_width(step: Step) -> float:
    return _box_width(_short(step.title), _type_words(step.type))


def _box_width(first: str, second: str) -> float:
    return max(len(first) * _CHARACTER, len(second) * _SMALL_CHARACTER, 70) + 16


def _kind(type_: str) -> str:
    """Say where a resource of this type does what it does."""
    if type_.startswith("command:remote"):
        return "ssh"
    return "api" if type_.startswith(("kubernetes:", "command:local")) else "engine"


def _type_words(type_: str) -> str:
    words = {"command:remote:Command": "SSH", "command:local:Command": "local command"}
    return words.get(type_, type_.rpartition(":")[2])


def _short(name: str, most: int = _LONGEST) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _draw_legend(canvas: Canvas, y: float) -> float:
    x = _PAD
    for kind, words in _WHERE.items():
        canvas.box(f"legend {kind}", Place(x, y, 14, 14), f"box {kind}", radius=3)
        canvas.text(x + 20, y + 11, words, "small")
        x += 40 + len(words) * _SMALL_CHARACTER
    canvas.text(x, y + 11, "An arrow: comes after. A destroy goes the other way.", "small")
    return y + 28
