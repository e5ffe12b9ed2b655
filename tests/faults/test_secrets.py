"""No secret is left in the open by a full life: failure, change, kill, Ctrl-C, refresh, destroy.

Every secret that the program takes or makes is in it: the SSH key, the CA's key, kube-proxy's key,
bootstrap tokens and the static token. They are looked for in all that the life leaves or shows.
"""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import processes
from tests.faults import operator
from tests.faults.events import Step
from tests.faults.stack import FaultStack
from tests.faults.table import Faults
from tests.faults.watch import Watch
from tests.lab.states import read_plain

Forms = Mapping[str, list[str]]

# Where a secret may be, by design, and then for root's eyes alone.
_ITS_PLACES = {
    "etc/kubernetes/bootstrap-kubelet.conf",
    "etc/kubernetes/proxy.conf",
    "etc/kubernetes/token.csv",
}
_PROGRAM = b"/pulumi-language-python-exec\0"
# The lab's own: its CA, its SSH key, and the cluster's store, which has every Secret ever made.
_LABS_OWN = {"pki", "ssh", "etcd", "hosts", "artifacts", "pulumi-home"}


@pytest.fixture
def stack_again(stack: FaultStack) -> Iterator[FaultStack]:
    """The stack, whatever becomes of it: as before, and converged, for the tests after this one."""
    before = stack.configuration()
    yield stack
    stack.configure(before)
    stack.converge()


def test_no_secret_is_left_in_the_open_by_a_full_life(
    stack_again: FaultStack, faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = stack_again
    row = faults.tried("secrets are looked for", "a full life")
    temporary = tmp_path / "temporary"
    temporary.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(temporary))
    _give_secrets(stack)
    with Watch(temporary).looking() as watch:
        plan = tmp_path / "plan.json"
        stack.pulumi("preview", "--save-plan", str(plan), "--diff", "--non-interactive")
        _live(stack)
        secrets = stack.collect_secrets()
        kept = _kept_on_hosts(stack, secrets)
        assert {path for _, path in kept} <= _ITS_PLACES, kept
        places = {
            "the plan": [plan.read_bytes()],
            "the state, with a live stack": [stack.state_text().encode()],
            "the outputs": [stack.pulumi("stack", "output", "--json").encode()],
        }
        stack.up("destroy")
    assert _kept_on_hosts(stack, secrets) == []
    places |= {
        "the state": [stack.state_text().encode()],
        "what was printed": [text.encode() for text in stack.printed],
        "the engine's events": stack.event_logs,
        "command lines": list(watch.command_lines),
        # Pulumi itself hands the program its configuration so; nothing else is to inherit it.
        "environments": [each for each, line in watch.environments.items() if _PROGRAM not in line],
        "temporary files that others could read": list(watch.files),
        "the lab's folder, logs of the API server among it": list(_folder(stack.lab.directory)),
        "the project": list(_folder(stack.stack.project)),
    }
    for host in ("n1", "n2"):
        places[f"journals of {host}"] = [stack.ssh(host, "journalctl --no-pager -o cat").encode()]
    found = _search(secrets, places)
    assert found == []
    assert list(temporary.iterdir()) == [], "temporary files are left"
    assert _stay(Path("/dev/shm").glob("kube-nodes-*")) == []
    assert watch.seen_ours == {"run apply", "-m kube_nodes.membership"}
    assert watch.dumping == set(), "could leave a core dump"
    row.seen.append(f"{len(secrets)} secrets in {len(places)} kinds of places: found {len(found)}")
    row.held += 1


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    secrets = {"a token": ["abcdefghijklmnop"]}
    (tmp_path / "file").write_text("token: abcdefghijklmnop\n")
    assert _search(secrets, {"here": list(_folder(tmp_path))}) == [("a token", "here")]


def _give_secrets(stack: FaultStack) -> None:
    """Set every secret that there can be; both nodes join anew, n2 by the static token."""
    declared = stack.configuration()
    declared["config"]["kube-nodes:kubeProxyCertificate"] = {"issuer": "ca", "epoch": 90}
    nodes = stack.nodes_of(declared)
    for node in nodes.values():
        node["generation"] = node.get("generation", 1) + 1
    nodes["n2"].setdefault("options", {})["tokenMode"] = "static"
    place: dict[str, Any] = {key: nodes["n1"][key] for key in ("address", "hostKey")}
    declared["config"]["kube-nodes:staticToken"] = {"hosts": {"n1": copy.deepcopy(place)}}
    stack.configure(declared)
    for key, path in (("sshPrivateKey", "ssh/id_ed25519"), ("caKey", "pki/ca.key")):
        subprocess.run(
            ["pulumi", "config", "set", "--secret", f"kube-nodes:{key}", "--stack", "dev"],
            cwd=stack.stack.project,
            env=stack.stack.environment(),
            input=stack.lab.path(path).read_text(),
            text=True,
            check=True,
            capture_output=True,
        )


