"""The work that is measured: what every tool brings two units of a host to, and nothing else.

Files and folders are those that this project renders for a worker; the others get them as templates
that have the host's name and address left open. The cluster's side of a join is left out, as no
other tool has it, and so are checks that ask the API server: there is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kube_nodes.model.nodes import Node
from kube_nodes.render import paths
from kube_nodes.render.host_files import node_binaries, node_directories, node_files
from kube_nodes.render.host_script import (
    KUBE_PROXY,
    KUBELET,
    Directory,
    ManagedFile,
    render_credentials_script,
    render_units_script,
)
from kube_nodes.render.kubeconfig import (
    render_bootstrap_kubeconfig,
    render_kube_proxy_kubeconfig,
)
from kube_nodes.settings import Settings, parse_settings
from lab.files import write_atomically
from lab.pki import Authority
from lab.spec import Host

VERSION = "v1.37.2"
UNITS = ("kubelet", "kube-proxy")
_STAND_IN = f"""\
#!/bin/sh
# Stands in for NAME: says its version, has nothing to clean up, else only sleeps.
case $1 in
--version) echo "Kubernetes {VERSION}" ;;
--cleanup*) ;;
*) exec sleep infinity ;;
esac
"""
STAND_INS = {unit: _STAND_IN.replace("NAME", unit) for unit in UNITS}
"""The programs that are on every host already, by unit."""
FIRST_PODS, CHANGED_PODS = 110, 111
"""`maxPods` before and after the change of one file, the kubelet's configuration."""

# They sleep: nothing answers, so living is all that can be verified, as by every other tool.
_SERVICES = tuple(replace(unit, health_url="", settle_seconds=0) for unit in (KUBELET, KUBE_PROXY))
_TOKEN = "bench0.0123456789abcdef"  # noqa: S105 - lets nobody in: there is no cluster
_UID = "00000000-0000-4000-8000-000000000000"
_OPEN = Host(name="node-name", address="192.0.2.1")
"""The host whose name and address stand for any host's in a template."""
_NAME, _ADDRESS = "{{ node_name }}", "{{ node_address }}"


@dataclass(frozen=True)
class Credentials:
    """What is secret on a host, and the CA; made for one benchmark, and worth nothing."""

    ca: str
    certificate: str
    key: str = field(repr=False)

    @classmethod
    def read(cls, folder: Path) -> Credentials:
        """Read them from their files, which are made where there are none."""
        authority = Authority(folder, "ca")
        authority.ensure()
        authority.ensure_certificate("kube-proxy", "system:kube-proxy")
        names = ("ca.crt", "kube-proxy.crt", "kube-proxy.key")
        return cls(*((folder / name).read_text(encoding="utf-8") for name in names))


def configuration(hosts: Iterable[Host], ca: str, pods: int) -> dict[str, Any]:
    """Return the configuration of this project that declares the hosts."""
    return {
        "server": "https://198.51.100.10:6443",
        "caCertificate": ca,
        "clusterUid": _UID,
        "podCidrs": ["10.200.0.0/16"],
        "serviceCidrs": ["10.96.0.0/16"],
        "binaries": {VERSION.removeprefix("v"): declared_programs()},
        "options": {"maxPods": pods, "clusterDns": ["10.96.0.10"]},
        "pools": {
            "hosts": {
                "nodes": {
                    host.name: {"address": host.address, "hostKey": host.host_key} for host in hosts
                }
            }
        },
    }


def declared_programs() -> dict[str, dict[str, str]]:
    """Declare the stand-ins as a user declares programs: they are there, so none is fetched."""
    keys = {"kubelet": "kubelet", "kube-proxy": "kubeProxy"}
    return {
        keys[unit]: {
            "url": f"https://files.example/{unit}",
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
        for unit, text in STAND_INS.items()
    }


def credential_files(settings: Settings, node: Node, credentials: Credentials) -> list[ManagedFile]:
    """Give a host's secret files, all 0600."""
    layout, cluster = node.options.layout, settings.cluster
    return [
        ManagedFile(
            path=layout.kube_proxy_kubeconfig,
            content=render_kube_proxy_kubeconfig(
                cluster, layout.ca_certificate, credentials.certificate, credentials.key
            ),
            restarts=(KUBE_PROXY.name,),
        ),
        ManagedFile(
            path=layout.bootstrap_kubeconfig,
            content=render_bootstrap_kubeconfig(cluster, layout.ca_certificate, _TOKEN),
        ),
    ]


def credentials_script(settings: Settings, node: Node, credentials: Credentials) -> str:
    """Render this project's script with the secret files."""
    return render_credentials_script(
        node_id=node.id,
        generation=node.generation,
        files=credential_files(settings, node, credentials),
        units=_SERVICES,
        kubelet_root=paths.KUBELET_ROOT,
    )


def units_script(settings: Settings, node: Node) -> str:
    """Render this project's script with everything else."""
    return render_units_script(
        node_id=node.id,
        generation=node.generation,
        cluster_uid=settings.cluster.uid,
        api_server=settings.cluster.server,
        files=node_files(settings.cluster, node),
        binaries=node_binaries(node, settings.binaries_of(node)),
        directories=node_directories(node),
        units=_SERVICES,
        kubelet_root=paths.KUBELET_ROOT,
    )


@dataclass(frozen=True)
class Plan:
    """The same work for tools that know files: contents have the host's name and address open."""

    pods: int
    files: tuple[ManagedFile, ...]
    directories: tuple[Directory, ...]

    def texts(self, host: Host) -> dict[str, str]:
        """Return what each file holds on a host, by path."""
        return {
            file.path: file.content.replace(_NAME, host.name).replace(_ADDRESS, host.address)
            for file in self.files
        }

    def states(self, host: Host) -> dict[str, str]:
        """Return what is to be seen of each path and unit on a host, as hosts.Look has it."""
        sums = {
            path: hashlib.sha256(text.encode()).hexdigest()
            for path, text in self.texts(host).items()
        }
        found = {file.path: f"{file.mode} 0:0 {sums[file.path]}" for file in self.files}
        found |= {each.path: f"{each.mode} 0:0" for each in self.directories}
        return found | dict.fromkeys(UNITS, "active enabled")


def plan(credentials: Credentials, pods: int, host_key: str) -> Plan:
    """Render the plan. `host_key` is any host's: it is in no file."""
    host = replace(_OPEN, host_key=host_key)
    settings = parse_settings(configuration([host], credentials.ca, pods))
    (node,) = settings.nodes
    files = [
        *node_files(settings.cluster, node),
        *credential_files(settings, node, credentials),
    ]
    opened = [
        replace(
            each, content=each.content.replace(_OPEN.name, _NAME).replace(_OPEN.address, _ADDRESS)
        )
        for each in files
    ]
    return Plan(
        pods, tuple(sorted(opened, key=lambda each: each.path)), tuple(node_directories(node))
    )


def write_templates(folder: Path, files: Sequence[ManagedFile]) -> None:
    """Write one template a file, under the name of the file itself, 0600."""
    for each in files:
        write_atomically(folder / Path(each.path).name, each.content)
