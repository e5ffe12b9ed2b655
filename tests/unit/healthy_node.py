"""A worker as it should be: what is declared, what its host would tell, and its Node."""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kube_nodes.model.binaries import Binaries
from kube_nodes.model.dns import render_query
from kube_nodes.model.expectation import Expectation, ExpectedName, ExpectedNetwork
from kube_nodes.model.findings import Finding, Level
from kube_nodes.model.host_facts import HostFacts, parse_host_facts
from kube_nodes.model.verification import verify_host
from kube_nodes.render.expectation import expect_node
from kube_nodes.settings import parse_settings
from tests.configurations import right_configuration

NOW = datetime(2031, 5, 1, tzinfo=UTC)
CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
SERVING = "/var/lib/kubelet/pki/kubelet-server-current.pem"
PROXY = "/etc/kubernetes/proxy.conf"
KUBELET_SHA256, KUBE_PROXY_SHA256 = "a" * 64, "b" * 64
MACHINE = "0123456789abcdef0123456789abcdef"
NETWORK = ExpectedNetwork(
    service_url="http://10.96.7.7/",
    pods={"n2": "http://10.200.1.2:80/"},
    name=ExpectedName(
        name="service-check.kube-nodes.svc.cluster.local",
        address="10.96.7.7",
        servers=("10.96.0.10",),
        served=frozenset({"10.96.0.10"}),
    ),
)


@dataclass(frozen=True)
class Authority:
    """A CA for tests."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def issue(
    common_name: str,
    issuer: Authority | None = None,
    *,
    organization: str = "",
    addresses: tuple[str, ...] = (),
    begins: datetime = NOW - timedelta(days=100),
    ends: datetime = NOW + timedelta(days=265),
) -> Authority:
    """Issue a certificate; a CA's of its own without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [(NameOID.COMMON_NAME, common_name), (NameOID.ORGANIZATION_NAME, organization)]
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names if value])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if addresses:
        alternative = [x509.IPAddress(ip_address(each)) for each in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    signed = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    return Authority(key, signed)


@cache
def authority() -> Authority:
    """The cluster's CA."""
    return issue("kubernetes", ends=NOW + timedelta(days=3650))


@cache
def expected() -> Expectation:
    """What is declared."""
    options = {"options": {"labels": {"tier": "gold"}, "taints": ["dedicated=db:PreferNoSchedule"]}}
    values = right_configuration(
        caCertificate=authority().pem, pools={"workers": {"nodes": {"n1": options}}}
    )
    settings = parse_settings(values)
    url = "https://files.example"
    binaries = Binaries.model_validate(
        {
            "kubelet": {"url": f"{url}/kubelet", "sha256": KUBELET_SHA256},
            "kubeProxy": {"url": f"{url}/kube-proxy", "sha256": KUBE_PROXY_SHA256},
        }
    )
    return expect_node(settings.cluster, settings.nodes[0], binaries, NETWORK)


@cache
def certificates() -> dict[str, str]:
    """Every certificate that the host holds, by its path."""
    name, group = "system:node:n1", "system:nodes"
    return {
        CLIENT: issue(name, authority(), organization=group).pem,
        SERVING: issue(name, authority(), organization=group, addresses=("192.0.2.21",)).pem,
        PROXY: issue("system:kube-proxy", authority()).pem,
    }


def unit_lines(name: str, program: str, file: str) -> list[str]:
    """What the host tells of a unit that runs."""
    properties = {
        "LoadState": "loaded",
        "ActiveState": "active",
        "SubState": "running",
        "Result": "success",
        "NRestarts": "0",
        "UnitFileState": "enabled",
        "FragmentPath": file,
        "DropInPaths": "/usr/lib/systemd/system/service.d/10-timeout.conf",
        "NeedDaemonReload": "no",
        "ActiveEnterTimestampMonotonic": "1000000000",
        "MainPID": "17",
        "Program": program,
    }
    return [f"unit {name} {key}={value}" for key, value in properties.items()]


def answer(address: str = "10.96.7.7", code: int = 0) -> str:
    """What a DNS server answers to the network's question, in hexadecimal digits."""
    assert NETWORK.name
    query = render_query(NETWORK.name.name, 4)
    records = b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04" + ip_address(address).packed
    counts = b"\0\x01" + (b"\0\x01" if not code else b"\0\0") + b"\0\0\0\0"
    return (query[:2] + bytes([0x85, code]) + counts + query[12:] + records).hex()


@cache
def told() -> str:
    """What the host tells."""
    lines = ["text uptime 5000.25 9000.00", f"text machine {MACHINE}"]
    lines += [f"text generation {expected().life}"]
    for file in expected().files:
        kind = "file" if file.kind == "target" else file.kind
        size = "- - -" if kind == "absent" else f"{file.mode} 0:0 100"
        lines.append(f"file {file.path} {kind} {size} {file.digest or '-'}")
    ours = [file.path for file in expected().files if file.digest]
    lines += [f"record - {path}" for path in ("/var/lib/kube-nodes/units.list", *ours)]
    lines += [f"sent - {'a' * 64}"]
    lines += [f"sysctl {name} {value}" for name, value in expected().sysctls]
    lines += [f"version {path} Kubernetes {each}" for path, each in expected().programs.items()]
    for each in expected().kubeconfigs:
        lines.append(f"kubeconfig {each.path} certificate-authority {each.ca_path}")
        lines.append(f"kubeconfig {each.path} server {each.server}")
        lines.append(f"kubeconfig {each.path} user {each.user or 'default-auth'}")
        if each.certificate_path:
            lines.append(f"kubeconfig {each.path} client-certificate {each.certificate_path}")
    for path, pem in certificates().items():
        lines += [f"certificate {path} {line}" for line in pem.splitlines()]
    for unit in expected().units:
        lines += unit_lines(unit.name, unit.program, unit.unit_file)
        lines.append(f"http {unit.name} 200 ")
    lines += ["mode - nftables", "http service 200 ", "http pod-on-n2 200 "]
    lines += [f"dns 10.96.0.10 {answer()}", "end", ""]
    return "\n".join(lines)


def findings(text: str) -> list[Finding]:
    """Judge what a host told."""
    return list(verify_host(expected(), facts(text), NOW))


def facts(text: str) -> HostFacts:
    """Read what a host told."""
    return parse_host_facts(text)


def not_well(text: str) -> dict[str, Finding]:
    """Give the findings that are not ok, by what they are about."""
    return {each.what: each for each in findings(text) if each.level is not Level.OK}


def node_object() -> dict[str, Any]:
    """The worker's Node."""
    return copy.deepcopy(
        {
            "metadata": {
                "name": "n1",
                "labels": {"tier": "gold", "owner": "operator"},
                "annotations": {"kube-nodes/generation": "1"},
            },
            "spec": {
                "podCIDR": "10.200.3.0/24",
                "podCIDRs": ["10.200.3.0/24"],
                "taints": [
                    {"key": "dedicated", "value": "db", "effect": "PreferNoSchedule"},
                    {"key": "operator/own", "effect": "NoSchedule"},
                ],
            },
            "status": {
                "capacity": {"pods": "110"},
                "addresses": [
                    {"type": "InternalIP", "address": "192.0.2.21"},
                    {"type": "Hostname", "address": "n1"},
                ],
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "NetworkUnavailable", "status": "False"},
                ],
                "nodeInfo": {"kubeletVersion": "v1.37.2", "machineID": MACHINE},
            },
        }
    )


def encoded(text: str) -> str:
    """Write text as a kubeconfig has it."""
    return base64.b64encode(text.encode()).decode()
