"""Is a certificate on a host the declared one: whose, who vouches for it, how long it lasts."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from kube_nodes.model.expectation import ExpectedCertificate
from kube_nodes.model.findings import Finding, Level, Repair

# Time for a few maintenance windows, for what nothing renews by itself.
WARN_DAYS = 30
# A kubelet asks for a new certificate when 70 to 90 percent of its life are over.
# Source: k8s.io/client-go/util/certificate, nextRotationDeadline.
RENEWED_BY = 0.9


def judge_certificate(
    expected: ExpectedCertificate, pem: str, ca_certificate: str, now: datetime.datetime
) -> Finding:
    """Compare a certificate with what is declared; everything that is wrong in one finding.

    Args:
        expected: what is declared.
        pem: the certificates of its file, the host's own first; not trusted.
        ca_certificate: the cluster's CA, one certificate or several.
        now: the time to compare its life with.
    """
    anew = Repair.GENERATION if expected.renews else Repair.REAPPLY
    if not pem:
        return _finding(expected, Level.FAILED, anew, "no certificate is there", "it is expected")
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
        faults = list(_faults(expected, chain, ca_certificate))
        life, level = judge_life(chain[0], now, renews=expected.renews)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        value = f"can't be read ({type(error).__name__})"
        return _finding(expected, Level.FAILED, anew, value, "it is damaged")
    if faults:
        return _finding(expected, Level.FAILED, anew, "; ".join((*faults, life)))
    rule = "" if level is Level.OK else "it is not renewed in time"
    repairs = {Level.OK: None, Level.NOTE: Repair.NOTHING}
    repair = repairs.get(level, Repair.HAND)
    return _finding(expected, level, repair, f"{_subject(chain[0])}, {life}", rule)


def _finding(
    expected: ExpectedCertificate, level: Level, repair: Repair | None, value: str, rule: str = ""
) -> Finding:
    return Finding(
        node="",
        what=f"{expected.name} in {expected.path}",
        level=level,
        value=value,
        rule=rule,
        remedy="" if level is Level.OK else expected.remedy,
        repair=repair,
    )


def _faults(
    expected: ExpectedCertificate, chain: list[x509.Certificate], ca_certificate: str
) -> Iterator[str]:
    leaf = chain[0]
    names = _values(leaf, NameOID.COMMON_NAME)
    if names != [expected.common_name]:
        yield f"is of {_subject(leaf)}, not of {expected.common_name}"
    organizations = frozenset(_values(leaf, NameOID.ORGANIZATION_NAME))
    if expected.organizations is not None and organizations != expected.organizations:
        yield f"has the groups {sorted(organizations)}, not {sorted(expected.organizations)}"
    missing = {ipaddress.ip_address(each) for each in expected.addresses} - _addresses(leaf)
    if missing:
        yield f"is not good for {', '.join(sorted(map(str, missing)))}"
    if find_authority(chain, x509.load_pem_x509_certificates(ca_certificate.encode())) is None:
        issuer = leaf.issuer.rfc4514_string()[:100]
        yield f"was not issued by the cluster's CA, but by {issuer}"


def find_authority(
    chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]
) -> int | None:
    """Say which of the CA's certificates vouches for the first of a file's; None: none does.

    The file's own chain is followed upwards until one of them has signed.
    """
    current, others = chain[0], list(chain[1:10])
    while True:
        for number, authority in enumerate(authorities):
            if _issued(current, authority):
                return number
        above = next((each for each in others if _issued(current, each)), None)
        if above is None:
            return None
        others.remove(above)
        current = above


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def judge_life(
    certificate: x509.Certificate, now: datetime.datetime, *, renews: bool = False
) -> tuple[str, Level]:
    """Say how long a certificate lasts, and what that means.

    Args:
        certificate: of it only the times are looked at.
        now: the time to compare them with.
        renews: whether the kubelet renews it by itself.
    """
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    days = (end - now).days
    until = f"{end:%Y-%m-%d}"
    if now >= end:
        return f"expired on {until}", Level.FAILED
    if now < begin:
        return f"is valid from {begin:%Y-%m-%dT%H:%M:%SZ} on, which is still to come", Level.FAILED
    text = f"{days} days left, until {until}"
    if renews:
        return text, Level.FAILED if now - begin > (end - begin) * RENEWED_BY else Level.OK
    return text, Level.NOTE if days < WARN_DAYS else Level.OK


def _values(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(each.value) for each in certificate.subject.get_attributes_for_oid(oid)]


def _subject(certificate: x509.Certificate) -> str:
    """Show the subject, short: what a host shows is not trusted."""
    text = certificate.subject.rfc4514_string()[:150]
    return "".join(each if each.isprintable() else "?" for each in text) or "nobody"


def _addresses(
    certificate: x509.Certificate,
) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    found: Iterable[object] = names.get_values_for_type(x509.IPAddress)
    return {
        each for each in found if isinstance(each, ipaddress.IPv4Address | ipaddress.IPv6Address)
    }
