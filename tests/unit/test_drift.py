"""What differs from what is declared: each kind with its repair, each diff once and short."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from kube_nodes.fleet import drift
from kube_nodes.fleet.cluster_view import ClusterView
from kube_nodes.fleet.drift import Look, NodeDrift, State, judge, raise_numbers, show, to_json
from kube_nodes.fleet.ssh import Answer
from kube_nodes.fleet.stack import Stack
from kube_nodes.model.drift import line_diff
from kube_nodes.model.findings import Repair
from kube_nodes.settings import parse_settings
from tests.components.stacks import configuration
from tests.unit.healthy_node import CLIENT, NOW, PROXY, expected, node_object, told

_CONFIG = "/var/lib/kubelet/config.yaml"
_DECLARED = next(file.content for file in expected().files if file.path == _CONFIG)


def _view(node: dict[str, object] | None = None) -> ClusterView:
    named = {"n1": node} if node else {}
    return ClusterView(nodes=named, service_addresses=frozenset(), target="", pods=None)


def _seen(text: str, view: ClusterView | None = None, **answer: object) -> NodeDrift:
    answered = replace(Answer(node="n1", status=0, stdout=text), **answer)  # type: ignore[arg-type]
    return judge(expected(), answered, view or _view(node_object()), NOW)


def _with(pattern: str, replacement: str) -> str:
    text, count = re.subn(pattern, replacement, told(), flags=re.MULTILINE)
    assert count, pattern
    return text


def _changed(there: str) -> str:
    """What the host tells of a configuration with this text."""
    line = f"content {_CONFIG} {base64.b64encode(there.encode()).decode()}"
    return f"{line}\n" + _with(rf"^(file {_CONFIG} .*) \w+$", rf"\1 {'c' * 64}")


def test_a_node_that_is_as_declared_has_no_drift() -> None:
    seen = _seen(told())
    assert (seen.state, seen.differences, seen.repair) == (State.SAME, (), None)
    assert Look(nodes=(seen,)).status == 0


_KINDS = [
    (rf"^(file {_CONFIG} file 0600) 0:0", r"\1 7:7", _CONFIG, Repair.REAPPLY),
    (rf"^file {CLIENT} .*", f"file {CLIENT} absent - - - -", CLIENT, Repair.GENERATION),
    (rf"^certificate {CLIENT} .*\n", "", f"kubelet's certificate in {CLIENT}", Repair.GENERATION),
    (rf"^certificate {PROXY} .*\n", "", f"kube-proxy's certificate in {PROXY}", Repair.REAPPLY),
    (r"^text generation .*", "text generation other 1", "generation", Repair.HAND),
    (r"^sysctl net/ipv4/ip_forward 1", "sysctl net/ipv4/ip_forward 0",
     "sysctl net/ipv4/ip_forward", Repair.HAND),
    (r"^record .*\n", "", "/var/lib/kube-nodes/units.list", Repair.REAPPLY),
    (r"^(record - /var/lib/kube-nodes/units.list)$", r"\1\nrecord - /etc/old", "/etc/old",
     Repair.REAPPLY),
    (r"^end$", f"written {PROXY} other\nend", PROXY, Repair.REAPPLY),
    (r"^unit kubelet UnitFileState=.*", "unit kubelet UnitFileState=disabled", "unit kubelet",
     Repair.REAPPLY),
    (r"^unit kubelet FragmentPath=.*", "unit kubelet FragmentPath=/etc/x", "unit kubelet",
     Repair.HAND),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "replacement", "what", "repair"), _KINDS)
def test_each_kind_of_drift_has_its_repair(
    pattern: str, replacement: str, what: str, repair: Repair
) -> None:
    seen = _seen(_with(pattern, replacement))
    assert [(each.finding.what, each.repair) for each in seen.differences] == [(what, repair)]
    assert seen.state is State.DRIFTED
    assert seen.repair is (None if repair is Repair.HAND else repair)
    assert Look(nodes=(seen,)).status == 3


def test_what_a_node_does_is_not_drift() -> None:
    """Its health, its Services, somebody's cordon: verify tells of those."""
    node = node_object()
    node["spec"]["unschedulable"] = True
    node["status"]["conditions"] = []
    seen = _seen(_with(r"^http kubelet 200", "http kubelet 000"), _view(node))
    assert (seen.state, seen.differences) == (State.SAME, ())


def test_a_unit_that_was_started_again_is_a_note() -> None:
    seen = _seen(_with(r"^unit kubelet NRestarts=0", "unit kubelet NRestarts=3"))
    assert [each.finding.what for each in seen.differences] == ["unit kubelet"]
    assert (seen.state, seen.repair) == (State.SAME, None)


def test_a_node_object_that_is_gone_or_lost_a_label_is_repaired_by_reapply() -> None:
    gone = _seen(told(), _view())
    assert [each.finding.what for each in gone.differences] == ["Node"]
    node = node_object()
    node["metadata"]["labels"] = {}
    bare = _seen(told(), _view(node))
    assert [each.finding.what for each in bare.differences] == ["Node labels"]
    assert gone.repair is bare.repair is Repair.REAPPLY


