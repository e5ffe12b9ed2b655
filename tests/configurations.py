"""Configurations for tests: a right one, the wrong ones of unit/data, keys and certificates.

Keys and certificates are made anew in each run: none is worth anything, and none expires.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID

_FILE = Path(__file__).parent / "unit" / "data" / "wrong_configurations.yaml"
_PLAIN = serialization.NoEncryption()


@dataclass(frozen=True, kw_only=True)
class WrongConfiguration:
    """A configuration, and the lines that it is answered with."""

    title: str
    values: dict[str, Any]
    secrets: dict[str, str]
    errors: list[str]
    plain: dict[str, str]
    """Secret keys that are stored in the open."""
    sealed: list[str]
    """Open keys that are stored as secrets."""


def right_configuration(**changes: Any) -> dict[str, Any]:
    """Make a configuration without a fault, with changes merged into it."""
    base = copy.deepcopy(_document()["base"])
    return merge(_filled(base), changes)


def wrong_configurations() -> list[WrongConfiguration]:
    """Read the wrong configurations."""
    return [_wrong(case) for case in _document()["cases"]]


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; anything but a mapping is replaced, also by None."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        result[key] = merge(below or {}, value) if both else value
    return result


def _wrong(case: Mapping[str, Any]) -> WrongConfiguration:
    values = merge(right_configuration(), _filled(case.get("with", {})))
    values |= _filled(case.get("replace", {}))
    for key in case.get("without", []):
        del values[key]
    secrets = _filled(case.get("secrets", {}))
    return WrongConfiguration(
        title=case["title"],
        values=values,
        secrets=secrets,
        errors=case.get("errors", []),
        plain=_filled(case.get("plain", {})),
        sealed=case.get("sealed", []),
    )


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(_FILE.read_text())
    return document


def _filled(value: Any) -> Any:
    """Replace $names by what they stand for."""
    if isinstance(value, Mapping):
        return {key: _filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner) for inner in value]
    if isinstance(value, str) and value[1:] in materials() and value.startswith("$"):
        return materials()[value[1:]]
    return value


@cache
def materials() -> dict[str, Any]:
    """Make what $names in the data stand for."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = certificate(ca_key, ca_key)
    nodes = _document()["base"]["pools"]["workers"]["nodes"]
    host_key = ed25519.Ed25519PrivateKey.generate()
    public = _ssh_line(host_key)
    return {
        "ca": ca,
        "ca_key": private_pem(ca_key),
        "leaf": certificate(ca_key, key, is_ca=False),
        "expired": certificate(ca_key, ca_key, ends=datetime(2025, 3, 1, tzinfo=UTC)),
        "ca_and_key": ca + private_pem(ca_key),
        "key": private_pem(key),
        "ssh_key": _ssh_private(host_key),
        "encrypted_key": private_pem(key, serialization.BestAvailableEncryption(b"x")),
        "public_key": public,
        "host_key": public,
        "n1_host_key": f"{nodes['n1']['hostKey']} root@n1",
        "known_hosts_line": f"n1 {nodes['n1']['hostKey']}",
        "n3": {"address": "192.0.2.23", "hostKey": public},
        "binaries": {
            "kubelet": {"url": "https://files.example/kubelet", "sha256": "a" * 64},
            "kubeProxy": {"url": "https://files.example/kube-proxy", "sha256": "b" * 64},
        },
        # What is longer than anybody would write, or read.
        "long": "a" * 300,
        "long_path": "/a" * 2001,
        "long_name": f"/{'a' * 241}",
        "long_socket": f"unix://{'/run' * 27}",
        "long_url": f"https://files.example/{'a' * 2000}",
        "long_line": "a" * 2049,
        "long_text": "a" * 4097,
        "long_version": f"1.{'9' * 5000}.0",
        "sha256": "a" * 64,
        "other_sha256": "b" * 64,
        "sha512": "c" * 128,
        "SHA256": "B" * 64,
    }


def certificate(
    issuer: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    *,
    is_ca: bool = True,
    ends: datetime | None = None,
) -> str:
    """Make a certificate in PEM; a CA's by default."""
    ends = ends or datetime.now(UTC) + timedelta(days=365)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(ends, datetime.now(UTC)) - timedelta(days=1))
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    signed = builder.sign(issuer, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def private_pem(
    key: PrivateKeyTypes, encryption: serialization.KeySerializationEncryption = _PLAIN
) -> str:
    """Write a private key as PKCS #8 in PEM."""
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, encryption).decode()


def _ssh_private(key: ed25519.Ed25519PrivateKey) -> str:
    pem, openssh = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
    return key.private_bytes(pem, openssh, _PLAIN).decode()


def _ssh_line(key: ed25519.Ed25519PrivateKey) -> str:
    openssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(*openssh).decode()
