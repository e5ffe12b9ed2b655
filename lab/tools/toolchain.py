"""The toolchain's one entry: names in, executables out."""

import sys
from collections.abc import Iterable
from pathlib import Path

from lab.tools.build import build
from lab.tools.cache import Cache, Report, default_cache_root
from lab.tools.detect import find, find_in_cache
from lab.tools.errors import ToolsError
from lab.tools.golang import ensure_go, required_go
from lab.tools.pins import GOMOD_ROOT, KUBERNETES_DEFAULT, KUBERNETES_VERSIONS, Tool, catalogue

DEFAULT_TOOLS = (
    "pulumi",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
"""All that `make up` needs; kubeadm and go are there for whoever asks for them by name."""


def print_progress(line: str) -> None:
    """Write one progress line for a person, apart from what a command prints as its result."""
    print(f"tools: {line}", file=sys.stderr, flush=True)


def ensure(
    names: Iterable[str] = DEFAULT_TOOLS,
    kubernetes: str = KUBERNETES_DEFAULT,
    *,
    cache_root: Path | None = None,
    report: Report = print_progress,
) -> dict[str, Path]:
    """Return the executable of each named tool, after building what is not there yet.

    A tool on PATH in the right version is used; else the cache's; else it is built from source.
    Safe to kill and to run twice at once. Nothing is printed when nothing has to be built.

    Args:
        names: tools of `pins.catalogue`, or `go`.
        kubernetes: the release of the Kubernetes programs, one of `KUBERNETES_VERSIONS`.

    Raises:
        ToolsError: an unknown name or version, or a build that failed.
    """
    wanted = list(dict.fromkeys(names))
    cache = Cache(cache_root or default_cache_root())
    tools = _select(wanted, kubernetes)
    found = {name: find(tool, cache, report) for name, tool in tools.items()}
    try:
        build([tools[name] for name, path in found.items() if path is None], cache, report)
    except OSError as error:  # full, read-only or another user's
        raise ToolsError(
            f"{error.filename or cache.root}: {error.strerror};"
            " the cache is $XDG_CACHE_HOME/kube-nodes, else ~/.cache/kube-nodes"
        ) from error
    paths = {name: path or find_in_cache(tools[name], cache) for name, path in found.items()}
    if "go" in wanted:
        every = {folder.name for folder in GOMOD_ROOT.iterdir()}
        paths["go"] = ensure_go(required_go(every), cache, report)
    return {name: path for name in wanted if (path := paths[name])}


def _select(names: Iterable[str], kubernetes: str) -> dict[str, Tool]:
    if kubernetes not in KUBERNETES_VERSIONS:
        known = ", ".join(KUBERNETES_VERSIONS)
        raise ToolsError(f'Kubernetes "{kubernetes}" is not one of the lab\'s versions: {known}')
    tools = catalogue(kubernetes)
    unknown = [name for name in names if name not in tools and name != "go"]
    if unknown:
        known = ", ".join([*tools, "go"])
        raise ToolsError(f"no such tool: {', '.join(unknown)}; the lab knows {known}")
    return {name: tools[name] for name in names if name in tools}
