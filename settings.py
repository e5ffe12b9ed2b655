"""The stack's configuration: read, typed and checked, all faults at once.

This module alone reads pulumi.Config. Every key is declared here once; the schema in Pulumi.yaml
and docs/configuration.md are generated from it.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import pulumi
from cryptography import x509
from pulumi.runtime.config import CONFIG, get_config_env
from pydantic import AfterValidator, Field, ValidationError

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.declaration import Declaration, explain, join_path
from kube_nodes.model.node_rules import find_faults
from kube_nodes.model.nodes import Node, PoolDeclaration, resolve_nodes
from kube_nodes.model.options import NodeOptions
from kube_nodes.model.versions import KubernetesVersion

NAMESPACE = "kube-nodes"
SECRET_KEYS = {
    "caKey": "The cluster CA's private key, PEM; needed by the issuer `ca` alone.",
    "sshPrivateKey": "SSH private key; without one the SSH agent is used, which is better.",
}

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_IMAGE = re.compile(r"[a-z0-9][\w./:@-]*")


class ConfigurationError(Exception):
    """The configuration has faults; the text names all of them, one a line."""

    def __init__(self, faults: list[str]) -> None:
        """Keep the faults, each `path: value rule; remedy`."""
        self.faults = faults
        count = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
        lines = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(f"{count} in the stack's configuration; nothing was changed:\n{lines}")


def _server(value: str) -> str:
    try:
        url = urlsplit(value)
        valid = url.scheme == "https" and url.hostname and (url.port or 443) > 0
    except ValueError:
        valid = False
    if not valid or url.path not in ("", "/") or url.query or url.username:
        raise ValueError("is not an API server's URL; write such as https://10.0.0.1:6443")
    return value.rstrip("/")


def _certificate(value: str) -> str:
    try:
        certificate = x509.load_pem_x509_certificate(value.encode())
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except ValueError:
        raise ValueError("!is not a PEM certificate; give the content of ca.crt") from None
    except x509.ExtensionNotFound:
        raise ValueError("!is not a CA's certificate; give the cluster's ca.crt") from None
    if not basic.value.ca:
        raise ValueError("!is not a CA's certificate; give the cluster's ca.crt")
    return value.strip() + "\n"


def _uid(value: str) -> str:
    if not _UUID.fullmatch(value):
        raise ValueError(
            "is not a UID; give what `kubectl get namespace kube-system "
            "-o jsonpath={.metadata.uid}` prints"
        )
    return value


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("is not a CIDR without host bits; write such as 10.200.0.0/16") from None


def _sha256(value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise ValueError("is not a SHA-256; give 64 lower-case hexadecimal digits")
    return value


def _download(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s'\"\\]+", value):
        raise ValueError("is not a download's URL; write http:// or https:// and the address")
    return value


def _image(value: str) -> str:
    if not _IMAGE.fullmatch(value):
        raise ValueError("is not an image's name; write such as registry.example/web:1.0")
    return value


def _version_key(value: str) -> str:
    KubernetesVersion.parse(value)
    return value.removeprefix("v")


def _one_or_two(values: list[str]) -> list[str]:
    if not 1 <= len(values) <= 2:
        raise ValueError("has the wrong length; give one CIDR, or one of each IP family")
    return values


Cidrs = Annotated[list[Annotated[str, AfterValidator(_cidr)]], AfterValidator(_one_or_two)]


class Download(Declaration):
    """One binary: where it is, and what it must be."""

    url: Annotated[str, AfterValidator(_download)] = Field(description="Where hosts fetch it.")
    sha256: Annotated[str, AfterValidator(_sha256)] = Field(description="SHA-256 of the file.")


class Binaries(Declaration):
    """The binaries of one version of Kubernetes."""

    kubelet: Download = Field(description="The kubelet.")
    kube_proxy: Download = Field(description="kube-proxy.")


class KubeProxyCertificateSettings(Declaration):
    """The client certificate that all kube-proxies share."""

    issuer: Literal["cluster", "ca"] = Field(
        "cluster",
        description="`cluster`: the cluster's own signer; `ca`: pulumi-tls with `caKey`.",
    )
    algorithm: Literal["RSA", "ECDSA"] = Field(
        "RSA", description="RSA (2048 bits) or ECDSA (P-256)."
    )
    validity_hours: int = Field(8760, description="Life of a certificate from the issuer `ca`.")
    epoch: int = Field(1, description="Raise it to issue a new key and certificate.")


class ServiceCheckSettings(Declaration):
    """The Service that is curled from every node."""

    image: Annotated[str, AfterValidator(_image)] | None = Field(
        None, description="Image of a web server to run on every node; unset, none is run."
    )
    port: int = Field(80, description="Port of that web server.")
    timeout_seconds: int = Field(60, description="How long a node waits for the answer.")


class Settings(Declaration):
    """Every key of the stack's configuration but the secret ones."""

    server: Annotated[str, AfterValidator(_server)] = Field(
        description="URL of the API server, as the hosts reach it."
    )
    ca_certificate: Annotated[str, AfterValidator(_certificate)] = Field(
        description="The cluster CA's certificate, PEM."
    )
    cluster_uid: Annotated[str, AfterValidator(_uid)] = Field(
        description="UID of the namespace kube-system: a wrong kubeconfig does no harm."
    )
    cluster_name: str = Field("kubernetes", description="The cluster's name in kubeconfigs.")
    context: str | None = Field(
        None, description="Context of the operator's kubeconfig; unset, the current one."
    )
    pod_cidrs: Cidrs = Field(description="CIDRs of the pods.")
    service_cidrs: Cidrs = Field(description="CIDRs of the Services.")
    binaries: dict[Annotated[str, AfterValidator(_version_key)], Binaries] = Field(
        {},
        description="kubelet and kube-proxy by Kubernetes version; a version that is not "
        "listed is expected in /usr/local/bin already.",
    )
    kube_proxy_certificate: KubeProxyCertificateSettings = Field(
        KubeProxyCertificateSettings(), description="kube-proxy's client certificate."
    )
    service_check: ServiceCheckSettings = Field(
        ServiceCheckSettings(), description="The Service that every node must reach."
    )
    options: NodeOptions = Field(NodeOptions(), description="Options of all nodes.")
    pools: dict[str, PoolDeclaration] = Field(description="The nodes, in pools.")

    @property
    def cluster(self) -> Cluster:
        """The cluster as plain data."""
        return Cluster(
            name=self.cluster_name,
            server=self.server,
            ca_certificate=self.ca_certificate,
            uid=self.cluster_uid,
            context=self.context,
            pod_cidrs=tuple(self.pod_cidrs),
            service_cidrs=tuple(self.service_cidrs),
        )

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every declared node, its options resolved."""
        return tuple(resolve_nodes(self.options, self.pools))


def parse_settings(values: Mapping[str, Any]) -> Settings:
    """Check a configuration given as plain values by camelCase key.

    Raises:
        ConfigurationError: with every fault that was found.
    """
    try:
        settings = Settings.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigurationError(explain(error, f"{NAMESPACE}:", Settings)) from None
    found = find_faults(settings.cluster, settings.options, settings.pools)
    faults = [f"{join_path(f'{NAMESPACE}:', list(place))}: {rule}" for place, rule in found]
    faults += _missing_binaries(settings)
    if faults:
        raise ConfigurationError(faults)
    return settings


def _missing_binaries(settings: Settings) -> Iterator[str]:
    """With no binaries at all they are the hosts' own; with some, a missing one is a slip."""
    wanted = {str(node.options.kubernetes_version)[1:] for node in settings.nodes}
    for version in sorted(wanted - settings.binaries.keys() if settings.binaries else ()):
        yield f'{NAMESPACE}:binaries: has no "{version}", which nodes declare; add its downloads'


def read_settings() -> Settings:
    """Read and check the stack's configuration.

    Raises:
        ConfigurationError: with every fault that was found, unknown keys among them.
    """
    config = pulumi.Config(NAMESPACE)
    # There is no public call that lists the keys, and an unknown one must not pass unseen.
    prefix = f"{NAMESPACE}:"
    stored = {**get_config_env(), **CONFIG.get()}
    keys = {key.removeprefix(prefix) for key in stored if key.startswith(prefix)}
    values = {key: _plain(key, config.require(key)) for key in sorted(keys - SECRET_KEYS.keys())}
    return parse_settings(values)


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


_STRING_KEYS = {
    field.alias for field in Settings.model_fields.values() if field.annotation in (str, str | None)
}
