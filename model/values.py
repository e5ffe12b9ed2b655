"""Checks of single values: each returns the value, canonical, or raises a rule with its remedy.

A rule that begins with "!" is about a value that must not be shown, or is too long to be.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import AfterValidator

_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?", re.ASCII)
_THRESHOLD = re.compile(r"\d+(\.\d+)?(k|M|G|T|Ki|Mi|Gi|Ti)?|(100|\d{1,2}(\.\d+)?)%", re.ASCII)
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PATH = re.compile(r"/[\w./+@-]*", re.ASCII)
_FILE = re.compile(r"(/[A-Za-z0-9_@+=-][A-Za-z0-9._@+=-]*)+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DOWNLOAD = re.compile(r"https?://[^\s/'\"\\]+/[^\s'\"\\]+")
_IMAGE = re.compile(r"[a-z0-9][\w./:@-]*[\w]", re.ASCII)
_USER = re.compile(r"[A-Za-z_][\w.@-]{0,63}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_SERVER = "is not an API server's URL; write such as https://10.0.0.1:6443"


@dataclass(frozen=True)
class OneOf:
    """The check of a value that is one of a few names; the reference lists them."""

    names: tuple[str, ...]
    what: str

    def __call__(self, value: str) -> str:
        """Return the value if it is one of the names."""
        if value not in self.names:
            raise ValueError(f"is not {self.what}; use one of {', '.join(self.names)}")
        return value


@dataclass(frozen=True)
class Between:
    """The check of a whole number within bounds; the reference shows them."""

    least: int
    most: int
    unit: str

    def __call__(self, value: int) -> int:
        """Return the value if it is within the bounds."""
        if not self.least <= value <= self.most:
            raise ValueError(
                f"is out of range; give {self.least} to {self.most} {self.unit}".rstrip()
            )
        return value


def one_of(names: Iterable[str], what: str) -> AfterValidator:
    """Make the check of a value that is one of a few names."""
    return AfterValidator(OneOf(tuple(names), what))


def between(least: int, most: int, unit: str = "") -> AfterValidator:
    """Make the check of a whole number within bounds."""
    return AfterValidator(Between(least, most, unit))


def check_ip(value: str) -> str:
    """Check an IP address of any kind; the canonical form makes equal ones equal texts."""
    try:
        # A zone, as in fe80::1%eth0, means something on one machine alone.
        return str(ipaddress.ip_address(value.replace("%", "no zone")))
    except ValueError:
        raise ValueError("is not an IP address; give a full IPv4 or IPv6 address") from None


def check_host_address(value: str) -> str:
    """Check the address of a host: one that the kubelet takes as its node IP."""
    address = ipaddress.ip_address(check_ip(value))
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        raise ValueError("is not the address of a host; give one that the cluster reaches")
    if address.is_link_local:
        raise ValueError("is a link-local address; give one that the cluster reaches")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise ValueError(f"is IPv4 written as IPv6; write {address.ipv4_mapped}")
    return str(address)


def check_cidr(value: str) -> str:
    """Check the CIDR of a network."""
    if "/" not in value:
        raise ValueError("is not a CIDR; write such as 10.200.0.0/16")
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError("is not a CIDR; write such as 10.200.0.0/16") from None
    if str(network.network_address) != check_ip(value.partition("/")[0]):
        raise ValueError(f"has host bits; write {network}, or the network that was meant")
    return str(network)


def check_cidrs(values: list[str]) -> list[str]:
    """Check that there is one CIDR, or one of each IP family."""
    families = [ipaddress.ip_network(value).version for value in values]
    if not values:
        raise ValueError("is empty; give the CIDR that the control plane has")
    if len(families) != len(set(families)):
        raise ValueError("has two CIDRs of one IP family; give one, or one of each family")
    return values


def check_server(value: str) -> str:
    """Check the API server's URL; returns scheme, host and port alone."""
    try:
        url = urlsplit(value)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise ValueError(_SERVER) from None
    if "@" in url.netloc:
        raise ValueError("!holds a user name; write host and port alone, nodes have certificates")
    if url.scheme == "http":
        raise ValueError("is not https; the API server speaks https alone: write https://")
    if url.scheme != "https" or not _is_host(host) or port == 0:
        raise ValueError(_SERVER)
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("has more than host and port; write such as https://10.0.0.1:6443")
    name = f"[{check_ip(host)}]" if ":" in host else host
    return f"https://{name}" if port is None else f"https://{name}:{port}"


