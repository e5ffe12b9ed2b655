"""Certificate requests and certificates for tests, right or with one thing changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = serialization.Encoding.PEM
KUBE_PROXY = x509.NameAttribute(NameOID.COMMON_NAME, "system:kube-proxy")


def make_key() -> ec.EllipticCurvePrivateKey:
    """Make a key."""
    return ec.generate_private_key(ec.SECP256R1())


def make_request(
    *names: x509.NameAttribute[str], key: ec.EllipticCurvePrivateKey | None = None
) -> str:
    """Make a request for these names; without a key, of one that nobody keeps."""
    builder = x509.CertificateSigningRequestBuilder(x509.Name(names or (KUBE_PROXY,)))
    return builder.sign(key or make_key(), hashes.SHA256()).public_bytes(_PEM).decode()


def issue(
    request: str,
    ca: str,
    ca_key: str,
    *,
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
    ends: timedelta = timedelta(days=365),
    is_ca: bool = False,
) -> str:
    """Sign a request with the CA's key, for clients by default; `ends` is from now on."""
    asked = x509.load_pem_x509_csr(request.encode())
    key: Any = serialization.load_pem_private_key(ca_key.encode(), None)
    end = datetime.now(UTC) + ends
    builder = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(x509.load_pem_x509_certificate(ca.encode()).subject)
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(end, datetime.now(UTC)) - timedelta(days=1))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(_PEM).decode()
