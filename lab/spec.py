"""The parameters of one lab, and every name that is derived from them.

One lab is one folder. Two labs side by side share nothing but the tools' cache: each has its own
bridge, subnet, pod range and cgroups, all of which follow from what stands here.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.errors import LabError
from lab.files import write_atomically

FILE = "lab.json"
"""What was asked for, in the lab's folder; the first file there, and the last."""
DEFAULT_SUBNET = "10.98.0.0/24"
DEFAULT_BRIDGE = "knlab0"
DEFAULT_HOSTS = ("n1", "n2")
DEFAULT_KUBERNETES = "1.37.2"
SERVICE_CIDR = "10.96.0.0/16"
"""Service addresses never leave a host (kube-proxy rewrites them there), so all labs share them."""
API_PORT = 6443
ARTIFACTS_PORT = 8043
FIRST_HOST = 11
"""The first host of a subnet is .11; below are the gateway and room for an operator's own."""

# Linux allows 15 characters for a link, and the link of a host is vb-<bridge>-<1 to 254>.
_BRIDGE = re.compile(r"[a-z][a-z0-9]{0,7}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_VERSION = re.compile(r"1\.\d{1,3}\.\d{1,3}")
# A unix socket's path has at most 107 bytes; the longest here is <directory>/ssh/agent.sock.
_LONGEST_DIRECTORY = 107 - len("/ssh/agent.sock")


def default_directory() -> Path:
    """Return where the lab lives when nobody says otherwise: LAB_DIR, else the XDG state folder."""
    if chosen := os.environ.get("LAB_DIR"):
        return Path(chosen).expanduser().resolve()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "kube-nodes" / "lab"


@dataclass(frozen=True, kw_only=True)
class Host:
    """A node host: its name, its address on the bridge and its public host key, once it has one."""

    name: str
    address: str
    host_key: str = ""


@dataclass(frozen=True, kw_only=True)
class LabSpec:
    """What was asked for: enough to bring the lab up again, and to take it down after a crash."""

    directory: Path
    subnet: str = DEFAULT_SUBNET
    bridge: str = DEFAULT_BRIDGE
    kubernetes: str = DEFAULT_KUBERNETES
    pod_cidr: str = ""
    hosts: tuple[Host, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.pod_cidr:
            object.__setattr__(self, "pod_cidr", derive_pod_cidr(self.subnet))
        _validate(self)

    @property
    def network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(self.subnet)

    @property
    def gateway(self) -> str:
        """The bridge's own address: this machine, as the hosts see it."""
        return str(self.network.network_address + 1)

    @property
    def server(self) -> str:
        return f"https://{self.gateway}:{API_PORT}"

    @property
    def service_ip(self) -> str:
        """Address of the `kubernetes` Service: the first of the service range."""
        return str(ipaddress.IPv4Network(SERVICE_CIDR).network_address + 1)

    @property
    def identity(self) -> str:
        """A short name that only this folder has; marks the bridge, the cgroups and the rules."""
        digest = hashlib.sha256(str(self.directory).encode()).hexdigest()[:10]
        return f"kube-nodes-{digest}"

    @property
    def host_names(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.hosts)

    def host(self, name: str) -> Host:
        """Return the host called name, or say which ones there are."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(self.host_names) or "none"
        raise LabError(f'host "{name}" is not in the lab; its hosts are: {known}.')

    def with_hosts(self, names: tuple[str, ...]) -> LabSpec:
        """Return this lab with the named hosts added, each at the lowest free address."""
        hosts = list(self.hosts)
        for name in names:
            if name in {host.name for host in hosts}:
                continue
            taken = {host.address for host in hosts}
            hosts.append(Host(name=name, address=_free_address(self.network, taken)))
        return replace(self, hosts=tuple(hosts))

    def without_host(self, name: str) -> LabSpec:
        return replace(self, hosts=tuple(host for host in self.hosts if host.name != name))

    def path(self, *parts: str) -> Path:
        return self.directory.joinpath(*parts)

    def save(self) -> None:
        """Write lab.json. It is the first file of a lab, so that `down` always finds it."""
        data = {
            "schema": 1,
            "subnet": self.subnet,
            "bridge": self.bridge,
            "kubernetes": self.kubernetes,
            "podCidr": self.pod_cidr,
            "hosts": {
                host.name: {"address": host.address, "hostKey": host.host_key}
                for host in self.hosts
            },
        }
        write_atomically(self.path(FILE), json.dumps(data, indent=2) + "\n")


def load(directory: Path) -> LabSpec | None:
    """Read the lab of this folder; None when there is none."""
    path = directory / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return LabSpec(
            directory=directory,
            subnet=data["subnet"],
            bridge=data["bridge"],
            kubernetes=data["kubernetes"],
            pod_cidr=data["podCidr"],
            hosts=tuple(
                Host(name=name, address=host["address"], host_key=host["hostKey"])
                for name, host in data["hosts"].items()
            ),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path}: cannot be read as a lab ({error}).") from error


def require(directory: Path) -> LabSpec:
    """Read the lab of this folder, or say how to make one."""
    spec = load(directory)
    if spec is None:
        raise LabError(f"{directory}: no lab here; `python -m lab up` makes one.")
    return spec


def derive_pod_cidr(subnet: str) -> str:
    """Give each subnet of 10.98.0.0/16 a pod range of its own, in 10.200.0.0 to 10.231.255.255.

    32 ranges of /16, or with another first part of the subnet the same by its last two parts:
    two labs whose ranges are the same by chance are refused when the second comes up.
    """
    network = _parse_network("subnet", subnet)
    third = int(network.network_address) >> 8 & 0xFF
    return f"10.{200 + third % 32}.0.0/16"


def _free_address(network: ipaddress.IPv4Network, taken: set[str]) -> str:
    for offset in range(FIRST_HOST, network.num_addresses - 1):
        address = str(network.network_address + offset)
        if address not in taken:
            return address
    raise LabError(f"subnet {network}: no address is free for another host; choose a larger one.")


def _parse_network(what: str, value: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(value)
    except ValueError as error:
        raise LabError(
            f'{what}: "{value}" is not an IPv4 network ({error}); give one such as 10.98.0.0/24.'
        ) from error


def _validate(spec: LabSpec) -> None:
    """Refuse parameters under which a lab could harm this machine or could never work."""
    subnet = _parse_network("subnet", spec.subnet)
    pods = _parse_network("pod range", spec.pod_cidr)
    if not subnet.is_private or not 24 <= subnet.prefixlen <= 27:
        raise LabError(f"subnet: {subnet} must be private, with a prefix of /24 to /27.")
    if not pods.is_private or pods.prefixlen > 23:
        raise LabError(f"pod range: {pods} must be private, with a prefix of /23 or shorter.")
    services = ipaddress.IPv4Network(SERVICE_CIDR)
    for one, other in ((subnet, pods), (subnet, services), (pods, services)):
        if one.overlaps(other):
            raise LabError(f"{one} overlaps {other}: choose another subnet or pod range.")
    if not _BRIDGE.fullmatch(spec.bridge):
        raise LabError(
            f'bridge: "{spec.bridge}" must be a letter and up to 7 letters or digits, lower case.'
        )
    if not _VERSION.fullmatch(spec.kubernetes):
        raise LabError(f'Kubernetes version: "{spec.kubernetes}" must look like 1.37.2, without v.')
    for host in spec.hosts:
        if not _HOST.fullmatch(host.name):
            raise LabError(f'host: "{host.name}" is not a host name of at most 40 characters.')
    if len(os.fsencode(spec.directory)) > _LONGEST_DIRECTORY:
        raise LabError(
            f"{spec.directory}: at most {_LONGEST_DIRECTORY} bytes, for the agent's socket in it."
        )
