"""Each step on the operator's machine is a process of its own: what it imports, each node pays."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_LIST = "import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"


@pytest.mark.parametrize("verb", ["prepare", "join", "leave", "approve", "gate"])
def test_a_verb_imports_neither_the_configuration_nor_pulumi(verb: str) -> None:
    module = f"kube_nodes.membership.{verb}"
    done = subprocess.run(
        [sys.executable, "-c", _LIST.format(module=module)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = set(json.loads(done.stdout))
    assert {"pulumi", "asyncssh", "kube_nodes.model.options", "kube_nodes.settings"} & imported == (
        set()
    )
    assert verb != "prepare" or "cryptography.x509" not in imported
