"""Fields of the components' own configuration that have another home here: one option, one place.

Each with a rule and a remedy, for whoever writes it as a free field all the same.
"""

from __future__ import annotations

_BY_US = "is written by this program; remove it"
_PROBED = "is what the host script asks whether the unit came up; remove it"
_SIGNED = "is not used: the cluster signs the kubelet's serving certificate; remove it"


def _option(name: str) -> str:
    return f"has its own option; use {name} of the options"


KUBELET_OWNED = {
    "apiVersion": _BY_US,
    "authentication.anonymous.enabled": "is always false here; remove it",
    "authentication.x509.clientCAFile": _BY_US,
    "authorization.mode": "is always Webhook here; remove it",
    "cgroupDriver": _option("cgroupDriver"),
    "clusterDNS": _option("clusterDns"),
    "clusterDomain": _option("clusterDomain"),
    "containerRuntimeEndpoint": _option("containerRuntimeEndpoint"),
    "evictionHard": _option("evictionHard"),
    "healthzBindAddress": _PROBED,
    "healthzPort": _PROBED,
    "kind": _BY_US,
    "kubeReserved": _option("kubeReserved"),
    "logging.verbosity": _option("verbosity"),
    "maxPods": _option("maxPods"),
    "podPidsLimit": _option("podPidsLimit"),
    "readOnlyPort": "is always 0 here; remove it",
    "registerNode": "is always true here; remove it",
    "registerWithTaints": _option("taints"),
    "rotateCertificates": "is always true here; remove it",
    "serverTLSBootstrap": "is always true here; remove it",
    "systemReserved": _option("systemReserved"),
    "tlsCertFile": _SIGNED,
    "tlsPrivateKeyFile": _SIGNED,
}
KUBE_PROXY_OWNED = {
    "apiVersion": _BY_US,
    "bindAddress": _option("proxyBindAddress"),
    "clientConnection.kubeconfig": _BY_US,
    "clusterCIDR": "has its own key; use kube-nodes:podCidrs",
    "healthzBindAddress": _option("proxyHealthzAddress"),
    "hostnameOverride": _BY_US,
    "kind": _BY_US,
    "logging.verbosity": _option("verbosity"),
    "metricsBindAddress": _option("proxyMetricsAddress"),
    "mode": _option("proxyMode"),
}
