"""The tools that are compared, each as its good users would run it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import yaml

from benchmarks import work
from lab import ssh
from lab.env import UNSET, lab_variables
from lab.errors import LabError
from lab.files import write_atomically
from lab.plugins.install import install
from lab.spec import Host, LabSpec
from lab.tools import ensure

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
OTHERS = CHECKOUT / ".venv-bench" / "bin"
"""Where Ansible and pyinfra are installed."""
RUN_SECONDS = 600
"""No run takes longer; one that does is an error."""


class Tool(Protocol):
    """One way to do the work."""

    name: str
    remembers: bool
    """Whether it knows what it has done, and takes away what is declared no more."""

    def forget(self) -> None:
        """Have no memory of earlier runs; not timed."""

    def declare(self, hosts: Sequence[Host], plan: work.Plan) -> None:
        """Write down what the next run is to bring about; not timed."""

    def run(self) -> None:
        """Bring it about; this is timed."""

    def after(self) -> None:
        """End what the run left going on; not timed."""


def execute(
    argv: Sequence[str | Path], environment: Mapping[str, str], folder: Path, log: Path
) -> None:
    """Run a program to its end.

    Raises:
        LabError: it failed; with the end of what it printed.
    """
    words = [str(word) for word in argv]
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            words,
            cwd=folder,
            env={**environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=RUN_SECONDS,
            check=False,
        )
    if done.returncode:
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
        raise LabError(f"{words[0]}: exit status {done.returncode}; the end of its output:\n{last}")


class Folder:
    """What the tools share: a folder in the lab's, with templates and the way to the hosts."""

    def __init__(self, lab: LabSpec) -> None:
        self.lab = lab
        self.path = lab.path("bench")
        self.path.mkdir(exist_ok=True)
        self.environment = {
            **{key: value for key, value in os.environ.items() if key not in UNSET},
            "SSH_AUTH_SOCK": str(ssh.agent_socket(lab)),
        }

    @property
    def log(self) -> Path:
        """Where the last run's output is."""
        return self.path / "output.txt"

    def write_templates(self, plan: work.Plan) -> None:
        """Write the templates of the plan."""
        work.write_templates(self.path / "templates", plan.files)


class ByHand(Folder):
    """The script of by_hand/host.sh."""

    name = "script"
    remembers = False

    def forget(self) -> None:
        """It remembers nothing."""

    def declare(self, hosts: Sequence[Host], plan: work.Plan) -> None:
        """Write its list of hosts."""
        self.write_templates(plan)
        lines = "".join(f"{host.name} {host.address}\n" for host in hosts)
        write_atomically(self.path / "hosts", lines)
        shutil.copy(self.lab.path("ssh_config"), self.path / "ssh_config")

    def run(self) -> None:
        """Run the script."""
        execute(
            ["sh", HERE / "by_hand" / "host.sh", self.path], self.environment, self.path, self.log
        )

    def after(self) -> None:
        """It leaves nothing."""


class Ansible(Folder):
    """ansible-playbook: pipelining, as many forks as hosts, connections kept within a run."""

    name = "Ansible"
    remembers = False

    def forget(self) -> None:
        """It remembers nothing."""

    def declare(self, hosts: Sequence[Host], plan: work.Plan) -> None:
        """Write its inventory."""
        self.write_templates(plan)
        inventory = {
            "all": {
                "vars": {
                    "ansible_python_interpreter": "/usr/bin/python3",
                    "templates": str(self.path / "templates"),
                },
                "hosts": {
                    host.name: {
                        "ansible_host": host.address,
                        "node_name": host.name,
                        "node_address": host.address,
                    }
                    for host in hosts
                },
            }
        }
        write_atomically(self.path / "inventory.yml", yaml.safe_dump(inventory))
        self._forks = len(hosts)

    def run(self) -> None:
        """Run the playbook."""
        options = "-o ControlMaster=auto -o ControlPersist=60s"
        environment = {
            **self.environment,
            "ANSIBLE_PIPELINING": "True",
            "ANSIBLE_FORKS": str(self._forks),
            "ANSIBLE_SSH_ARGS": f"-F {self.lab.path('ssh_config')} {options}",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._sockets),
            "ANSIBLE_HOME": str(self.path / "ansible"),
        }
        playbook = HERE / "ansible" / "playbook.yml"
        argv: list[str | Path] = [
            OTHERS / "ansible-playbook",
            "-i",
            self.path / "inventory.yml",
            playbook,
        ]
        execute(argv, environment, self.path, self.log)

    @property
    def _sockets(self) -> Path:
        return self.path / "cp"

    def after(self) -> None:
        """End the connections that it keeps: the next run is another day's."""
        for socket in self._sockets.glob("*"):
            argv = ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "any"]
            subprocess.run(argv, capture_output=True, check=False)


