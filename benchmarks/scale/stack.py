"""The stack of the benchmark: this project itself, run by the engine, watched and timed."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from benchmarks.scale.figures import Measured
from benchmarks.scale.fleet import Declared, SimulatedHost, configuration, render_stack
from benchmarks.scale.watching import watching
from lab.env import UNSET, lab_variables
from lab.errors import LabError
from lab.files import write_atomically
from lab.lifecycle import make_backend
from lab.spec import LabSpec
from lab.stack_config import cluster_uid

CHECKOUT = Path(__file__).resolve().parents[2]
NAME = "scale"
_PARTS = (
    *("Pulumi.yaml", "__main__.py", "program.py", "settings.py", "kube_nodes", "components"),
    *("fleet", "host", "membership", "model", "render", "review"),
)
_NODE = re.compile(r'"type": ?"kube-nodes:index:WorkerNode"')
_DID = re.compile(r"^ +(?:\S+ )?(\d+) ((?:to )?(?:create|update|delete|replace)d?)$", re.MULTILINE)
_RUN = ("--non-interactive", "--stack", NAME)
_YES = ("--yes", "--skip-preview")
VERBS: Mapping[str, Sequence[str]] = {
    "up": ("up", *_YES, *_RUN),
    "preview": ("preview", *_RUN),
    "destroy": ("destroy", *_YES, *_RUN),
}


def copy_project(target: Path) -> None:
    """Copy what the engine runs: a stack's configuration is written beside it."""
    if target.exists():
        return
    target.mkdir()
    for name in _PARTS:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(
                source, target / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy2(source, target / name)
    (target / ".venv").symlink_to(CHECKOUT / ".venv")


class ScaleStack:
    """The stack, with what it declares."""

    def __init__(self, spec: LabSpec, pulumi: Path, settings: Mapping[str, str]) -> None:
        self._spec = spec
        self._project = spec.path("project")
        self.settings = dict(settings)
        variables = lab_variables(
            spec.directory,
            venv=self._project / ".venv",
            tool_directories=[pulumi.parent],
            path=os.environ.get("PATH", ""),
        )
        kept = {key: value for key, value in os.environ.items() if key not in UNSET}
        self._environment = {**kept, **variables}
        copy_project(self._project)
        make_backend(spec)
        self._uid = cluster_uid(spec)

    @property
    def _file(self) -> Path:
        return self._project / f"Pulumi.{NAME}.yaml"

    @property
    def recorded(self) -> int:
        """How many nodes an earlier run has left in the state."""
        return len(_NODE.findall(self._state()))

    def _state_file(self) -> Path | None:
        folder = self._spec.path("backend", ".pulumi", "stacks")
        found = sorted(folder.glob(f"**/{NAME}.json*"))
        return next((each for each in found if each.suffix != ".bak"), None)

    def _state(self) -> str:
        file = self._state_file()
        if file is None:
            return ""
        data = file.read_bytes()
        return (gzip.decompress(data) if file.suffix == ".gz" else data).decode()

    @property
    def declared(self) -> Declared:
        """What was declared last, also by an earlier run."""
        file = self._spec.path("declared.json")
        return Declared(json.loads(file.read_text(encoding="utf-8")) if file.exists() else {})

    def declare(self, hosts: Sequence[SimulatedHost], declared: Declared | None = None) -> None:
        """Write the configuration; what is not said stays as it was declared."""
        declared = declared or self.declared
        write_atomically(self._spec.path("declared.json"), json.dumps(dict(declared.pods)))
        values = configuration(self._spec, self._uid, hosts, declared)
        text = self._file.read_text(encoding="utf-8")
        # The CLI's own file is YAML, and small; ours is JSON, and large.
        stored = json.loads(text) if text.startswith("{") else yaml.safe_load(text)
        kept = {"encryptionsalt": stored["encryptionsalt"]}
        write_atomically(self._file, render_stack(values, kept))

    def run(self, case: str, verb: str, *, nodes: int, changed: int) -> Measured:
        """Run the engine once; return what it took."""
        log = self._spec.path("logs", "pulumi.log")
        load = os.getloadavg()[0]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        with watching() as watch, log.open("w", encoding="utf-8") as output:
            done = subprocess.run(
                ["pulumi", *VERBS[verb]],
                cwd=self._project,
                env={**self._environment, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        seconds = time.monotonic() - started
        if done.returncode:
            end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:]
            raise LabError(f"{case}: pulumi {verb} failed:\n" + "\n".join(end))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        state = self._state().encode()
        return Measured(
            case=case,
            nodes=nodes,
            changed=changed,
            seconds=seconds,
            processor_seconds=(after.ru_utime + after.ru_stime)
            - (before.ru_utime + before.ru_stime),
            load=load,
            settings=" ".join(f"{name}={value}" for name, value in sorted(self.settings.items())),
            memory_mib=watch.memory_mib,
            open_files=watch.open_files,
            state_bytes=len(state),
            state_gzip_bytes=len(gzip.compress(state, 6)),
        )

    def summary(self) -> dict[str, int]:
        """Read from the engine's own words what it did, or would do, with how many resources."""
        text = self._spec.path("logs", "pulumi.log").read_text(encoding="utf-8", errors="replace")
        return {what: int(count) for count, what in _DID.findall(text)}

    def init(self) -> None:
        """Make the stack unless it is there; forget the lock of a run that was cut."""
        shutil.rmtree(self._spec.path("backend", ".pulumi", "locks"), ignore_errors=True)
        if self._state_file() is None:
            self._file.unlink(missing_ok=True)
            subprocess.run(
                ["pulumi", "stack", "init", NAME, "--non-interactive"],
                cwd=self._project,
                env=self._environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
