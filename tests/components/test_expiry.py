"""The warning of kube-proxy's certificate, which nothing renews by itself."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kube_nodes.components import kube_proxy_certificate as module


def _certificate(days: int) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "system:kube-proxy")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days, minutes=1))
    )
    signed = builder.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(("days", "warned"), [(29, True), (31, False)])
def test_a_certificate_near_its_end_is_warned_of_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, days: int, warned: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", lambda text, resource: said.append(text))
    component = module.KubeProxyCertificate.__new__(module.KubeProxyCertificate)
    component._expiry(_certificate(days), epoch=3)
    wanted = "kube-proxy's certificate expires in 29 days; raise kubeProxyCertificate.epoch to 4"
    assert [text.startswith(wanted) for text in said] == [True] * warned
