"""Files, folders, programs and kubeconfigs of a host, against what is declared for it."""

from __future__ import annotations

from collections.abc import Iterator

from kube_nodes.model.binaries import SHA256_DIGITS
from kube_nodes.model.check import REAPPLY, failed, passed, unchecked
from kube_nodes.model.expectation import Expectation, ExpectedFile, ExpectedKubeconfig
from kube_nodes.model.findings import Finding
from kube_nodes.model.host_facts import FileFact, HostFacts


def judge_files(expected: Expectation, facts: HostFacts) -> Iterator[Finding]:
    """Compare what this program put on the host with what it would put there now."""
    for file in expected.files:
        yield _file(file, facts.files.get(file.path))
    if expected.life:
        yield _life(expected.life, facts.texts.get("generation", ""))
    for path, version in expected.programs.items():
        yield _version(path, version, facts.versions.get(path, ""))
    for kubeconfig in expected.kubeconfigs:
        yield _kubeconfig(kubeconfig, facts)


def _file(expected: ExpectedFile, fact: FileFact | None) -> Finding:
    if fact is None:
        return unchecked(expected.path, "the host did not tell")
    remedy = expected.remedy or REAPPLY
    kind = "file" if expected.kind == "target" else expected.kind
    if fact.kind != kind:
        rule = "nothing may be there" if kind == "absent" else f"a {kind} is declared"
        return failed(expected.path, f"is {fact.kind}", rule, remedy)
    if kind == "absent":
        return passed(expected.path, "absent")
    if expected.digest and not fact.digest:
        return unchecked(expected.path, "the host could not read it in time")
    pairs = [("mode", fact.mode, expected.mode), ("owner", fact.owner, "0:0")]
    if expected.digest:
        name = "SHA-256" if len(expected.digest) == SHA256_DIGITS else "SHA-512"
        pairs.append((name, fact.digest, expected.digest))
    wrong = [(name, there, wanted) for name, there, wanted in pairs if there != wanted]
    if not wrong:
        return passed(expected.path, fact.mode)
    value = ", ".join(f"{name} {_short(there)}" for name, there, _ in wrong)
    rule = ", ".join(f"{name} {_short(wanted)}" for name, _, wanted in wrong)
    return failed(expected.path, value, f"declared is {rule}", remedy)


def _short(text: str) -> str:
    return f"{text[:12]}…" if len(text) > 20 else text or "unknown"


def _life(expected: str, found: str) -> Finding:
    if found == expected:
        return passed("generation", expected.rpartition(" ")[2])
    rule = f"declared is {expected}"
    return failed("generation", f"{found or 'none'} on record", rule, "run up")


def _version(path: str, version: str, said: str) -> Finding:
    what = f"version of {path}"
    if version in said.split():
        return passed(what, version)
    return failed(what, said or "it does not run", f"declared is {version}", REAPPLY)


def _kubeconfig(expected: ExpectedKubeconfig, facts: HostFacts) -> Finding:
    """Compare whom it names, as client and as server; its credential stays on the host."""
    what = f"names in {expected.path}"
    found = facts.kubeconfigs.get(expected.path, {})
    wanted = {
        "server": expected.server,
        "certificate-authority": expected.ca_path,
        "user": expected.user,
        "client-certificate": expected.certificate_path,
    }
    wrong = [key for key, value in wanted.items() if value and found.get(key) != frozenset({value})]
    if not wrong:
        return passed(what, expected.server)
    value = ", ".join(
        f"{key} {' and '.join(sorted(found.get(key, ()))) or 'none'}" for key in wrong
    )
    rule = f"declared is {', '.join(f'{key} {wanted[key]}' for key in wrong)}"
    return failed(what, value, rule, REAPPLY)
