"""Ask the engine what this stack's state holds, before the first resource is declared."""

from __future__ import annotations

import pulumi

from kube_nodes.model.recorded import Recorded, parse_recorded

# The engine's own, beside the one that a StackReference calls; it tells of every resource.
_READ = "pulumi:pulumi:readStackResourceOutputs"


def read_recorded() -> Recorded:
    """Read it from the backend, as the last run left it; nothing else is contacted.

    A preview may do so, too. Outputs alone would not do: a run in which a step failed leaves those
    of the run before.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = pulumi.runtime.invoke(_READ, {"stackName": stack}).value
    return parse_recorded((answer or {}).get("outputs") or {})
