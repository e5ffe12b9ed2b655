"""Order between the parts of a graph that may be large."""

from __future__ import annotations

import asyncio

import pulumi
from pulumi.resource import DependencyResource


def by_urn(resource: pulumi.Resource) -> pulumi.Output[pulumi.Resource]:
    """Give a resource as a dependency by its URN alone, once it is there.

    For each dependency the SDK looks for a cycle among all resources behind it
    (pulumi.runtime.resource_cycle_breaker). Behind a gate is every node before it, so the time that
    takes would grow with the square of a pool's nodes. The engine is told the same dependency.
    """

    async def find() -> pulumi.Resource:
        return DependencyResource(await resource.urn.future() or "")

    async def known() -> bool:
        return True

    return pulumi.Output(set(), asyncio.ensure_future(find()), known())
