"""A real control plane as processes of this machine, reachable at the bridge's address."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from lab import processes
from lab.errors import LabError
from lab.files import write_atomically
from lab.kubeconfig import write_kubeconfig
from lab.pki import Authority, ensure_signing_key
from lab.spec import API_PORT, SERVICE_CIDR, LabSpec

ETCD_PORT = 2379
PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def make_files(spec: LabSpec) -> None:
    """Make the certificates and kubeconfigs that are not there yet."""
    pki = spec.path("pki")
    cluster, etcd = Authority(pki, "ca"), Authority(pki, "etcd-ca")
    cluster.ensure()
    etcd.ensure()
    etcd.ensure_certificate("etcd", "etcd", addresses=[spec.gateway])
    etcd.ensure_certificate("etcd-client", "kube-apiserver")
    cluster.ensure_certificate(
        "kube-apiserver",
        "kube-apiserver",
        addresses=[spec.gateway, spec.service_ip],
        dns_names=["kubernetes", "kubernetes.default", "kubernetes.default.svc"],
    )
    # `kubectl logs` and `exec` go through this certificate to the kubelet; system:masters is
    # what every kubelet's webhook authorization lets in.
    cluster.ensure_certificate(
        "kubelet-client", "kube-apiserver-kubelet-client", organization="system:masters"
    )
    cluster.ensure_certificate("admin", "lab-admin", organization="system:masters")
    write_kubeconfig(spec, spec.path("kubeconfig"), "admin")
    for part in ("kube-controller-manager", "kube-scheduler"):
        cluster.ensure_certificate(part, f"system:{part}")
        write_kubeconfig(spec, pki / f"{part}.kubeconfig", part)
    ensure_signing_key(pki / "service-account.key")
    tokens = pki / "token.csv"
    if not tokens.exists():
        # Nobody has a static token; kube-apiserver takes an empty file, but does not do without it.
        write_atomically(tokens, "")


def etcd_arguments(spec: LabSpec, binary: Path) -> list[str]:
    """Return etcd's command. It loses data when the machine's power fails; a lab may."""
    pki = spec.path("pki")
    client = f"https://{spec.gateway}:{ETCD_PORT}"
    peer = f"http://{spec.gateway}:{ETCD_PORT + 1}"
    return [
        str(binary),
        "--name=lab",
        f"--data-dir={spec.path('etcd')}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=lab={peer}",
        f"--cert-file={pki / 'etcd.crt'}",
        f"--key-file={pki / 'etcd.key'}",
        f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
        "--client-cert-auth",
    ]


def apiserver_arguments(spec: LabSpec, binary: Path) -> list[str]:
    """Return kube-apiserver's command: as a careful administrator's, with bootstrap tokens on."""
    pki = spec.path("pki")
    return [
        str(binary),
        f"--bind-address={spec.gateway}",
        f"--advertise-address={spec.gateway}",
        f"--secure-port={API_PORT}",
        f"--etcd-servers=https://{spec.gateway}:{ETCD_PORT}",
        f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'etcd-client.key'}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth",
        # Read at the start alone: who adds a line restarts kube-apiserver.
        f"--token-auth-file={pki / 'token.csv'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
        # By address: this machine cannot resolve the hosts' names.
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'kubelet-client.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'service-account.key.pub'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
    ]


def controller_manager_arguments(spec: LabSpec, binary: Path) -> list[str]:
    """Return kube-controller-manager's command: it signs what is approved and approves nothing.

    Nothing, because no binding of this cluster lets a bootstrap token or a node approve itself.
    """
    pki = spec.path("pki")
    return [
        str(binary),
        *_client_arguments(spec, "kube-controller-manager"),
        "--controllers=*,bootstrapsigner,tokencleaner",
        "--use-service-account-credentials",
        "--allocate-node-cidrs",
        f"--cluster-cidr={spec.pod_cidr}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'service-account.key'}",
    ]


def scheduler_arguments(spec: LabSpec, binary: Path) -> list[str]:
    return [str(binary), *_client_arguments(spec, "kube-scheduler")]


def start(spec: LabSpec, programs: Mapping[str, Path], timeout_seconds: float = 180) -> list[str]:
    """Start what is not running, wait until the API is ready; return the names of what started.

    Args:
        spec: the lab.
        programs: the executable of each of PARTS.
        timeout_seconds: how long the API server may take.
    """
    make_files(spec)
    arguments = {
        "etcd": etcd_arguments,
        "kube-apiserver": apiserver_arguments,
        "kube-controller-manager": controller_manager_arguments,
        "kube-scheduler": scheduler_arguments,
    }
    commands = {name: arguments[name](spec, programs[name]) for name in PARTS}
    started = [name for name in PARTS[:2] if processes.ensure(spec, name, commands[name])]
    wait_ready(spec, timeout_seconds)
    # Before the API is ready kube-controller-manager exits: "forbidden" on its first config map.
    started += [name for name in PARTS[2:] if processes.ensure(spec, name, commands[name])]
    return started


def ready(spec: LabSpec) -> bool:
    """Say whether the API server calls itself ready."""
    context = ssl.create_default_context(cafile=str(spec.path("pki", "ca.crt")))
    request = urllib.request.Request(f"{spec.server}/readyz")  # noqa: S310 - our own https address
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(request, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def wait_ready(spec: LabSpec, timeout_seconds: float) -> None:
    """Wait for the API server; when one of its two processes ends meanwhile, show its log."""
    deadline = time.monotonic() + timeout_seconds
    while not ready(spec):
        for name in PARTS[:2]:
            if not processes.running(spec, name):
                log = spec.path("logs", f"{name}.log")
                raise LabError(f"{name} ended; its log {log} says:\n{processes.tail(log)}")
        if time.monotonic() > deadline:
            raise LabError(
                f"{spec.server}: not ready after {timeout_seconds:.0f} s;"
                f" see {spec.path('logs', 'kube-apiserver.log')}."
            )
        time.sleep(0.1)


def _client_arguments(spec: LabSpec, part: str) -> list[str]:
    kubeconfig = spec.path("pki", f"{part}.kubeconfig")
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={spec.gateway}",
        # One of each: an election would only make the start slower.
        "--leader-elect=false",
    ]
