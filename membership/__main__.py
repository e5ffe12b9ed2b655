"""Local commands of the node resources: a verb, a request on stdin, the result on stdout."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
import uuid
from collections.abc import Callable
from typing import NoReturn

from kube_nodes.model import requests
from kube_nodes.model.requests import (
    LABELS_VARIABLE,
    TAINTS_VARIABLE,
    ApproveRequest,
    DeliverRequest,
    GateRequest,
    JoinRequest,
    PrepareRequest,
    RequestError,
    SignRequest,
)

_VERBS = {
    "deliver": "send a host the programs that it lacks, from this machine",
    "recall": "remove what was sent and not installed (delete of deliver)",
    "prepare": "before a host changes: drain it if its kubelet's minor changes, open its token",
    "join": "approve the node's certificate requests, wait until it is Ready, label and taint it",
    "leave": "cordon and drain the node (delete of join)",
    "forget": "delete the Node object (delete of prepare)",
    "gate": "see that the wave before is up, before the next one begins",
    "sign": "have the cluster sign a client certificate; prints it",
    "approve": "for all declared nodes: approve requests, close tokens and undo cordons left",
}


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
    verbs = "\n".join(f"  {verb:8} {text}" for verb, text in _VERBS.items())
    parser = argparse.ArgumentParser(
        prog="membership/run",
        description=f"{__doc__}\n\nverbs:\n{verbs}",
        epilog="The cluster is that of KUBECONFIG; its UID must be the request's. join reads"
        f" {LABELS_VARIABLE} and {TAINTS_VARIABLE}, one a line.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=_VERBS, metavar="verb", help="what to do")
    return parser


def _run(verb: str, stdin: str, subject: list[str]) -> str:
    """Read the request, name the subject of errors, and run the verb."""
    # Imported late: reading the request must fail fast, and each verb needs its own part only.
    from kube_nodes.membership.progress import Progress

    if verb == "approve":
        from kube_nodes.membership.approve import approve_all

        return approve_all(requests.parse(ApproveRequest, stdin))
    if verb == "sign":
        from kube_nodes.membership.sign import sign

        signing = requests.parse(SignRequest, stdin)
        subject[0] = signing.name
        return sign(signing, Progress(signing.name)).rstrip("\n")
    if verb == "gate":
        from kube_nodes.membership.gate import gate

        waiting = requests.parse(GateRequest, stdin)
        subject[0] = waiting.name
        return gate(waiting, Progress(waiting.name))
    if verb in ("deliver", "recall"):
        from kube_nodes.membership import deliver as delivery

        delivering = requests.parse(DeliverRequest, stdin)
        subject[0] = delivering.node
        send: Callable[[DeliverRequest, Progress], str] = getattr(delivery, verb)
        return send(delivering, Progress(subject[0]))
    if verb in ("prepare", "forget"):
        from kube_nodes.membership import prepare as module

        preparing = requests.parse(PrepareRequest, stdin)
        subject[0] = preparing.node.id
        step: Callable[[PrepareRequest, Progress], str] = getattr(module, verb)
        return _with_run(step(preparing, Progress(subject[0])))
    joining = requests.parse(JoinRequest, stdin)
    subject[0] = joining.node.id
    if verb == "leave":
        from kube_nodes.membership.leave import leave

        return leave(joining, Progress(subject[0]))
    from kube_nodes.membership.join import join

    labels = requests.parse_labels(os.environ.get(LABELS_VARIABLE, ""))
    taints = requests.parse_taints(os.environ.get(TAINTS_VARIABLE, ""))
    return _with_run(join(joining, labels, taints, Progress(subject[0])))


def _with_run(result: str) -> str:
    """Add an id of this run: what depends on the output is verified after every run."""
    return f"run {uuid.uuid4()}\n{result}"


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


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    sys.exit(main())
