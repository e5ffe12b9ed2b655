"""Tell when an object that was just made or changed is ready, and when one is gone.

Only what the service check needs, of pulumi/pulumi-kubernetes provider/pkg/await: DaemonSet
(daemonset.go, by kstatus), Deployment (here by kstatus too, without a look at its ReplicaSets
and Pods) and Service (service.go, without the ten seconds of settling). Other kinds are ready
when they exist; the official plugin also waits for StatefulSet, Job, Pod, Ingress,
PersistentVolume, PersistentVolumeClaim and ReplicationController.
"""

from __future__ import annotations

from typing import Any

from lab.plugins.kubernetes.api_server import ApiError, ApiServer
from lab.plugins.kubernetes.objects import (
    DELETION_PROPAGATION,
    SKIP_AWAIT,
    TIMEOUT_SECONDS,
    Object,
    annotation,
    kind_of,
    metadata,
    name_of,
    namespace_of,
)

DEFAULT_TIMEOUT_SECONDS = 600.0

# For these, skipAwait also skips the wait for the end of a deletion (metadata/overrides.go).
_SKIPS_DELETION = {
    ("v1", "Namespace"),
    ("v1", "Pod"),
    ("v1", "ReplicationController"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
}


def skips_readiness(inputs: Object) -> bool:
    """Tell whether the user asked not to wait for the object to be ready."""
    return annotation(inputs, SKIP_AWAIT) == "true"


def skips_deletion(inputs: Object) -> bool:
    """Tell whether the user asked not to wait for the object to be gone."""
    return skips_readiness(inputs) and kind_of(inputs) in _SKIPS_DELETION


def timeout_seconds(inputs: Object, custom: float) -> float:
    """Return how long to wait: customTimeouts, else the annotation, else ten minutes."""
    if custom:
        return custom
    try:
        return float(int(annotation(inputs, TIMEOUT_SECONDS)))
    except ValueError:
        return DEFAULT_TIMEOUT_SECONDS


def propagation_policy(inputs: Object) -> str:
    """Return how a deletion treats dependents: first them, unless an annotation says else."""
    asked = annotation(inputs, DELETION_PROPAGATION).lower()
    return {"orphan": "Orphan", "background": "Background"}.get(asked, "Foreground")


def unreadiness(server: ApiServer, live: Object) -> str:
    """Return why an object is not ready yet, or "" if it is."""
    kind = kind_of(live)
    if kind == ("apps/v1", "DaemonSet"):
        return daemon_set_unreadiness(live)
    if kind == ("apps/v1", "Deployment"):
        return deployment_unreadiness(live)
    if kind == ("v1", "Service"):
        return _service_unreadiness(server, live)
    return ""


def daemon_set_unreadiness(live: Object) -> str:
    """Return what a DaemonSet's rollout lacks, by its status."""
    status = live.get("status") or {}
    if lag := _observation_lag(live):
        return lag
    wanted = status.get("desiredNumberScheduled")
    if wanted is None:
        return "the number of desired pods is not known yet"
    for field, what in (
        ("currentNumberScheduled", "scheduled"),
        ("updatedNumberScheduled", "updated"),
        ("numberAvailable", "available"),
        ("numberReady", "ready"),
    ):
        if (have := status.get(field, 0)) < wanted:
            return f"{have} of {wanted} pods are {what}"
    return ""


def deployment_unreadiness(live: Object) -> str:
    """Return what a Deployment's rollout lacks, by its status."""
    status = live.get("status") or {}
    if lag := _observation_lag(live):
        return lag
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "ProgressDeadlineExceeded":
            return str(condition.get("message") or "the progress deadline is exceeded")
    wanted = (live.get("spec") or {}).get("replicas", 1)
    for field, what in (
        ("replicas", "created"),
        ("updatedReplicas", "updated"),
        ("availableReplicas", "available"),
        ("readyReplicas", "ready"),
    ):
        if (have := status.get(field, 0)) < wanted:
            return f"{have} of {wanted} replicas are {what}"
    surplus = status.get("replicas", 0) - status.get("updatedReplicas", 0)
    return f"{surplus} old replicas are still there" if surplus > 0 else ""


def _observation_lag(live: Object) -> str:
    observed = (live.get("status") or {}).get("observedGeneration")
    current = metadata(live).get("generation")
    return "" if observed == current else "its controller has not seen this version yet"


def _service_unreadiness(server: ApiServer, live: Object) -> str:
    spec: dict[str, Any] = live.get("spec") or {}
    if spec.get("type") == "LoadBalancer":
        balancer = (live.get("status") or {}).get("loadBalancer") or {}
        if not balancer.get("ingress"):
            return "no address of a load balancer is allocated"
    if not spec.get("selector") or spec.get("type") == "ExternalName":
        return ""
    if spec.get("clusterIP") == "None":
        return ""
    resource = server.resource("v1", "Endpoints")
    try:
        endpoints = server.get(resource, namespace_of(live), name_of(live))
    except ApiError as error:
        if error.status != 404:
            raise
        return "no pods were looked for yet"
    if any(subset.get("notReadyAddresses") for subset in endpoints.get("subsets") or ()):
        return "some of the selected pods are not ready"
    return ""
