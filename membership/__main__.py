"""Local commands of the node resources: a verb, a request on stdin, the result on stdout."""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import signal
import sys
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from kube_nodes.model import requests
from kube_nodes.model.gate_request import GateRequest
from kube_nodes.model.request_text import Request, RequestError, parse
from kube_nodes.model.requests import LABELS_VARIABLE, TAINTS_VARIABLE


@dataclass(frozen=True)
class _Verb:
    """What a verb does, the request that it reads, and the function of membership/ that does it."""

    text: str
    request: type[Request]
    module: str
    function: str
    tells_run: bool = False
    """Its output begins with an id of this run: what depends on it is verified after every run."""


_VERBS = {
    "deliver": _Verb(
        "send a host the programs that it lacks, from this machine",
        requests.DeliverRequest, "deliver", "deliver",
    ),
    "recall": _Verb(
        "remove what was sent and not installed (delete of deliver)",
        requests.DeliverRequest, "deliver", "recall",
    ),
    "gate": _Verb(
        "see that the wave before is up, before the next one begins",
        GateRequest, "gate", "gate",
    ),
    "prepare": _Verb(
        "before a host changes: drain it if its kubelet's minor changes, open its token",
        requests.PrepareRequest, "prepare", "prepare", tells_run=True,
    ),
    "join": _Verb(
        "approve the node's certificate requests, wait until it is Ready, label and taint it;"
        " of a lost host, delete the Node",
        requests.JoinRequest, "join", "join", tells_run=True,
    ),
    "leave": _Verb(
        "cordon and drain the node (delete of join)",
        requests.JoinRequest, "leave", "leave",
    ),
    "forget": _Verb(
        "delete the Node object (delete of prepare)",
        requests.PrepareRequest, "prepare", "forget", tells_run=True,
    ),
    "sign": _Verb(
        "have the cluster sign a client certificate; prints it",
        requests.SignRequest, "sign", "sign",
    ),
    "approve": _Verb(
        "for all declared nodes: approve requests, close tokens and undo cordons left",
        requests.ApproveRequest, "approve", "approve_all",
    ),
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; return the exit status. Errors are one line that begins with its subject."""
    verb = _parser().parse_args(arguments).verb
    subject = [verb]
    try:
        print(_run(verb, sys.stdin.read(), subject), flush=True)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        print(f"{subject[0]}: {_describe(error)}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {name:8} {verb.text}" for name, verb in _VERBS.items())
    parser = argparse.ArgumentParser(
        prog="membership/run",
        description=f"{__doc__}\n\nverbs:\n{verbs}",
        epilog="The cluster is that of KUBECONFIG; its UID must be the request's. join reads"
        f" {LABELS_VARIABLE} and {TAINTS_VARIABLE}, one a line.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=_VERBS, metavar="verb", help="what to do")
    return parser


def _run(name: str, stdin: str, subject: list[str]) -> str:
    """Read the request, name the subject of errors, and run the verb."""
    verb = _VERBS[name]
    request = parse(verb.request, stdin)
    subject[0] = request.subject
    more: tuple[Any, ...] = ()
    if name == "join":
        labels = requests.parse_labels(os.environ.get(LABELS_VARIABLE, ""))
        more = labels, requests.parse_taints(os.environ.get(TAINTS_VARIABLE, ""))
    # Imported late: reading the request must fail fast, and each verb needs its own part only.
    from kube_nodes.membership.progress import Progress

    module = importlib.import_module(f"kube_nodes.membership.{verb.module}")
    function: Callable[..., str] = getattr(module, verb.function)
    result = function(request, *more, Progress(subject[0])).rstrip("\n")
    return f"run {uuid.uuid4()}\n{result}" if verb.tells_run else result


def _describe(error: Exception) -> str:
    """Make one line of an expected error; of any other its place, not its text."""
    from kube_nodes.membership.api import ApiError, UnreachableError
    from kube_nodes.membership.connection import ConnectionConfigError
    from kube_nodes.membership.errors import MembershipError
    from kube_nodes.model.host_output import plain

    expected = (RequestError, MembershipError, ConnectionConfigError, ApiError)
    if isinstance(error, expected):
        return plain(str(error))
    if isinstance(error, UnreachableError):
        return f"{error}; see that KUBECONFIG is right and the API server runs, then run again"
    # The text of an unforeseen error could hold anything, a token too.
    place = "".join(traceback.format_tb(error.__traceback__))
    return f"internal error {type(error).__name__}; please report it with this:\n{place}"


def _end(number: int, _frame: object) -> NoReturn:
    """End as on Ctrl-C: what must be undone is."""
    raise SystemExit(128 + number)


def script() -> NoReturn:
    """Run as a process of its own."""
    # Its memory holds secrets: no core dump.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    sys.exit(main())


if __name__ == "__main__":
    script()
