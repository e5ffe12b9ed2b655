"""Certificate requests for the tests of the approval rules: an honest one, and ways to spoil it."""

from __future__ import annotations

import base64
import functools
import ipaddress
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import AttributeOID, NameOID

from kube_nodes.model.certificate_requests import (
    CLIENT_SIGNER,
    SERVING_SIGNER,
    CertificateRequest,
)
from kube_nodes.model.requests import TOKEN_GROUP, DeclaredNode

NODE = DeclaredNode(
    id="web-1",
    name="n1",
    addresses=("10.0.0.11", "fd00::11"),
    dns_names=("n1.example.org",),
    version="v1.37.2",
    token_id="abc123",
)
OTHER = DeclaredNode(
    id="web-2", name="n2", addresses=("10.0.0.12",), version="v1.37.2", token_id="def456"
)
STATIC = DeclaredNode(
    id="web-3", name="n3", addresses=("10.0.0.13",), bootstrap_user="kubelet-bootstrap"
)
NODES = {node.name: node for node in (NODE, OTHER, STATIC)}

BOOTSTRAP_GROUPS = ("system:bootstrappers", TOKEN_GROUP, "system:authenticated")
NODE_GROUPS = ("system:nodes", "system:authenticated")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a request is made of."""

    signer: str
    username: str
    groups: tuple[str, ...]
    usages: tuple[str, ...]
    key: str = "p256"
    hash: str = "sha256"
    subject: tuple[tuple[x509.ObjectIdentifier, str], ...] = (
        (NameOID.ORGANIZATION_NAME, "system:nodes"),
        (NameOID.COMMON_NAME, "system:node:n1"),
    )
    names: tuple[x509.GeneralName, ...] = ()
    extensions: tuple[x509.ExtensionType, ...] = ()
    password: bool = False
    """A challenge password among the attributes."""
    attributes: tuple[bytes, ...] = ()
    """DER of attributes, in place of the builder's."""
    wrap: tuple[bytes, bytes] = (b"", b"")
    """Text before and after the PEM block."""
    body: bytes = b""
    """Text at the begin of the PEM block's body."""
    label: bytes = b"CERTIFICATE REQUEST"
    spoil: str = ""
    """What is broken after signing: signature, truncated, or foreign-key."""


CLIENT = Recipe(
    signer=CLIENT_SIGNER,
    username="system:bootstrap:abc123",
    groups=BOOTSTRAP_GROUPS,
    usages=("digital signature", "client auth"),
)
SERVING = Recipe(
    signer=SERVING_SIGNER,
    username="system:node:n1",
    groups=NODE_GROUPS,
    usages=("digital signature", "server auth"),
    names=(x509.DNSName("n1"), x509.IPAddress(ipaddress.ip_address("10.0.0.11"))),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A hostile request: a base that is approved, with one fault that `reason` refuses."""

    title: str
    base: Recipe
    reason: str
    fault: dict[str, Any] = field(repr=False)

    @property
    def hostile(self) -> Recipe:
        """The base with the fault."""
        return replace(self.base, **self.fault)


@functools.cache
def make_key(kind: str) -> Any:
    """Generate a key of this kind, once."""
    match kind:
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "dsa":
            return dsa.generate_private_key(2048)
        case "k256":
            return ec.generate_private_key(ec.SECP256K1())
        case "p224":
            return ec.generate_private_key(ec.SECP224R1())
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}[kind])


def make_request(recipe: Recipe) -> CertificateRequest:
    """Make the request as the API server would hold it."""
    return CertificateRequest(
        name="csr-1",
        uid="uid-1",
        signer_name=recipe.signer,
        username=recipe.username,
        groups=frozenset(recipe.groups),
        usages=frozenset(recipe.usages),
        pem=make_pem(recipe),
    )


@functools.cache
def make_pem(recipe: Recipe) -> bytes:
    """Make the PKCS#10 request in PEM, with the recipe's faults."""
    key = make_key(recipe.key)
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(oid, value) for oid, value in recipe.subject])
    )
    if recipe.names:
        names = x509.SubjectAlternativeName(recipe.names)
        builder = builder.add_extension(names, critical=False)
    for extension in recipe.extensions:
        builder = builder.add_extension(extension, critical=False)
    if recipe.password:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"let me in")
    algorithm = None if recipe.key == "ed25519" else _hash(recipe.hash)
    der = builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)
    if recipe.attributes:
        der = _with_attributes(der, recipe.attributes, key)
    return _wrapped(_spoiled(der, recipe), recipe)


def extension_request(*extensions: x509.ExtensionType) -> bytes:
    """DER of an attribute that asks for extensions."""
    items = b"".join(der(0x30, _oid(e.oid) + der(0x04, e.public_bytes())) for e in extensions)
    return der(0x30, EXTENSION_REQUEST + der(0x31, der(0x30, items)))


def der(tag: int, content: bytes) -> bytes:
    """Encode one DER value."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


EXTENSION_REQUEST = der(0x06, bytes.fromhex("2a864886f70d01090e"))


def _oid(oid: x509.ObjectIdentifier) -> bytes:
    # Only id-ce (2.5.29.n) is needed here.
    return der(0x06, bytes([0x55, 0x1D, int(oid.dotted_string.rpartition(".")[2])]))


def _hash(name: str) -> hashes.SHA224 | hashes.SHA256 | hashes.SHA384:
    match name:
        case "sha224":
            return hashes.SHA224()
        case "sha384":
            return hashes.SHA384()
    return hashes.SHA256()


def _with_attributes(request: bytes, attributes: tuple[bytes, ...], key: Any) -> bytes:
    """Replace a request's attributes, and sign it again."""
    parsed = x509.load_der_x509_csr(request)
    public = parsed.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    info = der(
        0x30,
        der(0x02, b"\0")
        + parsed.subject.public_bytes()
        + public
        + der(0xA0, b"".join(sorted(attributes))),
    )
    algorithm = der(0x30, der(0x06, bytes.fromhex("2a8648ce3d040302")))
    signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
    return der(0x30, info + algorithm + der(0x03, b"\0" + signature))


def _spoiled(request: bytes, recipe: Recipe) -> bytes:
    if recipe.spoil == "signature":
        return request[:-4] + bytes([request[-4] ^ 1]) + request[-3:]
    if recipe.spoil == "truncated":
        return request[:-4]
    if recipe.spoil == "foreign-key":
        ours = _raw_public(make_key("p256"))
        return request.replace(ours, _raw_public(ec.derive_private_key(7, ec.SECP256R1())))
    return request


def _raw_public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def _wrapped(request: bytes, recipe: Recipe) -> bytes:
    body = base64.encodebytes(request)
    before, after = recipe.wrap
    label = recipe.label
    block = b"-----BEGIN %s-----\n%s%s-----END %s-----\n"
    return before + block % (label, recipe.body, body, label) + after
