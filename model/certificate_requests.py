"""Which certificate requests of kubelets are approved: pure rules against the declared nodes.

The rules are kube-controller-manager's own (pkg/controller/certificates/approver and
pkg/apis/certificates/helpers.go in kubernetes/kubernetes), and what it leaves to others: that the
requester, the name and each address belong to one declared node. Go's parser, which signs later,
and the parser used here differ in corners (several extension requests, unusual subject fields):
whatever a kubelet does not send is refused, so that both must read the same certificate.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from kube_nodes.model.requests import TOKEN_GROUP, DeclaredNode
from kube_nodes.model.subject_names import read_names

CLIENT_SIGNER: Final = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER: Final = "kubernetes.io/kubelet-serving"
USER_SIGNER: Final = "kubernetes.io/kube-apiserver-client"
NODES_GROUP: Final = "system:nodes"
NODE_PREFIX: Final = "system:node:"
# The API server binds this user to the role system:node-proxier by itself.
KUBE_PROXY_USER = "system:kube-proxy"

# A kubelet's request is about 500 bytes; the bound only keeps the parser from large input.
_MAX_PEM_BYTES: Final = 16384
_MIN_RSA_BITS: Final = 2048
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
# pkcs-9-at-extensionRequest (RFC 2985): how a request asks for extensions.
_EXTENSION_REQUEST: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.14")
_PEM_BEGIN: Final = b"-----BEGIN CERTIFICATE REQUEST-----"
_PEM_END: Final = b"-----END CERTIFICATE REQUEST-----"


@dataclass(frozen=True, kw_only=True)
class CertificateRequest:
    """A CertificateSigningRequest, as far as the rules look at it."""

    name: str
    uid: str
    signer_name: str
    username: str
    groups: frozenset[str]
    usages: frozenset[str]
    pem: bytes


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the rules say of one request: approve it for `node`, or leave it for `text`."""

    approve: bool
    reason: str
    """One word: the rule that refused, or `client`, `serving` where approved."""
    text: str
    node: DeclaredNode | None = None
    """The declared node that the request is about, if it names one."""


