"""The RuntimeClass by which a pod asks for the runtime of a GPU."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from kube_nodes.model.labels import GPU_LABEL


class GpuRuntime(pulumi.ComponentResource):
    """What `runtimeClassName` of a pod names: containerd's runtime, on the nodes that have it.

    The handler is the name of the runtime in containerd's configuration, as NVIDIA's toolkit
    (`nvidia-ctk runtime configure`) and render/containerd.py write it.

    Source: https://kubernetes.io/docs/concepts/containers/runtime-class/
    """

    def __init__(
        self,
        name: str,
        runtime_class: str,
        gpu: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the RuntimeClass.

        Args:
            name: the component's name.
            runtime_class: its name; one that somebody else has made is not taken over.
            gpu: the kind of GPU, which is the handler and the label's value too.
            opts: the component's options.
        """
        super().__init__("kube-nodes:index:GpuRuntime", name, None, opts)
        kubernetes.node.v1.RuntimeClass(
            f"{name}-class",
            metadata={"name": runtime_class},
            handler=gpu,
            scheduling={"node_selector": {GPU_LABEL: gpu}},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
