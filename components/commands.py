"""The kinds of command that a node's resources are made of, with what all of them share.

Only `create` and `delete` are given: an update then runs `create`, and the preview shows the
changed text once. Commands have no triggers: they would replace instead of update. The command
string is constant and short, since a failure prints it. A node's logic is sent to its host once, as
a file, and its data travel on stdin: the state holds both ends of each input, for each node.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import pulumi
import pulumi_command as command

from kube_nodes.components.files import write_atomically
from kube_nodes.model.options import SshOptions
from kube_nodes.render.shell import (
    host_scripts,
    host_scripts_sum,
    render_call,
    render_receiver,
    render_unsend,
    sent_path,
)

# How the operator's machine starts the code in membership/; a child of the plugin itself, so that
# Ctrl-C reaches it.
DEFAULT_LOCAL_COMMAND = "exec ./membership/run"
INSTALLED_LOCAL_COMMAND = "exec .venv/bin/kube-nodes-membership"
"""The same, of a program of others with this package in its own virtual environment `.venv`."""

# A script ends well before this; a host that hangs is given up after it, in seconds.
HOST_TIMEOUT_SECONDS = 600


class SshHost(Protocol):
    """A host as it is reached over SSH: a node's, or one of the control plane."""

    @property
    def address(self) -> str:
        """Its IP address."""

    @property
    def host_key(self) -> str:
        """Its public host key, which is always checked."""

    @property
    def ssh(self) -> SshOptions:
        """User and port."""


def send_scripts(
    name: str,
    host: SshHost,
    *,
    life: str,
    private_key: pulumi.Input[str] | None,
    opts: pulumi.ResourceOptions,
) -> command.remote.CopyToRemote:
    """Declare that a host has what its commands call; they depend on it.

    Args:
        name: the resource's name.
        host: the host.
        life: another one sends them again.
        private_key: SSH key, or None for the SSH agent.
        opts: the resource's options.
    """
    return command.remote.CopyToRemote(
        name,
        connection=_connection(host, private_key),
        source=pulumi.FileAsset(str(_write_scripts())),
        remote_path=sent_path(_owner()),
        # They replace, which here is to copy again: nothing is run when the old one is deleted. A
        # host that is another one, or is logged in to as another user, has an empty home.
        triggers=[_way_to(host), host.host_key, life],
        opts=opts,
    )


@cache
def _write_scripts() -> Path:
    """Write what is sent to a file of the operator's: of a file the state holds the sum alone."""
    name, text = f"host-scripts-{host_scripts_sum()[:16]}.sh", host_scripts()
    try:
        path = _cache() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != text.encode():
            write_atomically(path, text)
    except (OSError, RuntimeError) as error:
        raise pulumi.RunError(
            f"what is sent to hosts cannot be kept on this machine: {error};"
            " set XDG_CACHE_HOME to a folder that can be written"
        ) from None
    return path


def _cache() -> Path:
    """Find the user's cache. A relative path is to be ignored, says the XDG specification."""
    given = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (given if given.is_absolute() else Path.home() / ".cache") / "kube-nodes"


def remote_command(
    name: str,
    host: SshHost,
    stdin: pulumi.Input[str],
    *,
    private_key: pulumi.Input[str] | None,
    opts: pulumi.ResourceOptions,
    at_delete: Literal["", "remove", "unsend"] = "",
    inlined: bool = False,
    secret_output: bool = False,
    shows: Literal["none", "stdout", "stderr"] = "none",
) -> command.remote.Command:
    """Declare a script that is run on a host.

    Args:
        name: the resource's name.
        host: the host.
        stdin: the script; secret where it holds credentials.
        private_key: SSH key, or None for the SSH agent.
        opts: the resource's options.
        at_delete: `remove`, an action of the script itself; or `unsend`, to remove what
            send_scripts sent; or nothing.
        inlined: the script has all that it calls in it; else send_scripts comes before.
        secret_output: what the script prints is secret.
        shows: what of its output the engine shows while it runs.
    """
    deletes = {
        "remove": _call(host, "remove", inlined=inlined),
        "unsend": render_unsend(_owner()),
    }
    if secret_output:
        secrets = pulumi.ResourceOptions(additional_secret_outputs=["stdout", "stderr"])
        opts = pulumi.ResourceOptions.merge(opts, secrets)
    return command.remote.Command(
        name,
        connection=_connection(host, private_key),
        create=_call(host, "apply", inlined=inlined),
        delete=deletes.get(at_delete),
        stdin=stdin,
        add_previous_output_in_env=False,
        logging=command.remote.Logging(shows),
        opts=opts,
    )


def _call(host: SshHost, action: str, *, inlined: bool) -> str:
    if inlined:
        user = host.ssh.user
        return render_receiver(user=user, action=action, timeout_seconds=HOST_TIMEOUT_SECONDS)
    return render_call(owner=_owner(), action=action, timeout_seconds=HOST_TIMEOUT_SECONDS)


def _owner() -> str:
    return f"{pulumi.get_project()}.{pulumi.get_stack()}"


def _way_to(host: SshHost) -> str:
    """Say where a host is logged in to: behind a jump host or a port is another one."""
    ssh = host.ssh
    jump = f" by {ssh.jump.address}:{ssh.jump.port}" if ssh.jump else ""
    return f"{ssh.user}@{host.address}:{ssh.port}{jump}"


def _connection(
    host: SshHost, private_key: pulumi.Input[str] | None
) -> command.remote.ConnectionArgs:
    """Say how the host is reached; each host on the way must show its declared key."""
    ssh, proxy = host.ssh, None
    if ssh.jump:
        proxy = command.remote.ProxyConnectionArgs(
            host=ssh.jump.address,
            port=ssh.jump.port,
            user=ssh.jump.user,
            host_key=ssh.jump.host_key,
            private_key=private_key,
        )
    return command.remote.ConnectionArgs(
        host=host.address,
        port=ssh.port,
        user=ssh.user,
        host_key=host.host_key,
        private_key=private_key,
        proxy=proxy,
    )


def local_command(
    name: str,
    verb: str,
    stdin: pulumi.Input[str],
    *,
    local: str,
    opts: pulumi.ResourceOptions,
    undo: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> command.local.Command:
    """Declare a verb of membership/ that runs on the operator's machine.

    Args:
        name: the resource's name.
        verb: what create and update run.
        stdin: its request, JSON.
        local: how membership/ is started.
        opts: the resource's options.
        undo: what delete runs, if anything.
        environment: what previews should show in the open.
    """
    return command.local.Command(
        name,
        create=f"{local} {verb}",
        delete=f"{local} {undo}" if undo else None,
        stdin=stdin,
        environment=environment,
        add_previous_output_in_env=False,
        # What is awaited, and for how long; results are on stdout, and nothing secret is here.
        logging=command.local.Logging.STDERR,
        opts=opts,
    )
