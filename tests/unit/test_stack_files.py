"""The stacks' files of a fleet: what Pulumi wrote stays, and nobody's change is written over."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kube_nodes.fleet.errors import FleetError
from kube_nodes.fleet.fleet_file import Fleet, read_fleet
from kube_nodes.fleet.stack_files import write_stack_files
from tests.unit.fleets import fleet_document, write_fleet

_FILE = "Pulumi.prod-a.yaml"


@pytest.fixture(autouse=True)
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.chdir(tmp_path)
    return read_fleet(write_fleet(tmp_path, fleet_document()))


def test_each_stack_has_a_file_that_is_written_when_it_changes(fleet: Fleet) -> None:
    written = [str(path) for path in write_stack_files(fleet)]
    assert written == ["Pulumi.prod-shared.yaml", _FILE, "Pulumi.prod-b.yaml"]
    assert yaml.safe_load(Path(_FILE).read_text())["config"] == fleet.pools[0].config
    assert write_stack_files(fleet) == []


def test_what_pulumi_wrote_stays(fleet: Fleet) -> None:
    write_stack_files(fleet)
    file = Path(_FILE)
    text = file.read_text().replace(
        "config:\n", "config:\n  kube-nodes:sshPrivateKey:\n    secure: v1:x\n"
    )
    file.write_text(f"{text}encryptionsalt: v1:salt\n")
    write_stack_files(fleet)
    document = yaml.safe_load(file.read_text())
    assert document["encryptionsalt"] == "v1:salt"
    assert document["config"]["kube-nodes:sshPrivateKey"] == {"secure": "v1:x"}


def test_what_was_changed_by_hand_is_not_written_over(fleet: Fleet, tmp_path: Path) -> None:
    write_stack_files(fleet)
    file = Path(_FILE)
    changed = yaml.safe_load(file.read_text())
    header = file.read_text().splitlines()[0]
    changed["config"]["kube-nodes:pools"]["a"]["nodes"]["n1"]["reapply"] = 1
    file.write_text(header + "\n" + yaml.safe_dump(changed))
    before = file.read_text()
    with pytest.raises(FleetError, match=rf"{_FILE}: kube-nodes:pools\. Write the same into prod"):
        write_stack_files(fleet)
    assert file.read_text() == before
    # Taken over into the fleet's file it is no change by hand any more.
    document = fleet_document()
    document["stacks"]["a"]["config"]["kube-nodes:pools"]["a"]["nodes"]["n1"]["reapply"] = 1
    assert write_stack_files(read_fleet(write_fleet(tmp_path, document))) == [file]


def test_it_is_written_over_on_a_word(fleet: Fleet) -> None:
    Path(_FILE).write_text("config: {kube-nodes:server: https://192.0.2.99:6443}\n")
    with pytest.raises(FleetError):
        write_stack_files(fleet)
    assert not Path("Pulumi.prod-b.yaml").exists()
    assert len(write_stack_files(fleet, overwrite=True)) == 3
