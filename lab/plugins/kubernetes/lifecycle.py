"""Make, change, look at and delete an object for the engine.

The rules are those of pulumi/pulumi-kubernetes provider/pkg/provider/provider.go (Create, Update,
Read, Delete) and await/await.go (Deletion).
"""

from __future__ import annotations

import asyncio

from lab.plugins.kubernetes import awaiting, checkpoints, managers
from lab.plugins.kubernetes.api_server import ApiError, ApiServer, NoSuchKindError, Resource
from lab.plugins.kubernetes.connection import Connection, poll
from lab.plugins.kubernetes.objects import (
    Object,
    identity,
    kind_of,
    kind_of_token,
    metadata,
    name_of,
    namespace_of,
    normalise,
    prune,
    split_identity,
    without_read_only,
)
from lab.plugins.plugin import Call, Found, InitError, Made, PluginError
from lab.plugins.values import Properties, reveal

# What the API server answers, or discovery finds, when it cannot be as asked.
_REFUSALS = (ApiError, NoSuchKindError)


class Lifecycle:
    """The objects of one provider."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, call: Call) -> Made:
        """Make the object and wait until it is ready; in a preview, ask for a dry run."""
        inputs = reveal(call.inputs)
        server = await self._connection.for_writing(call, inputs)
        if server is None:
            return Made("", call.inputs)
        manager = checkpoints.field_manager({}, inputs)
        settings = self._connection.settings
        try:
            live = await self._connection.run(
                managers.make, server, inputs, settings, manager, preview=call.preview
            )
        except _REFUSALS as error:
            if call.preview and _is_no_obstacle(error):
                return Made("", call.inputs)
            raise PluginError(f"{_label(inputs)}: not created: {error}{_advice(error)}") from None
        if call.preview:
            live.pop("status", None)
            return Made("", _state(call, inputs, live, manager))
        live = await self._until_ready(call, server, inputs, live, manager)
        return Made(identity(live), _state(call, inputs, live, manager))

    async def update(self, call: Call) -> Properties:
        """Apply the new inputs and wait until they are in force; in a preview, dry."""
        inputs = normalise(reveal(call.inputs))
        server = await self._connection.for_writing(call, inputs)
        if server is None:
            return call.inputs
        old_inputs, old_live = checkpoints.read_checkpoint(call.state)
        manager = checkpoints.field_manager(call.state, inputs)
        former = checkpoints.field_manager(call.state, old_inputs)
        change = managers.Change(inputs, name_of(old_live), manager, call.preview)
        try:
            live = await self._connection.run(
                managers.apply_change, server, change, self._connection.settings
            )
        except _REFUSALS as error:
            if call.preview and _status(error) == 403:
                return call.inputs
            raise await self._update_error(call, server, change, error) from None
        if not call.preview:
            live = await self._until_ready(call, server, inputs, live, manager)
            if former != manager:
                await self._connection.run(managers.relinquish, server, live, former)
        return _state(call, inputs, live, manager)

    async def read(self, call: Call) -> Found | None:
        """Look at the object; what it has beyond the declared fields is not drift."""
        server = await self._connection.for_state(call)
        if server is None:
            return None
        inputs = normalise(reveal(call.inputs))
        kind = kind_of(inputs) if inputs.get("kind") else kind_of_token(call.type)
        namespace, name = split_identity(call.id)
        try:
            live = await self._get(server, kind, namespace_of(inputs) or namespace, name)
        except _REFUSALS as error:
            if _is_gone(error):
                return None
            raise PluginError(f"{call.id}: cannot be read: {error}") from None
        seen = prune(live, inputs) if inputs else without_read_only(live)
        state = _state(call, seen, live, checkpoints.field_manager(call.state, inputs))
        recorded = checkpoints.mark_secrets(seen, call.inputs)
        waits = bool(inputs) and not awaiting.skips_readiness(inputs)
        if waits and (why := await self._connection.run(awaiting.unreadiness, server, live)):
            made = Made(call.id, state)
            raise InitError(why, made=made, inputs=recorded, reasons=[why])
        return Found(call.id, state, recorded)

    async def delete(self, call: Call) -> None:
        """Delete the object and wait until it is gone, or another stands in its place."""
        server = await self._connection.for_state(call)
        if server is None:
            return
        inputs, live = checkpoints.read_checkpoint(call.state)
        place = namespace_of(live), split_identity(call.id)[1]
        try:
            resource = await self._connection.run(server.resource, *kind_of(live))
            policy = awaiting.propagation_policy(inputs)
            uid = await self._connection.run(server.delete, resource, *place, policy)
            if awaiting.skips_deletion(inputs):
                return
            seconds = awaiting.timeout_seconds(inputs, call.timeout_seconds)
            still = await self._until_gone(server, resource, place, uid, seconds)
        except _REFUSALS as error:
            if _is_gone(error):
                return
            raise PluginError(f"{call.id}: cannot be deleted: {error}") from None
        if still:
            raise PluginError(f"{call.id}: its deletion was accepted, but {still}")

    async def _get(
        self, server: ApiServer, kind: tuple[str, str], namespace: str, name: str
    ) -> Object:
        resource = await self._connection.run(server.resource, *kind)
        return await self._connection.run(server.get, resource, namespace, name)

    async def _until_ready(
        self, call: Call, server: ApiServer, inputs: Object, live: Object, manager: str
    ) -> Object:
        """Wait until the written object is ready; if that fails, it is recorded as it is."""
        if awaiting.skips_readiness(inputs):
            return live
        seen = live

        async def lacking() -> str:
            nonlocal seen
            why = await self._connection.run(awaiting.unreadiness, server, seen)
            if why:
                seen = await self._get(server, kind_of(live), namespace_of(live), name_of(live))
            return why

        try:
            why = await poll(lacking, awaiting.timeout_seconds(inputs, call.timeout_seconds))
        except asyncio.CancelledError:
            why = "the wait for it was broken off"
        except ApiError as error:
            why = f"it cannot be read: {error}"
        if why:
            text = f"{_label(live)}: written, but not ready: {why}"
            made = Made(identity(live), _state(call, inputs, seen, manager))
            raise InitError(text, made=made, inputs=call.inputs, reasons=[text])
        return seen

    async def _until_gone(
        self,
        server: ApiServer,
        resource: Resource,
        place: tuple[str, str],
        uid: str,
        seconds: float,
    ) -> str:
        async def lacking() -> str:
            left = metadata(await self._connection.run(server.get, resource, *place))
            if left.get("uid") != uid:
                return ""
            return f"it waits for its finalizers: {', '.join(left.get('finalizers') or ['none'])}"

        return await poll(lacking, seconds)

    async def _update_error(
        self, call: Call, server: ApiServer, change: managers.Change, error: Exception
    ) -> Exception:
        """Return the failure of an update; the object's present state is recorded with it."""
        text = f"{_label(change.inputs)}: not updated: {error}{_advice(error)}"
        place = namespace_of(change.inputs), change.old_name
        try:
            live = await self._get(server, kind_of(change.inputs), *place)
        except _REFUSALS as second:
            return PluginError(f"{text}; its present state is not known: {second}")
        made = Made(identity(live), _state(call, change.inputs, live, change.manager))
        return InitError(text, made=made, inputs=call.inputs, reasons=[text])


def _state(call: Call, inputs: Object, live: Object, manager: str) -> Properties:
    initial = checkpoints.initial_api_version(call.state, inputs)
    return checkpoints.checkpoint(inputs, live, call.inputs, initial, manager)


def _label(obj: Object) -> str:
    return f"{kind_of(obj)[1]} {identity(obj)}"


def _status(error: Exception) -> int:
    return error.status if isinstance(error, ApiError) else 404


def _is_gone(error: Exception) -> bool:
    return _status(error) == 404


def _is_no_obstacle(error: Exception) -> bool:
    """Tell whether a failed dry run of a creation says nothing against the real one."""
    # 409: a replacement under the same name; 404: the namespace is part of this deployment.
    return _status(error) in {403, 404, 409}


def _advice(error: Exception) -> str:
    reason = error.reason if isinstance(error, ApiError) else ""
    if reason == "AlreadyExists":
        return "; import it, or set upsertExistingObjects on the provider to take it over"
    if reason == "Conflict":
        return (
            "; server-side apply field conflict: the annotation pulumi.com/patchForce: "
            '"true" takes the fields over'
        )
    return ""
