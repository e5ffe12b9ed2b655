"""Run a command on a host, as pulumi-command remote/commandOutputs.go `run` does."""

from __future__ import annotations

from collections.abc import Mapping
from signal import Signals
from typing import Any

import asyncssh

from lab.plugins.command.dialing import connected
from lab.plugins.command.output import Output
from lab.plugins.command.waiting import outlast
from lab.plugins.engine_log import EngineLog
from lab.plugins.plugin import PluginError


async def run_remote(
    engine: EngineLog,
    urn: str,
    command: str,
    fields: Mapping[str, Any],
    output: Output,
) -> str | None:
    """Run a command to its end, over a connection of its own; return why it failed, or None.

    Cancelling ends the attempts to connect; a command that runs is waited for. What was
    printed before is not in its environment: sshd refuses such variables unless AcceptEnv
    names them, and the official plugin only warns then.

    Raises:
        PluginError: when there is no connection to run the command over.
    """

    async def tell(message: str) -> None:
        await engine.send(urn, message, ephemeral=True)

    async with connected(fields["connection"], tell) as client:
        return await outlast(_execute(client, command, fields.get("stdin") or "", output))


async def _execute(
    client: asyncssh.SSHClientConnection, command: str, stdin: str, output: Output
) -> str | None:
    run = _Run(stdin.encode(), output)
    try:
        channel, _ = await client.create_session(lambda: run, command, encoding=None)
    except asyncssh.ChannelOpenError as failed:
        if run.opened:
            return f"ssh: command {command} failed"
        raise PluginError(f"ssh: rejected: {failed.reason}") from None
    except asyncssh.Error as failed:
        raise PluginError(f"ssh: {failed.reason}") from None
    if not channel.is_closing():
        channel.write_eof()
    await channel.wait_closed()
    return run.reason()


class _Run(asyncssh.SSHClientSession[bytes]):
    """One command on one channel.

    stdin is written when the channel opens, before the command is asked for: sshd then
    takes it in as soon as the command runs. A write after the answer would race with a
    command that is over at once; golang.org/x/crypto/ssh practically never loses it.
    """

    def __init__(self, stdin: bytes, output: Output) -> None:
        self._stdin = stdin
        self._output = output
        self._unsent = bool(stdin)
        self._reason: str | None = "wait: remote command exited without exit status or exit signal"
        self.opened = False

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Hand over all of stdin; what exceeds the server's window waits in a buffer."""
        self.opened = True
        if not self._stdin:
            return
        chan.set_write_buffer_limits(high=0)
        chan.write(self._stdin)
        self._unsent = chan.get_write_buffer_size() > 0

    def resume_writing(self) -> None:
        """The buffer is empty: all of stdin has gone."""
        self._unsent = False

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._output.add("stderr" if datatype == asyncssh.EXTENDED_DATA_STDERR else "stdout", data)

    def exit_status_received(self, status: int) -> None:
        self._reason = f"Process exited with status {status}" if status else None

    def exit_signal_received(
        self,
        signal: str,
        core_dumped: bool,  # noqa: ARG002 - the library's signature
        msg: str,
        lang: str,  # noqa: ARG002
    ) -> None:
        number = Signals[f"SIG{signal}"].value if f"SIG{signal}" in Signals.__members__ else 0
        self._reason = f"Process exited with status {128 + number} from signal {signal}"
        if msg:
            self._reason += f". Reason was: {msg}"

    def reason(self) -> str | None:
        """Return why the run failed, by `Session.Wait` of golang.org/x/crypto/ssh.

        A status other than 0 is told first. Status 0 is not enough: when the command ended
        while stdin was still on its way, the run failed, with `EOF` for a reason.
        """
        return "EOF" if self._reason is None and self._unsent else self._reason
