"""Take a Node out of the cluster, with the pods that still name it."""

from __future__ import annotations

from kube_nodes.membership.api import Api, Object
from kube_nodes.membership.nodes import node_path


def delete_node(api: Api, node: Object) -> None:
    """Delete this very Node and its pods; nothing is waited for."""
    name = node["metadata"]["name"]
    api.delete(node_path(name), uid=node["metadata"]["uid"])
    delete_pods(api, name)


def delete_pods(api: Api, name: str) -> None:
    """Delete what still names the removed host: its containers ended with its kubelet.

    The cluster would do so itself after a minute, and send requests to dead pods until then.
    """
    listed = api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={name}")
    for pod in listed["items"]:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        api.delete(path, uid=metadata["uid"], grace_seconds=0)
