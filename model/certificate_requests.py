"""Which certificate requests of kubelets are approved: pure rules against the declared nodes.

The rules are kube-controller-manager's own (pkg/controller/certificates/approver and
pkg/apis/certificates/helpers.go in kubernetes/kubernetes), and what it leaves to others: that the
requester, the name and each address belong to one declared node, and that the name is not taken.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from kube_nodes.model.pkcs10 import RefusedError, check_extensions, parse
from kube_nodes.model.requests import TOKEN_GROUP, DeclaredNode
from kube_nodes.model.subject_names import read_names

CLIENT_SIGNER: Final = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER: Final = "kubernetes.io/kubelet-serving"
USER_SIGNER: Final = "kubernetes.io/kube-apiserver-client"
NODES_GROUP: Final = "system:nodes"
NODE_PREFIX: Final = "system:node:"
# The API server binds this user to the role system:node-proxier by itself.
KUBE_PROXY_USER = "system:kube-proxy"


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
class Standing:
    """What the cluster holds already under a declared node's name, when a request is judged."""

    member: bool = False
    """Its Node has joined as the declared generation."""
    ready: bool = False
    """A kubelet reports its Node Ready."""
    approved: tuple[CertificateRequest, ...] = ()
    """First requests that were approved moments ago; the node may not have registered yet."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the rules say of one request: approve it for `node`, or leave it for `text`."""

    approve: bool
    reason: str
    """One word: the rule that refused, or `client`, `serving` where approved."""
    text: str
    node: DeclaredNode | None = None
    """The declared node that the request is about, if it names one."""


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


def find_node(
    request: CertificateRequest, nodes: Mapping[str, DeclaredNode]
) -> DeclaredNode | None:
    """Find the declared node that a request names; None if it can't be read, or names none."""
    try:
        return _identify(request, nodes)[1]
    except RefusedError:
        return None


def judge(
    request: CertificateRequest,
    nodes: Mapping[str, DeclaredNode],
    standings: Mapping[str, Standing],
) -> Verdict:
    """Say whether a kubelet's request is approved, or name the first rule that it breaks.

    Args:
        request: the request as the API server holds it.
        nodes: declared nodes by Node name (index_by_name).
        standings: by Node name, of the node that find_node finds, if its own requester asks.
    """
    try:
        parsed, node = _identify(request, nodes)
    except RefusedError as refused:
        return Verdict(approve=False, reason=refused.reason, text=str(refused))
    is_client = request.signer_name == CLIENT_SIGNER
    try:
        if is_client:
            _check_client(request, parsed, node)
            _check_standing(parsed, node, standings[node.name])
        else:
            _check_serving(request, parsed, node)
    except RefusedError as refused:
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
        _check_user(parse(pem), user, names)
    except RefusedError as refused:
        return Verdict(approve=False, reason=refused.reason, text=str(refused))
    return Verdict(approve=True, reason="client", text=f"user {user}")


def _identify(
    request: CertificateRequest, nodes: Mapping[str, DeclaredNode]
) -> tuple[x509.CertificateSigningRequest, DeclaredNode]:
    """Parse the request of a kubelet, and find the declared node it names."""
    if request.signer_name not in (CLIENT_SIGNER, SERVING_SIGNER):
        raise RefusedError("signer", f"{request.signer_name} is no signer of kubelets")
    parsed = parse(request.pem)
    name = _check_subject(parsed)
    if name not in nodes:
        raise RefusedError("node", f"{name!r} is not a declared node")
    return parsed, nodes[name]


def _check_user(parsed: x509.CertificateSigningRequest, user: str, names: Sequence[str]) -> None:
    wanted = (f"CN={user}", *names)
    try:
        found = read_names(parsed.subject)
    except ValueError:
        raise RefusedError("subject", "its subject cannot be read") from None
    if found != sorted(wanted):
        raise RefusedError("subject", f"its subject is not exactly {', '.join(wanted)}")
    check_extensions(parsed, san_allowed=False)


