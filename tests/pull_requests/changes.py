"""The pull requests that previews are made of: each a change of one configuration."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.components.stacks import node
from tests.configurations import certificate, materials, merge, private_pem, right_configuration

VERSIONS = ("1.36.3", "1.37.2")
_CA_KEY = ec.generate_private_key(ec.SECP256R1())
# Recordings are read for years: an expired one would be refused.
_CA = certificate(_CA_KEY, _CA_KEY, ends=datetime(2126, 1, 1, tzinfo=UTC))
_UID = "6f1c7b0e-2f0a-4d58-9a9d-0f4f1c3c2b11"

Configuration = dict[str, Any]


def configuration(uid: str = _UID, **changes: Any) -> Configuration:
    """Two pools: three workers, and two nodes with a label."""
    values = right_configuration(
        clusterUid=uid,
        caCertificate=_CA,
        binaries={version: _binaries(version) for version in VERSIONS},
        kubeProxyCertificate={"issuer": "ca"},
    )
    values["options"] = merge(values.get("options", {}), {"kubernetesVersion": VERSIONS[0]})
    values["pools"] = {
        "workers": {"nodes": {f"w{number}": node(number) for number in (1, 2, 3)}},
        "storage": {
            "options": {"labels": {"example/disk": "big"}},
            "nodes": {f"s{number}": node(number + 10) for number in (1, 2)},
        },
    }
    return merge(values, changes)


def _binaries(version: str) -> dict[str, dict[str, str]]:
    """Give a version's programs, with sums of their own."""
    found = {}
    for program, file in (("kubelet", "kubelet"), ("kubeProxy", "kube-proxy")):
        place = f"{version}/{file}"
        found[program] = {
            "url": f"https://files.example/{place}",
            "sha256": hashlib.sha256(place.encode()).hexdigest(),
        }
    return found


def _workers(values: Configuration, **options: Any) -> Configuration:
    return merge(values, {"pools": {"workers": options}})


def _without_w2(values: Configuration) -> Configuration:
    left = copy.deepcopy(values)
    del left["pools"]["workers"]["nodes"]["w2"]
    return left


CHANGES: dict[str, Callable[[Configuration], Configuration]] = {
    "max-pods": lambda values: _workers(values, options={"maxPods": 60}),
    "node-added": lambda values: _workers(values, nodes={"w4": node(4)}),
    "minor-upgrade": lambda values: merge(values, {"options": {"kubernetesVersion": VERSIONS[1]}}),
    "node-removed": _without_w2,
    "labels-and-taints": lambda values: _workers(
        values, options={"labels": {"example/zone": "a"}, "taints": ["example/only=web:NoSchedule"]}
    ),
    "generation": lambda values: _workers(values, nodes={"w1": {"generation": 2}}),
    "nothing": lambda values: values,
    "refused": lambda values: merge(values, {"podCidrs": ["nonsense"]}),
    "new-certificate": lambda values: merge(values, {"kubeProxyCertificate": {"epoch": 2}}),
}
"""What each pull request makes of the configuration."""

# Those whose comments are kept in docs/examples, as a pull request would show them.
SHOWN = ("max-pods", "node-added", "minor-upgrade")
SECRETS = {"caKey": private_pem(_CA_KEY), "sshPrivateKey": materials()["ssh_key"]}
