"""Put Pulumi's plugins into a lab's PULUMI_HOME: the official ones, else the stand-ins.

The engine looks for `$PULUMI_HOME/plugins/resource-NAME-vVERSION/pulumi-resource-NAME`; with that
executable there it wants no PulumiPlugin.yaml (pulumi sdk/go/common/resource/plugin/plugin.go,
ExecPlugin), and it passes over a folder beside which a `.partial` file lies
(sdk/go/common/workspace/plugins.go, GetPluginsFromDir).
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.files import write_atomically
from lab.plugins.download import download
from lab.spec import FILE

OWNED = "kube-nodes-lab.json"
"""Marks a PULUMI_HOME as a lab's own, and remembers what was put into it."""


@dataclass(frozen=True)
class Wanted:
    """A plugin that an SDK package in the virtual environment asks for."""

    name: str
    version: str
    server: str = ""
    """Where to download it, if not from Pulumi's own site."""

    def folder(self, pulumi_home: Path) -> Path:
        return pulumi_home / "plugins" / f"resource-{self.name}-v{self.version}"


@dataclass(frozen=True)
class Installed:
    """What a lab's PULUMI_HOME now holds, as `name version`."""

    official: tuple[str, ...]
    stand_ins: tuple[str, ...]
    changed: bool
    """Whether this call did anything."""

    @property
    def sentence(self) -> str:
        """Say what serves the lab's stack."""
        if not self.stand_ins:
            return f"Pulumi plugins: {', '.join(self.official)}, the official ones."
        others = f" Official: {', '.join(self.official)}." if self.official else ""
        return (
            "Pulumi's plugins could not be downloaded, so the lab's own stand-ins serve its stack, "
            f"and no other: {', '.join(self.stand_ins)}.{others}"
        )


def install(
    pulumi_home: Path, project: Path, *, pulumi: Path | None = None, again: bool = False
) -> Installed:
    """Install every plugin that the project's virtual environment asks for, once.

    Args:
        pulumi_home: the lab's own; made if it is not there.
        project: the checkout, with its virtual environment in .venv.
        pulumi: the CLI; by default the toolchain's, looked for only when it is needed.
        again: try the downloads again although stand-ins are in place.

    Raises:
        LabError: a PULUMI_HOME that is not a lab's, or a plugin with neither form.
    """
    claim(pulumi_home)
    plugins = wanted(project / ".venv")
    record = _read_record(pulumi_home)
    known = {} if again else record.get("plugins", {})
    missing = [
        plugin
        for plugin in plugins
        if known.get(plugin.name, {}).get("version") != plugin.version
        or not _executable(plugin, pulumi_home).is_file()
    ]
    official = {
        plugin.name
        for plugin in plugins
        if plugin not in missing and known[plugin.name]["official"]
    }
    if missing:
        for plugin in missing:
            remove(plugin, pulumi_home)
        official |= download(missing, pulumi_home, pulumi or _toolchain_pulumi())
    stand_ins = [plugin for plugin in plugins if plugin.name not in official]
    written = [write_stand_in(plugin, pulumi_home, project) for plugin in stand_ins]
    _write_record(pulumi_home, plugins, official)
    return Installed(
        official=tuple(f"{one.name} {one.version}" for one in plugins if one.name in official),
        stand_ins=tuple(f"{one.name} {one.version}" for one in stand_ins),
        changed=bool(missing) or any(written),
    )


def claim(pulumi_home: Path) -> None:
    """Make a folder a lab's PULUMI_HOME, if it is new or empty; accept one that is already.

    In a lab's own folder it may hold files: under `make env`, plain `pulumi` makes it and writes
    into it before the lab does.

    Raises:
        LabError: the folder belongs to somebody else, so that a stand-in in it could come to
            serve other stacks than the lab's.
    """
    if pulumi_home.resolve() == (Path.home() / ".pulumi").resolve():
        raise LabError(
            f'PULUMI_HOME "{pulumi_home}" is the user\'s own; the lab puts plugins only into a '
            "folder of its own: give another one."
        )
    if (pulumi_home / OWNED).is_file():
        return
    in_lab = (pulumi_home.parent / FILE).is_file()
    if not in_lab and pulumi_home.exists() and any(pulumi_home.iterdir()):
        raise LabError(
            f'PULUMI_HOME "{pulumi_home}" has files in it and no {OWNED}, so it is not a lab\'s; '
            "give an empty or a new folder."
        )
    pulumi_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(pulumi_home / OWNED, "{}\n")


def wanted(venv: Path) -> list[Wanted]:
    """Read which plugins the SDK packages of a virtual environment ask for.

    Raises:
        LabError: there are none, so this is no environment of the project.
    """
    found = []
    for path in sorted(venv.glob("lib/python3*/site-packages/*/pulumi-plugin.json")):
        asked = json.loads(path.read_text(encoding="utf-8"))
        if asked.get("resource"):
            found.append(Wanted(asked["name"], asked["version"], asked.get("server", "")))
    if not found:
        raise LabError(f'"{venv}" has no Pulumi packages; install requirements.txt into it.')
    return found


def write_stand_in(plugin: Wanted, pulumi_home: Path, project: Path) -> bool:
    """Write the launcher of a stand-in; say whether anything changed.

    Raises:
        LabError: there is no stand-in of that name, or the PULUMI_HOME is not a lab's.
    """
    claim(pulumi_home)
    if not (project / "lab" / "plugins" / plugin.name / "__main__.py").is_file():
        raise LabError(
            f"plugin {plugin.name} {plugin.version}: its download failed and the lab has no "
            "stand-in for it."
        )
    launcher = _executable(plugin, pulumi_home)
    partial = launcher.parent.with_name(launcher.parent.name + ".partial")
    partial.unlink(missing_ok=True)
    return write_atomically(launcher, _launcher(plugin.name, project), mode=0o755)


def remove(plugin: Wanted, pulumi_home: Path) -> None:
    """Remove a plugin's folder and what a killed installation left beside it."""
    folder = plugin.folder(pulumi_home)
    shutil.rmtree(folder, ignore_errors=True)
    for suffix in (".partial", ".lock"):
        folder.with_name(folder.name + suffix).unlink(missing_ok=True)


def _launcher(name: str, project: Path) -> str:
    python = shlex.quote(str(project / ".venv" / "bin" / "python"))
    # By path, without PYTHONPATH: local commands inherit the environment of their plugin.
    start = shlex.quote(str(project / "lab" / "plugins" / "launch.py"))
    return (
        "#!/bin/sh\n"
        "# A stand-in of the kube-nodes lab; rewritten by its next run.\n"
        f'exec {python} -P {start} {name} "$@"\n'
    )


def _executable(plugin: Wanted, pulumi_home: Path) -> Path:
    return plugin.folder(pulumi_home) / f"pulumi-resource-{plugin.name}"


def _toolchain_pulumi() -> Path:
    from lab.tools.toolchain import ensure

    return ensure(["pulumi"])["pulumi"]


def _read_record(pulumi_home: Path) -> dict[str, dict[str, dict[str, str | bool]]]:
    record = json.loads((pulumi_home / OWNED).read_text(encoding="utf-8"))
    return record if isinstance(record, dict) else {}


def _write_record(pulumi_home: Path, plugins: Iterable[Wanted], official: set[str]) -> None:
    entries = {
        one.name: {"version": one.version, "official": one.name in official} for one in plugins
    }
    text = json.dumps({"plugins": entries}, indent=2) + "\n"
    write_atomically(pulumi_home / OWNED, text)
