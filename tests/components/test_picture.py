"""The picture of the graph: it is the program's own, folded, and can be looked at."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from docs import reference
from kube_nodes.fleet.__main__ import main
from kube_nodes.fleet.declared import declare
from kube_nodes.fleet.graph import draw
from kube_nodes.model.graph import FoldedGraph, fold
from kube_nodes.settings import parse_settings
from tests.components import recording
from tests.components.stacks import configuration, of_node

_SVG = "{http://www.w3.org/2000/svg}"


def _fold(values: dict[str, Any]) -> FoldedGraph:
    settings = parse_settings(values)
    apart = {node.id for node in settings.nodes if node.held or node.lost}
    return fold(declare(settings, "test"), apart)


def _name(key: str) -> str:
    return key.rpartition("::")[2]


def _draw(values: dict[str, Any]) -> ET.Element:
    return ET.fromstring(draw(parse_settings(values), "test"))  # noqa: S314 (our own)


def _boxes(svg: ET.Element, kind: str) -> list[tuple[float, float, float, float]]:
    """Give the corners of all boxes of a kind."""
    found = [each for each in svg.iter(f"{_SVG}rect") if kind in each.get("class", "").split()]
    numbers = [
        [float(each.get(key, "")) for key in ("x", "y", "width", "height")] for each in found
    ]
    return [(x, y, x + width, y + height) for x, y, width, height in numbers]


def _words(svg: ET.Element) -> list[str]:
    return [each.text or "" for each in svg.iter(f"{_SVG}text")]


def test_what_is_drawn_is_what_the_program_declares() -> None:
    """Another engine's stand-in notes down the same, dependencies as well."""
    values = configuration(1, 2, 3, serviceCheck={"image": "registry.example/web:1"})
    graph = recording.declare(values)
    keys = {each.urn: each.key for each in graph.resources.values()}
    drawn = declare(parse_settings(values), "test")
    names = {each.urn: each.name for each in drawn}
    assert sorted((each.type, each.name) for each in drawn) == sorted(
        (each.type, each.name) for each in graph.resources.values()
    )
    for each in drawn:
        if each.custom:
            expected = {keys[urn].rpartition(" ")[2] for urn in graph[each.name].dependencies}
            assert {names[urn] for urn in each.dependencies} == expected, each.name


def test_an_issuer_that_needs_a_secret_is_drawn_without_it() -> None:
    settings = parse_settings(
        configuration(1, kubeProxyCertificate={"issuer": "ca"}), unread={"caKey"}
    )
    assert "kube-proxy-certificate-1" in {each.name for each in declare(settings, "test")}


def test_one_node_is_opened_with_each_step_after_what_it_needs_and_no_more() -> None:
    opened = _fold(configuration(1, 2)).opened
    assert opened
    after = {step.title: {_name(key) for key in step.after} for step in opened.steps}
    assert after == {
        "scripts": set(),
        "preflight": {"n1-scripts"},
        "token-id": set(),
        "token-secret": set(),
        "token": {"n1-token-id"},
        "prepare": {"n1-preflight", "n1-token", "n1-token-secret"},
        "credentials": {"n1-prepare"},
        "units": {"n1-credentials"},
        "membership": {"n1-units"},
        "service-check": {"n1-membership"},
    }


def test_waves_and_their_gates_are_read_from_the_graph() -> None:
    [pool] = _fold(configuration(*range(1, 7), pools={"workers": {"batch": 2}})).pools
    told = [(each.number, each.nodes, each.gate and each.gate.title) for each in pool.waves]
    assert told == [
        (1, ("n1",), None),
        (2, ("n2", "n3"), "workers-wave-2"),
        (3, ("n4", "n5"), "workers-wave-3"),
        (4, ("n6",), "workers-wave-4"),
    ]


def test_a_node_that_is_held_or_lost_is_in_no_wave() -> None:
    values = _with(of_node("n1", held=True), of_node("n2", lost=True))
    folded = _fold(values)
    [pool] = folded.pools
    assert (pool.count, pool.apart) == (3, ("n1", "n2"))
    assert [each.nodes for each in pool.waves] == [("n3",)]
    assert folded.opened and folded.opened.title == "n3"


def _with(*changes: dict[str, Any]) -> dict[str, Any]:
    values = configuration(1, 2, 3)
    for change in changes:
        for name, more in change["pools"]["workers"]["nodes"].items():
            values["pools"]["workers"]["nodes"][name] |= more
    return values


def test_edges_lead_from_what_is_shared_to_the_step_that_needs_it() -> None:
    values = configuration(1, 2, serviceCheck={"image": "registry.example/web:1"})
    assert {(_name(before), _name(after)) for before, after in _fold(values).edges} == {
        ("ClusterRbac", "workers"),
        ("DrainLimit", "workers"),
        ("KubeProxyCertificate", "n1-credentials"),
        ("ServiceCheck", "n1-service-check"),
        ("n1-service-check", "workers-wave-2"),
    }


