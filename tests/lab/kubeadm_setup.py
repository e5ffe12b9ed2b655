"""A node as `kubeadm join` sets it up, by kubeadm itself, on a host of the lab.

What `kubeadm init` leaves in the cluster for joins is made by its own phases upload-config and
bootstrap-token, against the lab's API server. kubelet and kubeadm stand where their packages put
them, with the packages' unit and drop-in. Its kube-proxy DaemonSet is the one thing played: there
is no registry to have its image from, so a pod runs the real kube-proxy off the host's own files.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import Any

import yaml

from lab.hosts import root
from lab.images import WEB
from lab.tools import ensure
from tests.lab.nodes_stack import NodesStack

TOKEN = "abcdef.0123456789abcdef"
DROP_IN = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
_PROXY = "/usr/libexec/theirs/kube-proxy"
# Both as in the packages of kubernetes/release (cmd/krel/templates/latest).
_UNIT = """\
[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""
_DROP_IN_TEXT = """\
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""  # noqa: E501


def set_up_by_kubeadm(nodes: NodesStack, host: str) -> None:
    """Have kubeadm make the cluster ready for joins, and the host join."""
    kubeadm = ensure(("kubeadm",), nodes.lab.kubernetes)["kubeadm"]
    _prepare_cluster(nodes, str(kubeadm))
    top = root(nodes.lab, host)
    shutil.copy(kubeadm, top / "usr/bin/kubeadm")
    shutil.copy(nodes.lab.path("artifacts", nodes.lab.kubernetes, "kubelet"), top / "usr/bin")
    for path, text in ((DROP_IN, _DROP_IN_TEXT), (DROP_IN.rpartition(".d/")[0], _UNIT)):
        file = top / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    server = nodes.lab.server.removeprefix("https://")
    nodes.ssh(
        host,
        "systemctl daemon-reload && systemctl enable kubelet && kubeadm join"
        f" {server} --token {TOKEN} --discovery-token-unsafe-skip-ca-verification"
        " --ignore-preflight-errors=all --cri-socket=unix:///run/containerd/containerd.sock",
    )
    end = time.monotonic() + 60
    while host not in nodes.ready():
        assert time.monotonic() < end, nodes.ssh(host, "journalctl -u kubelet | tail -n 30")
        time.sleep(0.5)
    _run_kube_proxy(nodes, host)


def _prepare_cluster(nodes: NodesStack, kubeadm: str) -> None:
    """Run the phases of `kubeadm init` that a join needs."""
    documents = [
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "InitConfiguration",
            "bootstrapTokens": [
                {
                    "token": TOKEN,
                    "groups": ["system:bootstrappers:kubeadm:default-node-token"],
                    "usages": ["signing", "authentication"],
                }
            ],
            "localAPIEndpoint": {"advertiseAddress": nodes.lab.gateway},
        },
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "kubernetesVersion": f"v{nodes.lab.kubernetes}",
            "controlPlaneEndpoint": nodes.lab.server.removeprefix("https://"),
            "networking": {"podSubnet": nodes.lab.pod_cidr, "serviceSubnet": "10.96.0.0/16"},
        },
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": False,
            "failSwapOn": False,
            "maxPods": 99,
        },
    ]
    file = nodes.lab.path("kubeadm.yaml")
    file.write_text(yaml.safe_dump_all(documents))
    for phase in (("upload-config", "all"), ("bootstrap-token",)):
        done = subprocess.run(
            [kubeadm, "init", "phase", *phase, f"--config={file}",
             f"--kubeconfig={nodes.lab.path('kubeconfig')}"],
            env=nodes.stack.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def _run_kube_proxy(nodes: NodesStack, host: str) -> None:
    """Run kube-proxy as a DaemonSet, in the mode that kubeadm's has."""
    folder = root(nodes.lab, host) / _PROXY[1:]
    folder.parent.mkdir(parents=True)
    shutil.copy(nodes.lab.path("artifacts", nodes.lab.kubernetes, "kube-proxy"), folder)
    shutil.copy(nodes.lab.path("kubeconfig"), folder.with_name("kubeconfig"))
    command = [
        *("/bin/busybox", "chroot", "/host", _PROXY, f"--hostname-override={host}"),
        f"--kubeconfig={_PROXY.rpartition('/')[0]}/kubeconfig",
        *("--proxy-mode=iptables", "--conntrack-max-per-core=0", "--conntrack-min=0"),
    ]
    container = {
        "name": "kube-proxy",
        "image": WEB,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "env": [{"name": "PATH", "value": "/usr/sbin:/usr/bin:/sbin:/bin"}],
        # The lab's API server lets no privileged pod in.
        "securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW", "SYS_CHROOT"]}},
        "volumeMounts": [{"name": "host", "mountPath": "/host"}],
    }
    labels = {"k8s-app": "kube-proxy"}
    pod = {
        "hostNetwork": True,
        "automountServiceAccountToken": False,
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/hostname": host},
        "containers": [container],
        "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    }
    daemon_set: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    file = nodes.lab.path("kube-proxy.json")
    file.write_text(json.dumps(daemon_set))
    nodes.kubectl("apply", "-f", str(file))
    ask = "curl -sf http://127.0.0.1:10256/healthz"
    nodes.ssh(host, f"timeout 60 sh -c 'until {ask}; do sleep 0.2; done'")
