"""Serve the stand-in."""

from lab.plugins.bridged import BridgedPlugin
from lab.plugins.serving import serve
from lab.plugins.tls.resources import TYPES

serve(BridgedPlugin("tls", "5.6.2", TYPES))
