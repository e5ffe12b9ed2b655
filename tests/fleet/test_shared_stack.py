"""A stack of pools under the real engine: what a preview takes from the shared stack's outputs.

The shared stack is a small program with the outputs of the real one; a preview needs no cluster.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.components.stacks import configuration
from tests.configurations import materials
from tests.plugins.engine import CHECKOUT, Engine

_KEY = "a-key-that-no-preview-shows"
_URL = "https://10.96.0.1/readyz"
_SHARED = """
import json, pathlib, pulumi
outputs = json.loads(pathlib.Path("outputs.json").read_text())
for name, value in outputs.items():
    pulumi.export(name, pulumi.Output.secret(value) if name == "kubeProxyKey" else value)
"""


@dataclass
class TwoStacks:
    """The shared stack, and the real program as a stack of pools."""

    engine: Engine

    def share(self, outputs: dict[str, Any]) -> None:
        """Run the shared stack."""
        folder = self.engine.directory / "shared"
        folder.mkdir(exist_ok=True)
        (folder / "Pulumi.yaml").write_text("name: kube-nodes\nruntime: python\n")
        (folder / "__main__.py").write_text(_SHARED)
        (folder / "outputs.json").write_text(json.dumps(outputs))
        command = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"]
        for line in (["pulumi", "stack", "init", "--no-select"], command):
            done = subprocess.run(
                [*line, "--stack", "prod-shared"],
                cwd=folder, env=self.engine.variables, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0 or "already exists" in done.stderr, done


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoStacks]:
    program = (CHECKOUT / "__main__.py").read_text()
    variables = {"PYTHONPATH": str(CHECKOUT), "KUBECONFIG": "/nowhere", "SSH_AUTH_SOCK": ""}
    engine = Engine(
        tmp_path_factory.mktemp("stacks"), program, variables=variables, project="kube-nodes"
    )
    values = configuration(1, sharedStack="organization/kube-nodes/prod-shared")
    file = engine.program / "Pulumi.dev.yaml"
    document = yaml.safe_load(file.read_text()) if file.exists() else {}
    document["config"] = {f"kube-nodes:{key}": value for key, value in values.items()}
    file.write_text(yaml.safe_dump(document))
    yield TwoStacks(engine)


def _outputs(**changes: Any) -> dict[str, Any]:
    return {
        "cluster": {"uid": configuration(1)["clusterUid"]},
        "kubeProxyCertificate": materials()["ca"],
        "kubeProxyKey": _KEY,
        "kubeProxyCertificateExpires": "2030-01-01T00:00:00Z",
        "serviceCheckUrl": _URL,
    } | changes


def test_a_stack_of_pools_is_previewed_with_the_shared_outputs(stacks: TwoStacks) -> None:
    stacks.share(_outputs())
    run = stacks.engine.preview()
    assert run.ok, run.output
    assert not [step for step in run.steps if step["type"].startswith("tls:")]
    assert "n1-service-check" in {step["urn"].rpartition("::")[2] for step in run.steps}
    # In the open, or no preview could show it; and the key nowhere.
    assert "2030-01-01T00:00:00Z" in run.output
    assert _KEY not in run.output + json.dumps(run.events)


def test_another_clusters_shared_stack_ends_the_run_and_says_so(stacks: TwoStacks) -> None:
    stacks.share(_outputs(cluster={"uid": "another"}))
    run = stacks.engine.preview()
    assert not run.ok
    assert "organization/kube-nodes/prod-shared is of the cluster another" in run.output
    assert "Traceback" not in run.output


def test_one_that_was_never_up_is_told_of(stacks: TwoStacks) -> None:
    stacks.share({})
    run = stacks.engine.preview()
    assert not run.ok
    assert "has nothing to share; run `pulumi up` on it first" in run.output
    assert "Traceback" not in run.output
