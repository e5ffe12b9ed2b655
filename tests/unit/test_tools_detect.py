"""Which tools on PATH are used, and which are passed over."""

from pathlib import Path

import pytest

from lab.tools.cache import Cache, default_cache_root
from lab.tools.detect import find, find_in_cache, find_on_path
from lab.tools.pins import ETCD, NODEJS_HOST, PULUMI, Tool, kubernetes_tool
from tests.unit.fake_tools import write_executable, write_tool

KUBELET = kubernetes_tool("kubelet", "1.37.2")
KUBECTL = kubernetes_tool("kubectl", "1.37.2")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH (the fakes' own interpreter is named by its full path)."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path / "path"


def test_a_tool_on_path_in_the_pinned_version_is_used(cache: Cache, folder: Path) -> None:
    expected = write_tool(folder / "kubelet", "Kubernetes v1.37.2")

    assert find(KUBELET, cache, report=print) == expected


def test_the_tool_on_path_wins_over_the_one_in_the_cache(cache: Cache, folder: Path) -> None:
    write_tool(cache.folder("kubelet", "1.37.2") / "kubelet", "Kubernetes v1.37.2")
    expected = write_tool(folder / "kubelet", "Kubernetes v1.37.2")

    assert find(KUBELET, cache, report=print) == expected


@pytest.mark.parametrize(
    "line",
    ["Kubernetes v1.37.1", "Kubernetes v1.37.3", "Kubernetes v1.37.2-vendor.1", "no idea"],
)
def test_another_version_on_path_is_not_used_and_the_reader_is_told(
    cache: Cache, folder: Path, line: str
) -> None:
    write_tool(folder / "kubelet", line)
    lines: list[str] = []

    assert find(KUBELET, cache, lines.append) is None
    assert [text.split(" it is ")[0] for text in lines] == [f"kubelet: not using {folder}/kubelet:"]


def test_one_that_tells_nobody_its_version_is_used_from_the_cache_alone(
    cache: Cache, folder: Path
) -> None:
    write_tool(folder / NODEJS_HOST.name, NODEJS_HOST.version)
    assert find(NODEJS_HOST, cache, report=print) is None
    kept = write_tool(cache.folder(NODEJS_HOST.name, NODEJS_HOST.version) / NODEJS_HOST.name, "")
    assert find(NODEJS_HOST, cache, report=print) == kept


def test_a_wrong_version_on_path_is_no_news_once_the_tool_is_in_the_cache(
    cache: Cache, folder: Path
) -> None:
    write_tool(folder / "kubelet", "Kubernetes v1.37.1")
    expected = write_tool(cache.folder("kubelet", "1.37.2") / "kubelet", "Kubernetes v1.37.2")
    lines: list[str] = []

    assert find(KUBELET, cache, lines.append) == expected
    assert lines == []


def test_a_tool_on_path_that_fails_is_not_used(cache: Cache, folder: Path) -> None:
    write_executable(folder / "kubelet", "#!/bin/sh\necho v1.37.2\nexit 1\n")

    assert find_on_path(KUBELET, cache, report=print) is None


def test_kubectl_is_asked_without_contacting_a_server(cache: Cache, folder: Path) -> None:
    script = '#!/bin/sh\n[ "$*" = "version --client" ] && echo "Client Version: v1.37.2"\n'
    expected = write_executable(folder / "kubectl", script)

    assert find_on_path(KUBECTL, cache, report=print) == expected


def test_pulumi_on_path_without_its_language_host_is_not_used(cache: Cache, folder: Path) -> None:
    write_tool(folder / "pulumi", "v3.272.0")
    lines: list[str] = []

    assert find_on_path(PULUMI, cache, lines.append) is None
    assert "pulumi-language-python, pulumi-language-python-exec" in lines[0]


def test_a_newer_pulumi_on_path_with_all_its_parts_is_used(cache: Cache, folder: Path) -> None:
    for name in PULUMI.executables:
        write_tool(folder / name, "v3.272.0")

    assert find_on_path(PULUMI, cache, report=print) == folder / "pulumi"


def test_the_caches_own_folder_on_path_is_passed_over(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = cache.folder("kubelet", "1.36.3")
    write_tool(older / "kubelet", "Kubernetes v1.36.3")
    monkeypatch.setenv("PATH", str(older))
    lines: list[str] = []

    assert find(KUBELET, cache, lines.append) is None
    assert lines == []


def test_a_cached_folder_that_lacks_a_part_does_not_count(cache: Cache) -> None:
    write_tool(cache.folder("pulumi", PULUMI.version) / "pulumi", "v3.259.0")

    assert find_in_cache(PULUMI, cache) is None


@pytest.mark.parametrize(
    ("tool", "found", "accepted"),
    [
        (KUBELET, "1.37.2", True),
        (KUBELET, "1.37.3", False),
        (KUBELET, "1.36.2", False),
        (ETCD, "3.6.14", True),
        (ETCD, "3.6.15", True),
        (ETCD, "3.6.13", False),
        (ETCD, "3.7.0", False),
        (PULUMI, "3.259.0", True),
        (PULUMI, "3.260.0", True),
        (PULUMI, "3.258.9", False),
        (PULUMI, "4.0.0", False),
        (PULUMI, "3.260.0-dev.0", False),
        (PULUMI, "3.260", False),
    ],
)
def test_how_far_a_version_on_path_may_differ(tool: Tool, found: str, accepted: bool) -> None:
    assert tool.accepts(found) is accepted


def test_the_cache_follows_xdg_and_ignores_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert default_cache_root() == Path("/var/cache/me/kube-nodes")

    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert default_cache_root() == tmp_path / ".cache/kube-nodes"

    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_root() == tmp_path / ".cache/kube-nodes"
