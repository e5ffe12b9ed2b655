"""Kubeconfig files of the lab: the operator's, and those of the control plane's own parts."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from lab.files import write_atomically
from lab.spec import LabSpec

CONTEXT = "kube-nodes-lab"


def render_kubeconfig(server: str, ca: bytes, certificate: bytes, key: bytes, user: str) -> str:
    """Return a kubeconfig with everything in it, so that the file can be copied and still works."""

    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": CONTEXT,
            "clusters": [
                {
                    "name": CONTEXT,
                    "cluster": {"server": server, "certificate-authority-data": encoded(ca)},
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": encoded(certificate),
                        "client-key-data": encoded(key),
                    },
                }
            ],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        },
        sort_keys=False,
    )


def write_kubeconfig(spec: LabSpec, path: Path, name: str) -> None:
    """Write the kubeconfig that uses the lab's certificate called name."""
    pki = spec.path("pki")
    text = render_kubeconfig(
        spec.server,
        (pki / "ca.crt").read_bytes(),
        (pki / f"{name}.crt").read_bytes(),
        (pki / f"{name}.key").read_bytes(),
        name,
    )
    write_atomically(path, text)
