"""Which numbers tell machines apart, and which do not."""

from __future__ import annotations

import pytest

from kube_nodes.model.machine import NO_MACHINE, Machine, parse_facts

ID = "592d7339d2d648179d9c63bef315a7de"
UUID = "4c4c4544-0035-4a10-8052-cac04f4d3233"


def test_facts_are_read_from_what_preflight_printed() -> None:
    text = f"fact machine-id {ID}\nfact product-uuid {UUID.upper()}\nfact other x\nok\n"
    assert parse_facts(text) == Machine(machine_id=ID, product_uuid=UUID)


@pytest.mark.parametrize("text", ["ok\n", "", "fact machine-id uninitialized\n"])
def test_what_is_not_told_or_means_nothing_is_empty(text: str) -> None:
    assert parse_facts(text) == NO_MACHINE


@pytest.mark.parametrize(
    "uuid",
    [
        "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "03000200-0400-0500-0006-000700080009",
        "Not Settable",
        # What a kubelet reports where there is no firmware: the machine-id once more.
        ID,
    ],
)
def test_a_uuid_that_no_one_gave_is_none(uuid: str) -> None:
    assert Machine.of(ID, uuid) == Machine(machine_id=ID)


def test_machines_share_only_what_both_have() -> None:
    one = Machine(machine_id=ID, product_uuid=UUID)
    assert one.shared_with(one) == [f"machine-id {ID}", f"product_uuid {UUID}"]
    assert one.shared_with(Machine(machine_id=ID)) == [f"machine-id {ID}"]
    assert NO_MACHINE.shared_with(NO_MACHINE) == []
