"""A run in which something failed deletes nothing."""

from __future__ import annotations

from collections.abc import Iterable

import pulumi
from pulumi.output import contains_unknowns


def keep_where_unfinished(last: Iterable[pulumi.Output[str]]) -> pulumi.Output[bool]:
    """End the program with an error where one of these outputs did not come, as all runs are over.

    An engine that goes on after errors (PULUMI_CONTINUE_ON_ERROR) would then delete what is
    declared no more, also what the recorded state of a skipped step depends on, such as a gate or
    an old certificate: it counts failed steps alone. Afterwards it refuses to read the state
    (tried with CLI 3.259.0). After an error of the program it deletes nothing.

    Returns:
        True when all of them have come. A program ends with its error by itself; whoever declares
        for another program, as a component's provider does, has to wait for it.
    """
    if pulumi.runtime.is_dry_run():
        return pulumi.Output.from_input(True)
    return pulumi.Output.all(*last).apply(_refuse_unknown, run_with_unknowns=True)


def _refuse_unknown(values: list[str]) -> bool:
    """Raise RunError if a step failed: what it would have told is unknown."""
    if contains_unknowns(values):
        raise pulumi.RunError(
            "Not everything succeeded: what is declared no more was left as it is. Mend the errors"
            " and run again"
        )
    return True
