"""kube-nodes: turn Linux hosts into Kubernetes worker nodes, and keep them so, with Pulumi.

The folders of the checkout (components, model, render, host, membership) are this package's
subpackages through symbolic links, so that the checkout runs without an install and an installed
copy has the same names.
"""

__version__ = "0.1.0"
