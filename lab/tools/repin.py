"""Write gomod/<folder>/go.mod and go.sum anew, for a maintainer who changed pins.py.

`python -m lab.tools.repin kubernetes-1.37.2` asks the go command which modules the pinned version
of each program needs; review the difference and commit it. Users of the lab never run this.
"""

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.tools.golang import go_environment
from lab.tools.pins import GOMOD_ROOT, KUBERNETES_VERSIONS, GoProgram, catalogue


def programs_by_folder() -> dict[str, list[GoProgram]]:
    """Return the programs that each folder under gomod/ pins."""
    folders: dict[str, list[GoProgram]] = {}
    for version in KUBERNETES_VERSIONS:
        for tool in catalogue(version).values():
            for program in tool.programs:
                programs = folders.setdefault(program.gomod, [])
                if program not in programs:
                    programs.append(program)
    return folders


def render_go_mod(folder: str, program: GoProgram, upstream: str) -> str:
    """Write the start of a go.mod for one program's module, from that module's own go.mod.

    Only the main module's replacements count, so they are repeated here: a fork as it is, and
    Kubernetes' staging folders as the modules published for that release. Other folders are only
    the layout of the upstream repository.
    """
    go = re.search(r"^go .*$", upstream, re.MULTILINE)
    default = re.search(r"^godebug default=.*$", upstream, re.MULTILINE)
    lines = [f"module kube-nodes/lab/tools/{folder}"]
    lines += [match.group(0) for match in (go, default) if match]
    lines.append(f"require {program.module} v{program.version}")
    replaced = []
    for old, new in re.findall(r"^(?:replace |\t)(\S+) => (.+)$", upstream, re.MULTILINE):
        if new.startswith("./staging/"):
            replaced.append(f"\t{old} => {old} v0.{program.version.partition('.')[2]}")
        elif not new.startswith((".", f"{old} ")):
            replaced.append(f"\t{old} => {new}")
    if replaced:
        lines.append("\n".join(["replace (", *replaced, ")"]))
    return "\n\n".join(lines) + "\n"


def repin(folder: str, programs: list[GoProgram], root: Path = GOMOD_ROOT) -> None:
    """Write root/<folder>/go.mod and go.sum for these programs, which share one module."""
    module = programs[0]
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        query = f"{module.module}@v{module.version}"
        upstream = json.loads(_go(work, "mod", "download", "-json", query))["GoMod"]
        (work / "go.mod").write_text(render_go_mod(folder, module, Path(upstream).read_text()))
        paths = [f"{program.import_path}@v{program.version}" for program in programs]
        _go(work, "get", "-tool", *paths)
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(work / name, root / folder / name)


def _go(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["go", *arguments],
        cwd=folder,
        env=go_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def main() -> None:
    """Parse the command line and pin."""
    known = programs_by_folder()
    parser = argparse.ArgumentParser(prog="python -m lab.tools.repin", description=__doc__)
    parser.add_argument("folders", nargs="+", choices=sorted(known), metavar="FOLDER")
    parser.add_argument("--into", type=Path, default=GOMOD_ROOT, help="(default: %(default)s)")
    options = parser.parse_args()
    for folder in options.folders:
        repin(folder, known[folder], options.into)


if __name__ == "__main__":
    main()
