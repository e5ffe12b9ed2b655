"""What a Node's podCIDRs are held against."""

from __future__ import annotations

import pytest

from kube_nodes.model.pod_network import PodNetwork, find_crowding, find_outsiders

DUAL = PodNetwork(cidrs=("10.200.0.0/16", "fd00:200::/56"))


@pytest.mark.parametrize(
    "inside",
    [["10.200.0.0/24"], ["10.200.255.0/24", "fd00:200::/64"], ["10.200.0.0/16"], []],
)
def test_a_part_of_the_network_or_none_is_right(inside: list[str]) -> None:
    assert find_outsiders(DUAL, "n1", inside) == []


@pytest.mark.parametrize(
    "outside", ["10.201.0.0/24", "10.0.0.0/8", "fd00:201::/64", "10.200.0.0/15"]
)
def test_anything_else_is_named_with_what_is_declared(outside: str) -> None:
    (told,) = find_outsiders(DUAL, "n1", ["10.200.1.0/24", outside])
    assert told.startswith(
        f"n1: podCIDR {outside} is not in the declared podCidrs 10.200.0.0/16, fd00:200::/56; "
    )
    assert "podCidrAllocator" in told


@pytest.mark.parametrize(("cidr", "most"), [("10.200.1.0/24", 254), ("10.200.0.0/22", 1022)])
def test_a_podcidr_holds_its_addresses_but_two(cidr: str, most: int) -> None:
    assert find_crowding("n1", [cidr], most) == []
    (told,) = find_crowding("n1", [cidr, "fd00:200::/64"], most + 1)
    assert told.startswith(f"n1: maxPods {most + 1} is more than its podCIDR {cidr} holds ({most} ")
