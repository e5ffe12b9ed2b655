"""What the local commands in membership/ read on stdin: schema 1 (plain data, no effects).

The engine stores this text in the state and feeds it to the delete of a resource, too, so
today's code must read yesterday's text: a field is only ever added, with a default; anything
else raises SCHEMA. Unknown fields are ignored, so that an older checkout can still remove a node.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from types import UnionType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from kube_nodes.model.labels import Taint, parse_taint
from kube_nodes.model.machine import NO_MACHINE, Machine
from kube_nodes.model.pod_network import PodNetwork
from kube_nodes.model.subject_names import is_reserved_group

SCHEMA: Final = 1

# A group of its own: the auto-approval that kubeadm binds to its default group does not reach it.
TOKEN_GROUP: Final = "system:bootstrappers:kube-nodes"  # noqa: S105 (a group, no secret)
"""Group of our bootstrap tokens alone: what approves kubeadm's tokens does not reach them."""

LABELS_VARIABLE: Final = "KUBE_NODES_LABELS"
TAINTS_VARIABLE: Final = "KUBE_NODES_TAINTS"
VERSION_VARIABLE: Final = "KUBE_NODES_VERSION"

_TOKEN_ID = re.compile(r"[a-z0-9]{6}")
_TOKEN_SECRET = re.compile(r"[a-z0-9]{16}")
_STATIC_TOKEN = re.compile(r"[0-9a-f]{32}")
_VERSION = re.compile(r"v1\.\d{1,3}\.\d{1,3}")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

Request = TypeVar(
    "Request",
    bound="PrepareRequest | JoinRequest | SignRequest | ApproveRequest | DeliverRequest"
    " | GateRequest",
)


class RequestError(ValueError):
    """A field of the request that breaks a rule; the text names it and never shows a secret."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The cluster the request is for: the operator's kubeconfig must reach it."""

    uid: str
    """UID of the namespace kube-system."""


@dataclass(frozen=True, kw_only=True)
class DeclaredNode:
    """One node of the inventory: the only names and addresses a certificate may carry."""

    id: str
    """The declared id: names the resources, begins every error."""
    name: str
    """Name of the Node object."""
    generation: int = 1
    """Raised by the operator to join the machine anew."""
    addresses: tuple[str, ...] = ()
    """IP addresses its serving certificate may hold."""
    dns_names: tuple[str, ...] = ()
    """DNS names its serving certificate may hold; the Node's name need not be repeated."""
    version: str = ""
    """Declared version of the kubelet, such as v1.37.2."""
    token_id: str | None = None
    """Id of the node's own bootstrap token (token mode `bootstrap`)."""
    bootstrap_user: str | None = None
    """User name of the static token (token mode `static`); then token_id is None."""

    @property
    def user(self) -> str:
        """User name of the kubelet once it has its client certificate."""
        return f"system:node:{self.name}"

    @property
    def requester(self) -> str | None:
        """User name that may ask for the node's first client certificate."""
        return self.bootstrap_user or (
            f"system:bootstrap:{self.token_id}" if self.token_id else None
        )


@dataclass(frozen=True, kw_only=True)
class Token:
    """A bootstrap token."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Drain:
    """How a node is drained."""

    timeout_seconds: int = 300
    force: bool = False
    """Delete the pods that no eviction removed in time, and those without a controller."""


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Standard output of the steps before membership: a new run of one is verified anew."""

    prepare: str = ""
    credentials: str = field(default="", repr=False)
    units: str = ""


@dataclass(frozen=True, kw_only=True)
class PrepareRequest:
    """stdin of `prepare` and `forget`. token is None in static mode."""

    cluster: Cluster
    node: DeclaredNode
    token: Token | None = None
    drain: Drain = Drain()
    static_token: str | None = field(default=None, repr=False)
    """The static token, in the static mode alone."""
    machine: Machine = NO_MACHINE
    """What preflight found on the host."""

    def to_json(self) -> str:
        """Write the request, sorted and compact: equal requests are equal texts."""
        return _dump(self)


@dataclass(frozen=True, kw_only=True)
class JoinRequest:
    """stdin of `join` and `leave`; labels and taints travel as environment, in the open."""

    cluster: Cluster
    node: DeclaredNode
    token: Token | None = None
    runs: Runs = Runs()
    timeout_seconds: int = 300
    drain: Drain = Drain()
    pod_network: PodNetwork | None = None
    """What the Node's podCIDRs are held against."""

    def to_json(self) -> str:
        """Write the request, sorted and compact: equal requests are equal texts."""
        return _dump(self)


