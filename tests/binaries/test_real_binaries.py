"""The flags in the units, asked of the real binaries."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.golden.nodes import KUBE_PROXY_UNIT, KUBELET_UNIT, VERSIONS, rendered, written_files

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kube-nodes" / "bin"


def _help(program: str, minor: str) -> str:
    found = sorted(_CACHE.glob(f"{program}-{minor}.*/{program}"))
    if not found:
        pytest.skip(f"{program} {minor} is not in the tool cache; `python -m lab tools` builds it")
    done = subprocess.run([found[-1], "--help"], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("program", "path"), [("kubelet", KUBELET_UNIT), ("kube-proxy", KUBE_PROXY_UNIT)]
)
def test_the_real_binary_knows_every_flag_and_calls_none_deprecated(
    version: str, program: str, path: str
) -> None:
    now = rendered(f"full-{version}")
    text = _help(program, version)
    (command,) = re.findall(r"^ExecStart=(.*)$", written_files(now.units)[path], re.MULTILINE)
    flags = re.findall(r"--[a-z-]+", command)
    assert flags
    for flag in flags:
        (line,) = re.findall(rf"^ +(?:-\w, )?{flag} .*$", text, re.MULTILINE)
        assert "DEPRECATED" not in line
