"""The 25 checks of section 4 of the CIS Kubernetes Benchmark 1.12, on whatever is known of a node.

What is known comes from rendered files (tests/golden/test_hardening.py) or from a host and its
running kubelet (tests/lab). Source: cfg/cis-1.12/node.yaml of aquasecurity/kube-bench; where its
check passes a setting that is not there, this one wants it there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

STRONG_SUITES = {
    f"TLS_ECDHE_{key}_WITH_{cipher}"
    for key in ("ECDSA", "RSA")
    for cipher in (
        "AES_128_GCM_SHA256",
        "AES_256_GCM_SHA384",
        "CHACHA20_POLY1305",
        "CHACHA20_POLY1305_SHA256",  # the name since 1.19
    )
}


@dataclass(frozen=True, kw_only=True)
class File:
    """A file's mode and owner, `root:root`."""

    mode: int
    owner: str


@dataclass(frozen=True, kw_only=True)
class KnownNode:
    """What is known of a node: its files by what they are, and what its programs are told."""

    files: Mapping[str, File]
    """By name: unit, proxy, kubeconfig, ca and, where there is one, configuration."""
    kubelet: Mapping[str, Any]
    """Settings by field, nested."""
    kubelet_flags: Mapping[str, str]
    kube_proxy: Mapping[str, Any]


def setting(settings: Mapping[str, Any], path: str) -> Any:
    """Look up a nested field; None where it is not there."""
    for key in path.split("."):
        settings = settings.get(key, {})
    return None if settings == {} else settings


Check = Callable[[KnownNode], bool]


def _mode(name: str, most: int) -> Check:
    return lambda node: name not in node.files or node.files[name].mode & ~most == 0


def _owner(name: str) -> Check:
    return lambda node: name not in node.files or node.files[name].owner == "root:root"


def _kubelet(path: str, passes: Callable[[Any], bool]) -> Check:
    return lambda node: passes(setting(node.kubelet, path))


def _at_least(least: int) -> Callable[[Any], bool]:
    return lambda value: value is not None and int(value) >= least


def _rotates_serving_certificate(node: KnownNode) -> bool:
    """The cluster signs it, and signs it anew; the feature gate alone would do nothing."""
    gate = setting(node.kubelet, "featureGates.RotateKubeletServerCertificate")
    return setting(node.kubelet, "serverTLSBootstrap") is True and gate is not False


CHECKS: dict[str, Check] = {
    "4.1.1": _mode("unit", 0o600),
    "4.1.2": _owner("unit"),
    "4.1.3": _mode("proxy", 0o600),
    "4.1.4": _owner("proxy"),
    "4.1.5": _mode("kubeconfig", 0o600),
    "4.1.6": _owner("kubeconfig"),
    "4.1.7": _mode("ca", 0o644),
    "4.1.8": _owner("ca"),
    "4.1.9": _mode("configuration", 0o600),
    "4.1.10": _owner("configuration"),
    "4.2.1": _kubelet("authentication.anonymous.enabled", lambda value: value is False),
    "4.2.2": _kubelet("authorization.mode", lambda value: value == "Webhook"),
    "4.2.3": _kubelet("authentication.x509.clientCAFile", bool),
    # The kubelet leaves out what is 0 when it is asked for its configuration.
    "4.2.4": _kubelet("readOnlyPort", lambda value: value in (0, None)),
    "4.2.5": _kubelet("streamingConnectionIdleTimeout", lambda value: value not in (None, "0s")),
    "4.2.6": _kubelet("makeIPTablesUtilChains", lambda value: value is True),
    "4.2.7": lambda node: "--hostname-override" not in node.kubelet_flags,
    # The kubelet's own default is 50, and was 5 up to 1.26.
    "4.2.8": _kubelet("eventRecordQPS", lambda value: value is None or int(value) >= 0),
    # Met in another way: docs/hardening.md says why.
    "4.2.9": _rotates_serving_certificate,
    "4.2.10": _kubelet("rotateCertificates", lambda value: value is True),
    "4.2.11": _rotates_serving_certificate,
    "4.2.12": _kubelet(
        "tlsCipherSuites", lambda value: bool(value) and set(value) <= STRONG_SUITES
    ),
    "4.2.13": _kubelet("podPidsLimit", _at_least(1)),
    "4.2.14": _kubelet("seccompDefault", lambda value: value is True),
    "4.3.1": lambda node: setting(node.kube_proxy, "metricsBindAddress") == "127.0.0.1:10249",
}


def failed_checks(node: KnownNode) -> list[str]:
    """Name the checks that a node does not pass."""
    return [name for name, passes in CHECKS.items() if not passes(node)]
