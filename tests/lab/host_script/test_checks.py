"""The service check: a read-only script that says what it found."""

from __future__ import annotations

import threading

import pytest

from kube_nodes.render.check_scripts import render_service_check_script
from tests.lab.host_script.artifacts import Artifacts
from tests.lab.host_script.script_host import Node, ScriptHost

pytestmark = pytest.mark.lab


def test_the_service_check_waits_for_an_answer_and_says_what_it_tried(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    url = f"{server.url}/page"
    script = render_service_check_script(
        node_id="n1", url=url, run_id="0-a", accept=("200",), wait_seconds=1
    )
    run = host.run(script)
    assert run.status == 1
    assert run.err.startswith(f"n1: {url} did not answer with 200 within 1 s: 404")
    patient = script.replace("wait=1", "wait=20")
    timer = threading.Timer(1, lambda: server.put("page", b"pod=\x1b[1ma\nnode=b\n" + b"x" * 999))
    timer.start()
    run = host.run(patient)
    timer.join()
    assert run.status == 0
    assert run.out.startswith("run 0-a\npod= [1ma node=b xxx")
    assert len(run.out) < 220
