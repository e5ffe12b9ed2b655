"""The stacks that the tests look at; each is declared once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.components.recording import Graph, declare
from tests.configurations import materials, merge, right_configuration

Stack = Callable[[], Graph]

# What a node that runs a kubelet consists of, without its token's own parts.
COMMANDS = ("preflight", "prepare", "credentials", "units", "membership", "service-check")
STEPS = ("scripts", *COMMANDS)


def node(number: int, **more: Any) -> dict[str, Any]:
    """Declare a host by its number."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32).public_key()
    openssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return {
        "address": f"192.0.2.{number}",
        "hostKey": key.public_bytes(*openssh).decode(),
        **more,
    }


def configuration(*numbers: int, **changes: Any) -> dict[str, Any]:
    """Make a configuration with the nodes of these numbers in one pool, and changes merged in."""
    values = right_configuration(binaries={"1.37.2": materials()["binaries"]})
    values["pools"] = {"workers": {"nodes": {f"n{number}": node(number) for number in numbers}}}
    return merge(values, changes)


def of_node(name: str, **changes: Any) -> dict[str, Any]:
    """Give changes of one node as changes of the configuration."""
    return {"pools": {"workers": {"nodes": {name: changes}}}}


SECRETS = {"caKey": materials()["ca_key"], "sshPrivateKey": materials()["ssh_key"]}
_CHECK = {"image": "registry.example/web:1", "port": 8080}


@cache
def one() -> Graph:
    """One node, everything by default."""
    return declare(configuration(1))


@cache
def two() -> Graph:
    """Two nodes."""
    return declare(configuration(1, 2))


@cache
def twenty() -> Graph:
    """Twenty nodes, all of them new."""
    return declare(configuration(*range(1, 21)), joined=())


@cache
def proxy_only() -> Graph:
    """A node with a kubelet, and one without."""
    return declare(configuration(1, 2, **of_node("n2", options={"role": "proxy-only"})))


CONTROL_PLANE = {"cp1": node(101), "cp2": node(102, ssh={"user": "admin", "port": 2222})}


@cache
def static() -> Graph:
    """A node that joins with the static token, which two hosts of the control plane get; another
    one with a token of its own, and one without a kubelet.
    """
    values = configuration(1, 2, 3, staticToken={"hosts": CONTROL_PLANE})
    nodes = values["pools"]["workers"]["nodes"]
    nodes["n1"]["options"] = {"tokenMode": "static"}
    nodes["n3"]["options"] = {"role": "proxy-only"}
    # In one wave: none waits for another.
    values["pools"]["workers"] |= {"canary": 0, "batch": "100%"}
    return declare(values)


@cache
def with_secrets() -> Graph:
    """A node with an SSH key; the CA's key signs kube-proxy's certificate; a web server runs."""
    issuer = {"kubeProxyCertificate": {"issuer": "ca"}, "serviceCheck": _CHECK}
    return declare(configuration(1, **issuer), SECRETS)
