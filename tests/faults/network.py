"""Cut a host of the lab off, or lose its packets: rules of this machine, in their own table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lab.commands import run
from lab.spec import LabSpec


def disturb(lab: LabSpec, host: str, verdict: str = "drop") -> None:
    """Let what goes to and comes from the host meet this verdict: `drop`, or a share of it."""
    mend(lab)
    address, table = lab.host(host).address, _table(lab)
    rules = {
        "prerouting": f"ip saddr {address} {verdict}",
        "postrouting": f"ip daddr {address} {verdict}",
    }
    run(["nft", "add", "table", "inet", table])
    for hook, rule in rules.items():
        chain = f"{{ type filter hook {hook} priority -300; }}"
        run(["nft", f"add chain inet {table} {hook} {chain}"])
        run(["nft", f"add rule inet {table} {hook} {rule}"])


def mend(lab: LabSpec) -> None:
    """Take the rules away."""
    run(["nft", "delete", "table", "inet", _table(lab)], check=False)


LOSS = "numgen random mod 100 < 20 drop"


@contextlib.contextmanager
def disturbed(lab: LabSpec, host: str, verdict: str = "drop") -> Iterator[None]:
    """Disturb the host's network for a while."""
    disturb(lab, host, verdict)
    try:
        yield
    finally:
        mend(lab)


def _table(lab: LabSpec) -> str:
    return f"faults-{lab.bridge}"
