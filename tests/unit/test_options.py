"""Options at three levels: cluster, pool, node; the nearest wins."""

from __future__ import annotations

from typing import Any

import pytest

from kube_nodes.model.nodes import Node
from kube_nodes.model.options import NodeOptions
from kube_nodes.render.kubelet import render_kubelet_configuration
from kube_nodes.settings import parse_settings
from tests.configurations import right_configuration


def resolved(
    cluster: dict[str, Any], pool: dict[str, Any] | None = None, node: dict[str, Any] | None = None
) -> Node:
    """Resolve the options of the node n1."""
    values = right_configuration(options=cluster)
    workers = values["pools"]["workers"]
    workers["options"] = pool or {}
    workers["nodes"]["n1"]["options"] = node or {}
    return parse_settings(values).nodes[0]


def test_what_no_level_says_is_the_default() -> None:
    assert resolved({"clusterDns": []}).options == NodeOptions()


@pytest.mark.parametrize(
    ("pool", "node", "most"),
    [({}, {}, 50), ({"maxPods": 60}, {}, 60), ({"maxPods": 60}, {"maxPods": 70}, 70)],
)
def test_the_nearest_level_wins(pool: dict[str, Any], node: dict[str, Any], most: int) -> None:
    assert resolved({"maxPods": 50}, pool, node).options.max_pods == most


def test_a_nearer_level_may_say_the_default_again() -> None:
    assert resolved({"maxPods": 50}, {"maxPods": 110}).options.max_pods == 110


def test_the_other_nodes_of_the_pool_keep_their_own() -> None:
    values = right_configuration(options={"maxPods": 50})
    values["pools"]["workers"]["nodes"]["n1"]["options"] = {"maxPods": 70}
    assert [node.options.max_pods for node in parse_settings(values).nodes] == [70, 50]


def test_maps_are_merged_key_by_key() -> None:
    node = resolved(
        {"labels": {"a": "1", "b": "1"}}, {"labels": {"b": "2", "c": "2"}}, {"labels": {"c": "3"}}
    )
    assert node.labels == {"a": "1", "b": "2", "c": "3"}


def test_null_takes_an_inherited_key_away() -> None:
    node = resolved({"labels": {"a": "1", "b": "1"}}, {"labels": {"a": None}})
    assert node.labels == {"b": "1"}


def test_a_key_that_the_pool_took_away_can_be_given_back_by_a_node() -> None:
    labels = resolved({"labels": {"a": "1"}}, {"labels": {"a": None}}, {"labels": {"a": "3"}})
    assert labels.labels == {"a": "3"}


def test_null_for_a_key_that_nobody_set_is_nothing() -> None:
    assert resolved({"labels": {"a": None}}).labels == {}


def test_a_default_threshold_can_be_changed_added_to_and_taken_away() -> None:
    node = resolved(
        {"evictionHard": {"memory.available": "5%"}},
        {"evictionHard": {"pid.available": "10%"}},
        {"evictionHard": {"imagefs.available": None}},
    )
    assert node.options.eviction_hard == {
        "memory.available": "5%",
        "nodefs.available": "10%",
        "nodefs.inodesFree": "5%",
        "pid.available": "10%",
    }


def test_with_every_threshold_taken_away_the_kubelet_is_told_that_there_is_none() -> None:
    node = resolved({"evictionHard": dict.fromkeys(NodeOptions().eviction_hard)})
    assert "evictionHard: {}\n" in render_kubelet_configuration(node)


def test_lists_are_replaced_whole() -> None:
    node = resolved({"taints": ["a:NoSchedule", "b:NoSchedule"]}, {"taints": ["c:NoExecute"]})
    assert [str(taint) for taint in node.options.taints] == ["c:NoExecute"]
    assert resolved({"taints": ["a:NoSchedule"]}, {"taints": []}).options.taints == []


def test_a_block_is_merged_key_by_key() -> None:
    node = resolved({"ssh": {"user": "admin", "port": 2222}}, {"ssh": {"port": 22}})
    assert (node.options.ssh.user, node.options.ssh.port) == ("admin", 22)


def test_a_node_may_change_one_key_of_containerds_block_or_take_it_away() -> None:
    block = {"containerd": {"sandboxImage": "example/pause:3"}}
    changed = resolved(block, node={"containerd": {"configVersion": 3}}).options.containerd
    assert changed is not None
    assert (changed.sandbox_image, changed.config_version) == ("example/pause:3", 3)
    assert resolved(block, node={"containerd": None}).options.containerd is None


def test_free_fields_are_merged_to_any_depth_and_null_takes_one_away() -> None:
    node = resolved(
        {"kubeletConfiguration": {"logging": {"format": "json", "flushFrequency": "5s"}}},
        {"kubeletConfiguration": {"logging": {"format": None}, "podsPerCore": 10}},
        {"kubeletConfiguration": {"logging": {"flushFrequency": "1s"}}},
    )
    assert node.options.kubelet_configuration == {
        "logging": {"flushFrequency": "1s"},
        "podsPerCore": 10,
    }


def test_a_node_resolves_the_same_whatever_the_order_of_its_labels() -> None:
    forth = resolved({"labels": {"a": "1", "b": "2"}})
    back = resolved({"labels": {"b": "2", "a": "1"}})
    assert list(forth.labels.items()) == list(back.labels.items())
