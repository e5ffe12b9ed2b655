"""The ClusterRoleBindings that let nodes join and renew their certificates."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from kube_nodes.model.requests import TOKEN_GROUP
from kube_nodes.model.static_token import StaticTokenSettings

_API_GROUP = "rbac.authorization.k8s.io"
_BOOTSTRAP_ROLE = "system:node-bootstrapper"
_RENEWAL_ROLE = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"


class ClusterRbac(pulumi.ComponentResource):
    """Who may ask for a node's certificate, and which requests the cluster approves itself.

    There is no binding that approves a new node's first request: that is checked against the
    declared inventory. Roles and the binding of system:kube-proxy are the API server's own.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/
    """

    def __init__(
        self,
        name: str,
        static_token: StaticTokenSettings | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the bindings under names of our own, beside those that kubeadm may have made.

        Args:
            name: the component's name.
            static_token: the static token, where some node joins with it.
            opts: the component's options.
        """
        super().__init__("kube-nodes:index:ClusterRbac", name, None, opts)
        self._bind(f"{name}-node-bootstrapper", _BOOTSTRAP_ROLE, "Group", TOKEN_GROUP)
        self._bind(f"{name}-node-client-renewal", _RENEWAL_ROLE, "Group", "system:nodes")
        if static_token and static_token.binding == "user":
            self._bind(f"{name}-static-user", _BOOTSTRAP_ROLE, "User", static_token.user)
        elif static_token:
            self._bind(f"{name}-static-group", _BOOTSTRAP_ROLE, "Group", static_token.group)
        self.register_outputs({})

    def _bind(
        self, name: str, role: str, kind: str, subject: str
    ) -> kubernetes.rbac.v1.ClusterRoleBinding:
        return kubernetes.rbac.v1.ClusterRoleBinding(
            name,
            metadata={"name": f"kube-nodes:{name}"},
            role_ref={"api_group": _API_GROUP, "kind": "ClusterRole", "name": role},
            subjects=[{"api_group": _API_GROUP, "kind": kind, "name": subject}],
            opts=pulumi.ResourceOptions(parent=self),
        )