def _live(stack: FaultStack) -> None:
    """Live: a failure, an up, a change, a kill, a Ctrl-C, an up again, a refresh."""
    # The API server has not read the static token: n2 is refused.
    failed = stack.run()
    assert failed.status > 0
    assert "does not know the static token" in failed.printed
    stack.collect_secrets()
    stack.give_api_server_tokens(stack.ssh("n1", "cat /etc/kubernetes/token.csv"))
    stack.up()
    stack.begin_update()
    stack.begin_new_life()
    _break_off(stack, "n1-units", signal.SIGKILL)
    stack.prepare()
    with stack.paused("kube-controller-manager"):
        _break_off(stack, "n1-membership", signal.SIGINT)
    stack.up()
    stack.up("refresh")


def _stay(paths: Iterable[Path], seconds: float = 10) -> list[Path]:
    """Return those that are still there a while later: other runs have some for a moment."""
    left, end = list(paths), time.monotonic() + seconds
    while left and time.monotonic() < end:
        time.sleep(0.2)
        left = [path for path in left if path.exists()]
    return left


def _break_off(stack: FaultStack, at: str, sign: signal.Signals) -> None:
    family: dict[operator.Process, str] = {}

    def send(running: subprocess.Popen[str], step: Step) -> None:
        if step.resource == at and not family:
            family.update(operator.family(running.pid))
            os.kill(running.pid, sign)

    assert stack.run(send).status != 0
    stack.collect_secrets()
    assert operator.left_of(family, seconds=60) == []


def _kept_on_hosts(stack: FaultStack, secrets: Forms) -> list[tuple[str, str]]:
    """Return the files of each host that hold a secret, tmpfs too; all must be root's alone."""
    kept = []
    for host in ("n1", "n2"):
        root = _root(stack, host)
        for path in _files(
            root, ("etc", "run", "tmp", "dev/shm", "var", "root", "home", "usr/local")
        ):
            if _search(secrets, {"": list(_contents([path]))}):
                status = path.stat()
                assert (status.st_mode & 0o777, status.st_uid) == (0o600, 0), path
                kept.append((host, str(path.relative_to(root))))
    return kept


def _root(stack: FaultStack, host: str) -> Path:
    """Return the host's root as its own processes see it, with what is mounted in it."""
    record = processes.read(stack.lab, f"host-{host}")
    assert record
    init = next(pid for pid, _ in operator.family(record.pid) if pid != record.pid)
    return Path(f"/proc/{init}/root")


def _files(root: Path, folders: Iterable[str]) -> Iterator[Path]:
    for folder in folders:
        for directory, below, names in os.walk(root / folder):
            # Images and layers of containers are nobody's secrets, and large.
            below[:] = [each for each in below if each not in ("containerd", "journal", "cgroup")]
            for name in names:
                path = Path(directory, name)
                if path.is_file() and not path.is_symlink() and path.stat().st_size < 500_000:
                    yield path


def _folder(folder: Path) -> Iterator[bytes]:
    tops = [each.name for each in folder.iterdir() if each.name not in _LABS_OWN | {".venv"}]
    yield from _contents(_files(folder, [top for top in tops if (folder / top).is_dir()]))
    yield from _contents(each for each in folder.iterdir() if each.is_file())


def _contents(paths: Iterable[Path]) -> Iterator[bytes]:
    for path in paths:
        try:
            yield read_plain(path)
        except (FileNotFoundError, ProcessLookupError, PermissionError, OSError):
            continue  # gone, or no plain file


def _search(secrets: Forms, places: Mapping[str, list[bytes]]) -> list[tuple[str, str]]:
    """Return each secret that is in a place, by name, and the place."""
    return [
        (name, place)
        for place, texts in places.items()
        for name, forms in secrets.items()
        if any(form.encode() in text for form in forms for text in texts)
    ]
