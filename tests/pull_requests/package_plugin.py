"""The component package's plugin, as an installed package puts it on PATH."""

from __future__ import annotations

import shlex
from pathlib import Path

from lab.plugins.install import Wanted
from tests.plugins.engine import CHECKOUT


def install_package(pulumi_home: Path) -> Path:
    """Write the plugin's launcher into a PULUMI_HOME; return its path."""
    launcher = Wanted("kube-nodes", "0.1.0").folder(pulumi_home) / "pulumi-resource-kube-nodes"
    launcher.parent.mkdir(parents=True)
    python, checkout = (
        shlex.quote(str(each)) for each in (CHECKOUT / ".venv/bin/python", CHECKOUT)
    )
    launcher.write_text(
        f'#!/bin/sh\nPYTHONPATH={checkout} exec {python} -m kube_nodes.provider "$@"\n'
    )
    launcher.chmod(0o755)
    return launcher
