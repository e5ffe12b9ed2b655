"""Find a tool that is there already: on PATH in a version that will do, or in the cache."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from lab.tools.cache import Cache, Report
from lab.tools.pins import Tool


def find(tool: Tool, cache: Cache, report: Report) -> Path | None:
    """Return the tool's executable if it is on PATH or in the cache, else None.

    Why one on PATH will not do is reported only if the tool has to be built for it.
    """
    doubts: list[str] = []
    found = find_on_path(tool, cache, doubts.append) or find_in_cache(tool, cache)
    if not found:
        for doubt in doubts:
            report(doubt)
    return found


def find_in_cache(tool: Tool, cache: Cache) -> Path | None:
    """Return the executable that an earlier run built; no need to run it, it never changes."""
    folder = cache.folder(tool.name, tool.version)
    whole = all((folder / name).is_file() for name in tool.executables)
    return folder / tool.name if whole else None


def find_on_path(tool: Tool, cache: Cache, report: Report) -> Path | None:
    """Return the executable on PATH if its version will do and its companions are there too.

    The cache's own folders on PATH (`lab env` puts them there) are passed over: they may be of
    another version than the one that is asked for now.
    """
    path = _path_without(cache.root)
    found = shutil.which(tool.name, path=path)
    if not found:
        return None
    version = read_version(Path(found), tool)
    if version is None or not tool.accepts(version):
        report(f"{tool.name}: not using {found}: it is {version or 'silent about its version'}")
        return None
    missing = [name for name in tool.executables if not shutil.which(name, path=path)]
    if missing:
        report(f"{tool.name}: not using {found}: {', '.join(missing)} is not beside it")
        return None
    return Path(found)


def read_version(executable: Path, tool: Tool) -> str | None:
    """Run the executable and return the version it names (1.37.2, 1.37.2-vendor), if any."""
    if tool.version_arguments is None:
        return None
    try:
        shown = subprocess.run(  # noqa: PLW1510 - the exit status is looked at below
            [executable, *tool.version_arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            env=os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"\bv?(\d+\.\d+\.\d+\S*)", shown.stdout)
    return version.group(1) if version and shown.returncode == 0 else None


def _path_without(root: Path) -> str:
    entries = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(
        entry for entry in entries if entry and not Path(entry).is_relative_to(root)
    )
