"""Read one PKCS#10 request so that every parser reads the same in it, or refuse it.

Go's parser, which signs later, and the parser used here differ in corners (several extension
requests, what stands around a PEM block): whatever a kubelet does not send is refused, so that both
must read the same certificate.
"""

from __future__ import annotations

import base64
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

# A kubelet's request is about 500 bytes; the bound only keeps the parser from large input.
_MAX_PEM_BYTES: Final = 16384
_MIN_RSA_BITS: Final = 2048
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
# pkcs-9-at-extensionRequest (RFC 2985): how a request asks for extensions.
_EXTENSION_REQUEST: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.14")
_PEM_BEGIN: Final = b"-----BEGIN CERTIFICATE REQUEST-----"
_PEM_END: Final = b"-----END CERTIFICATE REQUEST-----"


class RefusedError(Exception):
    """The first rule that a request breaks: one word, and what is said of it."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def parse(pem: bytes) -> x509.CertificateSigningRequest:
    """Parse exactly one PEM block, and check its signature and the strength of its key."""
    text = pem.strip()
    if len(pem) > _MAX_PEM_BYTES:
        raise RefusedError("size", f"is {len(pem)} bytes; at most {_MAX_PEM_BYTES} are read")
    if not (text.startswith(_PEM_BEGIN) and text.endswith(_PEM_END)) or text.count(b"-----") != 4:
        raise RefusedError("pem", "is not one PEM block CERTIFICATE REQUEST and nothing else")
    try:
        parsed = x509.load_pem_x509_csr(text)
        _check_block(text, parsed)
        _check_key(parsed)
        _check_signature(parsed)
    except RefusedError:
        raise
    except Exception:
        # The parser has several kinds of errors, and the input is a stranger's.
        raise RefusedError("parse", "cannot be parsed as a PKCS#10 request") from None
    return parsed


def _check_block(text: bytes, parsed: x509.CertificateSigningRequest) -> None:
    """Refuse headers in the block, and any other spelling of its bytes."""
    body = b"".join(text.removeprefix(_PEM_BEGIN).removesuffix(_PEM_END).split())
    if body != base64.b64encode(parsed.public_bytes(serialization.Encoding.DER)):
        raise RefusedError("pem", "its PEM block holds more than the request itself")


def _check_key(parsed: x509.CertificateSigningRequest) -> None:
    key = parsed.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _MIN_RSA_BITS:
            raise RefusedError("key", f"RSA key of {key.key_size} bits; {_MIN_RSA_BITS} or more")
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise RefusedError("key", "its key is neither RSA nor ECDSA")
    elif not isinstance(key.curve, _CURVES):
        raise RefusedError("key", f"curve {key.curve.name}; P-256, P-384 or P-521")


def _check_signature(parsed: x509.CertificateSigningRequest) -> None:
    if not isinstance(parsed.signature_hash_algorithm, _HASHES):
        raise RefusedError("hash", "is not signed with SHA-256, SHA-384 or SHA-512")
    try:
        valid = parsed.is_signature_valid
    except InvalidSignature:
        valid = False
    if not valid:
        raise RefusedError("signature", "is not signed by its own key")


def check_extensions(parsed: x509.CertificateSigningRequest, *, san_allowed: bool) -> None:
    """Refuse every attribute but one extension request, and in it all but the names."""
    try:
        attributes = [attribute.oid for attribute in parsed.attributes]
        extensions = [extension.oid for extension in parsed.extensions]
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise RefusedError("extensions", "its attributes or extensions cannot be read") from None
    if [oid for oid in attributes if oid != _EXTENSION_REQUEST] or len(attributes) > 1:
        raise RefusedError("attributes", "holds attributes other than one extension request")
    names = x509.SubjectAlternativeName.oid
    if others := [oid.dotted_string for oid in extensions if oid != names]:
        raise RefusedError("extensions", f"asks for extensions {', '.join(others)}")
    if names in extensions and not san_allowed:
        raise RefusedError("names", "a client certificate has no alternative names")
    if attributes and not extensions:
        raise RefusedError("attributes", "holds an empty extension request")
