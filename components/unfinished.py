"""A run in which something failed deletes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import pulumi
from pulumi.output import contains_unknowns

Refusal = Callable[[str], Exception]


def keep_where_unfinished(
    last: Iterable[pulumi.Output[str]], refusal: Refusal = pulumi.RunError
) -> pulumi.Output[None]:
    """End the program with an error where one of these outputs did not come, as all runs are over.

    An engine that goes on after errors (PULUMI_CONTINUE_ON_ERROR) would then delete what is
    declared no more, also what the recorded state of a skipped step depends on, such as a gate or
    an old certificate: it counts failed steps alone. Afterwards it refuses to read the state
    (tried with CLI 3.259.0). After an error of the program it deletes nothing.

    Args:
        last: outputs of all that there is to do.
        refusal: makes the error; of one that whoever runs this does not know, a traceback is shown.

    Returns:
        What a component of a package has to hand on with its outputs: a provider is not the
        program, and no error of its own ends that but the one of what it constructs.
    """
    if pulumi.runtime.is_dry_run():
        return pulumi.Output.from_input(None)
    return pulumi.Output.all(*last).apply(partial(_refuse_unknown, refusal), run_with_unknowns=True)


def _refuse_unknown(refusal: Refusal, values: list[str]) -> None:
    """Raise if a step failed: what it would have told is unknown."""
    if contains_unknowns(values):
        raise refusal(
            "Not everything succeeded: what is declared no more was left as it is. Mend the errors"
            " and run again"
        )
