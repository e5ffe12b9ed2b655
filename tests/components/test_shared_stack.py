"""A stack of what pools share, and stacks of pools that take it from there."""

from __future__ import annotations

import json
from functools import cache

import pulumi
import pytest

from kube_nodes.components.shared import _OPEN, check_outputs
from kube_nodes.fleet.declared import declare as declare_offline
from kube_nodes.settings import parse_settings
from tests.components.outputs import KUBE_PROXY_KEY
from tests.components.recording import Graph, declare, is_secret, opened
from tests.components.stacks import configuration, one

_NAME = "organization/kube-nodes/prod-shared"
_WEB = {"serviceCheck": {"image": "registry.example/web:1", "port": 8080}}


@cache
def shared(web: bool = False) -> Graph:
    values = configuration(1, **(_WEB if web else {}))
    return declare({**values, "pools": {}})


def pool(of: Graph) -> Graph:
    values = configuration(1, sharedStack=_NAME)
    return declare(values, others={_NAME: (of.outputs, of.secret_outputs)})


def test_a_stack_without_pools_makes_what_they_share_and_no_node() -> None:
    graph = shared()
    assert {"kube-proxy-certificate-1", "rbac-node-bootstrapper"} <= graph.resources.keys()
    assert not [each for each in graph.resources.values() if each.type.endswith(":WorkerNode")]
    assert "kubeProxyKey" in graph.secret_outputs
    assert not {"kubeProxyCertificate", "serviceCheckUrl"} & graph.secret_outputs


def test_a_stack_that_holds_everything_gives_no_key_away() -> None:
    assert "kubeProxyKey" not in one().outputs


def test_a_stack_of_pools_makes_nothing_that_is_shared() -> None:
    graph = pool(shared())
    assert graph.references == [_NAME]
    types = {each.type for each in graph.resources.values()}
    assert not {each for each in types if each.startswith("tls:") or "ClusterRole" in each}
    of_nodes = {each.key for each in graph.of_node("n1")}
    assert of_nodes == {each.key for each in one().of_node("n1")}


@pytest.mark.parametrize("web", [False, True])
def test_its_nodes_get_the_same_as_in_a_stack_that_holds_everything(web: bool) -> None:
    whole = declare(configuration(1, **(_WEB if web else {})))
    graph = pool(shared(web))
    for step in ("credentials", "units", "service-check"):
        name = f"n1-{step}"
        assert opened(graph[name].inputs) == opened(whole[name].inputs)
        assert is_secret(graph[name].inputs["stdin"]) is is_secret(whole[name].inputs["stdin"])
    assert KUBE_PROXY_KEY not in json.dumps(graph.outputs)


def test_a_shared_stack_of_another_cluster_or_without_an_up_is_refused() -> None:
    outputs = {name: shared().outputs[name] for name in _OPEN}
    uid = outputs["cluster"]["uid"]
    assert check_outputs(outputs, uid, _NAME) == outputs
    with pytest.raises(pulumi.RunError, match=rf"{_NAME} is of the cluster {uid}, and clusterUid"):
        check_outputs(outputs, "another", _NAME)
    # What an output that is not there is read as.
    with pytest.raises(pulumi.RunError, match="has nothing to share; run `pulumi up` on it first"):
        check_outputs(dict.fromkeys(outputs), uid, _NAME)


def test_the_graph_of_a_stack_of_pools_needs_no_other_stack() -> None:
    settings = parse_settings(configuration(1, sharedStack=_NAME))
    names = {each.name for each in declare_offline(settings, "prod-a")}
    assert "n1-service-check" in names
    assert "kube-proxy-certificate-1" not in names
