"""A client on a host that never rests: new connections to a Service, so many a second."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab import processes
from lab.spec import LabSpec

# Run in the host's network namespace: its kube-proxy chooses the pod of each connection.
_CLIENT = """
import asyncio, json, sys, time

async def ask(address, begun, lost, slowest):
    at = time.monotonic()
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(address, 80)
            writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
            answer = await reader.read()
            writer.close()
        if b" 200 OK" not in answer[:20]:
            lost.append([at - begun, repr(answer[:60])])
    except Exception as error:
        lost.append([at - begun, f"{type(error).__name__} {error}"])
    slowest[0] = max(slowest[0], time.monotonic() - at)

async def main(address, rate):
    begun, lost, slowest, tasks, count = time.monotonic(), [], [0.0], set(), 0
    end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    while not end.done():
        tasks.add(task := asyncio.create_task(ask(address, begun, lost, slowest)))
        task.add_done_callback(tasks.discard)
        count += 1
        await asyncio.sleep(max(0, begun + count / rate - time.monotonic()))
    await asyncio.gather(*tasks)
    print(json.dumps({"asked": count, "lost": lost, "slowest": slowest[0]}))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@dataclass
class Requests:
    """What became of the requests; known when the block has ended."""

    asked: int = 0
    lost: list[tuple[float, str]] = field(default_factory=list)
    """Seconds after the first one, and why."""
    slowest: float = 0.0
    """Seconds."""


@contextmanager
def steady_requests(lab: LabSpec, host: str, address: str, rate: int) -> Iterator[Requests]:
    """Ask an address from a host, so many times a second, for as long as the block lasts."""
    network = _network_of(lab, host)
    seen = Requests()
    client = subprocess.Popen(
        ["nsenter", f"--net={network}", sys.executable, "-c", _CLIENT, address, str(rate)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield seen
    finally:
        told, _ = client.communicate(timeout=60)
        assert client.returncode == 0
        result = json.loads(told)
        seen.asked, seen.slowest = result["asked"], result["slowest"]
        seen.lost = [(at, why) for at, why in result["lost"]]


def _network_of(lab: LabSpec, host: str) -> Path:
    """Find the host's network namespace: that of its init, a child of what runs the container."""
    record = processes.read(lab, f"host-{host}")
    assert record and record.alive
    children = Path(f"/proc/{record.pid}/task/{record.pid}/children").read_text().split()
    network = Path(f"/proc/{children[0]}/ns/net")
    # In the machine's own, the requests would leave it.
    assert network.readlink() != Path("/proc/self/ns/net").readlink()
    return network
