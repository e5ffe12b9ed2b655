"""The stack's configuration: read, typed and checked, all faults at once.

This module alone reads pulumi.Config. Every key is declared here once; the schema in Pulumi.yaml
and docs/configuration.md are generated from it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Literal

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret
from pydantic import AfterValidator, Field, ValidationError

from kube_nodes.model.addresses import check_cidrs, check_routed_cidr, check_server
from kube_nodes.model.binaries import Binaries, VersionKey, find_binary_faults
from kube_nodes.model.cluster import Cluster
from kube_nodes.model.declaration import Declaration, explain, join_path, show
from kube_nodes.model.node_rules import find_faults
from kube_nodes.model.nodes import Node, PoolDeclaration, resolve_nodes
from kube_nodes.model.options import NodeOptions
from kube_nodes.model.pem import check_ca_certificates, is_key_of, read_private_key
from kube_nodes.model.shared_stack import check_stack_name, find_sharing_faults
from kube_nodes.model.static_token import StaticTokenSettings
from kube_nodes.model.subjects import Subject
from kube_nodes.model.values import (
    between,
    check_dns_label,
    check_image,
    check_runtime_class,
    check_text,
    check_uid,
)

NAMESPACE = "kube-nodes"
_PREFIX = f"{NAMESPACE}:"
SECRET_KEYS = {
    "caKey": "The cluster CA's private key, PEM; needed by the issuer `ca` alone.",
    "sshPrivateKey": "SSH private key; without one the SSH agent is used, which is better.",
}


class ConfigurationError(Exception):
    """The configuration has faults; the text names all of them, one a line."""

    def __init__(self, faults: list[str], where: str = "the stack's configuration") -> None:
        """Keep the faults, each `path: value rule; remedy`."""
        self.faults = faults
        count = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
        lines = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(f"{count} in {where}; nothing was changed:\n{lines}")


Cidrs = Annotated[
    list[Annotated[str, AfterValidator(check_routed_cidr)]], AfterValidator(check_cidrs)
]

Name = Annotated[str, AfterValidator(check_text)]
PoolName = Annotated[str, AfterValidator(check_dns_label)]


class KubeProxyCertificateSettings(Declaration):
    """The client certificate that all kube-proxies share."""

    issuer: Literal["cluster", "ca"] = Field(
        "cluster",
        description="`cluster`: the cluster's own signer; `ca`: pulumi-tls with `caKey`.",
    )
    algorithm: Literal["RSA", "ECDSA"] = Field(
        "RSA", description="RSA (2048 bits) or ECDSA (P-256)."
    )
    validity_hours: Annotated[int, between(1, 87600, "hours")] = Field(
        8760, description="Life of a certificate from the issuer `ca`."
    )
    epoch: Annotated[int, between(1, 1000000)] = Field(
        1, description="Raise it to issue a new key and certificate."
    )
    subject: Subject = Field(
        Subject(), description="Names in it beside the user system:kube-proxy."
    )


class ServiceCheckSettings(Declaration):
    """The Service that is curled from every node."""

    image: Annotated[str, AfterValidator(check_image)] | None = Field(
        None, description="Image of a web server to run on every node; unset, none is run."
    )
    port: Annotated[int, between(1, 65535)] = Field(80, description="Port of that web server.")
    # The host script is ended after 600 s, whatever it does.
    timeout_seconds: Annotated[int, between(1, 540, "seconds")] = Field(
        60, description="How long a node waits for the answer."
    )


class Settings(Declaration):
    """Every key of the stack's configuration but the secret ones."""

    server: Annotated[str, AfterValidator(check_server)] = Field(
        description="URL of the API server, as the hosts reach it."
    )
    ca_certificate: Annotated[str, AfterValidator(check_ca_certificates)] = Field(
        description="The cluster CA's certificate, PEM."
    )
    cluster_uid: Annotated[str, AfterValidator(check_uid)] = Field(
        description="UID of the namespace kube-system: a wrong kubeconfig does no harm."
    )
    cluster_name: Name = Field("kubernetes", description="The cluster's name in kubeconfigs.")
    pod_cidrs: Cidrs = Field(description="CIDRs of the pods.")
    pod_cidr_allocator: Literal["kube-controller-manager", "network-add-on"] = Field(
        "kube-controller-manager",
        description="Who gives each Node its podCIDRs. Where it is kube-controller-manager, one "
        "outside `podCidrs` is an error, else a warning.",
    )
    service_cidrs: Cidrs = Field(description="CIDRs of the Services.")
    binaries: dict[VersionKey, Binaries] = Field(
        {},
        description="kubelet and kube-proxy by Kubernetes version; with none at all, both are "
        "expected in `layout.binaryDir` of every host.",
    )
    kube_proxy_certificate: KubeProxyCertificateSettings = Field(
        KubeProxyCertificateSettings(), description="kube-proxy's client certificate."
    )
    static_token: StaticTokenSettings = Field(
        StaticTokenSettings(), description="The token of the nodes whose `tokenMode` is `static`."
    )
    service_check: ServiceCheckSettings = Field(
        ServiceCheckSettings(), description="The Service that every node must reach."
    )
    gpu_runtime_class: Annotated[str, AfterValidator(check_runtime_class)] = Field(
        "nvidia",
        description="Name of the RuntimeClass that is made where a node has `gpu`; empty: none.",
    )
    allow_removals: dict[PoolName, Annotated[int, between(1, 100000, "nodes")]] = Field(
        {},
        description="How many nodes one run may remove from a pool, by the pool's name, where that "
        "is more than its `maxUnavailable`.",
    )
    shared_stack: Annotated[str, AfterValidator(check_stack_name)] = Field(
        "",
        description="Full name of the stack that holds what this one's nodes share; empty: it is "
        "made here.",
    )
    options: NodeOptions = Field(NodeOptions(), description="Options of all nodes.")
    pools: dict[PoolName, PoolDeclaration] = Field(
        description="The nodes, in pools; `{}`: a stack of what the stacks of pools share."
    )

    @property
    def cluster(self) -> Cluster:
        """The cluster as plain data."""
        return Cluster(
            name=self.cluster_name,
            server=self.server,
            ca_certificate=self.ca_certificate,
            uid=self.cluster_uid,
            pod_cidrs=tuple(self.pod_cidrs),
            service_cidrs=tuple(self.service_cidrs),
            allocates_pod_cidrs=self.pod_cidr_allocator == "kube-controller-manager",
        )

    # Once: each resolution checks all options of all nodes again.
    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every declared node, its options resolved."""
        return tuple(resolve_nodes(self.options, self.pools))

    @property
    def reachable_nodes(self) -> tuple[Node, ...]:
        """The declared nodes whose hosts may be contacted."""
        return tuple(node for node in self.nodes if not node.lost)

    def binaries_of(self, node: Node) -> Binaries | None:
        """Where a node's binaries come from; None: they are the host's own."""
        if not self.binaries:
            return None
        kubelet, kube_proxy = (
            self.binaries[str(version).removeprefix("v")]
            for version in (node.kubelet_version, node.kube_proxy_version)
        )
        return kubelet.model_copy(update={"kube_proxy": kube_proxy.kube_proxy})

    @property
    def static_token_in_use(self) -> StaticTokenSettings | None:
        """The static token, where some node joins with it."""
        used = any(node.uses_static_token for node in self.nodes)
        return self.static_token if used else None


def parse_settings(
    values: Mapping[str, Any],
    secrets: Mapping[str, str] = MappingProxyType({}),
    unread: Collection[str] = (),
) -> Settings:
    """Check a configuration given as plain values by camelCase key.

    Args:
        values: everything that is not secret.
        secrets: what is set of SECRET_KEYS; it is checked, and shown nowhere.
        unread: which of SECRET_KEYS are set too, without their values.

    Raises:
        ConfigurationError: with every fault that was found.
    """
    try:
        settings = Settings.model_validate(dict(values))
    except ValidationError as error:
        faults = explain(error, _PREFIX, Settings, SECRET_KEYS)
        raise ConfigurationError([*faults, *_key_faults(secrets)]) from None
    versions = [
        version
        for node in settings.nodes
        for version in (node.kubelet_version, node.kube_proxy_version)
    ]
    found = [
        *find_faults(settings.cluster, settings.options, settings.pools),
        *find_binary_faults(settings.binaries, versions),
        *(find_sharing_faults(settings.nodes) if settings.shared_stack else ()),
    ]
    faults = [f"{join_path(_PREFIX, place)}: {rule}" for place, rule in found]
    faults += [*_token_host_faults(settings), *_key_faults(secrets)]
    if "caKey" not in unread:
        faults += _ca_key_faults(settings, secrets.get("caKey"))
    if faults:
        raise ConfigurationError(faults)
    return settings


def _token_host_faults(settings: Settings) -> Iterator[str]:
    """Two writers of one file would each take the other's line for a stranger's."""
    first: dict[str, str] = {}
    for name, host in settings.static_token.hosts.items():
        owner = first.setdefault(host.address, name)
        if owner != name:
            place = f"{_PREFIX}staticToken.hosts.{name}.address"
            yield f"{place}: {show(host.address)} is that of {owner} too; keep one of them"


def _key_faults(secrets: Mapping[str, str]) -> Iterator[str]:
    for key, text in secrets.items():
        try:
            read_private_key(text)
        except ValueError as error:
            yield f"{_PREFIX}{key}: {error}"


def _ca_key_faults(settings: Settings, text: str | None) -> Iterator[str]:
    if settings.kube_proxy_certificate.issuer != "ca" or settings.shared_stack:
        return
    if text is None:
        yield (
            f'{_PREFIX}kubeProxyCertificate.issuer: "ca" needs the CA\'s key; set it with '
            f"`pulumi config set --secret {_PREFIX}caKey`"
        )
        return
    with suppress(ValueError):  # what is no key at all is told above
        if not is_key_of(read_private_key(text), settings.ca_certificate):
            yield f"{_PREFIX}caKey: is not the key of caCertificate; give that CA's own"


def parse_stored(
    texts: Mapping[str, str], secrets: Mapping[str, str], unread: Collection[str] = ()
) -> Settings:
    """Check a configuration as Pulumi stores it: one text a key, as parse_settings does."""
    values = {key: _plain(key, text) for key, text in texts.items()}
    return parse_settings(values, secrets, unread)


def read_settings() -> Settings:
    """Read and check the stack's configuration.

    Raises:
        ConfigurationError: with every fault that was found, unknown keys among them.
    """
    config = pulumi.Config(NAMESPACE)
    # There is no public call that lists the keys, and an unknown one must not pass unseen.
    stored = {**get_config_env(), **CONFIG.get()}
    keys = sorted(key.removeprefix(_PREFIX) for key in stored if key.startswith(_PREFIX))
    faults = [fault for key in keys for fault in _storage_faults(key)]
    if faults:
        raise ConfigurationError(faults)
    secrets = {key: config.require(key) for key in keys if key in SECRET_KEYS}
    texts = {key: config.require(key) for key in keys if key not in SECRET_KEYS}
    settings = parse_stored(texts, secrets)
    if "caKey" in secrets and settings.kube_proxy_certificate.issuer != "ca":
        pulumi.log.warn(
            f"{_PREFIX}caKey: is not used by the issuer {settings.kube_proxy_certificate.issuer}; "
            f"remove it with `pulumi config rm {_PREFIX}caKey`"
        )
    return settings


def _storage_faults(key: str) -> Iterator[str]:
    """What is secret must be stored as such; what is not goes on in the open, and must not be."""
    secret = is_config_secret(f"{_PREFIX}{key}")
    if key in SECRET_KEYS and not secret:
        yield f"{_PREFIX}{key}: is stored in the open; set it with --secret, and use a new key"
    if key in _KEYS and secret:
        yield f"{_PREFIX}{key}: holds a secret, which previews would show; set it with --plaintext"


def _plain(key: str, text: str) -> Any:
    """Undo Pulumi's encoding: strings as they are, anything else as JSON."""
    if key in _STRING_KEYS:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_secret(key: str) -> pulumi.Output[str] | None:
    """Read one of SECRET_KEYS, which stays secret, or None where it is not set."""
    return pulumi.Config(NAMESPACE).get_secret(key)


def read_ssh_key() -> str | None:
    """Read the SSH key in the open, for this process alone; None: the SSH agent has it."""
    return pulumi.Config(NAMESPACE).get("sshPrivateKey")


_KEYS = {str(field.alias) for field in Settings.model_fields.values()}
_STRING_KEYS = {
    field.alias
    for field in Settings.model_fields.values()
    if field.annotation in (str, Name | None)
}
