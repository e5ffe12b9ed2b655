"""What tells one machine from another: the facts that preflight prints, and when two are one."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# What firmware reports that was never given a number; many machines share each.
_BOGUS_UUIDS = frozenset(
    {
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "03000200-0400-0500-0006-000700080009",
        "12345678-1234-5678-90ab-cddeefaabbcc",
        "4c4c4544-0000-2010-8020-80c04f202020",
    }
)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A host's own numbers; empty where it has none that means anything."""

    machine_id: str = ""
    """Of /etc/machine-id."""
    product_uuid: str = ""
    """Of its firmware (DMI)."""

    @classmethod
    def of(cls, machine_id: str, product_uuid: str) -> Machine:
        """Take both as they were read; what tells nothing becomes empty."""
        number, uuid = machine_id.strip().lower(), product_uuid.strip().lower()
        return cls(
            machine_id=number if _MACHINE_ID.fullmatch(number) and set(number) != {"0"} else "",
            product_uuid=uuid if _UUID.fullmatch(uuid) and uuid not in _BOGUS_UUIDS else "",
        )

    def shared_with(self, other: Machine) -> list[str]:
        """Say what both have: `machine-id …`, `product_uuid …`."""
        shared = []
        if self.machine_id and self.machine_id == other.machine_id:
            shared.append(f"machine-id {self.machine_id}")
        if self.product_uuid and self.product_uuid == other.product_uuid:
            shared.append(f"product_uuid {self.product_uuid}")
        return shared


NO_MACHINE = Machine()
"""Nothing is known."""


def parse_facts(text: str) -> Machine:
    """Read the lines `fact NAME VALUE` of what preflight printed."""
    facts = dict(re.findall(r"^fact (\S+) (\S+)$", text, re.MULTILINE))
    return Machine.of(facts.get("machine-id", ""), facts.get("product-uuid", ""))
