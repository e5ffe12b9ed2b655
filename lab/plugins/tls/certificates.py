"""Certificates, signed by a given authority or by themselves, and when they are renewed."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from lab.plugins.bridged import Attribute, ResourceType, Values, never
from lab.plugins.tls import keys, requests, subjects

_KEY_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "cert_signing",
    "crl_signing",
    "encipher_only",
    "decipher_only",
)
_EXTENDED_USES = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec_end_system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft_server_gated_crypto": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape_server_gated_crypto": ObjectIdentifier("2.16.840.1.113730.4.1"),
    "microsoft_commercial_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.2.1.22"),
    "microsoft_kernel_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.61.1.1"),
}


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Holder:
    """Whom a certificate is for."""

    subject: x509.Name
    public_key: keys.PublicKey
    names: x509.SubjectAlternativeName | None


def sign(
    plan: Values, holder: Holder, issuer: x509.Certificate | None, issuer_key: keys.PrivateKey
) -> Values:
    """Make a certificate from a plan.

    Args:
        issuer: the authority; None where the certificate signs itself.

    Raises:
        ValueError: for an authority without a subject, or one whose key id is needed and missing.
    """
    start = _now()
    end = start + timedelta(hours=plan["validityPeriodHours"])
    serial = secrets.randbelow(2**128 - 1) + 1
    builder = x509.CertificateBuilder(
        issuer_name=issuer.subject if issuer else holder.subject,
        subject_name=holder.subject,
        public_key=holder.public_key,
        serial_number=serial,
        not_valid_before=start,
        not_valid_after=end,
    )
    for extension in _extensions(plan, holder, issuer):
        critical = isinstance(extension, (x509.BasicConstraints, x509.KeyUsage))
        builder = builder.add_extension(extension, critical)
    if holder.names:  # critical where there is no subject, says RFC 5280
        builder = builder.add_extension(holder.names, critical=not list(holder.subject))
    certificate = builder.sign(issuer_key, keys.digest(issuer_key))
    return {
        "id": str(serial),
        "certPem": certificate.public_bytes(Encoding.PEM).decode(),
        "validityStartTime": _rfc3339(start),
        "validityEndTime": _rfc3339(end),
    }


def _extensions(
    plan: Values, holder: Holder, issuer: x509.Certificate | None
) -> list[x509.ExtensionType]:
    authority = plan["isCaCertificate"]
    if authority and not list(holder.subject):
        raise ValueError("a certificate authority must have at least one field in its subject")
    # Officially a maxPathLength of 0 is lost: Go's MaxPathLenZero is never set.
    depth = plan["maxPathLength"] if (plan["maxPathLength"] or 0) > 0 else None
    if depth and not authority:
        raise ValueError("only CAs are allowed to specify MaxPathLen")
    found: list[x509.ExtensionType] = [x509.BasicConstraints(ca=authority, path_length=depth)]
    uses = plan["allowedUses"]
    if any(use in _KEY_USES for use in uses):
        given = [use in uses for use in _KEY_USES]
        found.append(x509.KeyUsage(*given))
    if extended := [_EXTENDED_USES[use] for use in uses if use in _EXTENDED_USES]:
        found.append(x509.ExtendedKeyUsage(extended))
    own_id = x509.SubjectKeyIdentifier.from_public_key(holder.public_key)
    if authority or plan["setSubjectKeyId"]:
        found.append(own_id)
    if authority_id := _authority_id(plan, own_id, issuer):
        found.append(authority_id)
    return found


def _authority_id(
    plan: Values, own_id: x509.SubjectKeyIdentifier, issuer: x509.Certificate | None
) -> x509.AuthorityKeyIdentifier | None:
    """Point at the issuer's key: always where it names it, of itself only when asked."""
    if issuer is None:
        if not plan["setAuthorityKeyId"]:
            return None
        if not (plan["isCaCertificate"] or plan["setSubjectKeyId"]):
            raise ValueError("could not determine Authority Key Identifier; set setSubjectKeyId")
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_id)
    try:
        named = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named.value)


def _make_locally_signed(plan: Values) -> Values:
    request = requests.read(plan["certRequestPem"])
    key = keys.read(plan["caPrivateKeyPem"], "caPrivateKeyPem")
    try:
        authority = x509.load_pem_x509_certificate(plan["caCertPem"].encode())
    except ValueError as error:
        raise ValueError(f"caCertPem is not a certificate in PEM form: {error}") from error
    if authority.public_key() != key.public_key():
        raise ValueError("caPrivateKeyPem does not belong to the certificate in caCertPem")
    names = _requested_names(request)
    holder = Holder(request.subject, requests.public_key(request), names)
    return sign(plan, holder, authority, key) | {"caKeyAlgorithm": keys.algorithm(key)}


def _requested_names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        found = request.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return None
    value = found.value
    return value if isinstance(value, x509.SubjectAlternativeName) else None


def _make_self_signed(plan: Values) -> Values:
    key = keys.read(plan["privateKeyPem"], "privateKeyPem")
    names = subjects.alternative_names(plan)
    holder = Holder(subjects.name(plan), key.public_key(), names)
    return sign(plan, holder, None, key) | {"keyAlgorithm": keys.algorithm(key)}


def _rfc3339(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _is_due(state: Values) -> bool:
    """Tell whether the validity ends within earlyRenewalHours."""
    end = state.get("validityEndTime")
    if not isinstance(end, str):
        return False
    early = timedelta(hours=state.get("earlyRenewalHours") or 0)
    return datetime.fromisoformat(end) - early <= _now()


def _complete(plan: Values) -> Values:
    """Say beforehand that a certificate will never be of use without a renewal."""
    period, early = plan["validityPeriodHours"], plan["earlyRenewalHours"]
    known = isinstance(period, int) and isinstance(early, int)
    return plan | {"readyForRenewal": known and (period == 0 or early >= period)}


def _forced(plan: Values) -> tuple[str, ...]:
    return ("readyForRenewal",) if _is_due(plan) else ()


def _refresh(state: Values) -> Values:
    return state | {"readyForRenewal": True} if _is_due(state) else state


_made = Attribute(made=True, replaces=never)
_flag = Attribute(kind=bool, default=False)
_COMMON = {
    "validityPeriodHours": Attribute(kind=int, required=True, at_least=0),
    "allowedUses": Attribute(
        kind=list, required=True, choices=tuple(sorted({*_KEY_USES, *_EXTENDED_USES}))
    ),
    "isCaCertificate": _flag,
    "maxPathLength": Attribute(kind=int, at_least=-1),
    "earlyRenewalHours": Attribute(kind=int, default=0, at_least=0, replaces=never),
    "setSubjectKeyId": _flag,
    "certPem": _made,
    "readyForRenewal": _made,
    "validityStartTime": _made,
    "validityEndTime": _made,
}

LOCALLY_SIGNED = ResourceType(
    attributes={
        "caCertPem": Attribute(required=True),
        "caPrivateKeyPem": Attribute(required=True, secret=True),
        "certRequestPem": Attribute(required=True),
        **_COMMON,
        "caKeyAlgorithm": _made,
    },
    make=_make_locally_signed,
    complete=_complete,
    forced=_forced,
    refresh=_refresh,
)

SELF_SIGNED = ResourceType(
    attributes={
        "privateKeyPem": Attribute(required=True, secret=True),
        **subjects.ATTRIBUTES,
        **_COMMON,
        "setAuthorityKeyId": _flag,
        "keyAlgorithm": _made,
    },
    check=subjects.check,
    make=_make_self_signed,
    complete=_complete,
    forced=_forced,
    refresh=_refresh,
)
