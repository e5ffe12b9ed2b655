"""kube-proxy's certificate is held against the CA, and its end is warned of: nothing renews it."""

from __future__ import annotations

import datetime
import re

import pulumi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kube_nodes.components import kube_proxy_certificate as module
from kube_nodes.settings import parse_settings
from tests.certificates import issue, make_key, make_request
from tests.components.recording import declare
from tests.components.stacks import configuration
from tests.configurations import certificate, materials, private_pem


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


@pytest.mark.parametrize(("days", "warned"), [(29, True), (31, False)])
def test_so_is_a_ca_near_its_end_and_the_first_end_is_an_output(
    monkeypatch: pytest.MonkeyPatch, days: int, warned: bool
) -> None:
    """In a preview too, since it is read from the configuration."""
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", said.append)
    key, ends = make_key(), datetime.datetime.now(datetime.UTC)
    ends += datetime.timedelta(days=days, minutes=1)
    first, second = certificate(key, key), certificate(key, key, ends=ends)
    graph = declare(configuration(1, caCertificate=materials()["ca"] + first + second))
    assert graph.outputs["caCertificateExpires"] == f"{ends:%Y-%m-%dT%H:%M:%SZ}"
    wanted = rf"CA 3, CN=\S+: 29 days left, until {ends:%Y-%m-%d}; docs/operations.md says how"
    assert [bool(re.match(wanted, text)) for text in said] == [True] * warned


def test_one_that_another_ca_issued_is_given_to_no_host_and_the_remedy_is_said() -> None:
    key = make_key()
    other = certificate(key, key)
    request = make_request()
    args = module.KubeProxyCertificateArgs(
        cluster=parse_settings(configuration(1)).cluster, epoch=3
    )
    ours = issue(request, materials()["ca"], materials()["ca_key"])
    assert module._checked(ours, request, args) == ours
    with pytest.raises(pulumi.RunError, match=r"not by caCertificate; no host .*epoch to 4"):
        module._checked(issue(request, other, private_pem(key)), request, args)
