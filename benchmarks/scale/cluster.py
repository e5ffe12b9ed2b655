"""The cluster's side: a real etcd, kube-apiserver and kube-controller-manager, and no node."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab import control_plane
from lab.errors import LabError
from lab.processes import tail
from lab.spec import LabSpec

PARTS = ("etcd", "kube-apiserver", "kube-controller-manager")
_READY_SECONDS = 120
# What a join needs. Left out is what would need kubelets that report for ever, such as the
# controller that calls silent nodes unreachable.
_CONTROLLERS = (
    "certificatesigningrequest-signing-controller,certificatesigningrequest-approving-controller,"
    "node-ipam-controller,bootstrap-signer-controller,token-cleaner-controller,"
    # A foreground deletion, as the plugin asks for, waits for it.
    "garbage-collector-controller"
)


def spec_of(directory: Path) -> LabSpec:
    """Return the control plane's parameters; its addresses are in a namespace of its own."""
    # A /24 of the range for benchmarks (RFC 2544); the pods' range has a /24 for each of 1,024.
    return LabSpec(directory=directory, subnet="198.18.0.0/24", pod_cidr="10.200.0.0/14")


@contextmanager
def run(spec: LabSpec, programs: Mapping[str, Path]) -> Iterator[None]:
    """Run the control plane, on the data that are there, while the block runs."""
    control_plane.make_files(spec)
    spec.path("logs").mkdir(exist_ok=True)
    with ExitStack() as stack:
        commands = {
            "etcd": control_plane.etcd_arguments(spec, programs["etcd"]),
            "kube-apiserver": control_plane.apiserver_arguments(spec, programs["kube-apiserver"]),
        }
        for name, argv in commands.items():
            stack.enter_context(_process(spec, name, argv))
        _wait_ready(spec)
        argv = control_plane.controller_manager_arguments(spec, programs["kube-controller-manager"])
        kept = [word for word in argv if not word.startswith("--controllers=")]
        name = "kube-controller-manager"
        stack.enter_context(_process(spec, name, [*kept, f"--controllers={_CONTROLLERS}"]))
        yield


@contextmanager
def _process(spec: LabSpec, name: str, argv: list[str]) -> Iterator[None]:
    with spec.path("logs", f"{name}.log").open("ab") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(spec: LabSpec) -> None:
    end = time.monotonic() + _READY_SECONDS
    while not control_plane.ready(spec):
        if time.monotonic() > end:
            log = tail(spec.path("logs", "kube-apiserver.log"))
            raise LabError(f"kube-apiserver is not ready; its log says:\n{log}")
        time.sleep(0.1)
