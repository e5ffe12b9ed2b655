"""The stack of the lab: `python -m lab.stack up`, preview, policy, destroy, table.

It does what a reader of the README would do by hand: select the stack, write the lab's values into
its configuration, run Pulumi, look at the nodes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab import spec as lab_spec
from lab import stack_config
from lab.env import UNSET, lab_variables
from lab.errors import LabError
from lab.plugins.install import install
from lab.policy import install_pack
from lab.tools import ensure

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Stack:
    """One stack of a project, run against one lab."""

    lab: lab_spec.LabSpec
    project: Path
    name: str
    kubernetes: str | None = None
    """The nodes' version, where one was asked for; else what the stack declares."""

    def environment(self) -> dict[str, str]:
        """The environment under which Pulumi and kubectl work on this lab."""
        paths = ensure(("pulumi", "kubectl"), self.lab.kubernetes).values()
        variables = lab_variables(
            self.lab.directory,
            venv=self.project / ".venv",
            tool_directories=dict.fromkeys(path.parent for path in paths),
            path=os.environ.get("PATH", ""),
        )
        kept = {key: value for key, value in os.environ.items() if key not in UNSET}
        return {**kept, **variables}

    def pulumi(self, *arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Run the Pulumi CLI in the project; its own output is what the user sees."""
        # Ctrl-C reaches the CLI itself, which then ends in order; it must not be killed from here.
        previous = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            return subprocess.run(
                ["pulumi", *arguments, "--stack", self.name],
                cwd=self.project,
                env=self.environment(),
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if capture else None,
                check=False,
            )
        finally:
            signal.signal(signal.SIGINT, previous)

    def select(self) -> None:
        """Make the stack where there is none, and take away the lock of a run that was killed."""
        self._drop_foreign_salt()
        selected = self.pulumi("stack", "select", "--create", capture=True)
        if selected.returncode:
            raise LabError(f"pulumi stack select {self.name}: failed; see its message above.")
        locks = list(self._locks())
        if locks and all(_is_dead(lock) for lock in locks):
            print(f"lab: unlocking {self.name}: the run that locked it is dead", file=sys.stderr)
            self.pulumi("cancel", "--yes", capture=True)

    def _drop_foreign_salt(self) -> None:
        """Forget the salt of a stack that went with an earlier lab: its passphrase is gone too."""
        states = self.lab.directory / "backend" / ".pulumi" / "stacks"
        file = self.project / f"Pulumi.{self.name}.yaml"
        if any(states.glob(f"**/{self.name}.json*")) or not file.exists():
            return
        text = file.read_text(encoding="utf-8")
        if "secure:" in text:
            raise LabError(
                f"{file.name}: holds secrets of an earlier lab, which nothing can read any more;"
                " remove its `secure:` values and set them anew."
            )
        kept = [line for line in text.splitlines(True) if not line.startswith("encryptionsalt:")]
        file.write_text("".join(kept), encoding="utf-8")

    def _locks(self) -> Iterator[Mapping[str, object]]:
        """Read the file backend's locks of this stack."""
        folder = self.lab.directory / "backend" / ".pulumi" / "locks"
        for path in folder.glob(f"**/{self.name}/*.json"):
            yield json.loads(path.read_text())


def _is_dead(lock: Mapping[str, object]) -> bool:
    """Whether a lock is of this machine, by a process that is no more."""
    if lock.get("hostname") != socket.gethostname():
        return False
    return not Path(f"/proc/{lock.get('pid')}").exists()


def up(stack: Stack) -> int:
    """Run `pulumi up`, and show the nodes."""
    prepare(stack)
    status = stack.pulumi("up", "--yes", "--skip-preview").returncode
    return status or table(stack)


def preview(stack: Stack) -> int:
    """Run `pulumi preview --diff`."""
    prepare(stack)
    return stack.pulumi("preview", "--diff").returncode


def policy(stack: Stack) -> int:
    """Run `pulumi preview` with the policy pack."""
    prepare(stack)
    pack = install_pack(stack.lab.directory / "pulumi-home", CHECKOUT)
    return stack.pulumi("preview", "--policy-pack", str(pack)).returncode


def destroy(stack: Stack) -> int:
    """Run `pulumi destroy`: the nodes leave the cluster, the hosts are clean again."""
    prepare(stack)
    return stack.pulumi("destroy", "--yes", "--skip-preview").returncode


def prepare(stack: Stack) -> None:
    """Put the plugins in place, select the stack and write the lab's values into it."""
    installed = install(stack.lab.directory / "pulumi-home", CHECKOUT)
    print(f"lab: {installed.sentence}", file=sys.stderr)
    stack.select()
    stack_config.configure(
        stack.lab,
        stack.project,
        stack.name,
        stack.lab.host_names,
        stack.environment(),
        kubernetes=stack.kubernetes,
    )


def table(stack: Stack) -> int:
    """Show each node: what the cluster says of it, and what the Service answered there."""
    shown = stack.pulumi("stack", "output", "--json", capture=True)
    outputs = json.loads(shown.stdout or "{}")
    members = _members(stack.lab)
    table = Table("NODE", "READY", "VERSION", "ADDRESS", "SERVICE ANSWER")
    ready = True
    for node_id, node in sorted(outputs.get("nodes", {}).items()):
        state, version = members.get(node["name"], ("missing", "-"))
        ready = ready and state == "True"
        table.add_row(node_id, state, version, node["address"], node["serviceAnswer"])
    Console().print(table)
    return 0 if ready else 1


def _members(lab: lab_spec.LabSpec) -> dict[str, tuple[str, str]]:
    """Read each Node's Ready condition and kubelet version from the cluster."""
    found = {}
    for node in stack_config.ask(lab, lambda api: api.list_node(_request_timeout=10)).items:
        conditions = {each.type: each.status for each in node.status.conditions or []}
        version = node.status.node_info.kubelet_version
        found[node.metadata.name] = (conditions.get("Ready", "Unknown"), version)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return its exit status."""
    verbs = {
        "up": up,
        "preview": preview,
        "policy": policy,
        "destroy": destroy,
        "table": table,
    }
    parser = argparse.ArgumentParser(prog="python -m lab.stack", description=__doc__)
    parser.add_argument("verb", choices=verbs)
    parser.add_argument("--dir", default=str(lab_spec.default_directory()), help="the lab's folder")
    parser.add_argument("--project", default=str(CHECKOUT), help="folder of Pulumi.yaml")
    parser.add_argument("--stack", default="dev", help="the stack (default: %(default)s)")
    parser.add_argument("--kubernetes", help="declare this version for the nodes")
    options = parser.parse_args(arguments)
    try:
        lab = lab_spec.require(Path(options.dir).expanduser().resolve())
        project = Path(options.project).resolve()
        return verbs[options.verb](Stack(lab, project, options.stack, options.kubernetes))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; run the same command again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
