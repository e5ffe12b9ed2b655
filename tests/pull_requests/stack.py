"""The whole program as a stack of the real engine, without hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.plugins.control_plane import ControlPlane, run_control_plane
from tests.plugins.engine import CHECKOUT, STACK, Engine
from tests.pull_requests import still_commands
from tests.pull_requests.changes import CHANGES, SECRETS, Configuration, configuration

PROJECT = "kube-nodes"


class NodesStack:
    """The stack, whose commands run nowhere; its other resources are real.

    Args:
        directory: an empty folder.
        plane: the API server that its objects are made in.
        changes: of the configuration that it begins with.
    """

    def __init__(self, directory: Path, plane: ControlPlane, **changes: Any) -> None:
        uid = plane.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
        self.base: Configuration = configuration(uid, **changes)
        self.plane = plane
        self.engine = Engine(
            directory,
            (CHECKOUT / "__main__.py").read_text(),
            variables={
                "KUBECONFIG": str(plane.kubeconfig),
                "PYTHONPATH": str(CHECKOUT),
                "SSH_AUTH_SOCK": "",
            },
            project=PROJECT,
        )
        still_commands.install(self.engine.home, CHECKOUT / ".venv" / "bin" / "python")
        self.configure(self.base)
        for name, text in SECRETS.items():
            done = self.engine.cli(
                "config", "set-all", "--secret", f"{name}={text}", "--stack", STACK
            )
            assert done.returncode == 0, done.stdout

    def configure(self, values: Mapping[str, Any]) -> None:
        """Write the open part of the configuration anew; the secrets stay."""
        path = self.engine.program / f"Pulumi.{STACK}.yaml"
        document = yaml.safe_load(path.read_text()) if path.exists() else {}
        sealed = {
            key: value for key, value in document.get("config", {}).items() if _is_sealed(value)
        }
        document["config"] = {f"{PROJECT}:{key}": value for key, value in values.items()} | sealed
        path.write_text(yaml.safe_dump(document))

    def propose(self, change: str, *flags: str) -> str:
        """Give what `pulumi preview --json` prints for a pull request, and take it back."""
        self.configure(CHANGES[change](self.base))
        try:
            return self.preview_json(*flags)
        finally:
            self.configure(self.base)

    def preview_json(self, *flags: str) -> str:
        """Give what `pulumi preview --json` prints."""
        printed = self.engine.cli("preview", "--json", "--stack", STACK, *flags).stdout
        # Here standard error is mixed in.
        document, _ = json.JSONDecoder().raw_decode(printed[printed.index("{\n") :])
        return json.dumps(document)


@contextmanager
def nodes_stack(directory: Path, **changes: Any) -> Iterator[NodesStack]:
    """Bring up an API server and the stack, with every node joined as far as Pulumi knows."""
    server = directory / "server"
    server.mkdir()
    with run_control_plane(server) as plane:
        stack = NodesStack(directory / "stack", plane, **changes)
        run = stack.engine.up()
        assert run.ok, run.output
        yield stack


def _is_sealed(value: Any) -> bool:
    return isinstance(value, Mapping) and "secure" in value
