"""The commonest kubeconfig, read without the official client, whose import costs more than a step.

Only one file of which every key is known here: a server with its CA, and a client certificate or a
token. Anything else, and anything that is wrong, is left to the official loader and its errors
(docs/adr/0004-kubernetes-client.md).
"""

from __future__ import annotations

import base64
import binascii
import os
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_CONTEXT = {"cluster", "user", "namespace"}
_CLUSTER = {"server", "certificate-authority", "certificate-authority-data"}
_CERTIFICATE = ("client-certificate", "client-certificate-data")
_KEY = ("client-key", "client-key-data")
_USER = {*_CERTIFICATE, *_KEY, "token"}
_DEFAULT = "~/.kube/config"


@dataclass(frozen=True, kw_only=True)
class PlainKubeconfig:
    """What the current context says; PEM texts."""

    server: str
    ca: str
    certificate: str = ""
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def read_plain_kubeconfig() -> PlainKubeconfig | None:
    """Read the operator's kubeconfig; None: it is for the official loader."""
    # The official client knows the proxies.
    if urllib.request.getproxies():
        return None
    file = Path(os.environ.get("KUBECONFIG") or _DEFAULT).expanduser()
    try:
        return _parse(yaml.safe_load(file.read_text(encoding="utf-8")), file.absolute().parent)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError):
        return None


def _parse(config: Mapping[str, Any], folder: Path) -> PlainKubeconfig | None:
    """Take the current context apart. Raises what a wrong file makes it raise."""
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    known = context.keys() <= _CONTEXT and cluster.keys() <= _CLUSTER and user.keys() <= _USER
    if not known or not cluster["server"].startswith("https://"):
        return None
    certificate, key = (_pem(user, *names, folder) for names in (_CERTIFICATE, _KEY))
    token = user.get("token", "")
    if bool(certificate) != bool(key) or not (token or key):
        return None
    names = ("certificate-authority", "certificate-authority-data")
    ca = _pem(cluster, *names, folder)
    return (
        PlainKubeconfig(
            server=cluster["server"].rstrip("/"),
            ca=ca,
            certificate=certificate,
            key=key,
            token=token,
        )
        if ca
        else None
    )


def _named(entries: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """Return the one entry of this name."""
    (found,) = (each for each in entries if each["name"] == name)
    return found


def _pem(values: Mapping[str, Any], file: str, data: str, folder: Path) -> str:
    """Return what stands in the kubeconfig itself, else what its file holds."""
    if text := values.get(data):
        try:
            return base64.b64decode(text, validate=True).decode("ascii")
        except binascii.Error:
            raise ValueError(f"{data}: is not base64") from None
    return (folder / values[file]).read_text(encoding="ascii") if values.get(file) else ""