@dataclass(frozen=True, kw_only=True)
class SignRequest:
    """stdin of `sign`: a certificate request in PEM, and the user it must name."""

    cluster: Cluster
    name: str
    request_pem: str
    user: str
    timeout_seconds: int = 60
    names: tuple[str, ...] = ()
    """The rest of its subject, such as `O=k8s`."""

    def to_json(self) -> str:
        """Write the request, sorted and compact: equal requests are equal texts."""
        # Without names it is the text that older versions wrote: nothing is signed anew for it.
        return _dump(self, leave_out=() if self.names else ("names",))


@dataclass(frozen=True, kw_only=True)
class ApproveRequest:
    """stdin of `approve`: every declared node of the stack. Holds nothing secret."""

    cluster: Cluster
    nodes: tuple[DeclaredNode, ...]

    def to_json(self) -> str:
        """Write the request, sorted and compact: equal requests are equal texts."""
        return _dump(self)


@dataclass(frozen=True, kw_only=True)
class WaveNode:
    """A node of a wave, as it has to be before the next one begins."""

    name: str
    generation: int
    version: str


@dataclass(frozen=True, kw_only=True)
class GateRequest:
    """stdin of `gate`: what stands between one wave and the next. Holds nothing secret."""

    cluster: Cluster
    name: str
    """Names the gate in errors."""
    before: tuple[WaveNode, ...]
    """The wave that must be up."""
    digest: str
    """SHA-256 of what the nodes behind the gate are written from: it is tried when they change."""
    timeout_seconds: int = 60

    def to_json(self) -> str:
        """Write the request, sorted and compact: equal requests are equal texts."""
        return _dump(self)


@dataclass(frozen=True, kw_only=True)
class Hop:
    """A host on the way, and the key that it must show."""

    address: str
    port: int
    user: str
    host_key: str


@dataclass(frozen=True, kw_only=True)
class Route:
    """The way to a host over SSH."""

    hops: tuple[Hop, ...]
    """The jump host, if there is one, then the host itself."""


@dataclass(frozen=True, kw_only=True)
class SentFile:
    """A program that is sent from the operator's machine."""

    source: str
    """Where it is in the project's folder."""
    path: str
    """Where it will be on the host."""
    digest: str
    """SHA-256 or SHA-512, which the length tells."""


@dataclass(frozen=True, kw_only=True)
class DeliverRequest:
    """stdin of `deliver` and `recall`."""

    node: str
    """The declared id."""
    route: Route
    files: tuple[SentFile, ...]
    units: str = ""
    """SHA-256 of the units script: each of its runs comes after a look at what the host lacks."""
    private_key: str | None = field(default=None, repr=False)
    """SSH key, PEM; None: the SSH agent."""

    def to_json(self) -> str:
        """Write the request, sorted and compact: equal requests are equal texts."""
        return _dump(self)


def parse(kind: type[Request], text: str) -> Request:
    """Read the request of this kind from what arrived on stdin.

    Raises:
        RequestError: not JSON, another schema, or a field that is missing or breaks its rule.
    """
    try:
        document = json.loads(text)
    except ValueError:
        # The parser's own message may quote the input, which can hold a secret.
        raise RequestError("stdin is not JSON; run this command through Pulumi") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA or isinstance(schema, bool):
        raise RequestError(
            f"schema: {schema!r} is not known here; this version reads schema {SCHEMA}:"
            " use the version of this project that wrote the stack"
        )
    request: Request = _decode(kind, document, "")
    if isinstance(request, PrepareRequest | JoinRequest) and request.token is not None:
        node = replace(request.node, token_id=request.token.id)
        request = replace(request, node=node)
    _validate(request)
    return request


def parse_labels(text: str) -> dict[str, str]:
    """Read labels, one `key=value` a line, as KUBE_NODES_LABELS holds them."""
    labels = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        key, equals, value = line.partition("=")
        if not (key and equals):
            raise RequestError(f"{LABELS_VARIABLE}: {line!r} is not key=value")
        labels[key] = value
    return labels


def parse_taints(text: str) -> tuple[Taint, ...]:
    """Read taints, one `key=value:Effect` or `key:Effect` a line, sorted."""
    taints = set()
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            taints.add(parse_taint(line))
        except ValueError as error:
            raise RequestError(f"{TAINTS_VARIABLE}: {line!r} {error}") from None
    return tuple(sorted(taints))


