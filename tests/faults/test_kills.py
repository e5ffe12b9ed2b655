"""A process or a host that dies at a step of a run: the steps are the engine's own events.

The engine dies at every step of a first join and an update, each plugin at each kind of step that
it serves; what is dearer (a host's own services, the host, the network) meets those steps at which
something happens on the host.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.faults import operator
from tests.faults.events import Step
from tests.faults.faults import (
    CONTAINERD,
    CTRL_C,
    CTRL_C_TWICE,
    CUT,
    ENGINE,
    HANG,
    KUBELET,
    PLUGIN,
    REBOOT,
    SSHD,
    Fault,
    Scene,
)
from tests.faults.stack import FaultStack
from tests.faults.table import Faults


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of run: what is declared before it, and the steps that it is expected to have.

    The steps stand here so that pytest can name its cases; a test holds them against the engine's.
    """

    name: str
    begin: Callable[[FaultStack], None]
    steps: tuple[str, ...]

    @property
    def called(self) -> str:
        """Its name in a sentence."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"


JOIN = Kind(
    name="first join",
    begin=FaultStack.begin_first_join,
    steps=(
        "n1-preflight", "n1-token-id", "n1-token-secret", "n1-token", "n1-prepare",
        "n1-credentials", "n1-units", "n1-membership", "n1-service-check",
    ),
)  # fmt: skip
UPDATE = Kind(
    name="update",
    begin=FaultStack.begin_update,
    steps=("n1-units", "n1-membership", "n1-service-check"),
)
CERTIFICATE = Kind(
    name="new certificate",
    begin=FaultStack.begin_new_certificate,
    steps=(
        "kube-proxy-key-", "kube-proxy-request-", "kube-proxy-certificate-", "n1-credentials",
    ),
)  # fmt: skip


def _is(step: Step, name: str) -> bool:
    """Tell whether a step is this resource's; one that ends with a dash goes on with an epoch."""
    return step.resource.startswith(name) if name.endswith("-") else step.resource == name


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault at one step."""

    fault: Fault
    kind: Kind
    step: str

    def __str__(self) -> str:
        return f"{self.kind.name}: {self.fault.name}: {self.step}".replace(" ", "-")


def _every(fault: Fault, kind: Kind) -> Iterator[Case]:
    return _at(fault, kind, *kind.steps)


def _at(fault: Fault, kind: Kind, *steps: str) -> Iterator[Case]:
    for step in steps:
        yield Case(fault=fault, kind=kind, step=step)


CASES = (
    *_every(ENGINE, JOIN),
    *_every(ENGINE, UPDATE),
    *_at(PLUGIN, JOIN, "n1-token-id", "n1-token", "n1-prepare", "n1-units", "n1-membership"),
    *_at(PLUGIN, UPDATE, "n1-units", "n1-membership"),
    *_at(PLUGIN, CERTIFICATE, "kube-proxy-key-", "kube-proxy-request-"),
    *_at(SSHD, JOIN, "n1-credentials"),
    *_at(SSHD, UPDATE, "n1-units"),
    *_at(CONTAINERD, JOIN, "n1-membership"),
    *_at(CONTAINERD, UPDATE, "n1-units"),
    *_at(KUBELET, JOIN, "n1-membership"),
    *_at(KUBELET, UPDATE, "n1-units", "n1-membership"),
    *_at(REBOOT, JOIN, "n1-units", "n1-membership"),
    *_at(REBOOT, UPDATE, "n1-units"),
    *_at(CUT, JOIN, "n1-units", "n1-membership"),
    *_at(CUT, UPDATE, "n1-units"),
    *_at(CTRL_C, JOIN, "n1-prepare", "n1-membership"),
    *_at(CTRL_C, UPDATE, "n1-units"),
    *_at(CTRL_C_TWICE, JOIN, "n1-units"),
    *_at(CTRL_C_TWICE, UPDATE, "n1-units"),
    *_at(HANG, UPDATE, "n1-units"),
)


@pytest.mark.parametrize("kind", [JOIN, UPDATE, CERTIFICATE], ids=lambda kind: kind.name)
def test_the_steps_are_those_that_the_engine_tells_of(stack: FaultStack, kind: Kind) -> None:
    kind.begin(stack)
    seen = stack.run()
    assert seen.status == 0, seen.printed
    begun = [step for step in seen.steps if step.resource.startswith(("n1-", "kube-proxy"))]
    missing = [name for name in kind.steps if not any(_is(step, name) for step in begun)]
    unknown = [
        step.resource
        for step in begun
        if not any(_is(step, name) for name in kind.steps)
        and kind is not CERTIFICATE  # which goes on to membership
    ]
    assert (missing, unknown) == ([], [])
    stack.assert_held()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_dies_at_a_step_is_made_good_by_the_next_up(
    stack: FaultStack, faults: Faults, case: Case
) -> None:
    row = faults.tried(case.fault.name, f"{case.step.removesuffix('-')} of {case.kind.called}")
    case.kind.begin(stack)
    family: dict[operator.Process, str] = {}

    def inject(running: subprocess.Popen[str], step: Step) -> None:
        if not family and _is(step, case.step):
            family.update(operator.family(running.pid))
            case.fault.inject(Scene(stack, running, step))

    with stack.undisturbed(*(() if case.kind is CERTIFICATE else ("n2",))):
        try:
            seen = stack.run(inject)
        finally:
            case.fault.heal(stack)
        assert family, f"{case.step} never began: {seen.printed}"
        row.seen.append(seen.end)
        # What was orphaned may still be at work beside this one.
        stack.converge()
    assert operator.left_of(family, seconds=60) == []
    row.held += 1


REMOVALS = (
    *((ENGINE, step) for step in ("n1-membership", "n1-units", "n1-credentials", "n1-prepare")),
    *((PLUGIN, step) for step in ("n1-units", "n1-token")),
    *((fault, "n1-units") for fault in (REBOOT, CTRL_C_TWICE)),
)
_LEFT = (
    "ls -d /var/lib/kubelet /var/lib/kube-proxy /var/lib/kube-nodes /usr/local/bin/kube*"
    " /etc/kubernetes/* /etc/systemd/system/kube* 2>/dev/null; pgrep -l kube; true"
)


@pytest.mark.parametrize(
    ("fault", "step"), REMOVALS, ids=[f"{f.name}: {s}".replace(" ", "-") for f, s in REMOVALS]
)
def test_what_dies_in_a_removal_is_made_good_by_the_next_up(
    stack: FaultStack, faults: Faults, fault: Fault, step: str
) -> None:
    row = faults.tried(fault.name, f"{step} of a removal")
    declared = stack.begin_removal()
    family: dict[operator.Process, str] = {}

    def inject(running: subprocess.Popen[str], begun: Step) -> None:
        if not family and (begun.operation, begun.resource) == ("delete", step):
            family.update(operator.family(running.pid))
            fault.inject(Scene(stack, running, begun))

    with stack.undisturbed("n2"):
        seen = stack.run(inject)
        assert family, f"{step} never began: {seen.printed}"
        row.seen.append(seen.end)
        stack.stack.select()  # takes away the lock of a run that was killed
        stack.up()
        stack.assert_held()
        assert stack.ssh("n1", _LEFT) == ""
        stack.configure(declared)
        stack.converge()
    assert operator.left_of(family, seconds=60) == []
    row.held += 1
