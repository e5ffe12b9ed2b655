"""The operator's file of what is sent to hosts: whole, written once, or a clear error."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest

from kube_nodes.components.commands import _write_scripts
from kube_nodes.render.shell import host_scripts


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_is_written_once_and_again_where_it_is_another_one() -> None:
    path = _write_scripts.__wrapped__()
    written = path.stat().st_mtime_ns
    assert path.read_text() == host_scripts()
    assert _write_scripts.__wrapped__() == path
    assert path.stat().st_mtime_ns == written
    path.write_text("cut short")
    assert _write_scripts.__wrapped__().read_text() == host_scripts()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(own_cache: Path) -> None:
    own_cache.write_text("a file")
    with pytest.raises(pulumi.RunError) as failed:
        _write_scripts.__wrapped__()
    assert str(own_cache) in str(failed.value)
    assert "set XDG_CACHE_HOME to a folder that can be written" in str(failed.value)


def test_a_relative_path_is_ignored_and_a_user_without_a_home_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _write_scripts.__wrapped__().is_relative_to(tmp_path / ".cache" / "kube-nodes")
    monkeypatch.setattr(Path, "home", _no_home)
    with pytest.raises(pulumi.RunError, match="set XDG_CACHE_HOME to a folder"):
        _write_scripts.__wrapped__()


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")
