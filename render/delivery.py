"""Render what takes files on a host that the operator's machine sends; nothing in it is secret."""

from __future__ import annotations

from collections.abc import Iterable

from kube_nodes.model.routes import SentFile
from kube_nodes.render import paths
from kube_nodes.render.quoting import shell_word
from kube_nodes.render.script_text import NODE_ID, PATH, SUM, checked
from kube_nodes.render.shell import as_user, constant_shell


def render_delivery(node_id: str, files: Iterable[SentFile]) -> str:
    """Return the script that prints `lacks NAME BYTES` for each file that is still to be sent.

    A file that has arrived whole is given its name; one that nobody declares any more is removed.
    """
    lines = [
        f"sent {checked(PATH, file.path, 'path')} {checked(SUM, file.digest, file.path)}\n"
        for file in sorted(files, key=lambda file: file.path)
    ]
    return "".join(
        [_head(node_id), constant_shell("delivery"), "begin\n", *lines, "finish\n# end\n"]
    )


def render_recall(node_id: str) -> str:
    """Return the script that removes what was sent."""
    return "".join(
        [_head(node_id), 'rm -rf "$folder" && rmdir "${folder%/*}" 2>/dev/null || :\n# end\n']
    )


def render_append(file: SentFile, *, user: str, anew: bool) -> str:
    """Return the command that takes the rest of a file, or all of it, on its stdin.

    What a full disk left of it is removed; what a cut connection left stays.
    """
    part = f"{paths.sent_file(checked(SUM, file.digest, file.path))}.part"
    sign = ">" if anew else ">>"
    return as_user(user, f"umask 077; cat {sign}{part} || {{ rm -f {part}; exit 1; }}")


def _head(node_id: str) -> str:
    return f"node={shell_word(checked(NODE_ID, node_id, 'node_id'))}\nfolder={paths.SENT_FILES}\n"
