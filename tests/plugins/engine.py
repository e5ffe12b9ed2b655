"""Run a small Pulumi program through the real engine, with the lab's stand-in plugins.

engine = Engine(tmp_path, "import pulumi\n…", config={"size": 3})
run = engine.up()
assert run.ok and run.changes == {"create": 2}
engine.resource("name")["outputs"]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.plugins.install import wanted, write_stand_in
from lab.plugins.values import SECRET_MARK, SIGNATURE_KEY
from lab.tools.cache import default_cache_root
from lab.tools.pins import PULUMI_VERSION

CHECKOUT = Path(__file__).parents[2]
PROJECT = "stand-ins"
STACK = "dev"
_SECONDS = 120


def pulumi_directory() -> Path:
    """Return the folder of the real CLI and language host, or skip the test."""
    cached = default_cache_root() / "bin" / f"pulumi-{PULUMI_VERSION}"
    on_path = shutil.which("pulumi")
    for folder in [cached, *([Path(on_path).parent] if on_path else [])]:
        if (folder / "pulumi").exists() and (folder / "pulumi-language-python").exists():
            return folder
    pytest.skip("The Pulumi CLI is not built yet; run `python -m lab.tools --only pulumi`.")


@dataclass(frozen=True)
class Run:
    """What one run of the CLI said and did."""

    code: int
    output: str
    """Standard output and error, as a user reads them."""
    events: list[dict[str, Any]] = field(repr=False, default_factory=list)

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def changes(self) -> dict[str, int]:
        """Number of resources by what was done to them, without the stack and the providers."""
        counts: dict[str, int] = {}
        for step in self.steps:
            if not step["type"].startswith("pulumi:"):
                counts[step["op"]] = counts.get(step["op"], 0) + 1
        return counts

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Each step that was begun: op, urn, type, diffs, detailedDiff, old, new."""
        found = [event.get("resourcePreEvent") for event in self.events]
        return [event["metadata"] for event in found if event]

    def step(self, name: str) -> dict[str, Any]:
        """Return the first step of the resource with this name."""
        return next(step for step in self.steps if step["urn"].endswith(f"::{name}"))


class Engine:
    """One stack of one program, with a file backend and a PULUMI_HOME of its own.

    Args:
        directory: an empty folder for all of it.
        program: text of the `__main__.py`; `write` replaces it for the next run.
        config: plain values, of any YAML type, for the program's own namespace.
        variables: added to the environment of every run.
        project: its name, which is also the namespace of the program's own config.
    """

    def __init__(
        self,
        directory: Path,
        program: str,
        config: Mapping[str, Any] | None = None,
        variables: Mapping[str, str] | None = None,
        project: str = PROJECT,
    ) -> None:
        tools = pulumi_directory()
        self.project = project
        self.directory = directory
        self.program = directory / "program"
        self.home = directory / "home"
        backend = directory / "backend"
        for folder in (self.program, backend):
            folder.mkdir(parents=True)
        venv = CHECKOUT / ".venv"
        self.variables = {
            **os.environ,
            "PATH": os.pathsep.join([str(venv / "bin"), str(tools), os.environ["PATH"]]),
            "PULUMI_HOME": str(self.home),
            # Files of attributes are not written in one go: a program that reads the state
            # meanwhile would find an empty one.
            "PULUMI_BACKEND_URL": f"file://{backend}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "only for this test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # for --event-log
            **(variables or {}),
        }
        self._pulumi = tools / "pulumi"
        for plugin in wanted(venv):
            if (CHECKOUT / "lab" / "plugins" / plugin.name / "__main__.py").is_file():
                write_stand_in(plugin, self.home, CHECKOUT)
        self.write(program)
        described = {"name": project, "runtime": "python"}
        (self.program / "Pulumi.yaml").write_text(yaml.safe_dump(described))
        self.cli("stack", "init", STACK).check_returncode()
        if config:
            self.configure(config)

    def write(self, program: str) -> None:
        """Replace the program."""
        (self.program / "__main__.py").write_text(program)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Set plain config values of the program's own namespace."""
        path = self.program / f"Pulumi.{STACK}.yaml"
        settings = yaml.safe_load(path.read_text()) if path.exists() else {}
        own = {f"{self.project}:{key}": value for key, value in config.items()}
        settings["config"] = {**settings.get("config", {}), **own}
        path.write_text(yaml.safe_dump(settings))

    def up(self, *flags: str) -> Run:
        return self.run("up", "--yes", "--skip-preview", *flags)

    def preview(self, *flags: str) -> Run:
        return self.run("preview", *flags)

    def refresh(self, *flags: str) -> Run:
        return self.run("refresh", "--yes", "--skip-preview", *flags)

    def destroy(self, *flags: str) -> Run:
        return self.run("destroy", "--yes", "--skip-preview", *flags)

    def run(self, *arguments: str) -> Run:
        """Run one deployment command and read its events."""
        self.__dict__.pop("_exported", None)
        events = self.directory / "events.jsonl"
        events.unlink(missing_ok=True)
        done = self.cli(*arguments, "--stack", STACK, "--event-log", str(events))
        lines = events.read_text().splitlines() if events.exists() else []
        return Run(done.returncode, done.stdout, [json.loads(line) for line in lines])

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run any command of the CLI in the program's folder."""
        return subprocess.run(
            [self._pulumi, *arguments, "--non-interactive", "--color=never"],
            cwd=self.program,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, secret ones too."""
        done = self.cli("stack", "output", "--json", "--show-secrets", "--stack", STACK)
        outputs: dict[str, Any] = json.loads(done.stdout)
        return outputs

    def state_text(self) -> str:
        """Return the state file as it lies on disk, secrets encrypted."""
        return (
            self.directory / "backend/.pulumi/stacks" / self.project / f"{STACK}.json"
        ).read_text()

    def resource(self, name: str, *, decrypted: bool = False) -> dict[str, Any]:
        """Return a resource as the state has it; a secret is {"4dabf…": …, "plaintext": JSON}."""
        state = (
            self._exported if decrypted else json.loads(self.state_text())["checkpoint"]["latest"]
        )
        found = [one for one in state["resources"] if one["urn"].endswith(f"::{name}")]
        assert len(found) == 1, f"{len(found)} resources named {name} in the state"
        one: dict[str, Any] = found[0]
        return one

    @cached_property
    def _exported(self) -> dict[str, Any]:
        done = self.cli("stack", "export", "--show-secrets", "--stack", STACK)
        deployment: dict[str, Any] = json.loads(done.stdout)["deployment"]
        return deployment


def is_secret(value: Any) -> bool:
    """Tell whether a value in a state is stored as a secret."""
    return isinstance(value, dict) and value.get(SIGNATURE_KEY) == SECRET_MARK


def plain(value: Any) -> Any:
    """Return what is in a decrypted secret, or the value itself."""
    return json.loads(value["plaintext"]) if is_secret(value) else value
