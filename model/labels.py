"""Labels and taints of a Node: syntax and which of them this program may set.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
and k8s.io/apimachinery/pkg/util/validation (IsQualifiedName, IsValidLabelValue).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

# The kubelet writes these at every start; a second writer would only fight with it.
KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    }
)

# A new Node carries this taint until its declared labels and taints are set: nothing is scheduled
# to it before. A kubelet that only restarts does not put it back.
JOINING_TAINT = ("kube-nodes/joining", "NoSchedule")

# What the RuntimeClass of a GPU chooses nodes by: those whose runtime this program was told of. A
# key of our own: nvidia.com/gpu.present is what NVIDIA's own discovery has found, and its to set.
GPU_LABEL = "kube-nodes/gpu"

# Taints with these prefixes come and go with the node's state.
_CLUSTER_TAINTS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_DNS_SUBDOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)


@dataclass(frozen=True, order=True)
class Taint:
    """A taint of a Node, in kubectl's notation `key=value:Effect` or `key:Effect`."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        """Write it in kubectl's notation."""
        return (
            f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"
        )


def check_label_key(key: str) -> str:
    """Return the key if it is a qualified name, else raise ValueError with rule and remedy."""
    prefix, slash, name = key.rpartition("/")
    if slash and not _DNS_SUBDOMAIN.fullmatch(prefix):
        raise ValueError("has a prefix that is not a DNS name; write example.com/name")
    if not _NAME.fullmatch(name):
        raise ValueError(
            "is not a label key; use up to 63 letters, digits, '-', '_' and '.', "
            "beginning and ending with a letter or digit"
        )
    return key


def check_own_label_key(key: str) -> str:
    """Like check_label_key, and refuse the labels that somebody else writes."""
    check_label_key(key)
    if key in KUBELET_LABELS:
        raise ValueError("is written by the kubelet itself; remove it")
    if key == GPU_LABEL:
        raise ValueError("is this program's own; set gpu instead")
    return key


def check_label_value(value: str) -> str:
    """Return the value if it is a label value, else raise ValueError with rule and remedy."""
    if value and not _NAME.fullmatch(value):
        raise ValueError(
            "is not a label value; use up to 63 letters, digits, '-', '_' and '.', "
            "beginning and ending with a letter or digit, or leave it empty"
        )
    return value


def parse_taint(text: str) -> Taint:
    """Read kubectl's notation of a taint.

    Raises:
        ValueError: it is not a taint; the message is a rule and a remedy.
    """
    head, colon, effect = text.rpartition(":")
    if not colon:
        raise ValueError("is not a taint; write key=value:Effect or key:Effect")
    if effect not in EFFECTS:
        raise ValueError(f"has an unknown effect; use one of {', '.join(EFFECTS)}")
    key, _, value = head.partition("=")
    for part, check, what in ((key, check_label_key, "key"), (value, check_label_value, "value")):
        try:
            check(part)
        except ValueError as error:
            raise ValueError(f"has a {what} that {error}") from None
    return Taint(key, value, effect)


def check_own_taint(taint: Taint) -> Taint:
    """Return the taint, and refuse those that others set and take away."""
    if taint.key.startswith(_CLUSTER_TAINTS):
        raise ValueError("is set and taken away by the cluster itself; remove it")
    if taint.key == JOINING_TAINT[0]:
        raise ValueError("is this program's own while a node joins; remove it")
    return taint
