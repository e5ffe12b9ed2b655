"""What a stack costs the engine, by its number of nodes: `python -m tests.fleet.measure_stack 50`.

The whole program under the real engine, with a real API server for its objects; the commands are
recorded and not run, so hosts and kubelets cost nothing and are waited for by nobody. What is left
is what grows with the stack: program, engine, plugins (stand-ins), and the writing of the state.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.components.stacks import node
from tests.plugins.control_plane import run_control_plane
from tests.pull_requests.stack import NodesStack

_STATES = ("dev.json", "dev.json.gz")
_UP = ("up", "--yes", "--skip-preview", "--non-interactive")


def _nodes(count: int) -> dict[str, Any]:
    """Declare nodes in one pool, each with an address of its own."""
    return {
        f"n{number}": node(number, address=f"198.18.{number // 250}.{number % 250 + 1}")
        for number in range(1, count + 1)
    }


def _run(stack: NodesStack, *arguments: str) -> tuple[float, float]:
    """Run the CLI; return its seconds, and those of processors in it and all below it."""
    begin = time.monotonic()
    process = subprocess.Popen(
        [str(stack.engine._pulumi), *arguments, "--stack", "dev"],
        cwd=stack.engine.program,
        env=stack.engine.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, printed.decode()[-4000:]
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime


def measure(count: int, settings: dict[str, str]) -> None:
    """Measure one size, and print a line for each case."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "server").mkdir()
        with run_control_plane(directory / "server") as plane:
            stack = NodesStack(directory / "stack", plane)
            stack.base["pools"] = {"workers": {"nodes": _nodes(count), "batch": "100%"}}
            stack.configure(stack.base)
            stack.engine.variables |= settings
            for case in ("create", "nothing to do"):
                seconds, processor = _run(stack, *_UP)
                print(f"{count} nodes, {case}: {seconds:.1f} s, processor {processor:.1f} s")
                sys.stdout.flush()
            backend = directory / "stack" / "backend" / ".pulumi" / "stacks"
            (state,) = (each for each in backend.rglob("dev.json*") if each.name in _STATES)
            text = state.read_bytes()
            text = gzip.decompress(text) if state.suffix == ".gz" else text
            small = len(gzip.compress(text))
            resources = text.count(b'"urn":') / count
            print(
                f"{count} nodes, state: {len(text) / count / 1000:.1f} kB a node, compressed"
                f" {small / count / 1000:.1f} kB; {resources:.1f} resources a node"
            )


def main() -> None:
    """Measure each size that is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodes", type=int, nargs="+")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    settings = dict(each.split("=", 1) for each in options.set)
    for count in options.nodes:
        measure(count, settings)


if __name__ == "__main__":
    main()
