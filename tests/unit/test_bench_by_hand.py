"""What a node is made from by hand is what this project renders for it."""

from __future__ import annotations

import yaml

from benchmarks.by_hand.files import templates
from kube_nodes.settings import parse_settings
from tests.configurations import materials, right_configuration


def opened() -> dict[str, str]:
    node = {"address": "192.0.2.1", "hostKey": materials()["host_key"]}
    values = right_configuration()
    values["pools"] = {"workers": {"nodes": {"node-name": node}}}
    return templates(parse_settings(values))


def test_what_is_each_hosts_own_is_left_open() -> None:
    files = opened()
    text = "\n".join(files.values())
    assert "192.0.2.1" not in text.replace("192.0.2.10", "")
    assert "node-name" not in text
    assert "--node-ip={{ node_address }}" in files["/etc/systemd/system/kubelet.service"]
    assert "hostnameOverride: {{ node_name }}" in files["/var/lib/kube-proxy/config.conf"]


def test_credentials_are_left_open() -> None:
    files = opened()
    assert "token: {{ token }}" in files["/etc/kubernetes/bootstrap-kubelet.conf"]
    proxy = files["/etc/kubernetes/proxy.conf"]
    assert "client-certificate-data: {{ certificate }}" in proxy
    assert "client-key-data: {{ key }}" in proxy


def test_a_node_by_hand_registers_without_our_taint() -> None:
    fields = yaml.safe_load(opened()["/var/lib/kubelet/config.yaml"])
    assert fields["kind"] == "KubeletConfiguration"
    assert "registerWithTaints" not in fields
