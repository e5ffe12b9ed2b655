"""What join.sh finds in its folder: the files of a node, with what is each host's own left open."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.nodes import Node
from kube_nodes.render.host_files import node_files
from kube_nodes.render.kubeconfig import (
    render_bootstrap_kubeconfig,
    render_kube_proxy_kubeconfig,
)
from kube_nodes.settings import Settings, parse_settings
from lab.files import write_atomically
from lab.spec import LabSpec

HERE = Path(__file__).resolve().parent
_OPEN = {"{{ node_name }}": "node-name", "{{ node_address }}": "192.0.2.1"}
"""What stands for any host's name and address while a file is rendered."""
_CERTIFICATE, _KEY = "certificate", "key"


def write_folder(folder: Path, lab: LabSpec, stored: Mapping[str, Any]) -> None:
    """Write all that join.sh needs.

    Args:
        folder: where.
        lab: its hosts become nodes.
        stored: the stack's configuration, as in its file.
    """
    folder.mkdir(mode=0o700)
    settings = parse_settings(
        {key.partition(":")[2]: value for key, value in _any_host(stored, lab).items()}
    )
    for path, text in templates(settings).items():
        write_atomically(folder / "templates" / Path(path).name, text)
    lines = "".join(f"{host.name} {host.address}\n" for host in lab.hosts)
    write_atomically(folder / "hosts", lines)
    write_atomically(folder / "programs", _programs(settings))
    for name in ("ca.crt", "ca.key"):
        shutil.copy(lab.path("pki", name), folder / name)
    shutil.copy(HERE / "manifests.yaml", folder)


def templates(settings: Settings) -> dict[str, str]:
    """Return the files of the one declared node by path, with what is each host's own left open."""
    (node,) = settings.nodes
    files = {each.path: each.content for each in node_files(settings.cluster, node)}
    files |= _credentials(settings.cluster, node)
    for path, text in files.items():
        if path.endswith("/config.yaml"):
            # Nothing takes the taint away again that our nodes register with.
            fields = yaml.safe_load(text)
            fields.pop("registerWithTaints", None)
            files[path] = yaml.safe_dump(fields)
    return {path: _opened(text) for path, text in files.items()}


def _credentials(cluster: Cluster, node: Node) -> dict[str, str]:
    layout = node.options.layout
    proxy = render_kube_proxy_kubeconfig(cluster, layout.ca_certificate, _CERTIFICATE, _KEY)
    for name in (_CERTIFICATE, _KEY):
        encoded = base64.b64encode(name.encode()).decode()
        proxy = proxy.replace(f"-data: {encoded}", f"-data: {{{{ {name} }}}}")
    bootstrap = render_bootstrap_kubeconfig(cluster, layout.ca_certificate, "TOKEN")
    return {
        layout.kube_proxy_kubeconfig: proxy,
        layout.bootstrap_kubeconfig: bootstrap.replace("token: TOKEN", "token: {{ token }}"),
    }


def _any_host(stored: Mapping[str, Any], lab: LabSpec) -> dict[str, Any]:
    """Declare one node, whose name and address stand for any."""
    pools = stored["kube-nodes:pools"]
    name = next(iter(pools))
    node = {"address": _OPEN["{{ node_address }}"], "hostKey": lab.hosts[0].host_key}
    pool = {**pools[name], "nodes": {_OPEN["{{ node_name }}"]: node}}
    return {**stored, "kube-nodes:pools": {name: pool}}


def _opened(text: str) -> str:
    for place, standing in _OPEN.items():
        text = text.replace(standing, place)
    return text


def _programs(settings: Settings) -> str:
    (node,) = settings.nodes
    binaries = settings.binaries_of(node)
    if binaries is None:
        raise ValueError("binaries: none are declared, so by hand there is nothing to download")
    pairs = {"kubelet": binaries.kubelet, "kube-proxy": binaries.kube_proxy}
    return "".join(f"{name} {each.url} {each.digest}\n" for name, each in pairs.items())
