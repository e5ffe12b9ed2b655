"""What an issued client certificate has to be, before a host gets it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kube_nodes.model.client_certificates import find_certificate_faults
from tests.certificates import KUBE_PROXY, issue, make_key, make_request
from tests.configurations import certificate, materials, private_pem

_NAMES = ("CN=system:kube-proxy", "O=k8s")
_K8S = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "k8s")
_REQUEST = make_request(_K8S, KUBE_PROXY)
_KEY = make_key()
_OTHER_KEY = make_key()
_OTHER_CA = certificate(_OTHER_KEY, _OTHER_KEY)


def _issued(request: str = _REQUEST, **changes: object) -> str:
    return issue(request, materials()["ca"], materials()["ca_key"], **changes)  # type: ignore[arg-type]


def _faults(issued: str, *, ca: str | None = None) -> list[str]:
    ca = materials()["ca"] if ca is None else ca
    return list(find_certificate_faults(issued, request=_REQUEST, names=_NAMES, ca_certificates=ca))


def test_what_was_asked_for_passes_whatever_the_order_of_its_names() -> None:
    assert _faults(_issued()) == []


def test_one_of_several_cas_is_enough_while_a_ca_is_replaced() -> None:
    assert _faults(_issued(), ca=_OTHER_CA + materials()["ca"]) == []


@pytest.mark.parametrize(
    ("issued", "fault"),
    [
        (_issued(make_request(_K8S, KUBE_PROXY)), "is for another key"),
        (_issued(usage=ExtendedKeyUsageOID.SERVER_AUTH), "is not for client authentication"),
        (_issued(usage=None), "is not for client authentication"),
        (issue(_REQUEST, _OTHER_CA, private_pem(_OTHER_KEY)), "is issued by CN=test, not by"),
    ],
    ids=["key", "server", "no usage", "CA"],
)
def test_one_thing_that_is_wrong_is_the_one_fault(issued: str, fault: str) -> None:
    (found,) = _faults(issued)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    "names",
    [
        (KUBE_PROXY,),
        (x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"), _K8S, KUBE_PROXY),
        (_K8S, _K8S, KUBE_PROXY),
        (_K8S, KUBE_PROXY, x509.NameAttribute(NameOID.SERIAL_NUMBER, "1")),
    ],
    ids=["fewer", "a group more", "twice", "another kind"],
)
def test_other_names_than_the_declared_ones_are_a_fault(
    names: tuple[x509.NameAttribute[str], ...],
) -> None:
    request = make_request(*names, key=_KEY)
    found = find_certificate_faults(_issued(request), request=request, names=_NAMES)
    assert [fault.startswith("names ") for fault in found] == [True]


def test_an_intermediate_ca_that_came_along_is_followed_to_the_ca() -> None:
    middle_key = make_key()
    name = x509.NameAttribute(NameOID.COMMON_NAME, "middle")
    middle = _issued(make_request(name, key=middle_key), usage=None, is_ca=True)
    leaf = issue(_REQUEST, middle, private_pem(middle_key))
    assert _faults(leaf + middle) == []
    assert len(_faults(leaf)) == 1


def test_its_end_is_not_asked_here() -> None:
    assert _faults(_issued(ends=timedelta(days=-1))) == []
