"""What the lab reads from this machine: mounts, cgroups, routes, processes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from lab import cgroups, mounts, network, processes
from lab.files import write_atomically
from lab.processes import Record, boot_id, start_time
from lab.spec import LabSpec

SPEC = LabSpec(directory=Path("/labs/one"))
OTHER = LabSpec(directory=Path("/labs/two"), subnet="10.98.1.0/24", bridge="knlab1")
V1 = """\
30 25 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/pids rw,nosuid shared:9 - cgroup cgroup rw,pids
32 30 0:28 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup rw
33 25 0:29 /x /mnt/elsewhere rw - cgroup cgroup rw,cpu
"""
V2 = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_every_hierarchy_is_found_with_either_version_of_cgroups() -> None:
    assert [path.name for path in cgroups.hierarchies(V1)] == ["pids", "unified"]
    assert cgroups.hierarchies(V2) == [Path("/sys/fs/cgroup")]


def test_mounts_in_a_folder_are_found_innermost_first_and_by_whole_names() -> None:
    mountinfo = (
        "1 0 8:1 / / rw - ext4 a rw\n"
        "2 1 0:2 / /lab/hosts/n1 rw - tmpfs b rw\n"
        "3 2 0:3 / /lab/hosts/n1/a\\040b rw - tmpfs c rw\n"
        "4 1 0:4 / /lab/hosts/n10 rw - tmpfs d rw\n"
    )

    found = mounts.below(Path("/lab/hosts/n1"), mountinfo)

    assert found == [Path("/lab/hosts/n1/a b"), Path("/lab/hosts/n1")]


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "10.98.0.0/24", "dev": "eth0"},
        {"dst": "10.98.0.7", "dev": "wg0"},
        {"dst": "10.0.0.0/8", "dev": "eth0"},
        {"dst": "10.200.4.0/24", "dev": "docker0"},
        {"type": "blackhole", "dst": "10.200.0.0/14"},
    ],
)
def test_a_range_that_the_machine_routes_already_is_a_conflict(route: dict[str, str]) -> None:
    problems = network.conflicts(SPEC, [route])

    assert problems
    assert all("choose another" in problem for problem in problems)


def test_the_default_route_other_ranges_and_the_own_bridge_are_no_conflict() -> None:
    routes = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "10.98.1.0/24", "dev": "eth0"},
        {"dst": "10.98.0.0/24", "dev": SPEC.bridge},
        {"dst": "10.200.0.0/16", "dev": SPEC.bridge},
    ]

    assert network.conflicts(SPEC, routes) == []


def test_labs_side_by_side_have_nothing_by_the_same_name() -> None:
    one, other = SPEC.with_hosts(("n1",)), OTHER.with_hosts(("n1",))

    assert network.mac_address(one) != network.mac_address(other)
    assert network.veth(one, "n1") != network.veth(other, "n1")
    assert not {str(rule) for rule in network.rules(one)} & {
        str(rule) for rule in network.rules(other)
    }


def test_the_longest_name_of_a_hosts_link_is_one_that_linux_allows() -> None:
    spec = LabSpec(directory=Path("/labs/one"), bridge="abcdefgh").with_hosts(
        tuple(f"m{number}" for number in range(200))
    )

    assert max(len(network.veth(spec, name)) for name in spec.host_names) == 15


def test_a_record_is_alive_only_with_its_own_start_time_and_boot() -> None:
    start = start_time(os.getpid())
    assert start is not None

    assert Record(os.getpid(), start, boot_id(), ()).alive
    assert not Record(os.getpid(), start + 1, boot_id(), ()).alive
    assert not Record(os.getpid(), start, "an earlier boot", ()).alive


def test_a_process_that_ended_is_gone_though_nobody_waited_for_it() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert start_time(child.pid) is not None
        child.kill()
        deadline = time.monotonic() + 5
        while start_time(child.pid) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert Path(f"/proc/{child.pid}").exists()  # a zombie still
        assert start_time(child.pid) is None


def test_a_record_that_is_damaged_counts_as_none(tmp_path: Path) -> None:
    spec = LabSpec(directory=tmp_path)
    (tmp_path / "pids").mkdir()
    (tmp_path / "pids" / "etcd.json").write_text('{"pid": 1')

    assert processes.read(spec, "etcd") is None
    assert not processes.running(spec, "etcd")


def test_a_file_is_replaced_whole_with_its_mode_and_says_whether_it_changed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "deep" / "file"

    assert write_atomically(path, "one")
    assert write_atomically(path, b"two", mode=0o644)
    assert not write_atomically(path, "two", mode=0o600)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
