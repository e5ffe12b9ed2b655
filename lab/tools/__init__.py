"""The lab's toolchain: found on PATH in the right version, or built once into the cache.

`ensure(["pulumi", "kubelet"])` is all that the rest of the lab needs; it answers with the path of
each executable. `python -m lab.tools --help` does the same from a shell.
"""

from lab.tools.errors import ToolsError
from lab.tools.pins import KUBERNETES_DEFAULT, KUBERNETES_VERSIONS
from lab.tools.toolchain import DEFAULT_TOOLS, ensure

__all__ = [
    "DEFAULT_TOOLS",
    "KUBERNETES_DEFAULT",
    "KUBERNETES_VERSIONS",
    "ToolsError",
    "ensure",
]
