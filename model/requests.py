"""What the local commands in membership/ read on stdin (plain data, no effects)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Self

from kube_nodes.model.groups import is_reserved_group
from kube_nodes.model.labels import Taint, parse_taint
from kube_nodes.model.machine import NO_MACHINE, Machine
from kube_nodes.model.pod_network import PodNetwork
from kube_nodes.model.request_rules import declared_rules, is_cidr, names_cluster, node_rules
from kube_nodes.model.request_text import Request, RequestError, Rule, dump
from kube_nodes.model.routes import Route, SentFile

# A group of its own: the auto-approval that kubeadm binds to its default group does not reach it.
TOKEN_GROUP: Final = "system:bootstrappers:kube-nodes"  # noqa: S105 (a group, no secret)
"""Group of our bootstrap tokens alone: what approves kubeadm's tokens does not reach them."""

LABELS_VARIABLE: Final = "KUBE_NODES_LABELS"
TAINTS_VARIABLE: Final = "KUBE_NODES_TAINTS"
VERSION_VARIABLE: Final = "KUBE_NODES_VERSION"

_STATIC_TOKEN = re.compile(r"[0-9a-f]{32}")


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
    pool: str = ""
    """Whose maxUnavailable counts this drain; empty: none does."""


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Standard output of the steps before membership: a new run of one is verified anew."""

    prepare: str = ""
    credentials: str = field(default="", repr=False)
    units: str = ""


@dataclass(frozen=True, kw_only=True)
class PrepareRequest(Request):
    """stdin of `prepare` and `forget`. token is None in static mode."""

    cluster: Cluster
    node: DeclaredNode
    token: Token | None = None
    drain: Drain = Drain()
    static_token: str | None = field(default=None, repr=False)
    """The static token, in the static mode alone."""
    machine: Machine = NO_MACHINE
    """What preflight found on the host."""
    lost: bool = False
    """The host is declared lost: there is nothing to prepare."""
    reapply: int = 0
    """Another number makes it run again."""
    adopt: bool = False
    """The Node of a kubelet that somebody else set up is taken over."""

    @property
    def subject(self) -> str:
        """The declared id."""
        return self.node.id

    def completed(self) -> Self:
        """Return it with the token's id in the node, which the inventory has from the start."""
        return replace(self, node=_with_token_id(self.node, self.token))

    def rules(self) -> Iterator[Rule]:
        """Give its rules."""
        yield from node_rules(self.cluster, self.node, self.token, self.drain)
        static = self.static_token
        right = static is None or bool(_STATIC_TOKEN.fullmatch(static))
        yield right, "static_token", "is not [0-9a-f]{32}"

    def to_json(self) -> str:
        """Write the request, sorted and compact: equal requests are equal texts."""
        return dump(self, leave_out=[each for each in ("adopt", "lost") if not getattr(self, each)])


@dataclass(frozen=True, kw_only=True)
class JoinRequest(Request):
    """stdin of `join` and `leave`; labels and taints travel as environment, in the open."""

    cluster: Cluster
    node: DeclaredNode
    token: Token | None = None
    runs: Runs = Runs()
    timeout_seconds: int = 300
    drain: Drain = Drain()
    pod_network: PodNetwork | None = None
    """What the Node's podCIDRs are held against."""
    route: Route | None = None
    """The way to the host, by the SSH agent: why its Node does not come is asked there."""
    lost: bool = False
    """The host is declared lost: instead of a join, its Node is taken away."""

    @property
    def subject(self) -> str:
        """The declared id."""
        return self.node.id

    def completed(self) -> Self:
        """Return it with the token's id in the node, which the inventory has from the start."""
        return replace(self, node=_with_token_id(self.node, self.token))

    def rules(self) -> Iterator[Rule]:
        """Give its rules."""
        yield from node_rules(self.cluster, self.node, self.token, self.drain)
        yield self.timeout_seconds > 0, "timeout_seconds", "must be above 0"
        for cidr in self.pod_network.cidrs if self.pod_network else ():
            yield is_cidr(cidr), "pod_network.cidrs", f"{cidr!r} is not a CIDR"

    def to_json(self) -> str:
        """Write the request, sorted and compact: equal requests are equal texts."""
        return dump(self, leave_out=() if self.lost else ("lost",))


@dataclass(frozen=True, kw_only=True)
class SignRequest(Request):
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
        return dump(self, leave_out=() if self.names else ("names",))

    @property
    def subject(self) -> str:
        """The certificate's name."""
        return self.name

    def rules(self) -> Iterator[Rule]:
        """Give its rules."""
        yield names_cluster(self.cluster)
        yield self.timeout_seconds > 0, "timeout_seconds", "must be above 0"
        yield bool(self.user), "user", "must name the certificate's user"
        for index, name in enumerate(self.names):
            short, _, value = name.partition("=")
            reserved = short == "O" and is_reserved_group(value)
            yield not reserved, f"names[{index}]", f"{name!r} is a group with rights"


@dataclass(frozen=True, kw_only=True)
class ApproveRequest(Request):
    """stdin of `approve`: every declared node of the stack. Holds nothing secret."""

    cluster: Cluster
    nodes: tuple[DeclaredNode, ...]

    @property
    def subject(self) -> str:
        """None of the nodes alone."""
        return "approve"

    def rules(self) -> Iterator[Rule]:
        """Give its rules."""
        yield names_cluster(self.cluster)
        for index, node in enumerate(self.nodes):
            yield from declared_rules(node, f"nodes[{index}]")


@dataclass(frozen=True, kw_only=True)
class DeliverRequest(Request):
    """stdin of `deliver` and `recall`."""

    node: str
    """The declared id."""
    route: Route
    files: tuple[SentFile, ...]
    units: str = ""
    """SHA-256 of the units script: each of its runs comes after a look at what the host lacks."""
    private_key: str | None = field(default=None, repr=False)
    """SSH key, PEM; None: the SSH agent."""

    @property
    def subject(self) -> str:
        """The declared id."""
        return self.node

    def rules(self) -> Iterator[Rule]:
        """Give its rules."""
        yield bool(self.node), "node", "must not be empty"
        yield len(self.route.hops) in (1, 2), "route.hops", "must be the host, or two"


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


def render_adopting(uid: str) -> str:
    """Write, for what follows prepare, which Node is taken over."""
    return f"adopting {uid}"


def parse_adopting(prepare_output: str) -> str:
    """Read the UID of the Node that is taken over; empty: none is."""
    found = re.search(r"^adopting ([0-9a-f-]{36})$", prepare_output, re.MULTILINE)
    return found[1] if found else ""


def parse_open_until(prepare_output: str) -> int | None:
    """Read when the token ends, in seconds since 1970; None: prepare opened none."""
    found = re.search(r"^token open until (\d{1,12})$", prepare_output, re.MULTILINE)
    return int(found[1]) if found else None


def _with_token_id(node: DeclaredNode, token: Token | None) -> DeclaredNode:
    return replace(node, token_id=token.id) if token else node
