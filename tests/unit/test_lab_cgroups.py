"""Making a cgroup in both kinds of hierarchy, on plain folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import cgroups


def test_a_v1_cpuset_gets_its_parents_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, child = tmp_path / "cpuset", tmp_path / "cpuset" / "lab"
    child.mkdir(parents=True)
    for folder, text in ((parent, "0-1"), (child, "")):
        (folder / "cpuset.cpus").write_text(text)
        (folder / "cpuset.mems").write_text(text)
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [parent])
    assert cgroups.create("lab") == [child]
    assert (child / "cpuset.cpus").read_text() == "0-1"


def test_a_v2_parent_passes_its_controllers_on_and_needs_no_cpuset_in_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    (tmp_path / "cpuset.cpus").write_text("0-1")
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tmp_path])
    assert cgroups.create("lab/n1") == [tmp_path / "lab" / "n1"]
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