def test_a_changed_text_is_shown_by_its_lines() -> None:
    seen = _seen(_changed(_DECLARED.replace("maxPods: 110", "maxPods: 50")))
    (difference,) = seen.differences
    lines = [line for line in difference.diff if line[:1] in "+-"]
    assert lines == ["--- declared", "+++ on the host", "-maxPods: 110", "+maxPods: 50"]


def test_a_diff_is_bounded_and_holds_nothing_that_a_terminal_obeys() -> None:
    hostile = "\x1b]0;title\x07\x1b[2J\u202e" + "x" * 9000
    lines = line_diff("a\n", "\n".join([hostile] * 5000))
    assert len(lines) == 61
    assert lines[-1].startswith("… ")
    assert all(line.isprintable() and len(line) <= 300 for line in lines)
    assert lines[3] == "-a"
    assert lines[5].startswith("+\\x1b]0;title\\x07")


def test_a_lost_line_break_at_the_end_is_a_difference() -> None:
    assert line_diff("a\n", "a")[-1] == "-"


def test_a_text_that_may_hold_a_credential_is_not_shown() -> None:
    text = _with(rf"^(file {_CONFIG} .*) \w+$", rf"\1 {'c' * 64}")
    (difference,) = _seen(f"content {_CONFIG} -\n{text}").differences
    assert difference.diff == ("its text looks as if it held a credential, and is not shown",)


def test_a_host_with_nothing_of_a_node_has_not_joined_and_that_is_no_drift() -> None:
    bare = "text uptime 50 9\nfile /etc/x absent - - - -\nend\n"
    seen = _seen(bare, _view())
    assert (seen.state, seen.differences) == (State.NEW, ())
    assert Look(nodes=(seen,)).status == 0
    # With a Node it has lost everything.
    assert _seen(bare).state is State.DRIFTED


def test_a_host_that_is_down_is_a_line_and_is_not_repaired() -> None:
    node = node_object()
    node["metadata"]["labels"] = {}
    seen = _seen("", _view(node), status=None, error="192.0.2.21 did not answer")
    assert (seen.state, seen.repair) == (State.UNREACHED, None)
    assert [each.finding.what for each in seen.differences] == ["Node labels"]
    assert Look(nodes=(seen,)).status == 1
    assert "n1: not looked at: SSH: 192.0.2.21 did not answer" in _shown(Look(nodes=(seen,)))
    never = _seen("", _view(), status=None, error="192.0.2.21 did not answer")
    assert (never.state, never.differences) == (State.UNREACHED, ())
    assert never.error.endswith("; it has no Node either")


def test_what_is_cut_short_is_not_judged() -> None:
    seen = _seen(told().replace("\nend\n", "\n").partition("\nunit ")[0])
    assert (seen.state, seen.differences) == (State.UNREACHED, ())


def test_drift_is_told_before_what_could_not_be_looked_at() -> None:
    drifted = _seen(_with(r"^record .*\n", ""))
    assert Look(nodes=(drifted,), error="no API server").status == 3
    assert Look(nodes=(_seen(told()),), error="no API server").status == 1


def _shown(seen: Look) -> str:
    console = Console(file=io.StringIO(), width=10_000, soft_wrap=True)
    show(seen, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_same_diff_on_many_nodes_is_shown_once() -> None:
    one = _seen(_changed(_DECLARED.replace("maxPods: 110", "maxPods: 50")))
    nodes = tuple(
        replace(
            one,
            node=f"n{number}",
            differences=tuple(
                replace(each, finding=replace(each.finding, node=f"n{number}"))
                for each in one.differences
            ),
        )
        for number in range(1, 201)
    )
    text = _shown(Look(nodes=nodes))
    assert text.count("+maxPods: 50") == text.count(f"{_CONFIG}: SHA-256") == 1
    assert f"n1, n2, {', '.join(f'n{number}' for number in range(3, 201))}: {_CONFIG}" in text
    assert "repair: reapply" in text
    assert "200 nodes: 200 drifted" in text
    document = to_json(Look(nodes=nodes), {})
    rows = document["differences"]
    assert isinstance(rows, list)
    assert [len(row["nodes"]) for row in rows] == [200]
    assert "+maxPods: 50" in rows[0]["diff"]


def test_repair_raises_a_number_of_the_drifted_nodes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    values = configuration(1, 2, 3, 4)
    for node in values["pools"]["workers"]["nodes"].values():
        node["reapply"] = 4
    settings = parse_settings(values)
    by_hand = _seen(_with(r"^text generation .*", "text generation other 1"))
    stale = _seen(_with(r"^record .*\n", ""))
    lost = _seen(_with(rf"^certificate {CLIENT} .*\n", ""))
    found = (_seen(told()), by_hand, stale, lost)
    seen = Look(nodes=tuple(replace(e, node=f"n{i}") for i, e in enumerate(found, 1)))
    written: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(drift, "set_values", lambda *given: written.append(given))
    raised = raise_numbers(Stack(name="prod", settings=settings), seen)
    place = 'kube-nodes:pools["workers"].nodes'
    raises = {f'{place}["n3"].reapply': "5", f'{place}["n4"].generation': "2"}
    assert written == [("prod", raises)]
    assert raised == {"n3": "reapply 4 -> 5", "n4": "generation 1 -> 2"}
    assert raise_numbers(Stack(name="prod", settings=settings), Look(nodes=())) == {}
    assert len(written) == 1
