"""The ClusterRoleBindings that let nodes join and renew their certificates."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from kube_nodes.model.requests import TOKEN_GROUP

_API_GROUP = "rbac.authorization.k8s.io"
_RENEWAL_ROLE = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"


class ClusterRbac(pulumi.ComponentResource):
    """Who may ask for a node's certificate, and which requests the cluster approves itself.

    There is no binding that approves a new node's first request: that is checked against the
    declared inventory. Roles and the binding of system:kube-proxy are the API server's own.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/
    """

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the bindings under names of our own, beside those that kubeadm may have made."""
        super().__init__("kube-nodes:index:ClusterRbac", name, None, opts)
        self.node_bootstrapper = self._bind(
            f"{name}-node-bootstrapper", "system:node-bootstrapper", TOKEN_GROUP
        )
        self.node_client_renewal = self._bind(
            f"{name}-node-client-renewal", _RENEWAL_ROLE, "system:nodes"
        )
        self.register_outputs({})

    def _bind(self, name: str, role: str, group: str) -> kubernetes.rbac.v1.ClusterRoleBinding:
        return kubernetes.rbac.v1.ClusterRoleBinding(
            name,
            metadata={"name": f"kube-nodes:{name}"},
            role_ref={"api_group": _API_GROUP, "kind": "ClusterRole", "name": role},
            subjects=[{"api_group": _API_GROUP, "kind": "Group", "name": group}],
            opts=pulumi.ResourceOptions(parent=self),
        )
