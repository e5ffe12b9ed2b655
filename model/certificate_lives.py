"""When certificates end: those of the CA, kube-proxy's as it was issued, and those on hosts."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from kube_nodes.model.certificate_checks import (
    WARN_DAYS,
    find_authority,
    judge_certificate,
    judge_life,
)
from kube_nodes.model.check import of_node
from kube_nodes.model.expectation import Expectation, ExpectedCertificate
from kube_nodes.model.findings import Finding, Level
from kube_nodes.model.host_facts import HostFacts

BY_KUBELET = "the kubelet"
BY_APPROVAL = "the kubelet, with approve"
BY_EPOCH = "kubeProxyCertificate.epoch"
BY_HAND = "another CA"
REPLACE_CA = "docs/operations.md says how a CA is replaced"
_FIELDS = ("name", "renewal", "ends", "issuer")


@dataclass(frozen=True, kw_only=True)
class CertificateLife:
    """A certificate, or several that end together."""

    nodes: tuple[str, ...] = ()
    """Ids of the nodes whose hosts have it; none: it is the stack's."""
    name: str
    renewal: str
    """Who renews it, or what does."""
    ends: datetime.datetime | None
    """None: there is none that can be read."""
    issuer: str = ""
    """Which of the CA's certificates vouches for it; empty: none does."""
    findings: tuple[Finding, ...]
    """What is to be said of it, once a node."""

    @property
    def level(self) -> Level:
        """The worst of what is said."""
        levels = [each.level for each in self.findings]
        return next((each for each in (Level.FAILED, Level.NOTE) if each in levels), Level.OK)

    def days_left(self, now: datetime.datetime) -> int | None:
        """Whole days until its end; None where it has none."""
        return (self.ends - now).days if self.ends else None


def authority_lives(ca_certificate: str, now: datetime.datetime) -> Iterator[CertificateLife]:
    """Give each certificate of the CA."""
    authorities = x509.load_pem_x509_certificates(ca_certificate.encode())
    for number, each in enumerate(authorities):
        name = f"{_authority(number, authorities)}, {each.subject.rfc4514_string()}"
        life, level = judge_life(each, now)
        remedy = "" if level is Level.OK else REPLACE_CA
        finding = Finding(node="", what=name, level=level, value=life, remedy=remedy)
        yield CertificateLife(
            name=name, renewal=BY_HAND, ends=each.not_valid_after_utc, findings=(finding,)
        )


def issued_life(expires: str, now: datetime.datetime) -> CertificateLife:
    """Give kube-proxy's certificate as the stack's output has it, in RFC 3339."""
    ends, name = datetime.datetime.fromisoformat(expires), "kube-proxy's certificate, as issued"
    level = Level.FAILED if now >= ends else Level.OK
    if level is Level.OK and (ends - now).days < WARN_DAYS:
        level = Level.NOTE
    finding = Finding(
        node="",
        what=name,
        level=level,
        value=f"ends {ends:%Y-%m-%d}",
        remedy="" if level is Level.OK else f"raise {BY_EPOCH}, and run up",
    )
    return CertificateLife(name=name, renewal=BY_EPOCH, ends=ends, findings=(finding,))


def host_lives(
    expected: Expectation, facts: HostFacts, now: datetime.datetime
) -> Iterator[CertificateLife]:
    """Give each certificate that a host must have; see judge_certificate."""
    authorities = x509.load_pem_x509_certificates(expected.ca_certificate.encode())
    for each in expected.certificates:
        pem = facts.certificates.get(each.path, "")
        finding = judge_certificate(each, pem, expected.ca_certificate, now)
        chain = _read(pem)
        number = find_authority(chain, authorities) if chain else None
        yield CertificateLife(
            nodes=(expected.id,),
            name=each.name,
            renewal=_renewal(each),
            ends=chain[0].not_valid_after_utc if chain else None,
            issuer=_authority(number, authorities) if number is not None else "",
            findings=tuple(of_node(expected.id, [finding])),
        )


def sort_lives(lives: Iterable[CertificateLife]) -> list[CertificateLife]:
    """Put the soonest end first, and what ends together on several hosts into one."""
    groups: dict[tuple[object, ...], CertificateLife] = {}
    for life in lives:
        key = (bool(life.nodes), *(getattr(life, field) for field in _FIELDS))
        known = groups.get(key)
        groups[key] = life if known is None else _joined(known, life)
    never = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return sorted(groups.values(), key=lambda life: (life.ends or never, life.nodes, life.name))


def ending_within(
    lives: Iterable[CertificateLife], days: int, now: datetime.datetime
) -> Iterator[CertificateLife]:
    """Name as failed what ends within so many days, and nothing renews by itself."""
    for life in lives:
        left = life.days_left(now)
        if life.renewal in (BY_KUBELET, BY_APPROVAL) or left is None or left >= days:
            yield life
            continue
        rule = f"it must last {days} days"
        remedy = REPLACE_CA if life.renewal == BY_HAND else f"raise {BY_EPOCH}, and run up"
        yield replace(
            life,
            findings=tuple(
                each
                if each.level is Level.FAILED
                else replace(each, level=Level.FAILED, rule=rule, remedy=remedy)
                for each in life.findings
            ),
        )


def _renewal(expected: ExpectedCertificate) -> str:
    """Say who renews it: the cluster approves no certificate that serves others."""
    if not expected.renews:
        return BY_EPOCH
    return BY_APPROVAL if expected.addresses else BY_KUBELET


def _joined(one: CertificateLife, other: CertificateLife) -> CertificateLife:
    return replace(one, nodes=(*one.nodes, *other.nodes), findings=(*one.findings, *other.findings))


def _authority(number: int, authorities: Sequence[x509.Certificate]) -> str:
    return "CA" if len(authorities) == 1 else f"CA {number + 1}"


def _read(pem: str) -> list[x509.Certificate]:
    """Read what a host told; it is not trusted."""
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
        # Read on demand, and may fail.
        _ = [(each.not_valid_after_utc, each.issuer) for each in chain]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return []
    return chain
