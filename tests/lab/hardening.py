"""What a node of the lab says of itself: files on its disk, settings in force, its sandboxes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from kube_nodes.model.options import LayoutOptions
from kube_nodes.render import paths
from tests.cis import File, KnownNode
from tests.lab.nodes_stack import NodesStack


def known_node(nodes: NodesStack, name: str) -> KnownNode:
    """Ask the host for its files, and the running kubelet and kube-proxy for their settings."""
    layout = LayoutOptions()
    places = {
        "unit": paths.kubelet_unit(layout),
        "proxy": layout.kube_proxy_kubeconfig,
        "kubeconfig": layout.kubelet_kubeconfig,
        "ca": layout.ca_certificate,
        "configuration": paths.KUBELET_CONFIGURATION,
    }
    listed = nodes.ssh(name, f"stat -L -c '%a %U:%G' {' '.join(places.values())}").splitlines()
    files = {
        what: File(mode=int(line.split()[0], 8), owner=line.split()[1])
        for what, line in zip(places, listed, strict=True)
    }
    words = nodes.ssh(name, "tr '\\0' '\\n' </proc/$(pidof kubelet)/cmdline").splitlines()[1:]
    kubelet = json.loads(nodes.kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/configz"))
    proxy = json.loads(nodes.ssh(name, "curl -fsS http://127.0.0.1:10249/configz"))
    return KnownNode(
        files=files,
        kubelet=kubelet["kubeletconfig"],
        kubelet_flags={word.partition("=")[0]: word.partition("=")[2] for word in words},
        kube_proxy=proxy["kubeproxy.config.k8s.io"],
    )


# What a unit may not do is told by one of these. The lab's own machine may lack
# CAP_SYS_RESOURCE: then no OOM score is lowered and no limit of open files raised there.
_REFUSED = re.compile(
    r"^(?!.*(oom|max file handles))"
    r".*(operation not permitted|permission denied|read-only file system)",
    re.IGNORECASE | re.MULTILINE,
)
_CAP_NET_ADMIN_AND_RAW = "0000000000003000"


def assert_sandboxed(nodes: NodesStack, name: str) -> None:
    """Look at both programs from outside, and from inside kube-proxy's mount namespace."""
    first = nodes.ssh(name, "readlink /proc/1/ns/mnt").strip()
    kubelet, proxy = (_process(nodes, name, program) for program in ("kubelet", "kube-proxy"))
    assert (kubelet["Namespace"], kubelet["Seccomp"]) == (first, "2")
    assert proxy["Namespace"] != first
    assert (proxy["CapBnd"], proxy["NoNewPrivs"]) == (_CAP_NET_ADMIN_AND_RAW, "1")
    assert proxy["Seccomp"] == "2"
    tries = (
        "ls -A /var/lib/kubelet /run; echo 10 >/proc/sys/kernel/panic && echo bad; "
        "echo x >/etc/bad && echo bad; echo 1 >/proc/sys/net/ipv4/ip_forward && echo good"
    )
    inside = f"nsenter -m -t $(pidof kube-proxy) sh -c '{tries}'"
    seen = set(nodes.ssh(name, inside, check=False).split())
    assert "good" in seen
    assert not seen & {"bad", "pki", "pods", "containerd", "dbus"}
    journal = nodes.ssh(name, "journalctl --no-pager -o cat -u kubelet -u kube-proxy")
    refused = [found[0] for found in _REFUSED.finditer(journal)]
    assert refused == [], refused


def _process(nodes: NodesStack, name: str, program: str) -> dict[str, str]:
    """Read what the kernel says of a program: its mount namespace, and lines of its status."""
    told = nodes.ssh(
        name,
        f"p=$(pidof {program}); echo Namespace: $(readlink /proc/$p/ns/mnt); "
        "grep -E '^(NoNewPrivs|Seccomp|CapBnd):' /proc/$p/status",
    )
    return dict(re.findall(r"^(\w+):\s+(\S+)$", told, re.MULTILINE))


# What the kubelet mounts and sets for a pod that is nobody's, written by its one container; it ends
# when it has seen a mount that the host made after it began.
_VOLUMES_POD = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: volumes}
data: {key: from-the-map}
---
apiVersion: v1
kind: Pod
metadata: {name: volumes}
spec:
  nodeName: $node
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  securityContext: {fsGroup: 1234, runAsUser: 1000}
  containers:
  - name: reader
    image: localhost/kube-nodes/web:1
    imagePullPolicy: Never
    command:
    - /bin/busybox
    - sh
    - -c
    - |
      cat /map/key /one-key; echo
      for folder in /disk /memory; do echo x >$folder/file; stat -c %g $folder/file; done
      grep -c ' /memory tmpfs' /proc/mounts
      n=0; until [ -e /host/later/file ] || [ $n = 300 ]; do sleep 0.1; n=$((n + 1)); done
      cat /host/later/file
    volumeMounts:
    - {name: disk, mountPath: /disk}
    - {name: memory, mountPath: /memory}
    - {name: map, mountPath: /map}
    - {name: map, mountPath: /one-key, subPath: key}
    - {name: host, mountPath: /host, mountPropagation: HostToContainer}
  volumes:
  - {name: disk, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory}}
  - {name: map, configMap: {name: volumes}}
  - {name: host, hostPath: {path: /srv/volumes, type: DirectoryOrCreate}}
"""
SEEN_BY_THE_POD = "from-the-mapfrom-the-map\n1234\n1234\n1\nfrom-the-host\n"


def read_volumes(nodes: NodesStack, name: str, manifest: Path) -> str:
    """Run the pod on a node, make the mount that it waits for, and return what it wrote."""
    manifest.write_text(_VOLUMES_POD.replace("$node", name))
    nodes.kubectl("apply", "-f", str(manifest))
    try:
        _await(nodes, "Running")
        later = "/srv/volumes/later"
        mount = f"mkdir {later} && mount -t tmpfs none {later} && echo from-the-host >{later}/file"
        nodes.ssh(name, mount)
        _await(nodes, "Succeeded")
        return nodes.kubectl("logs", "volumes")
    finally:
        nodes.kubectl("delete", "-f", str(manifest))
        nodes.ssh(name, "umount /srv/volumes/later; rm -r /srv/volumes", check=False)


def _await(nodes: NodesStack, phase: str) -> None:
    nodes.kubectl(
        "wait", f"--for=jsonpath={{.status.phase}}={phase}", "pod/volumes", "--timeout=60s"
    )
