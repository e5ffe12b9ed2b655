"""Where kube-proxy listens, and where the host asks for its health."""

from __future__ import annotations

from typing import Any

import pytest

from kube_nodes.model.nodes import Node
from kube_nodes.model.proxy_addresses import kube_proxy_addresses
from kube_nodes.render.host_files import render_node_units
from kube_nodes.settings import parse_settings
from tests.configurations import right_configuration


def node(**options: Any) -> Node:
    """Resolve a node with these options."""
    return parse_settings(right_configuration(options=options)).nodes[0]


def test_the_defaults_are_all_addresses_for_health_and_loopback_for_metrics() -> None:
    addresses = kube_proxy_addresses(node())
    assert addresses.bind == "192.0.2.21"
    assert addresses.healthz == "0.0.0.0:10256"
    assert addresses.metrics == "127.0.0.1:10249"


def test_the_defaults_are_of_the_bind_addresss_family() -> None:
    values = right_configuration(
        podCidrs=["fd00:200::/56", "10.200.0.0/16"],
        serviceCidrs=["fd00:96::/112", "10.96.0.0/16"],
        options={"proxyBindAddress": "2001:db8:0::1"},
    )
    addresses = kube_proxy_addresses(parse_settings(values).nodes[0])
    assert addresses.bind == "2001:db8::1"
    assert addresses.healthz == "[::]:10256"
    assert addresses.metrics == "[::1]:10249"


@pytest.mark.parametrize(
    ("healthz", "url"),
    [
        ("0.0.0.0:10256", "http://127.0.0.1:10256/healthz"),
        ("[::]:11256", "http://[::1]:11256/healthz"),
        ("192.0.2.21:12000", "http://192.0.2.21:12000/healthz"),
        ("[2001:db8::1]:12000", "http://[2001:db8::1]:12000/healthz"),
    ],
)
def test_the_host_script_asks_where_kube_proxy_answers(healthz: str, url: str) -> None:
    values = right_configuration(options={"proxyHealthzAddress": healthz})
    settings = parse_settings(values)
    script = render_node_units(settings.cluster, settings.nodes[0], None)
    assert f" kube-proxy=2={url}'" in script
    assert f"healthzBindAddress: '{healthz}'" in script.replace('"', "'") or (
        f"healthzBindAddress: {healthz}" in script
    )
