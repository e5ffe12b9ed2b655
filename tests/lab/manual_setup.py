"""A node as the manual sets it up by hand, step by step, on a host of the lab.

Its units are the manual's own text (tests/golden/seed/manual), with today's addresses, containerd
for Docker, and without the flags that today's kubelet and kube-proxy do not have any more.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import yaml

from lab.hosts import root
from lab.pki import Authority
from tests.lab.nodes_stack import NodesStack

TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
USER = "kubelet-bootstrap"
KUBECONFIGS = "/etc/kubernetes/kubeconfig"
_TESTS = Path(__file__).parents[1]
_UNITS = _TESTS / "golden" / "seed" / "manual"
_FLAGS = yaml.safe_load((_TESTS / "unit" / "data" / "component_flags.yaml").read_text())
_MINOR = 37
# What a lab's host needs because it is a container on a machine with cgroup v1.
_LAB_CONFIG = """\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
"""
_LAB_FLAGS = {
    "kubelet": "--config=/etc/kubernetes/kubelet-lab.yaml",
    "kube-proxy": "--conntrack-max-per-core=0 --conntrack-min=0",
}
# From 1.16 on a kubelet refuses to give itself this label.
_REFUSED = "--node-labels=node-role.kubernetes.io/node=true"


def set_up_by_hand(nodes: NodesStack, host: str) -> None:
    """Do what the manual's reader does for one host, on both machines."""
    nodes.give_api_server_tokens(f'{TOKEN},{USER},10001,"system:bootstrappers"\n')
    nodes.kubectl(
        "create", "clusterrolebinding", USER, "--clusterrole=system:node-bootstrapper",
        f"--user={USER}",
    )  # fmt: skip
    _write_files(nodes, host)
    nodes.ssh(
        host, "systemctl daemon-reload && systemctl enable kubelet && systemctl start kubelet"
    )
    _approve(nodes, host)
    nodes.ssh(host, "systemctl enable kube-proxy && systemctl start kube-proxy")


def _write_files(nodes: NodesStack, host: str) -> None:
    top = root(nodes.lab, host)
    pki = top / "etc/kubernetes/pki"
    made = ("etc/kubernetes/manifests", KUBECONFIGS[1:], "var/lib/kubelet", "var/lib/kube-proxy")
    for folder in (pki, *(top / each for each in made)):
        folder.mkdir(parents=True, exist_ok=True)
    ca = nodes.lab.path("pki", "ca.crt")
    shutil.copyfile(ca, pki / "kubernetes-ca.pem")
    (top / "etc/kubernetes/kubelet-lab.yaml").write_text(_LAB_CONFIG)
    _kubeconfig(nodes, host, "bootstrap", USER, f"--token={TOKEN}")
    Authority(ca.parent, "ca").ensure_certificate("by-hand", "system:kube-proxy")
    pair = (f"--client-{key}={ca.parent}/by-hand.{end}"
            for key, end in (("certificate", "crt"), ("key", "key")))  # fmt: skip
    _kubeconfig(nodes, host, "kube-proxy", "kube-proxy", *pair, "--embed-certs=true")
    for name in ("kubelet", "kube-proxy"):
        shutil.copy(nodes.lab.path("artifacts", nodes.lab.kubernetes, name), top / "usr/bin" / name)
        unit = top / "usr/lib/systemd/system" / f"{name}.service"
        unit.write_text(_unit(nodes, host, name))


def _kubeconfig(nodes: NodesStack, host: str, name: str, user: str, *credentials: str) -> None:
    """Run the manual's four commands of `kubectl config`."""
    file = f"--kubeconfig={root(nodes.lab, host)}{KUBECONFIGS}/{name}.kubeconfig"
    ca = nodes.lab.path("pki", "ca.crt")
    nodes.kubectl(
        "config", "set-cluster", "kubernetes", f"--certificate-authority={ca}",
        "--embed-certs=true", f"--server={nodes.lab.server}", file,
    )  # fmt: skip
    nodes.kubectl("config", "set-credentials", user, *credentials, file)
    nodes.kubectl(
        "config", "set-context", "default", "--cluster=kubernetes", f"--user={user}", file
    )
    nodes.kubectl("config", "use-context", "default", file)


def _unit(nodes: NodesStack, host: str, name: str) -> str:
    """Give the manual's unit as today's program takes it."""
    text = (_UNITS / f"{name}.service").read_text().replace("docker.service", "containerd.service")
    text = text.replace("192.168.10.80", nodes.lab.host(host).address)
    text = text.replace("172.254.0.2", "10.96.0.10").replace("172.1.0.0/16", nodes.lab.pod_cidr)
    lines = []
    for line in text.split("\n"):
        flag = re.match(r"  (--[\w-]+)", line)
        known = flag and _FLAGS[name].get(flag[1].replace("_", "-"))
        gate = line.startswith("  --feature-gates")
        if flag and (gate or _REFUSED in line or not known or known[1] < _MINOR):
            continue
        lines.append(line.rstrip(" \\") + " \\" if flag else line)
    # What was the last of the flags has no line after it that it is joined with.
    command = "\n".join(lines)
    return re.sub(r" \\\n(?!  --)", f" \\\n  {_LAB_FLAGS[name]}\n", command, count=1)


def _approve(nodes: NodesStack, host: str) -> None:
    """Run `kubectl get csr` until the request is there, and `kubectl certificate approve`."""
    end = time.monotonic() + 60
    while host not in nodes.ready():
        assert time.monotonic() < end, nodes.ssh(host, "journalctl -u kubelet | tail -n 30")
        for line in nodes.kubectl("get", "csr", "--no-headers").splitlines():
            if line.endswith("Pending"):
                nodes.kubectl("certificate", "approve", line.split()[0])
        time.sleep(0.5)
