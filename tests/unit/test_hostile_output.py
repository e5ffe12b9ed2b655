"""What a hostile host prints, or a hostile kubelet reports, reaches nobody as it is."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from kube_nodes.components.worker_node import _answer
from kube_nodes.membership.readiness import Started, another_machine, read_runs, why_not_ready
from kube_nodes.model.host_output import MOST_CHARACTERS, clean_lines
from kube_nodes.model.requests import DeclaredNode
from kube_nodes.render.host_files import read_run_id, render_node_service_check
from kube_nodes.settings import parse_settings
from tests.configurations import right_configuration

_ESCAPES = "\x1b[2J\x1b]0;owned\x07\x00\x9b31m\r\u202e"
_ENDLESS = "run 0-a\n" + _ESCAPES + "x" * 100_000_000
_DECLARED = DeclaredNode(id="n1", name="n1", version="v1.37.2")


def _printable(text: str) -> bool:
    return all(each.isprintable() or each == "\n" for each in text)


def test_a_hundred_megabytes_of_escape_codes_become_a_short_printable_text() -> None:
    begin = time.monotonic()
    for text in (_answer(_ENDLESS), clean_lines(_ENDLESS, MOST_CHARACTERS)):
        assert _printable(text) and len(text) <= MOST_CHARACTERS
    assert len(_answer(_ENDLESS)) <= 200
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("printed", ["", "run $(id)\n", _ESCAPES, "run '; id; '\n", _ENDLESS[8:]])
def test_a_run_id_that_is_none_stops_nobody_and_goes_nowhere(printed: str) -> None:
    [node, *_] = parse_settings(right_configuration()).nodes
    runs = (read_run_id(printed),)
    script = render_node_service_check(
        node, url="http://192.0.2.1/", ca_certificate=None, timeout_seconds=1, runs=runs
    )
    assert _printable(script) and len(script) < 5000
    assert "id;" not in script and "$(id)" not in script
    assert re.fullmatch(r"[0-9a-f]{64}", runs[0])


def test_two_runs_that_print_something_else_are_told_apart() -> None:
    assert read_run_id("?one") != read_run_id("?two")


def test_a_run_of_either_script_is_proved_by_another_look() -> None:
    [node, *_] = parse_settings(right_configuration()).nodes
    scripts = {
        render_node_service_check(
            node, url="http://192.0.2.1/", ca_certificate=None, timeout_seconds=1, runs=runs
        )
        for runs in (("a", "b"), ("a", "c"), ("d", "b"))
    }
    assert len(scripts) == 3


@pytest.mark.parametrize("seconds", ["inf", "nan", "-inf", "1e999", "x", "9" * 5000])
def test_a_time_that_is_none_is_left_out(seconds: str) -> None:
    assert read_runs(f"restarted kubelet {seconds}") == Started()


def test_what_a_kubelet_reports_of_itself_is_shown_without_control_characters() -> None:
    ready = {"type": "Ready", "status": "False", "reason": _ESCAPES, "message": "m" * 100_000}
    info = {"kubeletVersion": f"v1{_ESCAPES}", "machineID": f"m{_ESCAPES}"}
    node: dict[str, Any] = {"status": {"conditions": [ready], "nodeInfo": info}}
    api: Any = None
    texts = [
        why_not_ready(api, node, _DECLARED, Started()),
        another_machine(node, Started(machine_id="other")),
    ]
    info["kubeletVersion"] = "v1.37.2"
    texts.append(why_not_ready(api, node, _DECLARED, Started()))
    for text in texts:
        assert text and _printable(text) and len(text) < 1000
