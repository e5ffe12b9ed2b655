"""What a stand-in plugin is made of: the calls it answers and how it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.plugins.diffs import Diff, compare, ignoring
from lab.plugins.engine_log import EngineLog
from lab.plugins.values import Properties


class PluginError(Exception):
    """A failure to show to the user as it is; its text holds no secret."""


class CheckError(Exception):
    """Inputs that cannot be accepted, by property.

    Args:
        failures: pairs of a property and the reason against it.
    """

    def __init__(self, failures: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in failures))
        self.failures = tuple(failures)


class InitError(Exception):
    """A resource that exists but is not as it should be: recorded, and the run fails."""

    def __init__(
        self, message: str, *, made: Made, inputs: Properties, reasons: Sequence[str]
    ) -> None:
        super().__init__(message)
        self.made, self.inputs, self.reasons = made, inputs, tuple(reasons)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One question of the engine about one resource, or about the provider itself."""

    urn: str
    type: str
    """The type token, as `command:local:Command`."""
    name: str
    id: str = ""
    inputs: Properties = field(default_factory=dict, repr=False)
    """What the program declares; on read, what is recorded."""
    old_inputs: Properties = field(default_factory=dict, repr=False)
    state: Properties = field(default_factory=dict, repr=False)
    """The outputs recorded at the last deployment."""
    preview: bool = False
    timeout_seconds: float = 0.0
    """The program's customTimeouts, which `serve` enforces; 0 is none."""
    ignore_changes: tuple[str, ...] = ()
    seed: bytes = field(default=b"", repr=False)
    """Random bytes for check: the same on each run for the same resource."""


@dataclass(frozen=True)
class Made:
    """A created resource; in a preview the id may be empty."""

    id: str
    state: Properties = field(repr=False)


@dataclass(frozen=True)
class Found:
    """A resource as it was read."""

    id: str
    state: Properties = field(repr=False)
    inputs: Properties = field(repr=False)


class Plugin:
    """Base of a stand-in: override what the resources need.

    Calls run at the same time in one event loop. On Ctrl-C, and at a custom timeout, the
    task of a call is cancelled: `asyncio.CancelledError` is raised where it awaits.
    """

    name = ""
    version = ""
    accept_secrets = True
    """Whether secret marks reach the plugin; else the engine takes them out of what it sends,
    and puts them back on properties of the same name."""
    engine: EngineLog
    """Set before the first call: messages for the user go through it."""

    async def configure(self, config: Properties) -> None:
        """Take the provider's configuration."""

    async def check_config(self, call: Call) -> Properties:
        """Validate the provider's configuration."""
        return call.inputs

    async def diff_config(self, call: Call) -> Diff:
        """Compare two configurations of the provider."""
        return Diff(compare(call.old_inputs, call.inputs))

    async def check(self, call: Call) -> Properties:
        """Validate inputs and fill in defaults.

        Raises:
            CheckError: with every failure at once.
        """
        return call.inputs

    async def diff(self, call: Call) -> Diff:
        """Compare the recorded inputs with the new ones."""
        new = ignoring(call.state, call.inputs, call.ignore_changes)
        return Diff(compare(call.old_inputs, new))

    async def create(self, call: Call) -> Made:
        """Make a resource, or, in a preview, say what is known of it."""
        raise NotImplementedError

    async def read(self, call: Call) -> Found | None:
        """Look at a resource as it is; None when it is gone. Default: as recorded."""
        return Found(call.id, call.state, call.inputs)

    async def update(self, call: Call) -> Properties:
        """Change a resource in place, or preview that; return its new state."""
        raise NotImplementedError

    async def delete(self, call: Call) -> None:
        """Remove a resource; one that is gone already is no error."""
        raise NotImplementedError
