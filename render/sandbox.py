"""What systemd keeps kubelet and kube-proxy from: settings of the section Service of their units.

docs/hardening.md says of each why it is there, and what was left out because something broke.
Filters name what is refused, not what is allowed: a group that an old systemd does not know is
ignored, which in a list of the allowed would leave next to nothing. Any setting can be put aside by
`kubeletUnit` and `kubeProxyUnit`.
Source: systemd.exec(5) of systemd 252.
"""

from __future__ import annotations

from collections.abc import Iterator

from kube_nodes.model.options import NodeOptions
from kube_nodes.model.versions import OLDEST_JOINING_MINOR, KubernetesVersion

_KUBELET_LACKS = (
    "CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_BLOCK_SUSPEND CAP_SYS_BOOT CAP_SYS_PACCT CAP_SYS_TIME "
    "CAP_SYS_TTY_CONFIG CAP_WAKE_ALARM"
)
_KUBELET_CALLS = "@clock @cpu-emulation @obsolete @raw-io @reboot @swap sethostname setdomainname"
# @privileged holds @clock, @module, @raw-io, @reboot and @swap.
_KUBE_PROXY_CALLS = "@cpu-emulation @debug @mount @obsolete @privileged"
_FAMILIES = "AF_UNIX AF_INET AF_INET6 AF_NETLINK"
_KUBELETS = "-/var/lib/kubelet"
# Whoever can speak to these is root of the host.
_SOCKETS = "-/run/containerd -/run/dbus -/run/docker.sock -/run/systemd/private"


def kubelet_sandbox(options: NodeOptions) -> Iterator[tuple[str, str]]:
    """Give what the kubelet can do without.

    Nothing here may give it a mount namespace of its own: what it mounts must reach the runtime.
    Nor may it be kept from set-group-ID bits (fsGroup), from /dev/kmsg, or from new privileges
    (SELinux may not let it into its domain).
    """
    if not _sandboxed(options.kubernetes_version):
        return
    yield "CapabilityBoundingSet", f"~{_KUBELET_LACKS}"
    yield "LockPersonality", "yes"
    yield "RestrictRealtime", "yes"
    if not options.docker:
        # With Docker the kubelet itself runs CNI plugins, which enter the pods' namespaces.
        yield "RestrictAddressFamilies", _FAMILIES
        yield "RestrictNamespaces", "yes"
    yield "SystemCallArchitectures", "native"
    yield "SystemCallErrorNumber", "EPERM"
    yield "SystemCallFilter", f"~{_KUBELET_CALLS}"


def kube_proxy_sandbox(options: NodeOptions) -> Iterator[tuple[str, str]]:
    """Give what kube-proxy can do without: all but the network's rules and sysctls."""
    if not _sandboxed(options.kube_proxy_version or options.kubernetes_version):
        return
    # In the other modes iptables, ipset or kube-proxy load modules with modprobe.
    loads = options.proxy_mode != "nftables"
    yield from _run_shared() if loads else _run_hidden()
    yield "CapabilityBoundingSet", f"CAP_NET_ADMIN CAP_NET_RAW{' CAP_SYS_MODULE' * loads}"
    yield "LockPersonality", "yes"
    yield "MemoryDenyWriteExecute", "yes"
    yield "NoNewPrivileges", "yes"
    # Without CAP_SYS_RESOURCE it can't lower the score itself.
    yield "OOMScoreAdjust", "-999"
    yield "PrivateDevices", "yes"
    yield "PrivateTmp", "yes"
    yield "ProtectClock", "yes"
    yield "ProtectControlGroups", "yes"
    yield "ProtectHome", "yes"
    yield "ProtectHostname", "yes"
    yield "ProtectKernelLogs", "yes"
    yield "ProtectProc", "invisible"
    yield "ProtectSystem", "strict"
    yield "RestrictAddressFamilies", _FAMILIES
    yield "RestrictNamespaces", "yes"
    yield "RestrictRealtime", "yes"
    yield "RestrictSUIDSGID", "yes"
    yield "SystemCallArchitectures", "native"
    yield "SystemCallErrorNumber", "EPERM"
    yield "SystemCallFilter", f"~{_KUBE_PROXY_CALLS}"
    if loads:
        # Once there is a list of the refused, this takes something off it.
        yield "SystemCallFilter", "@module"
    yield "UMask", "0077"


# Not ProtectKernelTunables: kube-proxy sets sysctls of the network, and nf_conntrack's hashsize.
_TUNABLES = "/proc/sys /sys/kernel"


def _run_hidden() -> Iterator[tuple[str, str]]:
    """Hide /run but for what /etc/resolv.conf leads to, and iptables' lock if there is one."""
    yield "BindPaths", "-/run/xtables.lock"
    yield "BindReadOnlyPaths", "-/run/systemd/resolve -/run/NetworkManager -/run/resolvconf"
    yield "InaccessiblePaths", _KUBELETS
    yield "ReadOnlyPaths", _TUNABLES
    yield "ReadWritePaths", "/proc/sys/net"
    yield "TemporaryFileSystem", "/run:ro"


def _run_shared() -> Iterator[tuple[str, str]]:
    """Leave /run: all of a host's iptables share /run/xtables.lock, and the first one makes it."""
    yield "InaccessiblePaths", f"{_KUBELETS} {_SOCKETS}"
    yield "ReadOnlyPaths", f"{_TUNABLES} -/run/systemd -/run/udev"
    yield "ReadWritePaths", "/proc/sys/net /run"


def _sandboxed(version: KubernetesVersion) -> bool:
    """Say whether it was, or can be, tried: what is older is rendered, and joined by nobody."""
    return version.minor >= OLDEST_JOINING_MINOR
