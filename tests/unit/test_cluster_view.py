"""What a node must reach, from what the cluster says: Service, name, and pods of other nodes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from kube_nodes.fleet.cluster_view import ClusterView, expect_network
from kube_nodes.settings import Settings, parse_settings
from tests.configurations import right_configuration


def _settings(count: int, *, image: str | None = "web:1", role: str = "worker") -> Settings:
    base = right_configuration()
    node = base["pools"]["workers"]["nodes"]["n1"]
    nodes = {f"n{i}": {**node, "address": f"192.0.2.{i + 20}"} for i in range(1, count + 1)}
    nodes["n1"] = {**nodes["n1"], "options": {"role": role}}
    check = {"image": image, "port": 8080} if image else {}
    pools = {"workers": {"nodes": nodes}}
    # One host key for all would be refused.
    for number, each in enumerate(nodes.values()):
        each["hostKey"] = _host_key(number)
    return parse_settings(base | {"pools": pools, "serviceCheck": check})


def _host_key(number: int) -> str:
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number + 1]) * 32).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _view(pods: dict[str, Any] | None, target: str = "10.96.7.7") -> ClusterView:
    served = frozenset({"10.96.0.10", target})
    return ClusterView(nodes={}, service_addresses=served, target=target, pods=pods)


def _pods(*nodes: str, phase: str = "Running") -> dict[str, Any]:
    return {name: [{"status": {"phase": phase, "podIP": f"10.200.{name[1:]}.5"}}] for name in nodes}


@pytest.mark.parametrize("count", [2, 3, 7])
def test_each_pod_is_asked_from_as_many_other_hosts_as_the_others(count: int) -> None:
    settings = _settings(count)
    view = _view(_pods(*(node.id for node in settings.nodes)))
    asked = {node.id: expect_network(settings, view, node).pods for node in settings.nodes}
    assert all(node not in pods for node, pods in asked.items())
    times = Counter(pod for pods in asked.values() for pod in pods)
    assert set(times.values()) == {min(2, count - 1)}
    assert asked["n1"]["n2"] == "http://10.200.2.5:8080/"


def test_a_pod_that_does_not_run_is_nobodys_to_ask() -> None:
    """It is a finding of its own node."""
    settings = _settings(4)
    view = _view(_pods("n1", "n3", "n4") | _pods("n2", phase="Pending"))
    assert set(expect_network(settings, view, settings.nodes[0]).pods) == {"n3", "n4"}


def test_a_host_with_kube_proxy_alone_asks_the_workers_pods() -> None:
    settings = _settings(3, role="proxy-only")
    view = _view(_pods("n2", "n3"))
    assert set(expect_network(settings, view, settings.nodes[0]).pods) == {"n2", "n3"}
    assert set(expect_network(settings, view, settings.nodes[1]).pods) == {"n3"}


def test_without_an_image_the_api_servers_own_service_is_asked() -> None:
    settings = _settings(2, image=None)
    network = expect_network(settings, _view(None, "fd00::1"), settings.nodes[0])
    assert network.service_url == "https://[fd00::1]/readyz"
    assert network.service_status == {"200", "401", "403"}
    assert network.pods == {}
    assert network.name
    assert network.name.name == "kubernetes.default.svc.cluster.local"


def test_the_service_is_asked_for_by_name_at_the_declared_dns() -> None:
    settings = _settings(2)
    name = expect_network(settings, _view({}), settings.nodes[0]).name
    assert name
    assert (name.name, name.address, name.servers) == (
        "service-check.kube-nodes.svc.cluster.local", "10.96.7.7", ("10.96.0.10",),
    )  # fmt: skip


def test_a_service_that_is_not_there_is_not_asked() -> None:
    settings = _settings(2)
    network = expect_network(settings, _view({}, target=""), settings.nodes[0])
    assert (network.service_url, network.name) == ("", None)
