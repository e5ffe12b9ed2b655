"""The shell environment of one lab: `eval "$(python -m lab env)"`.

Pure: paths in, text out, so that it can be tested and read without a lab.
"""

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

UNSET = (
    "PULUMI_CONFIG_PASSPHRASE", "PULUMI_ACCESS_TOKEN", "PULUMI_STACK", "PULUMI_DIY_BACKEND_ZSTD",
)  # fmt: skip
"""The user's own settings that would win over the lab's."""


def lab_variables(
    lab_dir: Path, *, venv: Path, tool_directories: Iterable[Path], path: str
) -> dict[str, str]:
    """Return the variables under which plain `pulumi` and `kubectl` work on this lab.

    Args:
        lab_dir: the lab's folder, absolute.
        venv: the project's virtual environment. Its bin stands first on PATH: the language host
            takes the first `python3` there, whatever Pulumi.yaml's virtualenv says.
        tool_directories: folders of the tools' executables.
        path: the PATH so far; what is in it already is moved, so that a second `eval` adds nothing.

    Raises:
        ValueError: a folder that cannot stand in PATH.
    """
    first = [str(venv / "bin"), *(str(directory) for directory in tool_directories)]
    for entry in first:
        if os.pathsep in entry:
            raise ValueError(f'"{entry}" has a "{os.pathsep}" in it and cannot stand in PATH')
    entries = dict.fromkeys([*first, *(entry for entry in path.split(os.pathsep) if entry)])
    return {
        "PATH": os.pathsep.join(entries),
        "PULUMI_HOME": str(lab_dir / "pulumi-home"),
        # A run that is killed as it writes one can leave an empty .attrs file, with which the
        # state beside it is not read any more: none is written.
        "PULUMI_BACKEND_URL": f"file://{lab_dir / 'backend'}?metadata=skip",
        # A third of the size, which is written twice a step (docs/benchmarks.md).
        "PULUMI_DIY_BACKEND_GZIP": "true",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(lab_dir / "passphrase"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Without it the engine cancels every further step at the first error.
        "PULUMI_CONTINUE_ON_ERROR": "true",
        # The lab has put every plugin in place; a try to download one costs seconds each run.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "KUBECONFIG": str(lab_dir / "kubeconfig"),
        "SSH_AUTH_SOCK": str(lab_dir / "ssh" / "agent.sock"),
    }


def shell_exports(variables: Mapping[str, str]) -> str:
    """Write the variables as lines for any POSIX shell, quoted for it."""
    lines = [f"unset {' '.join(UNSET)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(lines) + "\n"
