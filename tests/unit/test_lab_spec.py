"""The parameters of a lab: what is derived from them, and what is refused."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.lifecycle import Wish, locked, merge
from lab.spec import Host, LabSpec, derive_pod_cidr, load, require

FOLDER = Path("/labs/one")


def lab(**changes: object) -> LabSpec:
    return LabSpec(**{"directory": FOLDER, **changes}).with_hosts(("n1", "n2"))  # type: ignore[arg-type]


def test_the_default_lab_has_the_addresses_that_the_readme_names() -> None:
    spec = lab()

    assert spec.server == "https://10.98.0.1:6443"
    assert [host.address for host in spec.hosts] == ["10.98.0.11", "10.98.0.12"]
    assert (spec.pod_cidr, spec.service_ip) == ("10.200.0.0/16", "10.96.0.1")


def test_a_host_keeps_its_address_when_others_come_and_go() -> None:
    spec = lab().without_host("n1").with_hosts(("n2", "n3"))

    assert {host.name: host.address for host in spec.hosts} == {
        "n2": "10.98.0.12",
        "n3": "10.98.0.11",
    }


def test_a_full_subnet_takes_no_more_hosts() -> None:
    with pytest.raises(LabError, match="no address is free"):
        lab(subnet="10.98.0.0/27").with_hosts(tuple(f"m{number}" for number in range(30)))


def test_neighbouring_subnets_have_pod_ranges_that_do_not_overlap() -> None:
    ranges = [ipaddress.IPv4Network(derive_pod_cidr(f"10.98.{third}.0/24")) for third in range(32)]

    assert len(set(ranges)) == 32


def test_two_folders_have_two_identities() -> None:
    assert lab().identity != lab(directory=Path("/labs/two")).identity
    assert lab().identity == lab(subnet="10.98.5.0/24").identity


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"subnet": "10.98.0.0"}, r"must be private, with a prefix of /24"),
        ({"subnet": "10.98.0.5/24"}, "is not an IPv4 network"),
        ({"subnet": "8.8.8.0/24"}, "must be private"),
        ({"subnet": "10.0.0.0/8"}, "must be private, with a prefix"),
        ({"subnet": "10.96.3.0/24"}, r"overlaps 10\.96\.0\.0/16"),
        ({"pod_cidr": "10.98.0.0/16"}, "overlaps"),
        ({"pod_cidr": "10.200.0.0/24"}, "prefix of /23 or shorter"),
        ({"bridge": "much-too-long"}, "bridge:"),
        ({"bridge": "eth0; rm"}, "bridge:"),
        ({"kubernetes": "v1.37.2"}, "without v"),
        ({"hosts": (Host(name="../n1", address="10.98.0.11"),)}, "not a host name"),
        ({"directory": Path("/") / ("x" * 100)}, "agent's socket"),
    ],
)
def test_parameters_that_could_do_harm_are_refused(
    parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(LabError, match=message):
        lab(**parameters)


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    spec = LabSpec(
        directory=tmp_path,
        subnet="10.98.5.0/24",
        bridge="knlab5",
        kubernetes="1.36.3",
        hosts=(Host(name="n1", address="10.98.5.11", host_key="ssh-ed25519 AAAA"),),
    )
    spec.save()

    assert load(tmp_path) == spec


def test_a_folder_without_a_lab_says_how_to_make_one(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    with pytest.raises(LabError, match="python -m lab up"):
        require(tmp_path)


def test_a_damaged_record_is_an_error_and_no_new_lab(tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text("{")

    with pytest.raises(LabError, match="cannot be read as a lab"):
        load(tmp_path)


def test_up_again_without_arguments_means_the_lab_as_it_is() -> None:
    spec = lab(subnet="10.98.5.0/24", bridge="knlab5", kubernetes="1.36.3")

    assert merge(FOLDER, spec, Wish()) == spec


def test_a_new_lab_gets_two_hosts_and_a_wish_of_none_gets_none() -> None:
    assert merge(FOLDER, None, Wish()).host_names == ("n1", "n2")
    assert merge(FOLDER, None, Wish(hosts=())).host_names == ()


def test_up_adds_the_hosts_that_are_wished_and_changes_the_version() -> None:
    merged = merge(FOLDER, lab(), Wish(hosts=("n1", "n2", "n3"), kubernetes="1.36.3"))

    assert merged.host_names == ("n1", "n2", "n3")
    assert merged.kubernetes == "1.36.3"


def test_up_never_removes_a_host_that_is_not_named() -> None:
    with pytest.raises(LabError, match="remove-host"):
        merge(FOLDER, lab(), Wish(hosts=("n1",)))


@pytest.mark.parametrize(
    "wish", [Wish(subnet="10.98.9.0/24"), Wish(bridge="other"), Wish(pod_cidr="10.222.0.0/16")]
)
def test_the_network_of_a_lab_that_exists_does_not_change(wish: Wish) -> None:
    with pytest.raises(LabError, match="this lab has"):
        merge(FOLDER, lab(), wish)


def test_only_one_command_at_a_time_changes_a_lab(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(LabError, match="another lab command"), locked(tmp_path):
        pass
    with locked(tmp_path):  # free again
        pass
