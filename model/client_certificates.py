"""Hold a client certificate against what it has to be: pure rules, each fault in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from kube_nodes.model.subject_names import read_names


def find_certificate_faults(
    certificate: str, *, request: str, names: Sequence[str], ca_certificates: str | None = None
) -> Iterator[str]:
    """Say what is wrong with an issued client certificate.

    When it ends is not asked here: that is the API server's clock to say, and the run's to warn of.

    Args:
        certificate: PEM; what follows the first one are intermediate CAs.
        request: the certificate request that it was issued for, PEM.
        names: its whole subject, as `CN=…`, `O=…`, in any order.
        ca_certificates: the CA's certificate, or several while it is replaced, PEM; or not asked.
    """
    leaf, *others = x509.load_pem_x509_certificates(certificate.encode())
    asked = x509.load_pem_x509_csr(request.encode())
    if _encoded(leaf.public_key()) != _encoded(asked.public_key()):
        yield "is for another key"
    if (found := read_names(leaf.subject)) != sorted(names):
        yield f"names {', '.join(found)}, not {', '.join(sorted(names))}"
    if not _is_for_clients(leaf):
        yield "is not for client authentication"
    if ca_certificates is not None:
        authorities = x509.load_pem_x509_certificates(ca_certificates.encode())
        if not _chains(leaf, others, authorities):
            yield f"is issued by {leaf.issuer.rfc4514_string() or 'nobody'}, not by caCertificate"


def _encoded(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _is_for_clients(leaf: x509.Certificate) -> bool:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage


def _chains(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
) -> bool:
    """Tell whether a CA has signed the certificate, or the intermediate CA that has."""
    if any(_signed(leaf, by=authority) for authority in authorities):
        return True
    rest = [(other, [each for each in others if each is not other]) for other in others]
    return any(
        _signed(leaf, by=other) and _chains(other, left, authorities) for other, left in rest
    )


def _signed(certificate: x509.Certificate, *, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
