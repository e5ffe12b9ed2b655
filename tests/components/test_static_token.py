"""The static token: one for the nodes that choose it, its line in files, and who it may be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.components.outputs import STATIC_TOKEN
from tests.components.recording import Graph, declare, is_secret, opened
from tests.components.stacks import CONTROL_PLANE, STEPS, configuration, one, static, two

LINE = f'{STATIC_TOKEN},kubelet-bootstrap,10001,"system:bootstrappers"'


def _request(graph: Graph, step: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(opened(graph[step].inputs["stdin"]))
    return request


def _bindings(graph: Graph) -> dict[str, tuple[str, str]]:
    """Give the subject of each binding of the role that may ask for certificates."""
    found = {}
    for key, each in graph.resources.items():
        if each.inputs.get("roleRef", {}).get("name") == "system:node-bootstrapper":
            (subject,) = each.inputs["subjects"]
            assert each.inputs["metadata"]["name"] == f"kube-nodes:{key}"
            found[key] = (subject["kind"], subject["name"])
    return found


def _with_mode(node: str | None = None, **changes: Any) -> Graph:
    """Declare two nodes, with the static mode at the level of the stack or of one node."""
    mode = {"options": {"tokenMode": "static"}}
    at = {"pools": {"workers": {"nodes": {node: mode}}}} if node else mode
    return declare(configuration(1, 2, **at, **changes))


def test_it_is_32_hexadecimal_digits_of_a_password_and_another_line_is_another_token() -> None:
    password = static()["static-token-secret"]
    assert password.type == "random:index/randomPassword:RandomPassword"
    inputs = password.inputs
    assert (inputs["length"], inputs["overrideSpecial"]) == (32, "abcdef")
    assert (inputs["numeric"], inputs["special"]) == (True, True)
    assert inputs["lower"] is inputs["upper"] is False
    keepers = {
        "epoch": "1",
        "user": "kubelet-bootstrap",
        "uid": "10001",
        "group": "system:bootstrappers",
    }
    assert inputs["keepers"] == keepers
    for key, value in {"epoch": 2, "user": "me", "uid": 7, "group": "us"}.items():
        other = _with_mode(staticToken={key: value})["static-token-secret"].inputs["keepers"]
        assert other == keepers | {key: str(value)}


def test_its_line_is_a_secret_output() -> None:
    assert static().outputs["staticTokenCsv"] == f"{LINE}\n"
    assert "staticTokenCsv" in static().secret_outputs


def test_a_node_of_the_static_mode_has_no_secret_in_the_cluster_and_no_token_of_its_own() -> None:
    keys = {each.key for each in static().of_node("n1")}
    assert keys == {"WorkerNode n1"} | {f"n1-{step}" for step in STEPS}
    assert "n2-token" in static().resources, "the other node has its own"


def test_it_is_tried_without_a_token_of_the_node_and_its_user_may_ask() -> None:
    prepare, join = _request(static(), "n1-prepare"), _request(static(), "n1-membership")
    assert (prepare["token"], join["token"]) == (None, None)
    assert prepare["static_token"] == STATIC_TOKEN
    assert STATIC_TOKEN not in json.dumps(join), "what only waits does not need it"
    for request in (prepare, join):
        assert request["node"]["bootstrap_user"] == "kubelet-bootstrap"
        assert request["node"]["token_id"] is None
    other = _request(static(), "n2-prepare")
    assert (other["static_token"], other["node"]["bootstrap_user"]) == (None, None)


def test_the_inventory_tells_who_may_ask_for_which_node() -> None:
    nodes = json.loads(static().outputs["inventory"])["nodes"]
    users = {node["name"]: (node["bootstrap_user"], bool(node["token_id"])) for node in nodes}
    assert users == {"n1": ("kubelet-bootstrap", False), "n2": (None, True)}


def test_the_bootstrap_kubeconfig_holds_it() -> None:
    text = opened(static()["n1-credentials"].inputs["stdin"])
    assert f"    token: {STATIC_TOKEN}\n" in text
    assert STATIC_TOKEN not in opened(static()["n2-credentials"].inputs["stdin"])


def test_each_control_plane_host_gets_the_line_over_a_checked_connection() -> None:
    for name, host in CONTROL_PLANE.items():
        file = static()[f"static-token-file-{name}"]
        assert is_secret(file.inputs["stdin"])
        text = opened(file.inputs["stdin"])
        assert f"own <<'END'\n{LINE}\nEND\n" in text
        assert "file=/etc/kubernetes/token.csv\n" in text
        assert f"owner=kube-nodes.test.{name}\n" in text
        connection = opened(file.inputs["connection"])
        assert connection["host"] == host["address"]
        assert connection["hostKey"] == " ".join(host["hostKey"].split()[:2])
        # What it changed, and that a restart is due, is shown.
        assert file.inputs["logging"] == "stdout"
        assert file.inputs["delete"].replace(" remove", " apply") == file.inputs["create"]
    assert static()["static-token-file-cp2"].inputs["create"].startswith("sudo -n ")
    assert opened(static()["static-token-file-cp2"].inputs["connection"])["port"] == 2222


def test_it_is_in_its_files_before_it_is_tried_and_until_its_nodes_have_gone() -> None:
    files = {f"static-token-file-{name}" for name in CONTROL_PLANE}
    assert files <= static().transitively_after("n1-prepare")
    for key in ("n2-prepare", "n3-credentials", "rbac-static-user"):
        assert files.isdisjoint(static().transitively_after(key)), key


def test_the_user_is_bound_or_its_group_and_only_where_a_node_uses_it() -> None:
    own = {"rbac-node-bootstrapper": ("Group", "system:bootstrappers:kube-nodes")}
    assert _bindings(static()) == own | {"rbac-static-user": ("User", "kubelet-bootstrap")}
    by_group = _with_mode(staticToken={"binding": "group", "group": "us"})
    assert _bindings(by_group) == own | {"rbac-static-group": ("Group", "us")}
    # A host may get the line before any node uses it: so the API server can be restarted first.
    early = declare(configuration(1, staticToken={"hosts": CONTROL_PLANE}))
    assert "static-token-file-cp1" in early.resources
    assert _bindings(early) == own


@pytest.mark.parametrize("stack", [one, two])
def test_without_a_node_or_host_that_wants_it_there_is_none(stack: Any) -> None:
    assert [key for key in stack().resources if "static" in key] == []
    assert "staticTokenCsv" not in stack().outputs


def test_the_mode_can_be_chosen_for_the_stack_or_for_one_node() -> None:
    assert [key for key in _with_mode().resources if key.endswith("-token")] == [
        "StaticToken static-token"
    ]
    assert {key for key in _with_mode("n2").resources if key.endswith("-token")} == {
        "StaticToken static-token",
        "BootstrapToken n1-token",
        "n1-token",
    }


def test_another_epoch_leaves_nodes_with_a_token_of_their_own_alone() -> None:
    old = _with_mode("n2")
    new = _with_mode("n2", staticToken={"epoch": 2})
    changed = {
        key for key in old.resources if old[key].inputs != new[key].inputs and key in new.resources
    }
    assert changed == {"static-token-secret"}