def test_the_largest_pool_comes_first_and_is_opened() -> None:
    values = configuration(1, 2, 3)
    nodes = values["pools"]["workers"]["nodes"]
    values["pools"]["alone"] = {"nodes": {"n1": nodes.pop("n1")}}
    folded = _fold(values)
    assert [pool.name for pool in folded.pools] == ["workers", "alone"]
    assert folded.opened and folded.opened.title == "n2"


_SIZES = [(3, 1), (60, 2)]


@pytest.mark.parametrize(("count", "batch"), _SIZES)
def test_no_box_lies_on_another_and_all_are_on_the_page(count: int, batch: int) -> None:
    image = {"image": "registry.example/web:1"}
    pool = {"workers": {"batch": batch}}
    svg = _draw(configuration(*range(1, count + 1), pools=pool, serviceCheck=image))
    width, height = (float(svg.get(side, "")) for side in ("width", "height"))
    for kind in ("box", "group"):
        boxes = _boxes(svg, kind)
        assert len(boxes) > 5
        for one, other in combinations(boxes, 2):
            beside = one[2] <= other[0] or other[2] <= one[0]
            assert beside or one[3] <= other[1] or other[3] <= one[1], (one, other)
        for left, top, right, bottom in boxes:
            assert left >= 0 and top >= 0 and right <= width and bottom <= height


@pytest.mark.parametrize(("count", "batch"), _SIZES)
def test_a_name_fits_its_box(count: int, batch: int) -> None:
    """At 0.5 em a character, which is what sans serif letters take on average."""
    svg = _draw(configuration(*range(1, count + 1), pools={"workers": {"batch": batch}}))
    boxes = _boxes(svg, "box")
    centered = [each for each in svg.iter(f"{_SVG}text") if each.get("text-anchor") == "middle"]
    assert len(centered) > 10
    for text in centered:
        x, y = float(text.get("x", "")), float(text.get("y", ""))
        [box] = [box for box in boxes if box[0] < x < box[2] and box[1] < y < box[3]]
        size = 10 if text.get("class") == "small" else 12
        assert len(text.text or "") * size * 0.5 <= box[2] - box[0], text.text


def test_many_waves_and_nodes_are_folded_to_a_page() -> None:
    svg = _draw(configuration(*range(1, 61), pools={"workers": {"batch": 2}}))
    assert float(svg.get("width", "")) < 1300 and float(svg.get("height", "")) < 700
    words = _words(svg)
    assert "NodePool workers: 60 nodes in 31 waves" in words
    assert "… 27 waves and gates …" in words and "54 nodes" in words
    assert "wave 31: 1 node" in words and "wave 4: 2 nodes" not in words


def test_many_pools_are_told_as_a_number() -> None:
    values = configuration(*range(1, 12))
    nodes = values["pools"].pop("workers")["nodes"]
    values["pools"] = {f"p-{name}": {"nodes": {name: node}} for name, node in nodes.items()}
    words = _words(_draw(values))
    assert "… 3 more pools with 3 nodes" in words
    assert "DrainLimit 11 of them" in words and "… 7 more" in words


def test_the_steps_of_the_node_stand_in_the_order_in_which_they_run() -> None:
    svg = _draw(configuration(1))
    places = {each.text: float(each.get("x", "")) for each in svg.iter(f"{_SVG}text")}
    line = ("token-id", "token", "prepare", "credentials", "units", "membership", "service-check")
    assert all(places[one] < places[other] for one, other in pairwise(line))


def test_the_picture_of_the_readme_is_that_of_its_example() -> None:
    there = (reference.CHECKOUT / "docs" / "graph.svg").read_text(encoding="utf-8")
    assert there == reference.render_picture(), "is stale; run `make reference`"
    readme = (reference.CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"!\[[^\]]+\]\(docs/graph\.svg\)", readme)


def test_the_command_needs_the_stacks_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = reference.CHECKOUT / "docs" / "examples" / "Pulumi.staging.yaml"
    (tmp_path / "Pulumi.prod.yaml").write_bytes(example.read_bytes())
    monkeypatch.chdir(tmp_path)
    for name in ("PATH", "KUBECONFIG", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    assert main(["graph", "--stack", "prod"]) == 0
    assert capsys.readouterr().out == "graph-prod.svg\n"
    assert ">kube-nodes: the stack prod<" in Path("graph-prod.svg").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "graph: Pulumi.prod.yaml: No such file or directory; STACK= names the stack\n"),
        ("a: [", "graph: Pulumi.prod.yaml is not YAML; correct it\n"),
        ("config: {kube-nodes:server: x}", "faults in the stack's configuration"),
    ],
)
def test_a_file_that_is_no_stacks_is_said_so_and_nothing_is_drawn(
    text: str | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("Pulumi.prod.yaml").write_text(text)
    assert main(["graph", "--stack", "prod"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("graph-prod.svg").exists()