def _check_client(
    request: CertificateRequest, parsed: x509.CertificateSigningRequest, node: DeclaredNode
) -> None:
    _check_usages(request, "client auth")
    check_extensions(parsed, san_allowed=False)
    if request.username == node.user:
        raise RefusedError(
            "renewal",
            "is a renewal by the node itself, which kube-controller-manager approves"
            " (ClusterRole selfnodeclient)",
        )
    if node.requester is None or request.username != node.requester:
        raise RefusedError(
            "requester", f"{request.username!r} may not ask for {node.user}: not its token"
        )
    wanted = {"system:bootstrappers", TOKEN_GROUP} if node.bootstrap_user is None else set()
    if missing := wanted - request.groups:
        raise RefusedError("groups", f"the requester is not in {', '.join(sorted(missing))}")


def _check_standing(
    parsed: x509.CertificateSigningRequest, node: DeclaredNode, standing: Standing
) -> None:
    """Refuse a name that is taken: a token lets one kubelet in, once.

    Its holder could else take the name of a node that runs, and get its pods' secrets.
    """
    if standing.member:
        raise RefusedError(
            "member",
            f"{node.id} is a member, and a member renews with its own certificate;"
            " to let its host join anew, raise its generation",
        )
    if standing.ready:
        raise RefusedError("ready", f"a Node {node.name} is Ready already")
    for other in standing.approved:
        if _claims(other, node, parsed):
            raise RefusedError(
                "rival",
                f"{other.name} was approved for {node.id} moments ago, with another key:"
                " either its kubelet was started again, or two machines hold its token",
            )


def _claims(
    other: CertificateRequest, node: DeclaredNode, parsed: x509.CertificateSigningRequest
) -> bool:
    """Tell whether another request is for the same node, with another key."""
    try:
        rival = parse(other.pem)
        return _check_subject(rival) == node.name and rival.public_key() != parsed.public_key()
    except RefusedError:
        return False


def _check_serving(
    request: CertificateRequest, parsed: x509.CertificateSigningRequest, node: DeclaredNode
) -> None:
    _check_usages(request, "server auth")
    check_extensions(parsed, san_allowed=True)
    if request.username != node.user:
        raise RefusedError("requester", f"{request.username!r} is not {node.user}")
    if NODES_GROUP not in request.groups:
        raise RefusedError("groups", f"the requester is not in {NODES_GROUP}")
    _check_names(parsed, node)


def _check_subject(parsed: x509.CertificateSigningRequest) -> str:
    """Check O and CN, and return the node's name."""
    try:
        fields = [(attribute.oid, attribute.value) for attribute in parsed.subject]
    except ValueError:
        raise RefusedError("subject", "its subject cannot be read") from None
    names = [value for oid, value in fields if oid == NameOID.COMMON_NAME]
    organizations = [value for oid, value in fields if oid == NameOID.ORGANIZATION_NAME]
    if organizations != [NODES_GROUP]:
        raise RefusedError("organization", f"its organization is not exactly {NODES_GROUP}")
    if len(names) != 1 or not isinstance(names[0], str) or not names[0].startswith(NODE_PREFIX):
        raise RefusedError("name", f"its common name is not {NODE_PREFIX}NAME")
    if len(fields) != 2:
        raise RefusedError("subject", "its subject holds more than organization and name")
    return names[0].removeprefix(NODE_PREFIX)


def _check_usages(request: CertificateRequest, purpose: str) -> None:
    # Key encipherment serves RSA keys; kubelets before 1.27 ask for it with every key.
    wanted = {"digital signature", purpose}
    if request.usages - {"key encipherment"} != wanted:
        given = ", ".join(sorted(request.usages)) or "none"
        raise RefusedError("usages", f"usages are {given}; expected {', '.join(sorted(wanted))}")


def _check_names(parsed: x509.CertificateSigningRequest, node: DeclaredNode) -> None:
    """Hold each alternative name against the node's declared addresses and names."""
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise RefusedError("names", "a serving certificate needs a DNS name or address") from None
    addresses = {ipaddress.ip_address(address) for address in node.addresses}
    dns_names = {name.lower() for name in (node.name, *node.dns_names)}
    rules: dict[type, Callable[[Any], bool]] = {
        x509.DNSName: lambda value: value.lower() in dns_names,
        x509.IPAddress: lambda value: value in addresses,
    }
    if not list(names):
        raise RefusedError("names", "a serving certificate needs a DNS name or address")
    for name in names:
        rule = rules.get(type(name))
        if rule is None:
            raise RefusedError("names", "alternative names are DNS names and addresses only")
        if not rule(name.value):
            raise RefusedError("names", f"{name.value} is not declared for node {node.id}")
