"""Building tools, driven through `ensure` with a go command that a test writes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.tools import ToolsError, ensure
from tests.unit.fake_tools import GO, write_executable, write_tool

ROOT = Path(__file__).parents[2]


class Bench:
    """A cache, a PATH with the fake go alone, and what was reported and run."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.path = folder / "path"
        self.log = folder / "go.log"
        self.started = folder / "started"
        self.lines: list[str] = []
        write_executable(self.path / "go", GO)

    def ensure(self, *names: str, kubernetes: str = "1.37.2") -> dict[str, Path]:
        return ensure(names, kubernetes, cache_root=self.cache, report=self.lines.append)

    def builds(self) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith("build ")]

    def compiler(self) -> int:
        """The process group of a go command that sleeps."""
        return int(self.started.read_text())

    def left_behind(self) -> list[str]:
        """All files in the cache but the locks, which are empty and stay."""
        files = [path for path in self.cache.rglob("*") if not path.is_dir()]
        return [str(path.relative_to(self.cache)) for path in files if path.suffix != ".lock"]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.setenv("PATH", f"{made.path}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_LOG", str(made.log))
    monkeypatch.setenv("FAKE_STARTED", str(made.started))
    monkeypatch.setenv("FAKE_VERSION", "1.37.2")
    return made


def test_programs_of_one_release_are_built_by_one_go_command(bench: Bench) -> None:
    found = bench.ensure("kubelet", "kube-proxy")

    assert len(bench.builds()) == 1
    assert found == {
        "kubelet": bench.cache / "bin/kubelet-1.37.2/kubelet",
        "kube-proxy": bench.cache / "bin/kube-proxy-1.37.2/kube-proxy",
    }
    assert sorted(bench.left_behind()) == [
        "bin/kube-proxy-1.37.2/kube-proxy",
        "bin/kubelet-1.37.2/kubelet",
    ]
    assert all(os.access(path, os.X_OK) for path in found.values())


def test_a_second_ensure_runs_nothing_and_says_nothing(bench: Bench) -> None:
    first = bench.ensure("kubelet")
    bench.log.unlink()
    bench.lines.clear()

    assert bench.ensure("kubelet") == first
    assert not bench.log.exists()
    assert bench.lines == []


def test_a_later_ensure_builds_only_what_is_missing(bench: Bench) -> None:
    bench.ensure("kubelet")
    bench.ensure("kubelet", "kube-proxy")

    assert bench.builds()[1].endswith("k8s.io/kubernetes/cmd/kube-proxy")
    assert "cmd/kubelet" not in bench.builds()[1]


