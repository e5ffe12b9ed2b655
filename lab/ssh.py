"""The operator's way to the hosts: one key, one agent, and the hosts' keys known beforehand."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab import processes
from lab.commands import run
from lab.errors import LabError
from lab.files import write_atomically
from lab.spec import Host, LabSpec

AGENT = "ssh-agent"


@dataclass(frozen=True)
class KeyPair:
    """An ed25519 key as OpenSSH writes it."""

    private: str
    public: str

    def __repr__(self) -> str:
        return f"KeyPair({self.public})"


def new_key_pair() -> KeyPair:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return KeyPair(private.decode(), public.decode())


def key_file(spec: LabSpec) -> Path:
    return spec.path("ssh", "id_ed25519")


def agent_socket(spec: LabSpec) -> Path:
    return spec.path("ssh", "agent.sock")


def ensure_operator_key(spec: LabSpec) -> str:
    """Make the operator's key when there is none; return its public half."""
    path = key_file(spec)
    public = path.with_suffix(".pub")
    if not path.exists():
        pair = new_key_pair()
        write_atomically(public, f"{pair.public} kube-nodes-lab\n", mode=0o644)
        write_atomically(path, pair.private)
    return public.read_text(encoding="utf-8").strip()


def start_agent(spec: LabSpec) -> bool:
    """Run an agent that holds the operator's key; say whether it was started."""
    ensure_operator_key(spec)
    socket = agent_socket(spec)
    if not processes.running(spec, AGENT):
        socket.unlink(missing_ok=True)  # left by an agent that was killed
    started = processes.ensure(spec, AGENT, ["ssh-agent", "-D", "-a", str(socket)])
    deadline = time.monotonic() + 5
    while not socket.exists():
        if time.monotonic() > deadline:
            log = spec.path("logs", f"{AGENT}.log")
            raise LabError(f"ssh-agent: no socket {socket}; its log says:\n{processes.tail(log)}")
        time.sleep(0.02)
    if started:
        subprocess.run(
            ["ssh-add", "-q", str(key_file(spec))],
            env={**os.environ, "SSH_AUTH_SOCK": str(socket)},
            stdin=subprocess.DEVNULL,
            check=True,
        )
    return started


def write_known_hosts(spec: LabSpec) -> None:
    lines = [f"{host.address} {host.host_key}\n" for host in spec.hosts if host.host_key]
    write_atomically(spec.path("ssh", "known_hosts"), "".join(lines))


def command(spec: LabSpec, host: Host, user: str = "root") -> list[str]:
    """Return the ssh command for this host. It reads nobody's own SSH configuration or keys."""
    return [
        "ssh",
        "-F",
        "none",
        "-i",
        str(key_file(spec)),
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        f"UserKnownHostsFile={spec.path('ssh', 'known_hosts')}",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "ConnectTimeout=5",
        f"{user}@{host.address}",
    ]


def on_host(spec: LabSpec, host: Host, script: str, timeout_seconds: float = 60) -> str:
    """Run a shell script on the host as root and return what it prints."""
    return run([*command(spec, host), script], timeout_seconds=timeout_seconds)


def forget_agent(spec: LabSpec) -> None:
    with contextlib.suppress(FileNotFoundError):
        agent_socket(spec).unlink()
