"""Worker nodes, and what runs on them, in one program.

The nodes are configured as in kube-nodes itself, under `kube-nodes:` in this stack's configuration.
"""

import pulumi
import pulumi_kubernetes as kubernetes

from kube_nodes.components.commands import INSTALLED_LOCAL_COMMAND
from kube_nodes.program import run

nodes = run(local_command=INSTALLED_LOCAL_COMMAND)

# Made when every node has come up, and gone before the first one leaves.
kubernetes.core.v1.Namespace(
    "web",
    metadata={"name": "web"},
    opts=pulumi.ResourceOptions(depends_on=[node.last for node in nodes.values()]),
)
pulumi.export("addresses", {name: node.address for name, node in nodes.items()})
