"""The two Command resources and CopyToRemote: what is done on create, update and delete.

After the official plugin's local/commandController.go, remote/commandController.go and
remote/copyController.go, and for what a preview knows, `markComputed` in pulumi-go-provider
infer/resource.go.
"""

from __future__ import annotations

import secrets as random_source
from collections.abc import Mapping
from typing import Any

from lab.plugins.command import inputs as command_inputs
from lab.plugins.command.log import log_lines
from lab.plugins.command.output import Output
from lab.plugins.diffs import Diff, compare, equal, ignoring
from lab.plugins.plugin import Call, Made, Plugin, PluginError
from lab.plugins.values import UNKNOWN, Properties, reveal

_OUTPUTS = ("stdout", "stderr")


class CommandPlugin(Plugin):
    """Run commands, here or over SSH, as steps of a resource's life.

    There is no read: a refresh gives the recorded state back.
    """

    name = "command"
    version = "1.2.1"

    async def check(self, call: Call) -> Properties:
        return command_inputs.check(call.type, call.inputs)

    async def diff(self, call: Call) -> Diff:
        new = ignoring(call.state, call.inputs, call.ignore_changes)
        # Changed elements of triggers replace only because the SDK's class asks the engine
        # for it (replace_on_changes); the plugin itself knows the whole list alone.
        return Diff(
            compare(
                _without_internals(call.old_inputs),
                _without_internals(new),
                must_replace=lambda path: path == "triggers",
            )
        )

    async def create(self, call: Call) -> Made:
        if call.type == command_inputs.COPY:
            if not call.preview:
                await self._copy(call, call.inputs)
            return Made(random_source.token_hex(4), call.inputs)
        made_id = call.name + random_source.token_hex(4)
        if call.preview:
            return Made(made_id, {**call.inputs, **dict.fromkeys(_OUTPUTS, UNKNOWN)})
        printed = await self._run(call, call.inputs, {}, call.inputs.get("create"))
        return Made(made_id, {**call.inputs, **printed})

    async def update(self, call: Call) -> Properties:
        new = ignoring(call.state, call.inputs, call.ignore_changes)
        if call.type == command_inputs.COPY:
            # Another connection alone copies nothing.
            if not call.preview and any(
                new.get(key) != call.state.get(key) for key in ("source", "remotePath")
            ):
                await self._copy(call, new)
            return new
        before = {key: call.state.get(key, "") for key in _OUTPUTS}
        if call.preview:
            unknown = _may_print_something_else(call.type, call.state, new)
            return {**new, **(dict.fromkeys(_OUTPUTS, UNKNOWN) if unknown else before)}
        command = new["update"] if "update" in new else new.get("create")
        return {**new, **await self._run(call, new, before, command)}

    async def delete(self, call: Call) -> None:
        if call.type == command_inputs.COPY:
            return
        # The recorded state alone: the program may not declare the resource any more.
        before = {key: call.state.get(key, "") for key in _OUTPUTS}
        await self._run(call, call.state, before, call.state.get("delete"))

    async def _copy(self, call: Call, declared: Properties) -> None:
        from lab.plugins.command.copying import copy_to_remote

        fields: Mapping[str, Any] = reveal(declared)
        await copy_to_remote(self.engine, call.urn, fields)

    async def _run(
        self, call: Call, declared: Properties, before: Properties, command: Any
    ) -> Properties:
        """Run one command and return what it printed; without a command, what was before."""
        if command is None:
            return before or dict.fromkeys(_OUTPUTS, "")
        fields: Mapping[str, Any] = reveal(declared)
        previous = reveal(before) if fields.get("addPreviousOutputInEnv", True) else {}
        text = reveal(command)
        output = Output()
        async with log_lines(self.engine, call.urn, fields.get("logging")) as listener:
            output.listener = listener
            if call.type == command_inputs.LOCAL:
                from lab.plugins.command.local import run_local

                reason = await run_local(text, fields, previous, output)
            else:
                from lab.plugins.command.remote import run_remote

                reason = await run_remote(self.engine, call.urn, text, fields, output)
        if reason is None and output.overflowed:
            reason = f"{output.overflowed} is over the stand-in's limit of 16 MiB"
        if reason is not None:
            raise PluginError(output.failure(reason, text))
        return {stream: output.text(stream) for stream in _OUTPUTS}


def _without_internals(properties: Properties) -> Properties:
    return {
        key: value
        for key, value in properties.items()
        if key != "version" and not key.startswith("__")
    }


def _may_print_something_else(type_token: str, state: Properties, new: Properties) -> bool:
    """Tell whether an update's preview must leave stdout and stderr unknown.

    As in the official plugin, an input that is new leaves them as they were: only those
    that are recorded already are compared.
    """
    return any(
        new.get(key) is UNKNOWN or (key in state and not equal(state[key], new.get(key)))
        for key in command_inputs.FIELDS[type_token]
    )