class _RefusedError(Exception):
    """Internal: the first rule that a request breaks."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def read_certificate_request(manifest: Mapping[str, Any]) -> CertificateRequest:
    """Take from an API object what the rules need. What is not valid base64 is an empty PEM."""
    spec = manifest["spec"]
    try:
        pem = base64.b64decode(spec.get("request") or "", validate=True)
    except (binascii.Error, ValueError):
        pem = b""
    return CertificateRequest(
        name=manifest["metadata"]["name"],
        uid=manifest["metadata"]["uid"],
        signer_name=spec.get("signerName", ""),
        username=spec.get("username", ""),
        groups=frozenset(spec.get("groups") or ()),
        usages=frozenset(spec.get("usages") or ()),
        pem=pem,
    )


def is_pending(manifest: Mapping[str, Any]) -> bool:
    """Tell whether nobody has approved, denied or failed the request, nor issued it."""
    status = manifest.get("status") or {}
    return not status.get("conditions") and not status.get("certificate")


def index_by_name(nodes: Iterable[DeclaredNode]) -> dict[str, DeclaredNode]:
    """Index declared nodes by the name of their Node object, as `judge` wants them."""
    return {node.name: node for node in nodes}


def judge(request: CertificateRequest, nodes: Mapping[str, DeclaredNode]) -> Verdict:
    """Say whether a kubelet's request is approved, or name the first rule that it breaks.

    Args:
        request: the request as the API server holds it.
        nodes: declared nodes by Node name (index_by_name).
    """
    try:
        parsed, node = _identify(request, nodes)
    except _RefusedError as refused:
        return Verdict(approve=False, reason=refused.reason, text=str(refused))
    is_client = request.signer_name == CLIENT_SIGNER
    try:
        (_check_client if is_client else _check_serving)(request, parsed, node)
    except _RefusedError as refused:
        return Verdict(approve=False, reason=refused.reason, text=str(refused), node=node)
    kind = "client" if is_client else "serving"
    return Verdict(approve=True, reason=kind, text=f"declared node {node.id}", node=node)


def judge_user(pem: bytes, user: str, names: Sequence[str] = ()) -> Verdict:
    """Say whether a request holds this user's name, these names and nothing else.

    That is what `sign` approves. An organization is a group: one that was not declared would give
    the user its rights.

    Args:
        pem: the request.
        user: its common name.
        names: the rest of its subject, as `O=k8s`, in any order.
    """
    try:
        _check_user(_parse(pem), user, names)
    except _RefusedError as refused:
        return Verdict(approve=False, reason=refused.reason, text=str(refused))
    return Verdict(approve=True, reason="client", text=f"user {user}")


def _identify(
    request: CertificateRequest, nodes: Mapping[str, DeclaredNode]
) -> tuple[x509.CertificateSigningRequest, DeclaredNode]:
    """Parse the request of a kubelet, and find the declared node it names."""
    if request.signer_name not in (CLIENT_SIGNER, SERVING_SIGNER):
        raise _RefusedError("signer", f"{request.signer_name} is no signer of kubelets")
    parsed = _parse(request.pem)
    name = _check_subject(parsed)
    if name not in nodes:
        raise _RefusedError("node", f"{name!r} is not a declared node")
    return parsed, nodes[name]


def _check_user(parsed: x509.CertificateSigningRequest, user: str, names: Sequence[str]) -> None:
    wanted = (f"CN={user}", *names)
    try:
        found = read_names(parsed.subject)
    except ValueError:
        raise _RefusedError("subject", "its subject cannot be read") from None
    if found != sorted(wanted):
        raise _RefusedError("subject", f"its subject is not exactly {', '.join(wanted)}")
    _check_extensions(parsed, san_allowed=False)


def _check_client(
    request: CertificateRequest, parsed: x509.CertificateSigningRequest, node: DeclaredNode
) -> None:
    _check_usages(request, "client auth")
    _check_extensions(parsed, san_allowed=False)
    if request.username == node.user:
        raise _RefusedError(
            "renewal",
            "is a renewal by the node itself, which kube-controller-manager approves"
            " (ClusterRole selfnodeclient)",
        )
    if node.requester is None or request.username != node.requester:
        raise _RefusedError(
            "requester", f"{request.username!r} may not ask for {node.user}: not its token"
        )
    wanted = {"system:bootstrappers", TOKEN_GROUP} if node.bootstrap_user is None else set()
    if missing := wanted - request.groups:
        raise _RefusedError("groups", f"the requester is not in {', '.join(sorted(missing))}")


def _check_serving(
    request: CertificateRequest, parsed: x509.CertificateSigningRequest, node: DeclaredNode
) -> None:
    _check_usages(request, "server auth")
    _check_extensions(parsed, san_allowed=True)
    if request.username != node.user:
        raise _RefusedError("requester", f"{request.username!r} is not {node.user}")
    if NODES_GROUP not in request.groups:
        raise _RefusedError("groups", f"the requester is not in {NODES_GROUP}")
    _check_names(parsed, node)


def _parse(pem: bytes) -> x509.CertificateSigningRequest:
    """Parse exactly one PEM block, and check its signature and the strength of its key."""
    text = pem.strip()
    if len(pem) > _MAX_PEM_BYTES:
        raise _RefusedError("size", f"is {len(pem)} bytes; at most {_MAX_PEM_BYTES} are read")
    if not (text.startswith(_PEM_BEGIN) and text.endswith(_PEM_END)) or text.count(b"-----") != 4:
        raise _RefusedError("pem", "is not one PEM block CERTIFICATE REQUEST and nothing else")
    try:
        parsed = x509.load_pem_x509_csr(text)
        _check_key(parsed)
        _check_signature(parsed)
    except _RefusedError:
        raise
    except Exception:
        # The parser has several kinds of errors, and the input is a stranger's.
        raise _RefusedError("parse", "cannot be parsed as a PKCS#10 request") from None
    return parsed


def _check_key(parsed: x509.CertificateSigningRequest) -> None:
    key = parsed.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _MIN_RSA_BITS:
            raise _RefusedError("key", f"RSA key of {key.key_size} bits; {_MIN_RSA_BITS} or more")
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise _RefusedError("key", "its key is neither RSA nor ECDSA")
    elif not isinstance(key.curve, _CURVES):
        raise _RefusedError("key", f"curve {key.curve.name}; P-256, P-384 or P-521")


def _check_signature(parsed: x509.CertificateSigningRequest) -> None:
    if not isinstance(parsed.signature_hash_algorithm, _HASHES):
        raise _RefusedError("hash", "is not signed with SHA-256, SHA-384 or SHA-512")
    try:
        valid = parsed.is_signature_valid
    except InvalidSignature:
        valid = False
    if not valid:
        raise _RefusedError("signature", "is not signed by its own key")


def _check_subject(parsed: x509.CertificateSigningRequest) -> str:
    """Check O and CN, and return the node's name."""
    try:
        fields = [(attribute.oid, attribute.value) for attribute in parsed.subject]
    except ValueError:
        raise _RefusedError("subject", "its subject cannot be read") from None
    names = [value for oid, value in fields if oid == NameOID.COMMON_NAME]
    organizations = [value for oid, value in fields if oid == NameOID.ORGANIZATION_NAME]
    if organizations != [NODES_GROUP]:
        raise _RefusedError("organization", f"its organization is not exactly {NODES_GROUP}")
    if len(names) != 1 or not isinstance(names[0], str) or not names[0].startswith(NODE_PREFIX):
        raise _RefusedError("name", f"its common name is not {NODE_PREFIX}NAME")
    if len(fields) != 2:
        raise _RefusedError("subject", "its subject holds more than organization and name")
    return names[0].removeprefix(NODE_PREFIX)


