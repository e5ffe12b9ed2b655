"""Names in a certificate's subject as plain text, such as `O=k8s`."""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

_SHORT: Final = {
    NameOID.COMMON_NAME: "CN",
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.LOCALITY_NAME: "L",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
}


def read_names(subject: x509.Name) -> list[str]:
    """Read every attribute of a parsed subject, sorted.

    An attribute that is none of the six has the number of its kind: it equals no declared name.
    """
    return sorted(
        f"{_SHORT.get(attribute.oid, attribute.oid.dotted_string)}={attribute.value!s}"
        for attribute in subject
    )
