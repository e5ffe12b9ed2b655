"""What all nodes of a cluster share: made in this stack, or taken from the one that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from kube_nodes.components.cluster_rbac import ClusterRbac
from kube_nodes.components.kube_proxy_certificate import (
    KubeProxyCertificate,
    KubeProxyCertificateArgs,
)
from kube_nodes.components.service_check import ServiceCheck, ServiceCheckArgs, ServiceCheckTarget
from kube_nodes.settings import Settings

_CERTIFICATE = "kubeProxyCertificate"
_KEY = "kubeProxyKey"
_EXPIRES = "kubeProxyCertificateExpires"
_SERVICE = "serviceCheckUrl"
_CLUSTER = "cluster"
_OPEN = (_CERTIFICATE, _EXPIRES, _SERVICE, _CLUSTER)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What a node is made from beside its own declaration."""

    certificate: pulumi.Output[str]
    """kube-proxy's certificate, PEM."""
    key: pulumi.Output[str] = field(repr=False)
    """Its private key, PEM, secret."""
    expires: pulumi.Output[str]
    """When the certificate expires, RFC 3339 in UTC."""
    service_check: ServiceCheckTarget
    """What a node curls."""
    before: Sequence[pulumi.Resource] = ()
    """What must be there before the first node; another stack's is there already."""

    @property
    def outputs(self) -> dict[str, pulumi.Input[object]]:
        """What the stacks of pools take, as outputs of the stack; the key is a secret one."""
        return {
            _CERTIFICATE: self.certificate,
            _KEY: self.key,
            _SERVICE: self.service_check.url,
        }


def make_shared(
    settings: Settings,
    ca_key: pulumi.Output[str] | None,
    in_cluster: pulumi.ResourceOptions,
    local: str,
) -> Shared:
    """Declare what is shared in this stack.

    Args:
        settings: the stack's configuration.
        ca_key: the cluster CA's private key, PEM, secret, where it is needed.
        in_cluster: with the provider of the cluster, and the parent of all if there is one.
        local: how membership/ is started.
    """
    rbac = ClusterRbac("rbac", settings.static_token_in_use, in_cluster)
    chosen = settings.kube_proxy_certificate
    certificate = KubeProxyCertificate(
        "kube-proxy",
        KubeProxyCertificateArgs(
            cluster=settings.cluster,
            issuer=chosen.issuer,
            algorithm=chosen.algorithm,
            validity_hours=chosen.validity_hours,
            subject=chosen.subject,
            epoch=chosen.epoch,
            ca_key=ca_key,
            local_command=local,
        ),
        pulumi.ResourceOptions(parent=in_cluster.parent),
    )
    check = ServiceCheck(
        "service-check",
        ServiceCheckArgs(
            cluster=settings.cluster,
            image=settings.service_check.image,
            port=settings.service_check.port,
            timeout_seconds=settings.service_check.timeout_seconds,
        ),
        in_cluster,
    )
    return Shared(
        certificate=certificate.certificate,
        key=certificate.key,
        expires=certificate.expires,
        service_check=check.target,
        before=(rbac,),
    )


def read_shared(settings: Settings, stack: str, parent: pulumi.Resource | None = None) -> Shared:
    """Take what is shared from the stack that made it, as its last `up` left it."""
    reference = pulumi.StackReference(stack, opts=pulumi.ResourceOptions(parent=parent))
    # Apart from the key, which would make all of it secret.
    open_ones = {name: reference.get_output(name) for name in _OPEN}
    outputs = pulumi.Output.all(**open_ones).apply(
        lambda outputs: check_outputs(outputs, settings.cluster.uid, stack)
    )
    url = outputs.apply(lambda outputs: outputs[_SERVICE])
    ca_certificate = settings.cluster.ca_certificate
    return Shared(
        certificate=outputs.apply(lambda outputs: outputs[_CERTIFICATE]),
        key=pulumi.Output.secret(reference.get_output(_KEY)),
        expires=outputs.apply(lambda outputs: outputs[_EXPIRES]),
        service_check=ServiceCheckTarget(
            url=url,
            ca_certificate=url.apply(
                lambda url: ca_certificate if url.startswith("https:") else None
            ),
            timeout_seconds=settings.service_check.timeout_seconds,
        ),
    )


def check_outputs(outputs: Mapping[str, Any], uid: str, stack: str) -> Mapping[str, Any]:
    """Return the open outputs of a shared stack, if they are all there and of this cluster.

    Raises:
        pulumi.RunError: they are not; a traceback would bury it.
    """
    there = (outputs[_CLUSTER] or {}).get("uid", uid)
    if there != uid:
        raise pulumi.RunError(
            f"sharedStack: {stack} is of the cluster {there}, and clusterUid is {uid};"
            " name the shared stack of this cluster"
        )
    if None in outputs.values():
        raise pulumi.RunError(
            f"sharedStack: {stack} has nothing to share; run `pulumi up` on it first, and see that"
            " its pools are {}"
        )
    return outputs
