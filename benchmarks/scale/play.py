"""The process that plays all hosts: a real sshd a connection, and every kubelet.

It listens on every host's address and starts for each connection an `sshd -i`, as inetd does, with
that host's own key. Of the kubelets it hears through a pipe: `start NAME`, `stop NAME`; of a new
host `listen NAME ADDRESS`. It ends when its parent does, with the namespace that it is in.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.scale.kubelet import Kubelet, RefusedError

SSH_PORT = 22
MOST_SESSIONS = 64
"""Connections that are served at once; more wait in the backlog."""
_MOST_KUBELETS = 24
"""Kubelets that are at work at once."""
_BACKLOG = 32


class Player:
    """All hosts of one folder."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._selector = selectors.DefaultSelector()
        self._sessions: list[subprocess.Popen[bytes]] = []
        self._kubelets: dict[str, Kubelet] = {}
        self._pool = ThreadPoolExecutor(max_workers=_MOST_KUBELETS)

    def run(self) -> None:
        """Serve for ever."""
        # For reading and writing: a pipe that nobody has open to write would end at once.
        orders = os.open(self._directory / "srv" / "orders", os.O_RDWR)
        self._selector.register(orders, selectors.EVENT_READ, None)
        rest = b""
        while True:
            # What ended is collected meanwhile; a busy player collects it below.
            for key, _ in self._selector.select(timeout=1):
                if key.data is None:
                    *lines, rest = (rest + os.read(orders, 65536)).split(b"\n")
                    for line in lines:
                        self._obey(line.decode().split())
                elif len(self._sessions) < MOST_SESSIONS:
                    self._serve(key.fileobj, key.data)
            self._sessions = [each for each in self._sessions if each.poll() is None]

    def _obey(self, words: list[str]) -> None:
        match words:
            case ["listen", name, address]:
                listener = socket.create_server((address, SSH_PORT), backlog=_BACKLOG)
                self._selector.register(listener, selectors.EVENT_READ, name)
                folder = self._directory / "srv" / "hosts" / name
                self._kubelets[name] = Kubelet(name, address, folder)
            case ["start" | "stop" as verb, name]:
                self._pool.submit(self._turn, self._kubelets[name], verb)

    def _serve(self, listener: object, name: str) -> None:
        assert isinstance(listener, socket.socket)  # noqa: S101 - only these are registered
        connection, _ = listener.accept()
        with connection:
            argv = ["chroot", str(self._directory / "root"), *sshd_command(name)]
            pipe = connection.fileno()
            self._sessions.append(subprocess.Popen(argv, stdin=pipe, stdout=pipe))

    def _turn(self, kubelet: Kubelet, verb: str) -> None:
        try:
            kubelet.start() if verb == "start" else kubelet.stop()
        except (OSError, RefusedError, ValueError) as error:
            # As in a kubelet's journal; its join waits in vain and says so.
            print(f"{kubelet.name}: {verb}: {error!r}", file=sys.stderr, flush=True)


def sshd_command(name: str) -> list[str]:
    """Return the command that serves one connection to a host, inside its root directory."""
    return [
        *("/usr/sbin/sshd", "-i", "-f", "/srv/sshd_config", "-h", f"/srv/hosts/{name}/host_key"),
        *("-o", f"ForceCommand=/bin/sh /srv/host.sh {name}"),
    ]


if __name__ == "__main__":
    Player(Path(sys.argv[1])).run()
