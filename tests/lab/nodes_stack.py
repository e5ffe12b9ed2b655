"""The stack of the lab, driven by tests: runs Pulumi, changes configuration, looks at hosts."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import yaml

from lab import control_plane, processes
from lab import spec as lab_spec
from lab import ssh as lab_ssh
from lab.files import write_atomically
from lab.spec import LabSpec
from lab.stack import CHECKOUT, Stack, prepare
from lab.tools import ensure
from tests.lab.states import read_plain

_CHANGE = re.compile(r"^ *(?:\+|-|~|\+-|\+\+|--) +[\w-]+:[\w:./]+ ([\w-]+) (?:\w+|\*\*)", re.M)
_DIFF_URN = re.compile(r"\[urn=urn:pulumi:\S+::([\w-]+)\]")


def copy_project(target: Path) -> Path:
    """Copy what git tracks, so that tests change no file of the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = CHECKOUT / name
        if not (source.exists() or source.is_symlink()):
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / name, follow_symlinks=False)
    (target / ".venv").symlink_to(CHECKOUT / ".venv")
    committed = subprocess.run(
        ["git", "show", "HEAD:Pulumi.dev.yaml"],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    # The checkout's own may hold the values of the user's lab.
    (target / "Pulumi.dev.yaml").write_text(committed)
    return target


class NodesStack:
    """One stack, and what was seen of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.lab: LabSpec = stack.lab
        self.printed: list[str] = []
        self.seen_processes: list[str] = []
        self._secrets: dict[str, list[str]] = {}

    def prepare(self) -> None:
        prepare(self.stack)

    def reload_lab(self) -> LabSpec:
        self.lab = lab_spec.require(self.lab.directory)
        return self.lab

    def start(
        self, *arguments: str, output: int | IO[str] = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start the CLI in a process group of its own."""
        return subprocess.Popen(
            ["pulumi", *arguments, "--stack", self.stack.name],
            cwd=self.stack.project,
            env=self.stack.environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def pulumi(self, *arguments: str, expect: bool = True) -> str:
        """Run the CLI to its end, looking at the process list meanwhile; return what it printed."""
        running = self.start(*arguments)
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch_processes, args=(ended,))
        watcher.start()
        try:
            printed, _ = running.communicate(timeout=300)
        finally:
            ended.set()
            watcher.join()
        self.printed.append(printed)
        assert (running.returncode == 0) is expect, printed
        return printed

    def up(self, verb: str = "up", expect: bool = True) -> str:
        extra = [] if verb == "refresh" else ["--skip-preview"]
        printed = self.pulumi(verb, "--yes", "--non-interactive", *extra, expect=expect)
        if verb == "up" and expect:
            self.collect_secrets()
        return printed

    def _watch_processes(self, ended: threading.Event) -> None:
        """The hosts' processes are in this list too: they share the machine's kernel."""
        while not ended.wait(0.2):
            listed = subprocess.run(["ps", "-eww", "-o", "args="], capture_output=True, check=True)
            self.seen_processes.append(listed.stdout.decode(errors="replace"))

    @contextlib.contextmanager
    def running_until(self, text: str) -> Iterator[subprocess.Popen[str]]:
        """Run `up` until the CLI has printed this; what comes after is the caller's."""
        with self.start("up", "--yes", "--skip-preview", "--non-interactive") as running:
            assert running.stdout
            for line in running.stdout:
                self.printed.append(line)
                if text in line:
                    break
            # Read on, so that the CLI never waits for its reader.
            reader = threading.Thread(target=self.printed.extend, args=(running.stdout,))
            reader.start()
            yield running
            running.wait(timeout=60)
            reader.join(timeout=60)

    def changes(self, printed: str) -> dict[str, int]:
        """Read the summary: how many resources were created, updated, deleted, replaced."""
        found = re.findall(r"^ +(\S+) (\d+) (created|updated|deleted|replaced)$", printed, re.M)
        return {what: int(count) for _, count, what in found}

    def changed_resources(self, printed: str) -> set[str]:
        """Name the resources that an update or a preview with --diff changed."""
        names = set(_CHANGE.findall(printed))
        names |= set(_DIFF_URN.findall(printed))
        return {name for name in names if not name.startswith("kube-nodes-")}

    @contextlib.contextmanager
    def changed(self, values: Mapping[str, str | int]) -> Iterator[None]:
        """Change the stack's configuration, and put it back at the end; `up` is the caller's."""
        file = self.stack.project / "Pulumi.dev.yaml"
        before = file.read_text()
        pairs: list[str] = []
        for path, value in values.items():
            top, _, rest = path.partition(".")
            place = f"{top}.{rest}" if rest else top
            pairs += ["--plaintext", f"kube-nodes:{place}={value}"]
        self.pulumi("config", "set-all", "--path", *pairs)
        try:
            yield
        finally:
            file.write_text(before)

    def send_binaries(self, version: str) -> None:
        """Have a version's programs come from the project's folder; `changed` puts that back."""
        file = self.stack.project / "Pulumi.dev.yaml"
        text = yaml.safe_load(file.read_text())
        declared = text["config"]["kube-nodes:binaries"][version]
        for key, name in (("kubelet", "kubelet"), ("kubeProxy", "kube-proxy")):
            source = Path("binaries", version, name)
            target = self.stack.project / source
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.lab.path("artifacts", version, name), target)
            declared[key] = {"file": str(source), "sha256": declared[key]["sha256"]}
        file.write_text(yaml.safe_dump(text))

    @contextlib.contextmanager
    def paused(self, part: str) -> Iterator[None]:
        """Stop a part of the control plane by a signal, and let it go on afterwards."""
        record = processes.read(self.lab, part)
        assert record and record.alive
        pid = record.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def give_api_server_tokens(self, lines: str) -> None:
        """Do the administrator's part: these static tokens, and the restart that reads them."""
        write_atomically(self.lab.path("pki", "token.csv"), lines)
        processes.stop(self.lab, "kube-apiserver")
        # The API server alone: no host sees a login of the lab's.
        control_plane.start(self.lab, ensure(control_plane.PARTS, self.lab.kubernetes))

    def processes_of(self, group: int, seconds: float = 2) -> list[str]:
        """List what is left of a process group and of membership/, once it had time to end."""
        end = time.monotonic() + seconds
        while True:
            listed = subprocess.run(
                ["ps", "-eo", "pgid=,args="], capture_output=True, text=True, check=True
            ).stdout
            project = str(self.stack.project)
            left = [
                line
                for line in listed.splitlines()
                if line.split()[0] == str(group) or (project in line and "membership" in line)
            ]
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.1)

    def kubectl(self, *arguments: str) -> str:
        done = subprocess.run(
            ["kubectl", *arguments],
            env=self.stack.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ready(self) -> dict[str, str]:
        """Read the version of each Node that is Ready and schedulable."""
        nodes = json.loads(self.kubectl("get", "nodes", "-o", "json"))["items"]
        return {
            node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"]
            for node in nodes
            if not node["spec"].get("unschedulable")
            and {"Ready": "True"}
            in [{each["type"]: each["status"]} for each in node["status"]["conditions"]]
        }

    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json"))
        return outputs

    def ssh(self, host: str, command: str, check: bool = True) -> str:
        argv = lab_ssh.command(self.lab, self.lab.host(host))
        done = subprocess.run([*argv, command], capture_output=True, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.decode(errors="replace")

    def verify(self) -> tuple[int, list[dict[str, str]]]:
        """Run verify; return its exit status, and the findings that are not ok."""
        status, document = self.fleet("verify")
        assert document["nodes"] == ["n1", "n2"]
        assert len(document["findings"]) > 80
        return status, [each for each in document["findings"] if each["level"] != "ok"]

    def fleet(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Look at the stack; return the exit status, and what is told."""
        done = subprocess.run(
            [".venv/bin/python", "-m", "kube_nodes.fleet", *arguments, "--stack", "dev", "--json"],
            cwd=self.stack.project,
            env=self.stack.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        self.printed += [done.stdout, done.stderr]
        assert done.stdout, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, document

    def await_not_ready(self, name: str) -> None:
        """Wait until the cluster has heard that a node is not Ready."""
        end = time.monotonic() + 60
        while name in self.ready():
            assert time.monotonic() < end, f"{name} stays Ready"
            time.sleep(0.5)

    def start_times(self, host: str) -> dict[str, str]:
        show = "systemctl show --value -p ExecMainStartTimestampMonotonic"
        units = ("kubelet", "kube-proxy")
        return {unit: self.ssh(host, f"{show} {unit}").strip() for unit in units}

    def logins(self, host: str) -> int:
        """Count the logins that sshd wrote down, without making one: read the journal outside."""
        journal = self.lab.path("hosts", host, "var", "log", "journal")
        done = subprocess.run(
            ["journalctl", "-D", str(journal), "-o", "cat", "-u", "ssh"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.count("Accepted publickey")

    def state_text(self) -> str:
        backend = self.lab.directory / "backend"
        files = backend.rglob("*.json*")
        return "".join(read_plain(path).decode(errors="replace") for path in files)

    def expire_open_tokens(self) -> None:
        """Let the time of every open token be over, and wait until the cluster has cleaned up."""
        name = "{.items[?(@.data.expiration)].metadata.name}"
        path = ["get", "secrets", "-n", "kube-system", "-o", f"jsonpath={name}"]
        opened = self.kubectl(*path).split()
        assert opened
        patch = json.dumps({"stringData": {"expiration": "2020-01-01T00:00:00Z"}})
        for each in opened:
            self.kubectl("patch", "secret", "-n", "kube-system", each, "-p", patch)
        end = time.monotonic() + 60
        while self.kubectl(*path).split():
            assert time.monotonic() < end, "the token cleaner does nothing"
            time.sleep(0.2)

    def collect_secrets(self) -> dict[str, list[str]]:
        """Every secret that the stack has had, in the forms in which it could be met."""
        exported = self.start("stack", "export", "--show-secrets")
        text, _ = exported.communicate(timeout=60)
        for each in json.loads(text)["deployment"]["resources"]:
            name = each["urn"].rpartition("::")[2]
            outputs = each.get("outputs") or {}
            if name.endswith("-token-secret"):
                value = json.loads(_plain(outputs["result"]))
                self._secrets[f"{name} {value[:2]}…"] = _forms(value)
            elif name.startswith("kube-proxy-key-"):
                self._secrets[name] = _forms(json.loads(_plain(outputs["privateKeyPem"])))
        for name, place in (("SSH key", "ssh/id_ed25519"), ("CA key", "pki/ca.key")):
            self._secrets[name] = _forms(self.lab.path(place).read_text())
        return self._secrets


def _plain(value: Any) -> str:
    """Take the plain text of an exported secret."""
    plaintext: str = value["plaintext"]
    return plaintext


def _forms(value: str) -> list[str]:
    """A secret as it is, in base64 (also inside longer text), and a PEM file's inner line."""
    lines = [line for line in value.strip().splitlines() if not line.startswith("-----")]
    inner = lines[len(lines) // 2]
    shifted = [base64.b64encode(b" " * pad + inner.encode()).decode() for pad in range(3)]
    return [inner, *(form[4:-4] for form in shifted)]
