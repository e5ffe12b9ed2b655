"""The certificates of a lab: a CA for the cluster, one for etcd, and what they sign.

Made once per lab and kept; a certificate that is there is never made again, so that a lab that
is brought up anew still knows its clients.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.files import write_atomically

_LIFETIME = datetime.timedelta(days=365)
_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its files are `<name>.crt` and `<name>.key` of one folder."""

    folder: Path
    name: str

    @property
    def certificate_file(self) -> Path:
        return self.folder / f"{self.name}.crt"

    @property
    def key_file(self) -> Path:
        return self.folder / f"{self.name}.key"

    def ensure(self) -> None:
        """Make the authority unless its files are there."""
        if self.certificate_file.exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(f"kube-nodes-lab-{self.name}")
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder(subject, subject, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        _write_pair(self.folder, self.name, certificate, key)

    def ensure_certificate(
        self,
        name: str,
        common_name: str,
        *,
        organization: str = "",
        addresses: Sequence[str] = (),
        dns_names: Sequence[str] = (),
    ) -> None:
        """Make `<name>.crt` and `<name>.key`, for a client and, with names, for a server too."""
        if (self.folder / f"{name}.crt").exists():
            return
        issuer = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        issuer_key = serialization.load_pem_private_key(self.key_file.read_bytes(), None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)  # noqa: S101 - made by ensure()
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        names = [
            *(x509.DNSName(value) for value in dns_names),
            *(x509.IPAddress(ipaddress.ip_address(value)) for value in addresses),
        ]
        builder = _builder(_name(common_name, organization), issuer.subject, key)
        if names:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
                critical=False,
            )
            .sign(issuer_key, hashes.SHA256())
        )
        _write_pair(self.folder, name, certificate, key)


def ensure_signing_key(path: Path) -> None:
    """Make the key that signs service account tokens, and `<path>.pub` to check them with."""
    if path.exists():
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_atomically(path.with_name(f"{path.name}.pub"), public)
    write_atomically(path, _private_pem(key))


def _name(common_name: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _builder(subject: x509.Name, issuer: x509.Name, key: _Key) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )


def _private_pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_pair(folder: Path, name: str, certificate: x509.Certificate, key: _Key) -> None:
    # The key first: a certificate that exists promises that its key does.
    write_atomically(folder / f"{name}.key", _private_pem(key))
    write_atomically(
        folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM), mode=0o644
    )
