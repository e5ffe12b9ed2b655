"""prepare and join against a real API server, with a kubelet that is played."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable

from tests.api.conftest import Machine, Result

Run = Callable[..., Result]


def in_background(step: Callable[[], object]) -> threading.Thread:
    """Run a step beside the test."""
    thread = threading.Thread(target=step, daemon=True)
    thread.start()
    return thread


def test_a_new_node_joins_and_its_token_is_closed(machine: Machine, run: Run) -> None:
    assert run("prepare", machine.prepare()).status == 0
    assert base64.b64decode(machine.data()["token-secret"]) == machine.token.secret.encode()
    kubelet = in_background(lambda: machine.kubelet.join(machine.bearer))
    result = run("join", machine.join(), labels="tier=web", taints="dedicated=web:NoSchedule")
    assert result.status == 0, result.err
    kubelet.join()
    assert result.out.startswith("run ")
    node = machine.plane.get(machine.path)
    assert node["metadata"]["labels"]["tier"] == "web"
    assert node["spec"]["taints"] == [{"key": "dedicated", "value": "web", "effect": "NoSchedule"}]
    assert machine.annotations()["kube-nodes/generation"] == "1"
    assert set(machine.data()) == {"token-id", "usage-bootstrap-authentication"}
