"""Serve the stand-in."""

from lab.plugins.bridged import BridgedPlugin
from lab.plugins.random.resources import TYPES
from lab.plugins.serving import serve

serve(BridgedPlugin("random", "4.21.4", TYPES))