def _check_usages(request: CertificateRequest, purpose: str) -> None:
    # Key encipherment serves RSA keys; kubelets before 1.27 ask for it with every key.
    wanted = {"digital signature", purpose}
    if request.usages - {"key encipherment"} != wanted:
        given = ", ".join(sorted(request.usages)) or "none"
        raise _RefusedError("usages", f"usages are {given}; expected {', '.join(sorted(wanted))}")


def _check_extensions(parsed: x509.CertificateSigningRequest, *, san_allowed: bool) -> None:
    """Refuse every attribute but one extension request, and in it all but the names."""
    try:
        attributes = [attribute.oid for attribute in parsed.attributes]
        extensions = [extension.oid for extension in parsed.extensions]
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise _RefusedError("extensions", "its attributes or extensions cannot be read") from None
    if [oid for oid in attributes if oid != _EXTENSION_REQUEST] or len(attributes) > 1:
        raise _RefusedError("attributes", "holds attributes other than one extension request")
    names = x509.SubjectAlternativeName.oid
    if others := [oid.dotted_string for oid in extensions if oid != names]:
        raise _RefusedError("extensions", f"asks for extensions {', '.join(others)}")
    if names in extensions and not san_allowed:
        raise _RefusedError("names", "a client certificate has no alternative names")
    if attributes and not extensions:
        raise _RefusedError("attributes", "holds an empty extension request")


def _check_names(parsed: x509.CertificateSigningRequest, node: DeclaredNode) -> None:
    """Hold each alternative name against the node's declared addresses and names."""
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise _RefusedError("names", "a serving certificate needs a DNS name or address") from None
    addresses = {ipaddress.ip_address(address) for address in node.addresses}
    dns_names = {name.lower() for name in (node.name, *node.dns_names)}
    rules: dict[type, Callable[[Any], bool]] = {
        x509.DNSName: lambda value: value.lower() in dns_names,
        x509.IPAddress: lambda value: value in addresses,
    }
    if not list(names):
        raise _RefusedError("names", "a serving certificate needs a DNS name or address")
    for name in names:
        rule = rules.get(type(name))
        if rule is None:
            raise _RefusedError("names", "alternative names are DNS names and addresses only")
        if not rule(name.value):
            raise _RefusedError("names", f"{name.value} is not declared for node {node.id}")