def _is_host(host: str) -> bool:
    """Whether it is an IP address or a DNS name; what ends in a number can only be an address."""
    if ":" in host or re.search(r"(^|\.)\d+$", host):
        try:
            return bool(check_ip(host))
        except ValueError:
            return False
    return len(host) <= 253 and bool(_DOMAIN.fullmatch(host))


def check_download(value: str) -> str:
    """Check the URL of a file; it travels to the hosts, and into the state, in the open."""
    if re.match(r"https?://[^/]*@", value):
        raise ValueError("!holds a user name or password, which previews would show; remove it")
    if not _DOWNLOAD.fullmatch(value):
        raise ValueError("is not a download's URL; write such as https://files.example/kubelet")
    return value


def check_sha256(value: str) -> str:
    """Check a SHA-256."""
    if not _SHA256.fullmatch(value):
        raise ValueError("is not a SHA-256; give 64 lower-case hexadecimal digits")
    return value


def check_image(value: str) -> str:
    """Check the name of a container image."""
    if not _IMAGE.fullmatch(value):
        raise ValueError("is not an image's name; write such as registry.example/web:1.0")
    return value


def check_uid(value: str) -> str:
    """Check the UID of the namespace kube-system."""
    if not _UUID.fullmatch(value):
        raise ValueError(
            "is not a UID; give what `kubectl get namespace kube-system "
            "-o jsonpath={.metadata.uid}` prints"
        )
    return value


def check_text(value: str) -> str:
    """Check a name that others choose: one line, not empty."""
    if not value.strip() or not value.isprintable():
        raise ValueError("is not a name; give one line of text, or remove the key")
    return value


def check_dns_label(value: str) -> str:
    """Check a name that names resources too."""
    if not _DNS_LABEL.fullmatch(value):
        raise ValueError("is not a DNS label; use lower-case letters, digits and '-', at most 63")
    return value


def check_user(value: str) -> str:
    """Check the name of a user of a host."""
    if not _USER.fullmatch(value):
        raise ValueError("is not a user's name; write such as root or admin")
    return value


def check_quantity(value: str | None) -> str | None:
    """Check a Kubernetes quantity."""
    if value is not None and not _QUANTITY.fullmatch(value):
        raise ValueError("is not a Kubernetes quantity; write such as 200m, 512Mi or 1Gi")
    return value


def check_threshold(value: str | None) -> str | None:
    """Check an eviction threshold: a quantity or a share."""
    if value is not None and not _THRESHOLD.fullmatch(value):
        raise ValueError("is not an eviction threshold; write such as 100Mi or 10%")
    return value


def check_domain(value: str) -> str:
    """Check a DNS domain."""
    if len(value) > 253 or not _DOMAIN.fullmatch(value):
        raise ValueError("is not a DNS domain; write such as cluster.local")
    return value


def check_path(value: str) -> str:
    """Check an absolute path without white space."""
    if not _PATH.fullmatch(value) or "/../" in f"{value}/":
        raise ValueError("is not an absolute path; write such as /opt/cni/bin")
    return value


def check_file(value: str) -> str:
    """Check the absolute path of a file or folder that this program writes."""
    if not _FILE.fullmatch(value):
        raise ValueError(
            "is not the path of a file; begin with / and use letters, digits and ._@+=- alone"
        )
    return value


def check_socket(value: str) -> str:
    """Check the URL of a unix socket."""
    scheme, _, path = value.partition("://")
    if scheme != "unix" or not _PATH.fullmatch(path) or path.endswith("/"):
        raise ValueError("is not a socket; write such as unix:///run/containerd/containerd.sock")
    return value
