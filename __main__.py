"""The stack: what the cluster shares, and the nodes of every pool."""

from __future__ import annotations

import sys

import pulumi

from kube_nodes.components.stack import declare_stack
from kube_nodes.settings import ConfigurationError, read_settings

try:
    settings = read_settings()
except ConfigurationError as error:
    # Not as an exception: a traceback would bury the faults.
    pulumi.log.error(str(error))
    sys.exit(1)

declare_stack(settings)
