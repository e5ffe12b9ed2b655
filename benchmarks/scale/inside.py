"""What runs inside the world of a benchmark: every case, one after the other."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale import cluster, fleet, world
from benchmarks.scale.figures import Measured, dump
from benchmarks.scale.stack import ScaleStack
from lab.errors import LabError
from lab.lifecycle import progress
from lab.tools import ToolsError


@dataclass(frozen=True)
class Wish:
    """What is to be measured."""

    sizes: tuple[int, ...]
    cases: tuple[str, ...]
    settings: tuple[str, ...]
    """Of the engine, as NAME=VALUE."""
    create_settings: tuple[str, ...]
    """Of creates alone, beside those."""


class Cases:
    """The cases, on one stack."""

    def __init__(
        self,
        here: world.World,
        stack: ScaleStack,
        wish: Wish,
        take: Callable[[Measured], None],
    ) -> None:
        self._world, self._stack, self._wish, self._take = here, stack, wish, take

    def run(self) -> None:
        """Run what is wished, each size after the one before."""
        self._stack.init()
        recorded = self._stack.recorded
        self._world.have(recorded)
        for size in self._wish.sizes:
            if size > recorded and self._has("all new, preview"):
                self._world.have(size)
                self._stack.declare(self._world.hosts[:size])
                self._measure("all new, preview", "preview", size, size - recorded)
            if size > recorded and self._has("create"):
                self._grow(recorded, size)
                recorded = size
            if size == recorded:
                self._change(size)
        if self._has("destroy"):
            self._measure("destroy", "destroy", recorded, recorded)

    def _has(self, case: str) -> bool:
        return case in self._wish.cases

    def _grow(self, before: int, size: int) -> None:
        self._world.have(size)
        self._stack.declare(self._world.hosts[:size])
        extra = _pairs(self._wish.create_settings)
        self._stack.settings |= extra
        try:
            self._measure("create", "up", size, size - before)
        finally:
            for name in extra:
                del self._stack.settings[name]

    def _change(self, size: int) -> None:
        hosts, stack = self._world.hosts[:size], self._stack
        stack.declare(hosts)
        if self._has("nothing to do, up"):
            self._measure("nothing to do, up", "up", size, 0)
        if self._has("nothing to do, preview"):
            self._measure("nothing to do, preview", "preview", size, 0)
        if self._has("one added"):
            self._world.have(size + 1)
            stack.declare(self._world.hosts[: size + 1])
            self._measure("one added", "up", size + 1, 1)
            stack.declare(hosts)
            # Not timed: the fleet is as before.
            stack.run("one removed", "up", nodes=size, changed=1)
        node, pool = hosts[size // 2], fleet.pool_of(1)
        if self._has("one changed"):
            stack.declare(hosts, stack.declared.raised(node.name))
            self._measure("one changed", "up", size, 1)
        if self._has("one pool changed"):
            stack.declare(hosts, stack.declared.raised(pool))
            self._measure("one pool changed", "up", size, min(size, fleet.POOL_SIZE))

    def _measure(self, case: str, verb: str, nodes: int, changed: int) -> None:
        self._take(self._stack.run(case, verb, nodes=nodes, changed=changed))
        _check(case, self._stack.summary())


def _check(case: str, summary: dict[str, int]) -> None:
    """Refuse figures of a run that did something else than its case says."""
    wanted = {
        "all new, preview": {"to create"},
        "create": {"created"},
        "one added": {"created"},
        "one changed": {"updated"},
        "one pool changed": {"updated"},
        "destroy": {"deleted"},
    }.get(case, set())
    # Gates may change, too.
    if not wanted <= summary.keys() or (summary and not wanted):
        raise LabError(f"{case}: the engine says {summary}, which is another case")


def _pairs(words: Sequence[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words)


def main(arguments: list[str] | None = None) -> int:
    """Measure; what is found goes to the file of samples as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("programs", type=json.loads)
    parser.add_argument("wish", type=json.loads)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    programs = {name: Path(path) for name, path in options.programs.items()}
    wish = Wish(**{name: tuple(values) for name, values in options.wish.items()})
    spec = cluster.spec_of(options.directory)
    tell = progress()

    def take(one: Measured) -> None:
        tell(f"{one.case}, {one.nodes} nodes: {one.seconds:.1f} s")
        with options.samples.open("a", encoding="utf-8") as file:
            file.write(dump([one]))

    try:
        with world.running(spec, options.root, programs) as here:
            stack = ScaleStack(spec, programs["pulumi"], _pairs(wish.settings))
            Cases(here, stack, wish, take).run()
    except (LabError, ToolsError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
