"""A question to a DNS server and its answer, as they are on the wire (RFC 1035, section 4).

A host need not have a tool that asks a given server, so the question is made here, and only carried
to the server and back by the host.
"""

from __future__ import annotations

import ipaddress

_TYPES = {4: 1, 6: 28}
_RECURSION_DESIRED = 0x0100
_CODES = {2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}
# It is only ever asked over one socket: what comes back on it is the answer.
_ID = 0x6B6E


class DnsError(Exception):
    """The answer holds no address; the text says why."""


def render_query(name: str, version: int) -> bytes:
    """Write the question for a name's addresses of an IP version (4 or 6)."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    counts = (1, 0, 0, 0)
    head = b"".join(value.to_bytes(2) for value in (_ID, _RECURSION_DESIRED, *counts))
    return head + question + _TYPES[version].to_bytes(2) + b"\0\x01"


def parse_answer(data: bytes, version: int) -> list[str]:
    """Read the addresses of an IP version in an answer.

    Raises:
        DnsError: it is none, or one without an address.
    """
    try:
        return _parse(data, version)
    except IndexError:
        raise DnsError("the answer is cut short or none") from None


def _parse(data: bytes, version: int) -> list[str]:
    if len(data) < 12 or _short(data, 0) != _ID or not data[2] & 0x80:
        raise DnsError("the answer is cut short or none")
    code = data[3] & 0x0F
    if code:
        raise DnsError(f"the server says {_CODES.get(code, f'code {code}')}")
    place = 12
    for _ in range(_short(data, 4)):
        place = _after_name(data, place) + 4
    found = []
    for _ in range(_short(data, 6)):
        place = _after_name(data, place)
        kind, length = _short(data, place), _short(data, place + 8)
        value = data[place + 10 : place + 10 + length]
        if kind == _TYPES[version] and len(value) == {4: 4, 6: 16}[version]:
            found.append(str(ipaddress.ip_address(value)))
        place += 10 + length
    if not found:
        raise DnsError("the name has no address")
    return found


def _short(data: bytes, place: int) -> int:
    return data[place] << 8 | data[place + 1]


def _after_name(data: bytes, place: int) -> int:
    """Skip a name: labels up to an empty one, or to a pointer to an earlier name."""
    while data[place]:
        if data[place] & 0xC0:
            return place + 2
        place += 1 + data[place]
    return place + 1
