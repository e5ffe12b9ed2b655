"""Files, folders, programs and kubeconfigs of a host, against what is declared for it."""

from __future__ import annotations

from collections.abc import Iterator

from kube_nodes.model.binaries import SHA256_DIGITS
from kube_nodes.model.check import REAPPLY, failed, passed, unchecked
from kube_nodes.model.expectation import HOST_FOLDER, Expectation, ExpectedFile, ExpectedKubeconfig
from kube_nodes.model.findings import Finding, Repair
from kube_nodes.model.host_facts import FileFact, HostFacts

RECORD = "/var/lib/kube-nodes/units.list"


def judge_files(expected: Expectation, facts: HostFacts) -> Iterator[Finding]:
    """Compare what this program put on the host with what it would put there now."""
    for file in expected.files:
        fact = facts.files.get(file.path)
        yield _file(file, fact, as_written=facts.written.get(file.path, True))
    yield from _record(expected, facts)
    if expected.is_sent_to:
        yield _sent(facts)
    if expected.life:
        yield _life(expected.life, facts.texts.get("generation", ""))
    for path, version in expected.programs.items():
        yield _version(path, version, facts.versions.get(path, ""))
    for kubeconfig in expected.kubeconfigs:
        yield _kubeconfig(kubeconfig, facts)


def _file(expected: ExpectedFile, fact: FileFact | None, *, as_written: bool) -> Finding:
    if fact is None:
        return unchecked(expected.path, "the host did not tell")
    remedy = expected.remedy or REAPPLY
    kind = "file" if expected.kind == "target" else expected.kind
    if fact.kind != kind:
        rule = "nothing may be there" if kind == "absent" else f"a {kind} is declared"
        repair = Repair.GENERATION if expected.identifies else Repair.REAPPLY
        return failed(expected.path, f"is {fact.kind}", rule, remedy, repair)
    if kind == "absent":
        return passed(expected.path, "absent")
    if expected.digest and not fact.digest:
        return unchecked(expected.path, "the host could not read it in time")
    pairs = [("mode", fact.mode, expected.mode), ("owner", fact.owner, "0:0")]
    if expected.digest:
        name = "SHA-256" if len(expected.digest) == SHA256_DIGITS else "SHA-512"
        pairs.append((name, fact.digest, expected.digest))
    if not as_written:
        pairs.append(("content", "of another", "as it was written"))
    wrong = [(name, there, wanted) for name, there, wanted in pairs if there != wanted]
    if not wrong:
        return passed(expected.path, fact.mode)
    value = ", ".join(f"{name} {_short(there)}" for name, there, _ in wrong)
    rule = ", ".join(f"{name} {_short(wanted)}" for name, _, wanted in wrong)
    return failed(expected.path, value, f"declared is {rule}", remedy, Repair.REAPPLY)


def _record(expected: Expectation, facts: HostFacts) -> Iterator[Finding]:
    """Find what is there by us, and is declared no more; of drop-ins their units tell."""
    if not facts.record:
        rule = "the host keeps one of what is ours"
        yield failed(RECORD, "there is none", rule, REAPPLY, Repair.REAPPLY)
        return
    yield passed(RECORD, f"{len(facts.record)} paths")
    declared = {RECORD, *(file.path for file in expected.files)}
    for path in sorted(facts.record - declared):
        if not path.endswith("/") and ".service.d/" not in path:
            yield failed(path, "is there by us", "nothing declares it", REAPPLY, Repair.REAPPLY)


def _sent(facts: HostFacts) -> Finding:
    """Look for what its steps call; which version they call, the state alone knows."""
    what = f"~/{HOST_FOLDER}"
    if facts.sent:
        return passed(what, f"{len(facts.sent)} versions" if len(facts.sent) > 1 else "whole")
    rule = "what the node's steps call was sent there"
    return failed(what, "nothing whole is there", rule, REAPPLY, Repair.REAPPLY)


def _short(text: str) -> str:
    return f"{text[:12]}…" if len(text) > 20 else text or "unknown"


def _life(expected: str, found: str) -> Finding:
    if found == expected:
        return passed("generation", expected.rpartition(" ")[2])
    rule = f"declared is {expected}"
    return failed("generation", f"{found or 'none'} on record", rule, "run up", Repair.HAND)


def _version(path: str, version: str, said: str) -> Finding:
    what = f"version of {path}"
    if version in said.split():
        return passed(what, version)
    value, rule = said or "it does not run", f"declared is {version}"
    return failed(what, value, rule, REAPPLY, Repair.REAPPLY)


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
    return failed(what, value, rule, REAPPLY, Repair.REAPPLY)


def judge_sysctls(expected: Expectation, facts: HostFacts) -> Iterator[Finding]:
    """Compare what the host itself must have set; nothing here sets a sysctl."""
    for name, value in expected.sysctls:
        what, found = f"sysctl {name}", facts.sysctls.get(name, "")
        if found == value:
            yield passed(what, found)
        else:
            remedy = f"sysctl -w {name}={value}, and the same in /etc/sysctl.d"
            rule = f"the node needs {value}"
            yield failed(what, found or "not there", rule, remedy, Repair.HAND)
