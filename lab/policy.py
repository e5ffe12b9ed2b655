"""Let the lab's engine run the policy pack, which its language host is too old for.

A Python pack is started by the language host, which has to be told where the pack is. Hosts before
v3.84, all that the registries have, read it from a field that engines of today leave empty
(`Program` of RunPluginRequest, sdk/proto/pulumi/language.proto): they run the project's own program
instead. For a runtime that has no language host the engine starts `pulumi-analyzer-policy-RUNTIME`
(sdk/go/common/resource/plugin/analyzer_plugin.go), which the lab writes: the same pack, started by
another hand.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from lab.files import write_atomically
from lab.plugins.install import claim

_RUNTIME = "kube-nodes-lab"


def install_pack(pulumi_home: Path, project: Path) -> Path:
    """Write what starts the pack; return the folder for `--policy-pack`.

    Args:
        pulumi_home: the lab's own.
        project: the checkout, with the pack in policy/ and its virtual environment in .venv.

    Raises:
        LabError: the PULUMI_HOME is not a lab's.
    """
    claim(pulumi_home)
    name = f"policy-{_RUNTIME}"
    python, pack = (shlex.quote(str(project / part)) for part in (".venv/bin/python", "policy"))
    write_atomically(
        pulumi_home / "plugins" / f"analyzer-{name}-v0.1.0" / f"pulumi-analyzer-{name}",
        f'#!/bin/sh\nexec {python} -P -u -m pulumi.policy "$1" {pack}\n',
        mode=0o755,
    )
    folder = pulumi_home / "policy"
    write_atomically(folder / "PulumiPolicy.yaml", f"runtime: {_RUNTIME}\n")
    return folder
