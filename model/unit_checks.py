"""Units of a host: are they ours, enabled, up to stay, healthy, and quiet in the journal."""

from __future__ import annotations

from collections.abc import Iterator

from kube_nodes.model.check import REAPPLY, failed, note, passed, unchecked
from kube_nodes.model.expectation import Expectation, ExpectedUnit
from kube_nodes.model.findings import Finding, Repair
from kube_nodes.model.host_facts import HostFacts, UnitFact
from kube_nodes.model.journal import judge_journal

# A unit that systemd had to start again so short a time ago may be about to fail again, in seconds.
LOOP_SECONDS = 600
_ELSEWHERE = "is read from"
_UNKNOWN = UnitFact(properties={})


def judge_units(
    expected: Expectation, facts: HostFacts, *, service_answers: bool
) -> Iterator[Finding]:
    """Judge every unit of a node, and the mode that kube-proxy is in.

    Args:
        expected: the node as it is declared.
        facts: what its host told.
        service_answers: whether a Service was reached from it; it decides about some messages.
    """
    for unit in expected.units:
        fact = facts.units.get(unit.name, _UNKNOWN)
        yield _unit(unit, fact, facts)
        if unit.health_url:
            yield _health(unit, facts)
        # A unit that is not there, or was never started, has no present run.
        if unit.program and fact.since_seconds:
            yield from judge_journal(
                unit.name,
                facts.journal.get(unit.name, ()),
                started_seconds=fact.since_seconds,
                now_seconds=facts.uptime_seconds,
                service_answers=service_answers,
            )
    yield _proxy_mode(expected, facts)


def _unit(expected: ExpectedUnit, unit: UnitFact, facts: HostFacts) -> Finding:
    what, see = f"unit {expected.name}", f"see `journalctl -u {expected.name}` there"
    faults = list(_faults(expected, unit))
    if faults:
        runs = unit.get("SubState") == "running"
        said = "" if runs else facts.errors.get(expected.name, "")
        value = "; ".join([*faults, *([f"its last error is: {said}"] if said else [])])
        rule = "it must be as declared, enabled, and run"
        if any(each.startswith(_ELSEWHERE) for each in faults):
            return failed(what, value, rule, "remove the file that stands before it", Repair.HAND)
        return failed(what, value, rule, f"{see}; {REAPPLY}", Repair.REAPPLY)
    seconds = facts.uptime_seconds - unit.since_seconds
    if not unit.restarts:
        return passed(what, f"active for {seconds} s")
    value = f"systemd has started it again {unit.restarts} times, last {seconds} s ago"
    if seconds < LOOP_SECONDS:
        return failed(what, value, f"it must stay up for {LOOP_SECONDS} s", see, Repair.NOTHING)
    return note(what, value, "it has been up since", repair=Repair.NOTHING)


def _faults(expected: ExpectedUnit, unit: UnitFact) -> Iterator[str]:
    if unit.get("LoadState") != "loaded":
        yield f"is {unit.get('LoadState') or 'unknown'}"
        return
    if unit.get("UnitFileState") != "enabled":
        yield f"is {unit.get('UnitFileState') or 'not enabled'}"
    state, result = unit.get("ActiveState"), unit.get("Result")
    if (state, unit.get("SubState")) != ("active", "running"):
        yield f"is {state} ({unit.get('SubState')}{'' if result == 'success' else f', {result}'})"
    elif expected.program and unit.get("Program") != expected.program:
        # After a program was replaced, the file of one that still runs is "… (deleted)".
        yield f"runs {unit.get('Program') or 'an unknown program'}, not {expected.program}"
    if unit.get("NeedDaemonReload") == "yes":
        yield "has changed since systemd read it"
    if expected.unit_file:
        yield from _file_faults(expected, unit)


def _file_faults(expected: ExpectedUnit, unit: UnitFact) -> Iterator[str]:
    """Find what would stand in the place of our unit's file, or change it."""
    path = unit.get("FragmentPath")
    # Where /lib is a link to /usr/lib, systemd may name either.
    if path.removeprefix("/usr") != expected.unit_file.removeprefix("/usr"):
        yield f"{_ELSEWHERE} {path or 'nowhere'}, not from {expected.unit_file}"
    # What a distribution has for all services, as service.d, is the host's own affair.
    folder = f"/{expected.name}.service.d/"
    paths = [*unit.get("DropInPaths").split(), *unit.get("DropInFiles").split()]
    own = dict.fromkeys(each for each in paths if folder in each)
    if own:
        yield f"is changed by {', '.join(own)}"


def _health(expected: ExpectedUnit, facts: HostFacts) -> Finding:
    what, fact = f"health of {expected.name}", facts.http.get(expected.name)
    if fact is None:
        return unchecked(what, "the host did not tell")
    if fact.status == "200":
        return passed(what, fact.status)
    rule = f"{expected.health_url} must answer 200"
    remedy = f"see `journalctl -u {expected.name}` there"
    return failed(what, f"{fact.status} {fact.error}".strip(), rule, remedy)


def _proxy_mode(expected: Expectation, facts: HostFacts) -> Finding:
    what = "mode of kube-proxy"
    if not expected.proxy_mode_url:
        return unchecked(what, "it does not tell it", "set proxyMetricsAddress")
    if facts.proxy_mode == expected.proxy_mode:
        return passed(what, expected.proxy_mode)
    rule = f"declared is {expected.proxy_mode}; {expected.proxy_mode_url} says what is in force"
    remedy = "see `journalctl -u kube-proxy` there"
    return failed(what, facts.proxy_mode or "no answer", rule, remedy)
