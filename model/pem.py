"""Certificates and keys in PEM, as the configuration gives them; no message shows one."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes


def check_ca_certificates(value: str) -> str:
    """Check the CA's certificate, or several while a CA is being replaced; canonical PEM.

    Raises:
        ValueError: it holds something else, or what has expired; rule and remedy, value unshown.
    """
    if "PRIVATE KEY" in value:
        # This text goes to the hosts in the open.
        raise ValueError("!holds a private key; give ca.crt alone")
    try:
        certificates = x509.load_pem_x509_certificates(value.encode())
    except ValueError:
        raise ValueError("!is not a PEM certificate; give the content of ca.crt") from None
    for certificate in certificates:
        if not _is_ca(certificate):
            raise ValueError("!is not a CA's certificate; give the cluster's ca.crt")
        if certificate.not_valid_after_utc < datetime.now(UTC):
            day = certificate.not_valid_after_utc.date()
            raise ValueError(f"!expired on {day}; give the cluster's present ca.crt")
    return "".join(map(_to_pem, certificates))


def signing_certificate(certificates: str) -> str:
    """Give the first of the CA's certificates, PEM: the one whose key signs."""
    return _to_pem(x509.load_pem_x509_certificate(certificates.encode()))


def _to_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return basic.value.ca


def read_private_key(text: str) -> PrivateKeyTypes:
    """Read a private key, in PEM or as ssh-keygen writes it.

    Raises:
        ValueError: it is none that can be used without a passphrase; rule and remedy.
    """
    load = serialization.load_ssh_private_key if "OPENSSH" in text else _load_pem
    try:
        return load(text.encode(), None)
    except TypeError:
        raise ValueError("has a passphrase; give a key without one, or use an agent") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is not a private key; give the whole file, BEGIN to END") from None


def _load_pem(data: bytes, password: bytes | None) -> PrivateKeyTypes:
    return serialization.load_pem_private_key(data, password)


def is_key_of(key: PrivateKeyTypes, certificates: str) -> bool:
    """Whether the key is that of the first certificate: the one that signs."""
    certificate = x509.load_pem_x509_certificate(certificates.encode())
    return _public(key.public_key()) == _public(certificate.public_key())


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