def render_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Write labels as parse_labels reads them, sorted."""
    return "\n".join(f"{key}={value}" for key, value in sorted(labels))


def render_taints(taints: Iterable[Taint]) -> str:
    """Write taints as parse_taints reads them, sorted."""
    return "\n".join(map(str, sorted(taints)))


def render_open_until(end_seconds: int) -> str:
    """Write, for what follows prepare, when the token that it opened ends."""
    return f"token open until {end_seconds}"


def parse_open_until(prepare_output: str) -> int | None:
    """Read when the token ends, in seconds since 1970; None: prepare opened none."""
    found = re.search(r"^token open until (\d{1,12})$", prepare_output, re.MULTILINE)
    return int(found[1]) if found else None


def _dump(request: Any, leave_out: Iterable[str] = ()) -> str:
    document = {"schema": SCHEMA, **asdict(request)}
    for name in leave_out:
        del document[name]
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _decode(kind: Any, value: Any, path: str) -> Any:
    """Turn parsed JSON into the type that a dataclass declares, or say what is wrong where."""
    if isinstance(kind, UnionType):
        return None if value is None else _decode(get_args(kind)[0], value, path)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise RequestError(f"{path}: expected a list")
        return tuple(_decode(get_args(kind)[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if is_dataclass(kind):
        return _decode_object(kind, value, path)
    if type(value) is not kind:
        raise RequestError(f"{path}: expected {kind.__name__}, not {type(value).__name__}")
    return value


def _decode_object(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise RequestError(f"{path or 'stdin'}: expected an object")
    hints = get_type_hints(kind)
    prefix = f"{path}." if path else ""
    known = {}
    for item in fields(kind):
        if item.name in value:
            known[item.name] = _decode(hints[item.name], value[item.name], prefix + item.name)
        elif item.default is MISSING:
            raise RequestError(f"{prefix}{item.name}: is missing")
    return kind(**known)


def _validate(
    request: PrepareRequest
    | JoinRequest
    | SignRequest
    | ApproveRequest
    | DeliverRequest
    | GateRequest,
) -> None:
    if isinstance(request, DeliverRequest):
        _require(bool(request.node), "node", "must not be empty")
        _require(len(request.route.hops) in (1, 2), "route.hops", "must be the host, or two")
        return
    _require(bool(request.cluster.uid), "cluster.uid", "must name the cluster")
    if isinstance(request, SignRequest | JoinRequest | GateRequest):
        _require(request.timeout_seconds > 0, "timeout_seconds", "must be above 0")
    if isinstance(request, PrepareRequest | JoinRequest):
        _require(request.drain.timeout_seconds > 0, "drain.timeout_seconds", "must be above 0")
    if isinstance(request, JoinRequest) and request.pod_network is not None:
        for cidr in request.pod_network.cidrs:
            _require(_is_cidr(cidr), "pod_network.cidrs", f"{cidr!r} is not a CIDR")
    if isinstance(request, SignRequest):
        _require(bool(request.user), "user", "must name the certificate's user")
        for index, name in enumerate(request.names):
            short, _, value = name.partition("=")
            reserved = short == "O" and is_reserved_group(value)
            _require(not reserved, f"names[{index}]", f"{name!r} is a group with rights")
        return
    if isinstance(request, ApproveRequest):
        for index, node in enumerate(request.nodes):
            _validate_node(node, f"nodes[{index}]")
        return
    if isinstance(request, GateRequest):
        for index, each in enumerate(request.before):
            node = DeclaredNode(id=each.name, name=each.name, version=each.version)
            _validate_node(node, f"before[{index}]")
        return
    _validate_node(request.node, "node")
    _require(bool(request.node.version), "node.version", "must name the kubelet's version")
    _require(
        request.token is not None or request.node.bootstrap_user is not None,
        "token",
        "needs a token, or node.bootstrap_user in the static token mode",
    )
    if isinstance(request, PrepareRequest) and request.static_token is not None:
        right = bool(_STATIC_TOKEN.fullmatch(request.static_token))
        _require(right, "static_token", "is not [0-9a-f]{32}")
    if request.token is not None:
        # Secret's name and the user's name are made of the id: nothing but the exact form.
        _require(bool(_TOKEN_ID.fullmatch(request.token.id)), "token.id", "is not [a-z0-9]{6}")
        secret = request.token.secret
        _require(bool(_TOKEN_SECRET.fullmatch(secret)), "token.secret", "is not [a-z0-9]{16}")


def _validate_node(node: DeclaredNode, path: str) -> None:
    _require(bool(node.id), f"{path}.id", "must not be empty")
    name = node.name
    _require(
        len(name) <= 253 and bool(_DNS_NAME.fullmatch(name)),
        f"{path}.name",
        f"{name!r} is not a Node's name (lower-case DNS subdomain)",
    )
    _require(
        not node.version or bool(_VERSION.fullmatch(node.version)),
        f"{path}.version",
        f"{node.version!r} is not like v1.37.2",
    )
    for address in node.addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise RequestError(f"{path}.addresses: {address!r} is not an IP address") from None


def _is_cidr(value: str) -> bool:
    try:
        return bool(ipaddress.ip_network(value))
    except ValueError:
        return False


def _require(holds: bool, path: str, rule: str) -> None:
    if not holds:
        raise RequestError(f"{path}: {rule}")
