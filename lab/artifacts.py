"""The node's programs over HTTP, as a user's own mirror would serve them, with their SHA-256."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from lab import processes
from lab.spec import ARTIFACTS_PORT, LabSpec
from lab.tools.cache import Cache
from lab.tools.detect import find_in_cache
from lab.tools.pins import KUBERNETES_VERSIONS, catalogue

NAME = "artifacts"
PROGRAMS = ("kubelet", "kube-proxy")


def link(spec: LabSpec, version: str, programs: Mapping[str, Path]) -> None:
    """Offer these programs of a version; each is a link into the tools' cache."""
    folder = spec.path("artifacts", version)
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        target = folder / name
        if target.is_symlink() and target.readlink() == programs[name]:
            continue
        target.unlink(missing_ok=True)
        target.symlink_to(programs[name])


def link_cached(spec: LabSpec, cache: Cache) -> None:
    """Offer every version that is built already: a node may be older than its control plane."""
    for version in KUBERNETES_VERSIONS:
        tools = catalogue(version)
        found = {name: find_in_cache(tools[name], cache) for name in PROGRAMS}
        present = {name: path for name, path in found.items() if path}
        if len(present) == len(PROGRAMS):
            link(spec, version, present)


def versions(spec: LabSpec) -> list[str]:
    """Return the versions that are offered."""
    folder = spec.path("artifacts")
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def serve(spec: LabSpec) -> bool:
    """Run the server unless it runs; say whether it was started."""
    folder = spec.path("artifacts")
    return processes.ensure(
        spec,
        NAME,
        [
            sys.executable,
            "-m",
            "http.server",
            str(ARTIFACTS_PORT),
            f"--bind={spec.gateway}",
            f"--directory={folder}",
        ],
    )


def url(spec: LabSpec, version: str, program: str) -> str:
    return f"http://{spec.gateway}:{ARTIFACTS_PORT}/{version}/{program}"


def sha256(spec: LabSpec, version: str, program: str) -> str:
    with spec.path("artifacts", version, program).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
