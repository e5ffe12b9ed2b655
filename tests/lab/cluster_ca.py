"""The administrator's part of another CA: what the control plane trusts, shows and signs with."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lab import control_plane, processes
from lab.files import write_atomically
from lab.kubeconfig import write_kubeconfig
from lab.spec import LabSpec
from lab.tools import ensure

_CONTROLLER_MANAGER, _SCHEDULER = "kube-controller-manager", "kube-scheduler"
# What of a control plane's files a CA has issued, and with what it signs.
_ISSUED = ("kube-apiserver", "kubelet-client", "admin", _CONTROLLER_MANAGER, _SCHEDULER)


def restart_with(lab: LabSpec, part: str, flags: Mapping[str, str]) -> None:
    """Start a part of the control plane anew, as it runs but for these flags."""
    record = processes.read(lab, part)
    assert record and record.alive
    processes.ensure(lab, part, _with_flags(record.argv, flags))


def put_back(lab: LabSpec) -> None:
    """Let the control plane run as `lab up` has started it."""
    write_kubeconfig(lab, lab.path("kubeconfig"), "admin")
    control_plane.start(lab, ensure(control_plane.PARTS, lab.kubernetes))


@dataclass(frozen=True)
class ClusterCa:
    """A lab's CA, and the next one, of the same name."""

    lab: LabSpec

    @property
    def _next(self) -> LabSpec:
        return replace(self.lab, directory=self.lab.path("next-ca"))

    @property
    def old(self) -> str:
        """The certificate of the CA that the lab began with, PEM."""
        return self.lab.path("pki", "ca.crt").read_text()

    @property
    def new(self) -> str:
        """The certificate of the next one."""
        return self._next.path("pki", "ca.crt").read_text()

    def trust_both(self) -> None:
        """Make the next CA, and let the control plane trust what either has issued."""
        self._next.path("pki").mkdir(parents=True)
        control_plane.make_files(self._next)
        self._run("both", self.lab, self.old + self.new)

    def issue_by_new(self) -> None:
        """Let the control plane show the next CA's certificates, and sign with its key."""
        self._run("new", self._next, self.old + self.new)

    def drop_old(self) -> None:
        """Let it trust the next one alone."""
        self._run("only", self._next, self.new)

    def _run(self, name: str, issued: LabSpec, authorities: str) -> None:
        stage = replace(self.lab, directory=self.lab.path(f"ca-{name}"))
        pki = stage.path("pki")
        shutil.copytree(self.lab.path("pki"), pki)
        for each in _ISSUED:
            for end in ("crt", "key"):
                shutil.copy2(issued.path("pki", f"{each}.{end}"), pki)
        write_atomically(pki / "ca.crt", authorities)
        for part in (_CONTROLLER_MANAGER, _SCHEDULER):
            write_kubeconfig(stage, pki / f"{part}.kubeconfig", part)
        write_kubeconfig(stage, self.lab.path("kubeconfig"), "admin")
        programs = ensure(control_plane.PARTS, self.lab.kubernetes)
        api_server = control_plane.apiserver_arguments(stage, programs["kube-apiserver"])
        processes.ensure(self.lab, "kube-apiserver", api_server)
        deadline = time.monotonic() + 60
        while not control_plane.ready(stage):
            assert time.monotonic() < deadline, "the API server is not ready"
            time.sleep(0.1)
        manager = control_plane.controller_manager_arguments(stage, programs[_CONTROLLER_MANAGER])
        signer = {f"--cluster-signing-{what}-file": issued.path("pki", f"ca.{end}")
                  for what, end in (("cert", "crt"), ("key", "key"))}  # fmt: skip
        flags = {flag: str(path) for flag, path in signer.items()}
        processes.ensure(self.lab, _CONTROLLER_MANAGER, _with_flags(manager, flags))
        scheduler = control_plane.scheduler_arguments(stage, programs[_SCHEDULER])
        processes.ensure(self.lab, _SCHEDULER, scheduler)


def _with_flags(argv: list[str] | tuple[str, ...], flags: Mapping[str, str]) -> list[str]:
    kept = [each for each in argv if each.partition("=")[0] not in flags]
    return [*kept, *(f"{flag}={value}" for flag, value in flags.items())]
