"""A fleet's file: the same keys and rules as in a stack's file, and what no stack sees alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kube_nodes.fleet.errors import FleetError
from kube_nodes.fleet.fleet_file import Fleet, read_fleet
from kube_nodes.settings import ConfigurationError
from tests.components.stacks import node
from tests.unit.fleets import fleet_document, pool_stack, write_fleet


def read(folder: Path, document: dict[str, Any]) -> Fleet:
    return read_fleet(write_fleet(folder, document))


def faults(folder: Path, document: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        read(folder, document)
    return raised.value.faults


def test_it_gives_each_stack_its_own_configuration(tmp_path: Path) -> None:
    document = fleet_document()
    document["stacks"]["b"]["config"]["kube-nodes:clusterName"] = "b"
    fleet = read(tmp_path, document)
    assert [each.name for each in fleet.stacks] == ["prod-shared", "prod-a", "prod-b"]
    shared, a, b = fleet.stacks
    assert (shared.config["kube-nodes:pools"], shared.settings.shared_stack) == ({}, "")
    assert a.settings.shared_stack == "organization/kube-nodes/prod-shared"
    assert [each.id for each in b.settings.nodes] == ["n3", "n4"]
    assert [each.settings.cluster_name for each in (shared, a, b)] == ["kubernetes"] * 2 + ["b"]


def test_a_backend_with_organizations_is_given_them(tmp_path: Path) -> None:
    shared, a, _ = read(tmp_path, fleet_document() | {"organization": "acme"}).stacks
    assert (shared.reference, a.settings.shared_stack) == (
        "acme/prod-shared",
        "acme/kube-nodes/prod-shared",
    )
    assert read(tmp_path, fleet_document()).shared.reference == "prod-shared"


def test_a_key_of_every_stack_is_a_fault_once_and_told_with_all_others(tmp_path: Path) -> None:
    document = fleet_document()
    document["name"] = "Prod"
    document["confg"] = {}
    document["config"]["kube-nodes:server"] = "http://192.0.2.10:6443"
    pools = document["stacks"]["b"]["config"]["kube-nodes:pools"]
    pools["b"]["nodes"]["n3"]["address"] = "192.0.2"
    found = faults(tmp_path, document)
    assert [each.partition(":")[0] for each in found[:2]] == ["name", "confg"]
    assert found[2:] == [
        'config.kube-nodes:server: "http://192.0.2.10:6443" is not https; the API server speaks'
        " https alone: write https://",
        'stacks.b.config.kube-nodes:pools.b.nodes.n3.address: "192.0.2" is not an IP address; give'
        " a full IPv4 or IPv6 address",
    ]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("server", "https://x:1", "config.server: has no namespace; write kube-nodes:server"),
        ("kube-nodes:sharedStack", "a/b/c", "config.kube-nodes:sharedStack: is the fleet's to"),
        ("kube-nodes:pools", {}, "config.kube-nodes:pools: belongs into a stack of pools; move"),
        ("kube-nodes:caKey", "x", "config.kube-nodes:caKey: is secret; set it with `pulumi config"),
        ("kube-nodes:serverr", "x", "config.kube-nodes:serverr: is not a known key; did you mean"),
    ],
)
def test_a_key_that_does_not_belong_there_is_told_of(
    tmp_path: Path, key: str, value: Any, words: str
) -> None:
    document = fleet_document()
    document["config"][key] = value
    (fault,) = faults(tmp_path, document)
    assert fault.startswith(words)


def test_what_two_stacks_have_that_one_may_is_told_of(tmp_path: Path) -> None:
    twice = pool_stack("b", 3, 1)
    twice["config"]["kube-nodes:pools"]["b"]["nodes"]["n3"]["address"] = node(2)["address"]
    document = fleet_document(a=pool_stack("a", 1, 2), b=twice, c=pool_stack("a", 5))
    place = "stacks.b.config.kube-nodes:pools.b.nodes"
    assert faults(tmp_path, document) == [
        "stacks.c.config.kube-nodes:pools.a: is a pool of stack a too; give each pool a name of"
        " its own",
        f"{place}.n1: is declared in pool a too; keep one of them",
        f'{place}.n3.address: "192.0.2.2" is that of n2 too; give each host its own',
    ]


def test_one_stack_makes_the_runtime_class(tmp_path: Path) -> None:
    gpu = {"kube-nodes:options": {"gpu": "nvidia", "clusterDns": ["10.96.0.10"]}}
    document = fleet_document(a=pool_stack("a", 1, **gpu), b=pool_stack("b", 2, **gpu))
    assert faults(tmp_path, document) == [
        'stacks.b.config.kube-nodes:gpuRuntimeClass: "nvidia" is made by stack a too; set it to'
        ' "" here'
    ]
    document["stacks"]["b"]["config"]["kube-nodes:gpuRuntimeClass"] = ""
    read(tmp_path, document)


def test_the_shared_stacks_name_is_taken(tmp_path: Path) -> None:
    document = fleet_document(shared=pool_stack("a", 1))
    (fault,) = faults(tmp_path, document)
    assert fault == ('stacks.shared: "shared" is the name of the shared stack; choose another one')


@pytest.mark.parametrize(
    ("text", "words"), [("- a", "it holds no keys"), ("a: [", "is not YAML; correct it")]
)
def test_what_is_no_fleets_file_is_told_of(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "prod.fleet.yaml"
    with pytest.raises(FleetError, match="No such file or directory; FLEET= names"):
        read_fleet(path)
    path.write_text(text)
    with pytest.raises(FleetError, match=words):
        read_fleet(path)
