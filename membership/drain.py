"""Drain a node as kubectl does: cordon, evict through the eviction API, wait until the pods left.

Pods of DaemonSets stay (their controller would put them back), and so do mirror pods (the kubelet
runs them from files). Local data of emptyDir volumes goes with its pod. Disruption budgets hold.
No more nodes of a pool are drained at once than its maxUnavailable.
"""

from __future__ import annotations

import time

from kube_nodes.membership.api import Api, ApiError, Object
from kube_nodes.membership.drain_place import Place, drain_place
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.nodes import annotation, cordon, is_ready
from kube_nodes.membership.progress import Progress
from kube_nodes.model.requests import Drain

_POLL_SECONDS = 0.5
# An eviction that a budget forbids is asked for again; kubectl waits 5 s.
_BLOCKED_SECONDS = 2.0
_TOO_MANY = 429
_MIRROR = "kubernetes.io/config.mirror"


def drain(api: Api, node: Object, how: Drain, progress: Progress, *, remedy: str) -> None:
    """Cordon the Node and move its pods away; only cordon it where no kubelet would end them.

    Args:
        api: the API.
        node: the Node, as it was read last.
        how: time limit and force.
        progress: where to tell what is awaited.
        remedy: what the operator can do where pods do not leave.

    Raises:
        MembershipError: pods that no controller would start again (without force), or pods that
            did not leave in time: which, and which budget holds them.
    """
    name = node["metadata"]["name"]
    if not is_ready(node):
        cordon(api, name)
        progress.say(f"the Node {name} is not Ready: cordoned, its pods are not waited for")
        return
    # Before the cordon too: what can be seen to fail must change nothing.
    _refuse_bare_pods(_pods(api, name), how, remedy)
    with drain_place(api, how.pool, name, progress) as place:
        cordon(api, name)
        _refuse_bare_pods(_pods(api, name), how, remedy)
        _empty(api, name, how, place, remedy)


def _empty(api: Api, name: str, how: Drain, place: Place, remedy: str) -> None:
    """Evict the pods until none is left, within the drain's time."""
    version = "v1" if api.minor >= 22 else "v1beta1"
    end = time.monotonic() + how.timeout_seconds
    asked: dict[str, float] = {}
    blocked: dict[str, str] = {}
    while pods := _pods(api, name):
        now = time.monotonic()
        if now > end:
            _give_up(api, pods, blocked, how, remedy)
            return
        for pod in pods:
            uid = pod["metadata"]["uid"]
            if "deletionTimestamp" in pod["metadata"] or asked.get(uid, 0) > now:
                continue
            asked[uid] = now + _BLOCKED_SECONDS
            blocked[uid] = _evict(api, pod, version)
        place.progress.awaiting(f"pods to leave: {_describe(pods, blocked)}")
        place.keep()
        time.sleep(_POLL_SECONDS)


def _pods(api: Api, name: str) -> list[Object]:
    """List the pods that a drain moves."""
    listed = api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={name}")
    return [
        pod
        for pod in listed["items"]
        if annotation(pod, _MIRROR) is None and _controller(pod) != "DaemonSet"
    ]


def _controller(pod: Object) -> str | None:
    owners = pod["metadata"].get("ownerReferences") or []
    return next((owner["kind"] for owner in owners if owner.get("controller")), None)


def _refuse_bare_pods(pods: list[Object], how: Drain, remedy: str) -> None:
    """Nothing would start these again elsewhere, unless they have ended."""
    bare = [
        pod
        for pod in pods
        if _controller(pod) is None and pod["status"].get("phase") not in ("Succeeded", "Failed")
    ]
    if bare and not how.force:
        raise MembershipError(
            f"drain: {_describe(bare, {})} has no controller that would start it again; {remedy}"
        )


def _evict(api: Api, pod: Object, version: str) -> str:
    """Ask for one eviction; return what forbids it, or an empty text."""
    metadata = {key: pod["metadata"][key] for key in ("name", "namespace")}
    body: Object = {
        "apiVersion": f"policy/{version}",
        "kind": "Eviction",
        "metadata": metadata,
        # Not another pod that took its name meanwhile (StatefulSets do that).
        "deleteOptions": {"preconditions": {"uid": pod["metadata"]["uid"]}},
    }
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
    try:
        api.evict(path, body)
    except ApiError as error:
        if error.not_found or error.conflict:
            return ""
        if error.status not in (_TOO_MANY, 500):
            raise
        causes = error.details.get("causes") or []
        return "; ".join(cause.get("message", "") for cause in causes) or str(error)
    return ""


def _give_up(
    api: Api, pods: list[Object], blocked: dict[str, str], how: Drain, remedy: str
) -> None:
    """At the end of the time: delete what is left if the operator wants that, else fail."""
    if not how.force:
        raise MembershipError(
            f"drain: {how.timeout_seconds} s passed, still there: {_describe(pods, blocked)};"
            f" {remedy}"
        )
    for pod in pods:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        api.delete(path, uid=metadata["uid"], grace_seconds=0)


def _describe(pods: list[Object], blocked: dict[str, str]) -> str:
    texts = []
    for pod in pods[:5]:
        metadata = pod["metadata"]
        why = blocked.get(metadata["uid"])
        name = f"{metadata['namespace']}/{metadata['name']}"
        texts.append(f"{name} ({why})" if why else name)
    more = f" and {len(pods) - 5} more" if len(pods) > 5 else ""
    return ", ".join(texts) + more
