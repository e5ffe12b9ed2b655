"""What the lab, as the hosts' administrator, writes into a host before it boots. Pure text.

This is what a real fleet has from its image or its configuration management: name, network, SSH
access, a configured container runtime. Nothing of Kubernetes is in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from lab.images import PAUSE
from lab.rootfs import ADMIN
from lab.spec import Host, LabSpec

IMAGES_PATH = "var/lib/lab/images.tar"
CNI_CONFIG = "etc/cni/net.d/10-lab.conflist"
_BIN_DIR = "/usr/lib/cni"


@dataclass(frozen=True)
class File:
    """A file of a host: its path from the root, without a leading slash."""

    path: str
    content: str
    mode: int = 0o644


# A host is a container: what a machine has writable and its own, it must be given first.
_SETUP_UNIT = """\
[Unit]
Description=Make this container as open as a machine is
DefaultDependencies=no
Before=sysinit.target systemd-sysctl.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-setup

[Install]
WantedBy=sysinit.target
"""
_SETUP_SCRIPT = """\
#!/bin/sh
# Writable, as on a machine: the kubelet sets sysctls and makes cgroups.
set -e
mount -o remount,bind,rw /proc/sys
mount -o remount,rw /sys/fs/cgroup
for hierarchy in /sys/fs/cgroup/*/; do
  if mountpoint -q "$hierarchy"; then mount -o remount,bind,rw "$hierarchy"; fi
done
# Mounts of pods reach their containers.
mount --make-rshared /
# The kubelet watches it for kernel messages.
[ -e /dev/kmsg ] || mknod -m 600 /dev/kmsg c 1 11
"""
_IMAGES_UNIT = f"""\
[Unit]
Description=Import the lab's container images
Requires=containerd.service
After=containerd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ctr -n k8s.io images import /{IMAGES_PATH}

[Install]
WantedBy=multi-user.target
"""
_SYSCTL = """\
net.ipv4.ip_forward = 1
# The way to a peer's pods leads over the gateway; its hint of a shorter one would outlive the node.
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.default.accept_redirects = 0
"""
_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
PermitRootLogin prohibit-password
UseDNS no
"""
_CONTAINERD = f"""\
version = 2

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Where root lacks CAP_SYS_RESOURCE no sandbox could start with the score it asks for.
  restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{_BIN_DIR}"
  conf_dir = "/etc/cni/net.d"
"""
_IMAGES = "lab-images.service"
_RUNTIME_FILES = (
    File(f"etc/systemd/system/{_IMAGES}", _IMAGES_UNIT),
    File("etc/containerd/config.toml", _CONTAINERD),
)
_ENABLED_UNITS = {
    "lab-setup.service": "sysinit.target.wants",
    _IMAGES: "multi-user.target.wants",
    "systemd-networkd.service": "multi-user.target.wants",
}


def enabled_units(*, runtime: bool = True) -> dict[str, str]:
    """Return the units that are enabled, each with the folder of its link."""
    return {name: wants for name, wants in _ENABLED_UNITS.items() if runtime or name != _IMAGES}


def host_files(
    spec: LabSpec,
    host: Host,
    *,
    machine_id: str,
    private_key: str,
    operator_key: str,
    runtime: bool = True,
) -> list[File]:
    """Return the files of one host, each with its mode; without runtime it has no containerd."""
    names = "".join(f"{peer.address} {peer.name}\n" for peer in spec.hosts)
    authorized = f"{operator_key}\n"
    files = [
        File("etc/hostname", f"{host.name}\n"),
        File("etc/hosts", f"127.0.0.1 localhost\n{names}"),
        File("etc/machine-id", f"{machine_id}\n", 0o444),
        File("etc/resolv.conf", "# The lab has no name server.\n"),
        File("etc/systemd/network/10-host0.network", _networkd(spec, host)),
        File("etc/default/locale", ""),  # without it each login leaves a line in the journal
        File("etc/sysctl.d/90-lab.conf", _SYSCTL),
        File("etc/systemd/system/lab-setup.service", _SETUP_UNIT),
        File("usr/local/sbin/lab-setup", _SETUP_SCRIPT, 0o755),
        File("etc/ssh/sshd_config.d/lab.conf", _SSHD),
        File("etc/ssh/ssh_host_ed25519_key", private_key, 0o600),
        File("etc/ssh/ssh_host_ed25519_key.pub", f"{host.host_key}\n"),
        File("root/.ssh/authorized_keys", authorized, 0o600),
        File(f"home/{ADMIN}/.ssh/authorized_keys", authorized),
        File(f"etc/sudoers.d/{ADMIN}", f"{ADMIN} ALL=(ALL) NOPASSWD: ALL\n", 0o440),
    ]
    return [*files, *_RUNTIME_FILES] if runtime else files


def cni_config(pod_cidr: str) -> str:
    """Return the pod network of a node: each pod a point-to-point link, routed by the host.

    No bridge on the host: it would keep the gateway's address of a node's earlier range.
    """
    plugin = {
        "type": "ptp",
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": pod_cidr}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    network = {"cniVersion": "0.4.0", "name": "lab", "plugins": [plugin]}
    return json.dumps(network, indent=2) + "\n"


def _networkd(spec: LabSpec, host: Host) -> str:
    return f"""\
[Match]
Name=host0

[Network]
Address={host.address}/{spec.network.prefixlen}
Gateway={spec.gateway}
LinkLocalAddressing=no
IPv6AcceptRA=no
LLDP=no
EmitLLDP=no
"""
