"""The simulated hosts' files, and the configuration that declares them. Pure but for the files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from benchmarks.work import declared_programs
from lab import ssh
from lab.spec import SERVICE_CIDR, LabSpec

HERE = Path(__file__).resolve().parent
POOL_SIZE = 50
"""Nodes of a pool: what one changed pool costs is then the same work in every fleet."""
FIRST_PODS = 110
_VERSION = "1.37.2"
# Beside the control plane's own /24.
_FIRST_ADDRESS = IPv4Address("198.18.1.1")
_SSHD = """\
UsePAM no
UseDNS no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
AuthorizedKeysFile /srv/authorized_keys
LogLevel ERROR
LoginGraceTime 60
Subsystem sftp /usr/lib/openssh/sftp-server
"""


@dataclass(frozen=True)
class SimulatedHost:
    """One host: its name, address and public key."""

    name: str
    address: str
    host_key: str


def address_of(number: int) -> str:
    """Return the address of a host, by its number from 1 on."""
    return str(_FIRST_ADDRESS + number - 1)


def pool_of(number: int) -> str:
    """Return the pool of a host, by its number from 1 on."""
    return f"pool-{(number - 1) // POOL_SIZE + 1:02}"


def make_shared(spec: LabSpec) -> None:
    """Write what all hosts share: what sshd reads, and what is run by it."""
    folder = spec.path("srv")
    (folder / "hosts").mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "host.sh", folder / "host.sh")
    (folder / "sshd_config").write_text(_SSHD, encoding="utf-8")
    spec.path("ssh").mkdir(mode=0o700, exist_ok=True)
    public = ssh.ensure_operator_key(spec)
    (folder / "authorized_keys").write_text(f"{public}\n", encoding="utf-8")


def make_host(spec: LabSpec, number: int) -> SimulatedHost:
    """Make the files of a host unless they are there."""
    name = f"n{number:04}"
    folder = spec.path("srv", "hosts", name)
    public = folder / "host_key.pub"
    if not public.exists():
        folder.mkdir(exist_ok=True)
        pair = ssh.new_key_pair()
        (folder / "host_key").touch(mode=0o600)
        (folder / "host_key").write_text(pair.private, encoding="utf-8")
        machine = hashlib.sha256(name.encode()).hexdigest()[:32]
        (folder / "machine-id").write_text(f"{machine}\n", encoding="utf-8")
        public.write_text(f"{pair.public}\n", encoding="utf-8")
    key = public.read_text(encoding="utf-8").strip()
    return SimulatedHost(name, address_of(number), key)


@dataclass(frozen=True)
class Declared:
    """What was changed of the fleet since its first run: `maxPods` by node or pool."""

    pods: Mapping[str, int] = field(default_factory=dict)

    def raised(self, name: str) -> Declared:
        """Change a node, or all nodes of a pool, once more."""
        return Declared({**self.pods, name: self.pods.get(name, FIRST_PODS) + 1})


def configuration(
    spec: LabSpec, uid: str, hosts: Sequence[SimulatedHost], declared: Declared
) -> dict[str, Any]:
    """Return the stack's configuration; the hosts are in the order of their numbers."""
    pools: dict[str, Any] = {}
    for number, host in enumerate(hosts, 1):
        pool = pools.setdefault(pool_of(number), {"nodes": {}})
        node: dict[str, Any] = {"address": host.address, "hostKey": host.host_key}
        if host.name in declared.pods:
            node["options"] = {"maxPods": declared.pods[host.name]}
        pool["nodes"][host.name] = node
    for name in pools.keys() & declared.pods.keys():
        pools[name]["options"] = {"maxPods": declared.pods[name]}
    return {
        "server": spec.server,
        "caCertificate": spec.path("pki", "ca.crt").read_text(encoding="utf-8").strip(),
        "clusterUid": uid,
        "podCidrs": [spec.pod_cidr],
        "serviceCidrs": [SERVICE_CIDR],
        "binaries": {_VERSION: declared_programs()},
        "options": {"maxPods": FIRST_PODS, "clusterDns": ["10.96.0.10"]},
        "pools": pools,
    }


def render_stack(values: dict[str, Any], kept: dict[str, Any]) -> str:
    """Render a stack's configuration file; `kept` is what the CLI wrote into it.

    JSON is YAML, and is written a hundred times as fast.
    """
    config = {f"kube-nodes:{key}": value for key, value in values.items()}
    return json.dumps({**kept, "config": config}, indent=1) + "\n"
