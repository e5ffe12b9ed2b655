"""What a cluster says of itself that a stack has to declare; read-only, and each piece by itself.

What one source does not tell, another may: not every cluster has its control plane in pods, was
made by kubeadm, or serves ServiceCIDRs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from kube_nodes.membership.api import Api, ApiError, Object

_SYSTEM = "/api/v1/namespaces/kube-system"


@dataclass(frozen=True, kw_only=True)
class Discovered:
    """What was read; what is empty was not told."""

    uid: str = ""
    ca_certificate: str = ""
    version: str = ""
    """Of the API server, such as 1.37.2."""
    pod_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    cluster_dns: tuple[str, ...] = ()


def discover(api: Api) -> Discovered:
    """Read it.

    Raises:
        ApiError: not even the namespace kube-system may be read.
        UnreachableError: there is no answer.
    """
    uid = str(api.get(_SYSTEM)["metadata"]["uid"])
    flags = dict(_flags(api))
    kubeadm = _kubeadm_networking(api)
    return Discovered(
        uid=uid,
        ca_certificate=_data(_find(api, f"{_SYSTEM}/configmaps/kube-root-ca.crt"), "ca.crt"),
        version=_version(_find(api, "/version")),
        pod_cidrs=_split(flags.get("cluster-cidr") or kubeadm.get("podSubnet")),
        service_cidrs=_service_cidrs(api)
        or _split(flags.get("service-cluster-ip-range") or kubeadm.get("serviceSubnet")),
        cluster_dns=_cluster_dns(api),
    )


def _find(api: Api, path: str, **query: str) -> Object:
    """Read what may not be there, or may not be read."""
    try:
        return api.get(path, **query)
    except ApiError:
        return {}


def _data(config_map: Object, key: str) -> str:
    return str((config_map.get("data") or {}).get(key) or "")


def _version(answer: Object) -> str:
    found = re.match(r"v?(\d+\.\d+\.\d+)", str(answer.get("gitVersion", "")))
    return found[1] if found else ""


def _flags(api: Api) -> Iterator[tuple[str, str]]:
    """Read the flags of control-plane components that run as pods, as kubeadm starts them."""
    pods = _find(api, f"{_SYSTEM}/pods", labelSelector="tier=control-plane").get("items") or []
    for pod in pods:
        for container in pod["spec"].get("containers") or []:
            for word in (*(container.get("command") or ()), *(container.get("args") or ())):
                found = re.fullmatch(r"--([a-z-]+)=(.+)", str(word))
                if found:
                    yield found[1], found[2]


def _kubeadm_networking(api: Api) -> Mapping[str, Any]:
    text = _data(_find(api, f"{_SYSTEM}/configmaps/kubeadm-config"), "ClusterConfiguration")
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    networking = document.get("networking") if isinstance(document, Mapping) else None
    return networking if isinstance(networking, Mapping) else {}


def _service_cidrs(api: Api) -> tuple[str, ...]:
    """Read the API server's own range: since 1.33 it tells it as an object."""
    found = _find(api, "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")
    return tuple(map(str, (found.get("spec") or {}).get("cidrs") or ()))


def _cluster_dns(api: Api) -> tuple[str, ...]:
    """Read the address of the DNS Service, which has this name whatever serves it."""
    spec = _find(api, f"{_SYSTEM}/services/kube-dns").get("spec") or {}
    return tuple(map(str, spec.get("clusterIPs") or ()))


def _split(text: object) -> tuple[str, ...]:
    return tuple(part.strip() for part in str(text or "").split(",") if part.strip())
