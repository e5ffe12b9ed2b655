"""What a preview's comment warns of, and what it tells of waves."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kube_nodes.render.host_script import Binary
from kube_nodes.review.markdown import render_comment
from tests.unit.previews import (
    RECORDINGS,
    preview,
    recorded,
    rows,
    script,
    units_step,
)


def test_a_token_that_was_left_open_is_a_warning() -> None:
    token = {
        "op": "update",
        "urn": "urn:pulumi:dev::kube-nodes::kube-nodes:index:NodePool$kube-nodes:index:WorkerNode"
        "$kube-nodes:index:BootstrapToken$kubernetes:core/v1:Secret::a-token",
        "newState": {
            "parent": "urn:pulumi:dev::kube-nodes::kube-nodes:index:NodePool"
            "$kube-nodes:index:WorkerNode$kube-nodes:index:BootstrapToken::a-token"
        },
        "diffReasons": ["data"],
    }
    comment = render_comment(preview(token))
    assert ":warning: The bootstrap token of a was left open; this update closes it." in comment
    assert rows(comment) == [("update", "a", "its token is closed", "token")]


def test_version_skew_is_a_warning_with_and_without_the_api_servers_version() -> None:
    steps = [
        units_step(node, script(node, version=old), script(node, version=new))
        for node, old, new in (("a", "v1.33.1", "v1.33.2"), ("b", "v1.36.0", "v1.37.2"))
    ]
    made = preview(*steps)
    assert "no API server supports both v1.33.2 and v1.37.2" in render_comment(made)
    asked = render_comment(made, api_server_minor=36)
    assert "kubelet v1.37.2 is newer than the API server (1.36)" in asked


def test_a_kube_proxy_of_another_version_is_not_taken_for_the_nodes() -> None:
    programs = {
        version: [
            Binary(path="/usr/local/bin/kube-proxy", version=version),
            Binary(path="/usr/local/bin/kubelet", version="v1.37.2"),
        ]
        for version in ("v1.36.3", "v1.37.2")
    }
    old, new = (script("a", binaries=programs[version]) for version in programs)
    ((change, _, effects, _),) = rows(render_comment(preview(units_step("a", old, new))))
    assert change == "update"
    assert "v1.36.3" not in effects


def test_an_older_minor_is_a_warning() -> None:
    made = preview(units_step("a", script("a"), script("a", version="v1.36.3")))
    assert "a go back to an older minor version" in render_comment(made)


@pytest.mark.parametrize(
    ("wave", "warned"), [(10, "30 of 30 nodes are drained, up to 10 of them at once"), (7, "")]
)
def test_what_is_drained_at_once_is_what_counts(wave: int, warned: str) -> None:
    nodes = [f"n{number}" for number in range(30)]
    steps = [
        units_step(node, script(node, version="v1.36.3"), script(node, version="v1.37.2"))
        for node in nodes
    ]
    waves = tuple(tuple(nodes[first : first + wave]) for first in range(0, 30, wave))
    made = replace(
        preview(*steps), declared=dict.fromkeys(nodes, "v1.37.2"), waves={"workers": waves}
    )
    comment = render_comment(made)
    assert (warned in comment) if warned else (":warning:" not in comment)


def test_the_waves_of_a_pool_are_told_and_their_gates_are_not() -> None:
    comment = render_comment(recorded("max-pods"))
    assert "Waves of `workers`: w1; then w2; then w3." in comment
    assert "wave-" not in comment
    assert "Beside the nodes" not in comment
    assert "Waves" not in render_comment(recorded("node-removed"))


def test_a_held_node_takes_part_in_no_wave() -> None:
    config = json.loads((RECORDINGS / "nothing.json").read_text())["config"]
    pools = json.loads(config["kube-nodes:pools"])
    pools["workers"]["nodes"]["w2"]["held"] = True
    pools["workers"]["canary"] = 0
    pools["workers"]["batch"] = "100%"
    config["kube-nodes:pools"] = json.dumps(pools)
    assert preview(config=config).waves["workers"] == (("w1", "w3"),)
