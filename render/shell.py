"""The constant shell of host/, and the two ways in which it comes to a host.

A script is data: settings, then a line `use base units …` that names the parts of host/ that it
calls, then the calls. The parts are a file on the host, sent once (host_scripts); or they stand in
the script itself (inlined), for what is run without a record in the state.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files as package_files

from kube_nodes.model.expectation import HOST_FOLDER
from kube_nodes.render.quoting import shell_word

SENT_PARTS = (
    "base", "credentials", "foreign", "life", "pods", "preflight", "preflight_adopt",
    "preflight_place", "preflight_programs", "preflight_runtime", "programs", "proxy_cleanup",
    "proxy_iptables", "proxy_ipvs", "proxy_mode", "proxy_nftables", "record", "renewal",
    "service_check", "take_over", "token", "units", "version",
)  # fmt: skip
"""What a node's own steps use."""

_USE = re.compile(r"^use ([a-z_ ]+)\n", re.MULTILINE)
_NO_SUDO = (
    "sudo: refused; files and units are root's;"
    " log in as root, or give this user sudo without a password"
)
_OWNER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_NOT_SENT = f"~/{HOST_FOLDER}: our scripts are gone; raise the reapply number"


@cache
def constant_shell(name: str) -> str:
    """Return host/<name>.sh without comments, blank lines and indentation."""
    source = (package_files("kube_nodes") / "host" / f"{name}.sh").read_text(encoding="utf-8")
    lines = (line.strip() for line in source.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))


def use(*parts: str) -> str:
    """Return the line of a script that brings in parts of host/, in this order.

    It stands behind the settings, which some parts need.
    """
    unknown = set(parts) - set(SENT_PARTS)
    if unknown:
        raise ValueError(f"{sorted(unknown)} is not sent to hosts")
    return f"use {' '.join(parts)}\n"


def inlined(script: str) -> str:
    """Return the script with its parts in it, to be run where nothing was sent before."""
    # Settings are one line each, so the first such line is the script's own.
    return _USE.sub(lambda found: "".join(map(constant_shell, found[1].split())), script, count=1)


@cache
def host_scripts() -> str:
    """Return what is sent to a host once: each part as a function, and what runs a script."""
    parts = (f"kn_{name}() {{\n{constant_shell(name)}}}\n" for name in SENT_PARTS)
    run = _receiver(seconds='"$2"', command='sh "$0" run "$1"')
    dispatch = constant_shell("dispatch").replace("NO_SUDO", shell_word(_NO_SUDO))
    return "".join([*parts, dispatch, run, "\n"])


@cache
def host_scripts_sum() -> str:
    """Return their SHA-256, 64 hexadecimal digits, which is their name on a host."""
    return hashlib.sha256(host_scripts().encode()).hexdigest()


def sent_path(owner: str) -> str:
    """Return where it is sent to, below the home of the user who logs in.

    `owner` is the stack: what it removes is its own, where a host goes from one to another.
    """
    return f"{_folder(owner)}/{host_scripts_sum()}"


def render_call(*, owner: str, action: str = "apply", timeout_seconds: int) -> str:
    """Return the command string that runs the script on stdin with what was sent.

    Each call compares what was sent with its sum: that it is whole, and of this version. Nobody but
    this user, who can be root by sudo already, may change it in between, whatever his umask is.
    """
    _check(action)
    return _command(
        f"s={host_scripts_sum()} f={_folder(owner)}/$s; chmod -R go-w {HOST_FOLDER} &&"
        f' [ "$(sha256sum <$f)" = "$s  -" ] && exec sh $f {action} {int(timeout_seconds)};'
        f' cat >/dev/null; echo "{_NOT_SENT}" >&2; exit 1'
    )


def render_unsend(owner: str) -> str:
    """Return the command string that removes all that a stack has sent, of each version."""
    return f"cat >/dev/null; rm -rf {_folder(owner)}; rmdir {HOST_FOLDER} 2>/dev/null; :"


def _folder(owner: str) -> str:
    if not _OWNER.fullmatch(owner):
        raise ValueError(f"owner: {owner!r} does not match {_OWNER.pattern}")
    return f"{HOST_FOLDER}/{owner}"


def render_receiver(
    *, user: str = "root", action: str = "apply", timeout_seconds: int = 600
) -> str:
    """Return the command string that runs the script on stdin, which has its parts in it."""
    _check(action)
    text = _receiver(seconds=str(int(timeout_seconds)), command=f"sh /dev/fd/4 {action}")
    return as_user(user, text)


def as_user(user: str, text: str) -> str:
    """Return the command string that runs shell text as root, whoever logs in."""
    if user == "root":
        return _command(text)
    # Where sudo refuses, stdin is still to be read, or its message is lost; it has no remedy.
    return (
        f"sudo -n sh -c {shell_word(text)} || {{ rc=$?; cat >/dev/null;"
        f" sudo -n true 2>/dev/null || echo {shell_word(_NO_SUDO)} >&2; exit $rc; }}"
    )


def _command(text: str) -> str:
    """Let sh run it, whatever the user's login shell is."""
    return f"exec sh -c {shell_word(text)}"


def _receiver(*, seconds: str, command: str) -> str:
    text = " ".join(constant_shell("receiver").splitlines())
    return text.replace("SECONDS", seconds).replace("COMMAND", command)


def _check(action: str) -> None:
    if action not in ("apply", "remove"):
        raise ValueError(f"action: {action!r} is not apply or remove")
