"""The operator's file of what is sent to hosts: whole, written once, or a clear error."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest

from kube_nodes.components.commands import _write_scripts
from kube_nodes.render.shell import host_scripts


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(pulumi.RunError) as failed:
        _write_scripts.__wrapped__()
    assert str(cache) in str(failed.value)
    assert "set XDG_CACHE_HOME to a folder that can be written" in str(failed.value)
