"""Boxes, words and arrows as an SVG document, with nothing from outside of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

# The room in which an arrow turns before it ends.
_TURN = 26.0
_MARGIN = 14.0

_STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; \
fill: #1f2933 }
.small { font-size: 10px; fill: #52606d }
.head { font-size: 13px; font-weight: 600 }
.group { fill: #f7f9fb; stroke: #9aa5b1 }
.opened { fill: #ffffff; stroke: #3e4c59; stroke-width: 1.5 }
.box { stroke: #52606d }
.ssh { fill: #dceefb } .api { fill: #d9f2dc } .engine { fill: #eceff2 } .nodes { fill: #fff3d0 }
.edge { fill: none; stroke: #52606d; stroke-width: 1.2; marker-end: url(#arrow) }
.hint { fill: none; stroke: #9aa5b1; stroke-dasharray: 3 3 }
"""


@dataclass(frozen=True)
class Place:
    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height


@dataclass
class Canvas:
    """What is drawn: boxes first, then lines above them; and where each thing is."""

    boxes: ET.Element = field(default_factory=lambda: ET.Element("g"))
    lines: ET.Element = field(default_factory=lambda: ET.Element("g"))
    places: dict[str, Place] = field(default_factory=dict)
    right: float = 0.0

    def box(self, key: str, place: Place, kind: str, *, radius: float = 5) -> None:
        self.places[key] = place
        self.right = max(self.right, place.x + place.width + _MARGIN)
        attributes = {"x": place.x, "y": place.y, "width": place.width, "height": place.height}
        ET.SubElement(
            self.boxes, "rect", {**_texts(attributes), "rx": f"{radius:g}", "class": kind}
        )

    def text(self, x: float, y: float, words: str, kind: str = "", *, middle: bool = False) -> None:
        anchor = {"text-anchor": "middle"} if middle else {}
        named = {"class": kind} if kind else {}
        element = ET.SubElement(self.boxes, "text", {**_texts({"x": x, "y": y}), **anchor, **named})
        element.text = words

    def two_lines(self, key: str, place: Place, kind: str, first: str, second: str) -> None:
        self.box(key, place, f"box {kind}")
        x = place.x + place.width / 2
        self.text(x, place.y + 15, first, middle=True)
        self.text(x, place.y + 28, second, "small", middle=True)

    def line(self, d: str, kind: str = "edge") -> None:
        ET.SubElement(self.lines, "path", {"d": d, "class": kind})

    def across(self, before: str, after: str) -> None:
        """Draw an edge from left to right."""
        (x1, y1), (x2, y2) = self.places[before].right, self.places[after].left
        # Straight past the columns between, where its own row is free; then to its end.
        turn = max(x1, x2 - _TURN)
        bend = (x2 - turn) / 2
        curve = f"C{turn + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
        self.line(f"M{x1:g} {y1:g}L{turn:g} {y1:g}{curve}")

    def down(self, before: str, after: str, *, at: float | None = None) -> None:
        """Draw an edge from above; `at`: where it meets a wide box."""
        (x1, y1), (x2, y2) = self.places[before].bottom, self.places[after].top
        x2 = x2 if at is None else at
        bend = (y2 - y1) / 2
        self.line(f"M{x1:g} {y1:g}C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}")


def render_document(canvas: Canvas, title: str, height: float) -> str:
    width = f"{canvas.right:g}"
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height:g}",
            "width": width,
            "height": f"{height:g}",
            "role": "img",
        },
    )
    ET.SubElement(root, "title").text = title
    ET.SubElement(root, "style").text = _STYLE
    marker = ET.SubElement(
        ET.SubElement(root, "defs"),
        "marker",
        {"id": "arrow", "viewBox": "0 0 8 8", "refX": "8", "refY": "4", "orient": "auto"}
        | {"markerWidth": "7", "markerHeight": "7"},
    )
    ET.SubElement(marker, "path", {"d": "M0 0L8 4L0 8z", "fill": "#52606d"})
    # The page behind it may be dark.
    ET.SubElement(root, "rect", {"width": width, "height": f"{height:g}", "fill": "#ffffff"})
    root.extend([canvas.boxes, canvas.lines])
    ET.indent(root, " ")
    return f"{ET.tostring(root, encoding='unicode')}\n"


def _texts(numbers: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{number:g}" for name, number in numbers.items()}
