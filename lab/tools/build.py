"""Build tools from Go modules into the cache."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from lab.tools.cache import Cache, Report, Stage
from lab.tools.detect import find_in_cache, read_version
from lab.tools.errors import ToolsError
from lab.tools.golang import ensure_go, go_environment, required_go
from lab.tools.pins import GOMOD_ROOT, GoProgram, ModuleFile, Tool
from lab.tools.process import duration, run_with_progress


@dataclass(frozen=True)
class _Job:
    """What every step of one build shares."""

    go: Path
    stage: Stage
    what: str
    report: Report


def build(tools: Sequence[Tool], cache: Cache, report: Report) -> None:
    """Build every tool that is not in the cache and publish each as a folder of its own.

    Tools of one source are built together: Kubernetes' programs share nearly all their packages.
    """
    for source, group in groupby(sorted(tools, key=lambda tool: tool.source), _source):
        with cache.stage(source, report) as stage:
            # Another run may have built some while this one waited for the lock.
            missing = [tool for tool in group if not find_in_cache(tool, cache)]
            if missing:
                _build_group(missing, stage, cache, report)


def _source(tool: Tool) -> str:
    return tool.source


def _build_group(tools: Sequence[Tool], stage: Stage, cache: Cache, report: Report) -> None:
    programs = [program for tool in tools for program in tool.programs]
    what = f"{', '.join(tool.name for tool in tools)} {tools[0].version}"
    minimum = required_go({program.gomod for program in programs})
    job = _Job(ensure_go(minimum, cache, report), stage, what, report)
    report(f"{what}: building from source; on a cold cache about {duration(tools[0].seconds)}")
    started = time.monotonic()
    output = stage.path / "out"
    _go_build(programs, output, job)
    for tool in tools:
        for file in tool.files:
            _copy_from_module(file, job.go, output)
        staged = _gather(tool, output, stage.path / "tools" / tool.name)
        _check_version(tool, staged)
        cache.publish(staged, tool.name, tool.version)
    report(f"{what}: built in {duration(time.monotonic() - started)}")


def _go_build(programs: Iterable[GoProgram], output: Path, job: _Job) -> None:
    """Compile the programs into the folder `output`, one go command for each go.mod."""
    output.mkdir()
    temporary = job.stage.path / "tmp"  # the compiler's own leftovers too go when the stage goes
    temporary.mkdir()
    for gomod, group in groupby(programs, lambda program: program.gomod):
        together = list(group)
        # With one package a file name can be given (etcd's package would be called `server`).
        target = f"{output}/{together[0].name}" if len(together) == 1 else f"{output}/"
        run_with_progress(
            [
                str(job.go),
                "build",
                "-v",
                f"-ldflags={_linker_flags(together[0])}",
                f"-o={target}",
                *(program.import_path for program in together),
            ],
            what=job.what,
            report=job.report,
            cwd=GOMOD_ROOT / gomod,
            env=go_environment() | {"GOTMPDIR": str(temporary)},
            hold_fd=job.stage.lock_fd,
        )


def _linker_flags(program: GoProgram) -> str:
    return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in program.variables)])


def _copy_from_module(file: ModuleFile, go: Path, output: Path) -> None:
    """Copy a file out of a module; go verifies the module against go.sum first."""
    shown = subprocess.run(  # noqa: PLW1510 - the exit status is looked at below
        [go, "mod", "download", "-json", file.module],
        cwd=GOMOD_ROOT / file.gomod,
        env=go_environment(),
        capture_output=True,
        text=True,
    )
    if shown.returncode != 0:
        raise ToolsError(f"{file.name}: cannot get module {file.module}: {shown.stderr.strip()}")
    shutil.copyfile(Path(json.loads(shown.stdout)["Dir"]) / file.path, output / file.name)


def _gather(tool: Tool, output: Path, folder: Path) -> Path:
    """Move what belongs to one tool into one folder, executable for everyone."""
    folder.mkdir(parents=True)
    for name in tool.executables:
        (output / name).rename(folder / name)
        (folder / name).chmod(0o755)
    return folder


def _check_version(tool: Tool, folder: Path) -> None:
    """Run what was built before it is published: it must start and name the pinned version."""
    if tool.version_arguments is None:
        return
    version = read_version(folder / tool.name, tool)
    if version != tool.version:
        raise ToolsError(
            f"{tool.name}: built from the pins of {tool.version}, but it says {version!r};"
            " lab/tools/pins.py and gomod/ disagree"
        )
