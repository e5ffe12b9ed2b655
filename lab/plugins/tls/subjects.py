"""What a certificate or a request is for: its subject and its alternative names."""

import ipaddress
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from lab.plugins.bridged import Attribute, Values
from lab.plugins.values import UNKNOWN

# In the order in which Go's crypto/x509/pkix writes them.
_FIELDS = {
    "country": NameOID.COUNTRY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCode": NameOID.POSTAL_CODE,
    "commonName": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}

ATTRIBUTES = {
    "subject": Attribute(kind=dict),
    "dnsNames": Attribute(kind=list),
    "ipAddresses": Attribute(kind=list),
    "uris": Attribute(kind=list),
}


def check(inputs: Values) -> list[tuple[str, str]]:
    """List what is wrong with a subject and its names."""
    subject = inputs.get("subject", {})
    found = []
    if subject is not UNKNOWN:
        unknown = sorted(subject.keys() - _FIELDS.keys())
        found = [("subject", f"{name} is not a field of a subject") for name in unknown]
    addresses = inputs.get("ipAddresses", [])
    for address in [] if addresses is UNKNOWN else addresses:
        if address is not UNKNOWN and not _is_address(address):
            found.append(("ipAddresses", f"{address!r} is not an IP address"))
    return found


def name(plan: Values) -> x509.Name:
    """Build the subject's distinguished name."""
    given: dict[str, Any] = plan["subject"] or {}
    parts: list[x509.NameAttribute[str]] = []
    for field, oid in _FIELDS.items():
        values = given.get(field, [])
        each = values if isinstance(values, list) else [values]
        parts += [x509.NameAttribute(oid, value) for value in each]
    return x509.Name(parts)


def alternative_names(plan: Values) -> x509.SubjectAlternativeName | None:
    """Build the alternative names, or None where there are none."""
    names: list[x509.GeneralName] = [x509.DNSName(one) for one in plan["dnsNames"] or []]
    names += [x509.IPAddress(ipaddress.ip_address(one)) for one in plan["ipAddresses"] or []]
    names += [x509.UniformResourceIdentifier(one) for one in plan["uris"] or []]
    return x509.SubjectAlternativeName(names) if names else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