class Pyinfra(Folder):
    """pyinfra, all hosts at once as is its default."""

    name = "pyinfra"
    remembers = False

    def forget(self) -> None:
        """It remembers nothing."""

    def declare(self, hosts: Sequence[Host], plan: work.Plan) -> None:
        """Write its inventory."""
        self.write_templates(plan)
        shared = {
            "ssh_user": "root",
            "ssh_key": str(ssh.key_file(self.lab)),
            "ssh_known_hosts_file": str(self.lab.path("ssh", "known_hosts")),
            "ssh_strict_host_key_checking": "yes",
        }
        nodes = [(host.name, {"ssh_hostname": host.address, **shared}) for host in hosts]
        write_atomically(self.path / "inventory.py", f"nodes = {nodes!r}\n")

    def run(self) -> None:
        """Run the deploy."""
        deploy = HERE / "pyinfra_deploy" / "deploy.py"
        data = f"templates={self.path / 'templates'}"
        argv: list[str | Path] = [
            OTHERS / "pyinfra",
            "-y",
            self.path / "inventory.py",
            deploy,
            "--data",
            data,
        ]
        execute(argv, self.environment, self.path, self.log)

    def after(self) -> None:
        """It leaves nothing."""


class ThisProgram(Folder):
    """`pulumi up` of the program that declares the host's side of each node."""

    name = "this program"
    remembers = True
    _STACK = "bench"

    def __init__(self, lab: LabSpec) -> None:
        super().__init__(lab)
        self.plugins = install(lab.path("pulumi-home"), CHECKOUT).sentence
        self._project = self.path / "program"
        shutil.rmtree(self._project, ignore_errors=True)
        shutil.copytree(HERE / "program", self._project)
        (self._project / ".venv").symlink_to(CHECKOUT / ".venv")
        tools = ensure(("pulumi",)).values()
        variables = lab_variables(
            lab.directory,
            venv=self._project / ".venv",
            tool_directories=dict.fromkeys(path.parent for path in tools),
            path=self.environment.get("PATH", ""),
        )
        self.environment |= {
            **variables,
            "PYTHONPATH": str(CHECKOUT),
            "BENCHMARK_CREDENTIALS": str(credentials_folder(lab)),
        }

    def forget(self) -> None:
        """Begin with an empty state."""
        shutil.rmtree(self.lab.path("backend"), ignore_errors=True)
        self.lab.path("backend").mkdir(mode=0o700)
        self._file.unlink(missing_ok=True)
        self._pulumi("stack", "init", self._STACK)

    def declare(self, hosts: Sequence[Host], plan: work.Plan) -> None:
        """Write the stack's configuration."""
        ca = work.Credentials.read(credentials_folder(self.lab)).ca
        declared = work.configuration(hosts, ca, plan.pods)
        stored = yaml.safe_load(self._file.read_text(encoding="utf-8")) or {}
        stored["config"] = {f"kube-nodes:{key}": value for key, value in declared.items()}
        write_atomically(self._file, yaml.safe_dump(stored))

    def run(self) -> None:
        """Run `pulumi up`."""
        self._pulumi("up", "--yes", "--skip-preview", "--non-interactive", "--stack", self._STACK)

    def after(self) -> None:
        """It leaves nothing."""

    @property
    def _file(self) -> Path:
        return self._project / f"Pulumi.{self._STACK}.yaml"

    def _pulumi(self, *arguments: str) -> None:
        execute(["pulumi", *arguments], self.environment, self._project, self.log)


def credentials_folder(lab: LabSpec) -> Path:
    """Return the folder of the benchmark's own CA and credentials."""
    return lab.path("bench-pki")


TOOLS: dict[str, type[ThisProgram | Ansible | Pyinfra | ByHand]] = {
    each.name: each for each in (ThisProgram, Ansible, Pyinfra, ByHand)
}
