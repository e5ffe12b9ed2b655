"""Answer the engine as a plugin does that is bridged from a Terraform provider.

The official random and tls plugins are such bridges (pulumi-terraform-bridge, pkg/pf/tfbridge), so
they share the rules of this file; what a resource is made of stands in their own folders.

- Secrets are not accepted: the engine takes their marks off what it sends, and puts them back on
  what has the same name in the answer.
- A plan is the checked inputs, their defaults, and the recorded value of what the plugin made.
- A difference between the recorded state and the plan is a change; it replaces where the attribute
  says so, create before delete.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.plugins.diffs import Diff, compare, top_key
from lab.plugins.plugin import Call, CheckError, Found, Made, Plugin, PluginError
from lab.plugins.values import UNKNOWN, Properties, secret

Values = Properties
"""Properties without secret marks; one that a preview does not know is UNKNOWN."""


def always(_old: Any, _new: Any) -> bool:
    """Replace on every change."""
    return True


def never(_old: Any, _new: Any) -> bool:
    """Update in place on every change."""
    return False


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One property of a resource: an input, or with `made` an output only."""

    kind: type = str
    """Type of its value; the elements of a list or dict are strings or, in a dict, such lists."""
    required: bool = False
    made: bool = False
    default: Any = None
    secret: bool = False
    at_least: int | None = None
    choices: tuple[str, ...] = ()
    """Allowed values, of each element where the attribute is a list."""
    replaces: Callable[[Any, Any], bool] = always
    """Whether a change from the recorded value to the planned one replaces the resource."""

    def fault(self, value: Any) -> str | None:
        """Say what is wrong with a known value, or return None."""
        given: type = type(value)  # not isinstance: a bool is an int in Python, and nowhere else
        if given is not self.kind:
            return f"must be of type {self.kind.__name__}, not {given.__name__}"
        if self.at_least is not None and value < self.at_least:
            return f"must be at least {self.at_least}, got {value}"
        if self.choices:
            items = value if isinstance(value, list) else [value]
            wrong = [item for item in items if item not in self.choices and item is not UNKNOWN]
            if wrong:
                return f"{wrong[0]!r} is not one of {', '.join(self.choices)}"
        return None


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """What the plugin knows of one resource type."""

    attributes: Mapping[str, Attribute]
    make: Callable[[Values], Values]
    """Takes the known plan, returns the made attributes and `id`."""
    schema_version: int = 0
    check: Callable[[Values], list[tuple[str, str]]] = lambda _inputs: []
    """Rules over several inputs: (property, reason) each."""
    complete: Callable[[Values], Values] = lambda plan: plan
    """Fills what depends on other attributes of a plan."""
    forced: Callable[[Values], tuple[str, ...]] = lambda _plan: ()
    """Attributes that force a replacement although no input changed."""
    refresh: Callable[[Values], Values] = lambda state: state
    """What reading the resource changes in its state."""

    def faults(self, inputs: Values) -> list[tuple[str, str]]:
        """List every (property, reason) that makes the inputs unusable."""
        found = []
        for name, value in inputs.items():
            attribute = self.attributes.get(name)
            if attribute is None or attribute.made:
                found.append((name, "is not an input that the lab's stand-in knows"))
            elif value is not UNKNOWN and (fault := attribute.fault(value)):
                found.append((name, fault))
        for name, attribute in self.attributes.items():
            if attribute.required and name not in inputs:
                found.append((name, "is required"))
        return found or self.check(inputs)

    def plan(self, inputs: Values, prior: Values | None) -> Values:
        """Return the state that the inputs lead to; what is made and not yet there is UNKNOWN."""
        plan: Values = {}
        for name, attribute in self.attributes.items():
            if attribute.made:
                plan[name] = UNKNOWN if prior is None else prior.get(name)
            else:
                plan[name] = inputs.get(name, attribute.default)
        if prior is not None:
            plan["id"] = prior.get("id")
        return self.complete(plan)

    def outputs(self, state: Values) -> Properties:
        """Mark what is sensitive in a state; what is null is left out."""
        marked = self.marked({name: value for name, value in state.items() if value is not None})
        if self.schema_version:
            marked["__meta"] = f'{{"schema_version":"{self.schema_version}"}}'
        return marked

    def marked(self, properties: Properties) -> Properties:
        """Mark the sensitive ones among properties as secret."""
        sensitive = {name for name, attribute in self.attributes.items() if attribute.secret}
        return {
            name: secret(value) if name in sensitive else value
            for name, value in properties.items()
        }


class BridgedPlugin(Plugin):
    """Serve resource types, given by their type token."""

    accept_secrets = False

    def __init__(self, name: str, version: str, types: Mapping[str, ResourceType]) -> None:
        self.name, self.version, self._types = name, version, types

    def _type(self, call: Call) -> ResourceType:
        if call.type not in self._types:
            known = ", ".join(sorted(self._types))
            raise PluginError(f"{call.type}: the lab's stand-in plugin has only {known}")
        return self._types[call.type]

    async def check(self, call: Call) -> Properties:
        """Validate inputs; defaults are not added to them, they show in the outputs only."""
        kind = self._type(call)
        given = _given(call.inputs)
        if faults := kind.faults(given):
            raise CheckError(faults)
        return kind.marked(given)

    async def diff(self, call: Call) -> Diff:
        """Compare the recorded state with the plan."""
        kind = self._type(call)
        prior = call.state
        plan = kind.plan(_given(call.inputs), prior)
        forced = kind.forced(plan)
        plan |= dict.fromkeys(forced, UNKNOWN)
        names = [name for name in kind.attributes if name not in call.ignore_changes]
        changes = compare(_part(prior, names), _part(plan, names))
        replaces = {
            name
            for name in map(top_key, changes)
            if name in forced or kind.attributes[name].replaces(prior.get(name), plan[name])
        }
        return Diff(
            {path: replace(one, replace=top_key(path) in replaces) for path, one in changes.items()}
        )

    async def create(self, call: Call) -> Made:
        """Make the resource; in a preview return what is known beforehand."""
        kind = self._type(call)
        plan = kind.plan(call.inputs, None)
        if call.preview:
            return Made("", kind.outputs(plan))
        try:
            # An RSA key takes a tenth of a second: other calls go on meanwhile.
            made = await asyncio.to_thread(kind.make, plan)
        except ValueError as error:
            raise PluginError(str(error)) from error
        return Made(made["id"], kind.outputs(plan | made))

    async def update(self, call: Call) -> Properties:
        """Record the plan: what changes in place has no effect on what was made."""
        kind = self._type(call)
        return kind.outputs(kind.plan(call.inputs, call.state))

    async def read(self, call: Call) -> Found:
        """Echo the recorded state, as nothing exists outside of it."""
        kind = self._type(call)
        if not call.state:
            raise PluginError(f"{call.name}: the lab's stand-in plugin cannot import")
        state = kind.refresh(call.state)
        return Found(call.id, kind.outputs(state), call.inputs)

    async def delete(self, call: Call) -> None:
        """Do nothing: the state is all there is."""


def _given(inputs: Properties) -> Properties:
    """Leave out the inputs that are null: they count as not given."""
    return {name: value for name, value in inputs.items() if value is not None}


def _part(values: Values, names: list[str]) -> Values:
    return {name: values.get(name) for name in names}
