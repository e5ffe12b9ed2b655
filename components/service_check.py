"""The Service that is curled from every node, as the last step of its life's beginning."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.service_check import LABELS, NAME, NAMESPACE

_NODE_NAME = core.EnvVarSourceArgs(
    field_ref=core.ObjectFieldSelectorArgs(field_path="spec.nodeName")
)


@dataclass(frozen=True, kw_only=True)
class ServiceCheckArgs:
    """What a ServiceCheck is made from."""

    cluster: Cluster
    """The cluster whose Services are meant."""
    image: str | None = None
    """A web server to run on every node; None checks the cluster's own Service `kubernetes`."""
    port: int = 80
    """Port of that web server."""
    timeout_seconds: int = 60
    """How long a node waits for an answer."""


@dataclass(frozen=True, kw_only=True)
class ServiceCheckTarget:
    """What a node curls."""

    url: pulumi.Input[str]
    ca_certificate: pulumi.Input[str | None]
    timeout_seconds: int


class ServiceCheck(pulumi.ComponentResource):
    """The target of every node's check: a workload with a Service, or the cluster's own Service.

    Attributes:
        target: what a node curls.
    """

    target: ServiceCheckTarget

    def __init__(
        self, name: str, args: ServiceCheckArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the workload, if one is asked for."""
        super().__init__("kube-nodes:index:ServiceCheck", name, None, opts)
        if args.image is None:
            # Any answer of the API server will do: the check is of the way there.
            address = _kubernetes_service(args.cluster)
            self.target = ServiceCheckTarget(
                url=f"https://{address}/readyz",
                ca_certificate=args.cluster.ca_certificate,
                timeout_seconds=args.timeout_seconds,
            )
        else:
            service = self._workload(name, args.image, args.port)
            url = service.spec.apply(lambda spec: f"http://{_bracketed(str(spec.cluster_ip))}/")
            self.target = ServiceCheckTarget(
                url=url, ca_certificate=None, timeout_seconds=args.timeout_seconds
            )
        self.register_outputs({})

    def _workload(self, name: str, image: str, port: int) -> kubernetes.core.v1.Service:
        child = pulumi.ResourceOptions(parent=self)
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=meta.ObjectMetaArgs(name=NAMESPACE),
            opts=child,
        )
        metadata = meta.ObjectMetaArgs(
            name=NAME,
            namespace=namespace.metadata.name,
            # It is declared before the first node is there: nothing may wait for its pods.
            annotations={"pulumi.com/skipAwait": "true"},
        )
        kubernetes.apps.v1.DaemonSet(
            f"{name}-daemonset", metadata=metadata, spec=_daemonset(image, port), opts=child
        )
        return kubernetes.core.v1.Service(
            f"{name}-service",
            metadata=metadata,
            spec=core.ServiceSpecArgs(
                selector=LABELS, ports=[core.ServicePortArgs(port=80, target_port=port)]
            ),
            opts=child,
        )


def _daemonset(image: str, port: int) -> apps.DaemonSetSpecArgs:
    probe = core.ProbeArgs(tcp_socket=core.TCPSocketActionArgs(port=port), period_seconds=1)
    container = core.ContainerArgs(
        name="web",
        image=image,
        image_pull_policy="IfNotPresent",
        # The answer can tell which node's pod gave it.
        env=[core.EnvVarArgs(name="NODE_NAME", value_from=_NODE_NAME)],
        ports=[core.ContainerPortArgs(container_port=port)],
        readiness_probe=probe,
    )
    return apps.DaemonSetSpecArgs(
        selector=meta.LabelSelectorArgs(match_labels=LABELS),
        template=core.PodTemplateSpecArgs(
            metadata=meta.ObjectMetaArgs(labels=LABELS),
            spec=core.PodSpecArgs(
                automount_service_account_token=False,
                containers=[container],
                # On every node, also where taints keep everything else away.
                tolerations=[core.TolerationArgs(operator="Exists")],
            ),
        ),
    )


def _kubernetes_service(cluster: Cluster) -> str:
    """The Service `kubernetes` has the first address of the Services' CIDR."""
    network = ipaddress.ip_network(cluster.service_cidrs[0])
    return _bracketed(str(network.network_address + 1))


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
