"""Before anything is written: is this the cluster the stack is for, and can it do what we need?"""

from __future__ import annotations

from kube_nodes.membership.api import Api
from kube_nodes.membership.connection import connect
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.progress import Progress
from kube_nodes.model.requests import Cluster

# CertificateSigningRequest v1 with signer names, server-side apply on by default.
MINIMUM_MINOR = 19


def reach(cluster: Cluster, progress: Progress | None = None) -> Api:
    """Connect with the operator's kubeconfig, and make sure of the cluster.

    Args:
        cluster: which one it must be.
        progress: where to tell that the API server is waited for; None: nowhere.

    Raises:
        MembershipError: another cluster, or one that is too old. Nothing was changed.
    """
    connection = connect()
    api = Api(connection, progress.awaiting) if progress else Api(connection)
    uid = api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    if uid != cluster.uid:
        raise MembershipError(
            f"the kubeconfig reaches another cluster ({connection.url}): its kube-system has the"
            f" UID {uid}, the stack is for {cluster.uid}; choose the right KUBECONFIG, or its"
            " current context. Nothing was changed"
        )
    if api.minor < MINIMUM_MINOR:
        raise MembershipError(
            f"the API server is 1.{api.minor}; joining nodes needs 1.{MINIMUM_MINOR} or later"
            " (certificates.k8s.io/v1). Nothing was changed"
        )
    return api
