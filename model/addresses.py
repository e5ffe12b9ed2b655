"""Checks of addresses, networks and the API server's URL, as those of model/values.py."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_DOMAIN = 253
_SERVER = "is not an API server's URL; write such as https://10.0.0.1:6443"


def check_ip(value: str) -> str:
    """Check an IP address of any kind; the canonical form makes equal ones equal texts."""
    try:
        # A zone, as in fe80::1%eth0, means something on one machine alone.
        return str(ipaddress.ip_address(value.replace("%", "no zone")))
    except ValueError:
        raise ValueError(_nearly_ip(value)) from None


def _nearly_ip(value: str) -> str:
    """Say what an address that is none was probably meant to be."""
    if "," in value:
        return "holds more than one address; give one"
    if "/" in value and _is_ip(value.partition("/")[0]):
        return f"has a prefix length; write {value.partition('/')[0]}"
    if value.startswith("[") and _is_ip(value.strip("[]")):
        return f"has brackets, which belong to URLs; write {value.strip('[]')}"
    parts = value.split(".")
    if len(parts) == 4 and all(part.isascii() and part.isdigit() for part in parts):
        plain = ".".join(part.lstrip("0") or "0" for part in parts)
        if plain != value and _is_ip(plain):
            return f"has a leading zero, which some read as octal; write {plain}"
    return "is not an IP address; give a full IPv4 or IPv6 address"


def _is_ip(value: str) -> bool:
    try:
        return bool(ipaddress.ip_address(value))
    except ValueError:
        return False


def check_host_address(value: str) -> str:
    """Check the address of a host: one that the kubelet takes as its node IP."""
    address = ipaddress.ip_address(check_ip(value))
    nowhere = address.version == 4 and address.is_reserved
    if address.is_loopback or address.is_unspecified or address.is_multicast or nowhere:
        raise ValueError("is not the address of a host; give one that the cluster reaches")
    if address.is_link_local:
        raise ValueError("is a link-local address; give one that the cluster reaches")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise ValueError(f"is IPv4 written as IPv6; write {address.ipv4_mapped}")
    return str(address)


def check_bind_address(value: str) -> str:
    """Check the address and port that a server listens on; 0.0.0.0 and [::] stand for all."""
    host, _, port = value.rpartition(":")
    literal = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(literal.replace("%", "no zone"))
    except ValueError:
        raise ValueError("is not address:port; write such as 0.0.0.0:10256 or [::]:10256") from None
    if (":" in literal) != (literal != host):
        raise ValueError("is not address:port; an IPv6 address stands in brackets: [::]:10256")
    if not re.fullmatch(r"[1-9]\d{0,4}", port, re.ASCII) or int(port) > 65535:
        raise ValueError("has no port; write such as 0.0.0.0:10256 or [::]:10256")
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def check_listening_ip(value: str) -> str:
    """Check the IP address that kube-proxy takes for its host's; 0.0.0.0 and :: stand for all."""
    address = ipaddress.ip_address(check_ip(value))
    if address.is_loopback or address.is_multicast or address.is_link_local:
        raise ValueError("is not the address of a host; give one that the cluster reaches")
    return str(address)


def check_cidr(value: str) -> str:
    """Check the CIDR of a network."""
    if "," in value:
        raise ValueError("holds more than one CIDR; write each in a line of its own")
    if "/" not in value:
        raise ValueError("is not a CIDR; write such as 10.200.0.0/16")
    address, _, length = value.partition("/")
    try:
        network = ipaddress.ip_network(value, strict=False)
        first = ipaddress.ip_address(address)
    except ValueError:
        raise ValueError("is not a CIDR; write such as 10.200.0.0/16") from None
    if not length.isdigit():
        raise ValueError(f"has a mask in place of a prefix length; write {network}")
    if network.network_address != first:
        raise ValueError(f"has host bits; write {network}, or the network that was meant")
    return str(network)


def check_routed_cidr(value: str) -> str:
    """Check the CIDR of pods or Services: a network that hosts can route."""
    network = ipaddress.ip_network(check_cidr(value))
    address = network.network_address
    if network.num_addresses == 1:
        raise ValueError("is one address alone; give the whole network of the control plane")
    if network.prefixlen == 0:
        raise ValueError("is every address that there is; give the control plane's own network")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise ValueError("is IPv4 written as IPv6; write it as IPv4")
    if address.is_loopback or address.is_multicast or address.is_link_local:
        raise ValueError("is not a network that is routed; give the control plane's own")
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
        host = url.hostname or ""
    except ValueError:
        raise ValueError(_SERVER) from None
    try:
        port = url.port
    except ValueError:
        # What stands behind the last colon is no port, or the end of an address without brackets.
        raise ValueError(_nearly_server(url.netloc)) from None
    if "@" in url.netloc:
        raise ValueError("!holds a user name; write host and port alone, nodes have certificates")
    if url.scheme == "http":
        raise ValueError("is not https; the API server speaks https alone: write https://")
    if url.scheme != "https" or not _is_host(host) or port == 0:
        raise ValueError(_SERVER)
    if _is_ip(host) and ipaddress.ip_address(host).is_unspecified:
        raise ValueError("is where a server listens, not where it is; give the address of one")
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("has more than host and port; write such as https://10.0.0.1:6443")
    name = f"[{check_ip(host)}]" if ":" in host else host
    return f"https://{name}" if port is None else f"https://{name}:{port}"


def _nearly_server(place: str) -> str:
    """Say what is wrong behind the first colon of a host."""
    for address, port in (place.rpartition(":")[::2], (place, "")):
        if ":" in address and _is_ip(address):
            right = f"https://[{address}]{f':{port}' if port else ''}"
            return f"has an IPv6 address without brackets; write {right}"
    return "has a port that is none; give 1 to 65535"


def check_ssh_host(value: str) -> str:
    """Check what SSH can connect to: an IP address or a DNS name."""
    if not _is_host(value):
        raise ValueError("is not a host; give its IP address or DNS name")
    return check_ip(value) if ":" in value else value


def _is_host(host: str) -> bool:
    """Whether it is an IP address or a DNS name; what ends in a number can only be an address."""
    if ":" in host or re.search(r"(^|\.)\d+$", host):
        try:
            return bool(check_ip(host))
        except ValueError:
            return False
    return len(host) <= _LONGEST_DOMAIN and bool(_DOMAIN.fullmatch(host))


def check_domain(value: str) -> str:
    """Check a DNS domain."""
    if len(value) > _LONGEST_DOMAIN:
        raise ValueError(f"is too long for a DNS domain; give at most {_LONGEST_DOMAIN} characters")
    if not _DOMAIN.fullmatch(value):
        raise ValueError("is not a DNS domain; write such as cluster.local")
    return value