def test_releases_stand_side_by_side(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = bench.ensure("kubelet")
    monkeypatch.setenv("FAKE_VERSION", "1.36.3")
    older = bench.ensure("kubelet", kubernetes="1.36.3")

    assert newer["kubelet"].exists()
    assert older["kubelet"] == bench.cache / "bin/kubelet-1.36.3/kubelet"


def test_the_build_names_the_version_and_is_static(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CGO_ENABLED", "1")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    bench.ensure("kubelet")

    (build,) = bench.builds()
    assert "-X k8s.io/component-base/version.gitVersion=v1.37.2" in build
    assert "-X k8s.io/component-base/version.gitMinor=37" in build
    environment = "CGO_ENABLED=0 GOFLAGS=-buildvcs=false -trimpath GOTOOLCHAIN=local GOWORK=off"
    assert environment in bench.log.read_text().splitlines()


def test_pulumi_has_its_language_host_and_scripts_beside_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "module"
    for path in (
        "python/cmd/pulumi-language-python-exec",
        "python/dist/pulumi-resource-pulumi-python",
    ):
        (module / path).parent.mkdir(parents=True, exist_ok=True)
        (module / path).write_text("#!/bin/sh\n")
    monkeypatch.setenv("FAKE_MODULE", str(module))
    monkeypatch.setenv("FAKE_VERSION", "3.259.0")

    folder = bench.ensure("pulumi")["pulumi"].parent

    names = {path.name for path in folder.iterdir() if os.access(path, os.X_OK)}
    assert names == {
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-resource-pulumi-python",
    }


def test_a_failed_build_shows_the_compilers_words_and_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAIL", "undefined: x")

    with pytest.raises(ToolsError, match=r"kubelet 1\.37\.2.*\n.*main\.go:1: undefined: x"):
        bench.ensure("kubelet")
    assert bench.left_behind() == []


def test_a_program_that_names_another_version_is_not_published(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VERSION", "1.37.1")

    with pytest.raises(ToolsError, match=r"kubelet: .*1\.37\.2, but it says '1\.37\.1'"):
        bench.ensure("kubelet")
    assert bench.left_behind() == []


def test_a_cached_tool_that_lost_a_part_is_built_again(bench: Bench) -> None:
    path = bench.ensure("kubelet")["kubelet"]
    path.rename(path.with_name("elsewhere"))

    assert bench.ensure("kubelet") == {"kubelet": path}
    assert [file.name for file in path.parent.iterdir()] == ["kubelet"]


def test_a_cache_that_cannot_be_written_is_named(bench: Bench) -> None:
    bench.cache.write_text("a file where the folder should be")

    with pytest.raises(ToolsError, match=r"/cache/staging: Not a directory; the cache is"):
        bench.ensure("kubelet")


def test_a_go_that_is_too_old_is_not_used(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_GO", "1.19.8")
    cached = write_tool(bench.cache / "bin/go-1.26.6/go/bin/go", "go version go1.26.6 linux/amd64")

    assert bench.ensure("go") == {"go": cached}
    assert bench.lines == [
        f"go: {bench.path}/go is 1.19.8, but 1.26.0 or newer is needed",
    ]


@pytest.mark.parametrize("name", ["kublet", "kubelet-1.37.2", ""])
def test_an_unknown_tool_is_refused_before_anything_is_built(bench: Bench, name: str) -> None:
    with pytest.raises(
        ToolsError, match="the lab knows pulumi, pulumi-language-nodejs, etcd, kube-apiserver"
    ):
        bench.ensure("kubelet", name)
    assert bench.builds() == []


def test_an_unknown_release_is_refused_with_the_known_ones(bench: Bench) -> None:
    with pytest.raises(ToolsError, match=r'"1\.34\.0" is not .*: 1\.37\.2, 1\.36\.3, 1\.35\.4'):
        bench.ensure("kubelet", kubernetes="1.34.0")


@pytest.fixture
def slow_run(bench: Bench) -> Iterator[subprocess.Popen[str]]:
    """Start the command line on a build that doesn't end, and wait until the compiler runs."""
    environment = os.environ | {"FAKE_SLEEP": "60", "XDG_CACHE_HOME": str(bench.cache.parent)}
    bench.cache = bench.cache.parent / "kube-nodes"
    with subprocess.Popen(
        [sys.executable, "-m", "lab.tools", "--only=kubelet"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 20
        while not bench.started.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert bench.started.exists()
        yield process
        with contextlib.suppress(ProcessLookupError):  # the compiler that a kill -9 left behind
            os.killpg(bench.compiler(), signal.SIGKILL)


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_build_leaves_no_file_and_no_compiler(
    bench: Bench, slow_run: subprocess.Popen[str], sent: signal.Signals, status: int
) -> None:
    assert bench.left_behind() != []

    slow_run.send_signal(sent)

    assert slow_run.wait(timeout=10) == status
    assert bench.left_behind() == []
    with pytest.raises(ProcessLookupError):
        os.killpg(bench.compiler(), 0)


def test_after_a_kill_the_next_run_waits_for_the_compiler_then_builds_afresh(
    bench: Bench, slow_run: subprocess.Popen[str]
) -> None:
    slow_run.kill()
    slow_run.wait(timeout=10)
    half_made = bench.left_behind()
    assert half_made != []
    assert not any(name.startswith("bin/") for name in half_made)

    def report(line: str) -> None:
        bench.lines.append(line)
        if "another run is at it" in line:
            os.killpg(bench.compiler(), signal.SIGKILL)

    found = ensure(["kubelet"], cache_root=bench.cache, report=report)

    assert "another run is at it" in bench.lines[0]
    assert bench.left_behind() == [str(found["kubelet"].relative_to(bench.cache))]


def test_two_runs_at_once_build_a_thing_once(bench: Bench, slow_run: subprocess.Popen[str]) -> None:
    """While one run builds, another waits; when the first has published, it builds nothing."""
    finished = bench.cache / "bin/kubelet-1.37.2"

    def report(line: str) -> None:
        if "another run is at it" in line:
            write_tool(finished / "kubelet", "Kubernetes v1.37.2")
            slow_run.send_signal(signal.SIGINT)

    found = ensure(["kubelet"], cache_root=bench.cache, report=report)

    assert found == {"kubelet": finished / "kubelet"}
    assert len(bench.builds()) == 1
