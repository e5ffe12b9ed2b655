"""The stack: what the cluster shares, and the nodes of every pool."""

from __future__ import annotations

import signal
import sys

import pulumi

from kube_nodes.components.stack import declare_stack
from kube_nodes.settings import ConfigurationError, read_settings

# On Ctrl-C this program must end at once: the language host would otherwise wait for the calls that
# are still open, until the engine kills it after five seconds.
signal.signal(signal.SIGINT, signal.SIG_DFL)

try:
    settings = read_settings()
except ConfigurationError as error:
    # Not as an exception: a traceback would bury the faults.
    pulumi.log.error(str(error))
    sys.exit(1)

declare_stack(settings)
