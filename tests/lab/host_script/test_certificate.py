"""kube-proxy's certificate is shown to the API server from the host before anything changes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kube_nodes.model.cluster import Cluster
from tests.certificates import KUBE_PROXY, issue, make_key, make_request
from tests.configurations import certificate, private_pem
from tests.lab.host_script.script_host import Node, ScriptHost

pytestmark = pytest.mark.lab

_CONF = "/etc/kubernetes/proxy.conf"
_K8S = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "k8s")
_OTHER = x509.NameAttribute(NameOID.COMMON_NAME, "system:kube-proxy-of-another")
_KEY = make_key()
_OTHER_KEY = make_key()
_OTHER_CA = certificate(_OTHER_KEY, _OTHER_KEY)


@pytest.fixture(scope="module")
def cluster(host: ScriptHost) -> Cluster:
    """The lab's own cluster: a real API server that the host reaches."""
    return Cluster(
        name="lab",
        server=host.spec.server,
        ca_certificate=host.spec.path("pki/ca.crt").read_text(),
        uid="",
        pod_cidrs=(),
        service_cidrs=(),
    )


@pytest.fixture
def make(host: ScriptHost) -> Callable[..., str]:
    """Issue with the lab's CA."""

    def issue_here(*names: x509.NameAttribute[str], **changes: object) -> str:
        ca, ca_key = (host.spec.path(f"pki/ca.{end}").read_text() for end in ("crt", "key"))
        request = make_request(*names, key=_KEY)
        return issue(request, ca, ca_key, **changes)  # type: ignore[arg-type]

    return issue_here


def test_a_certificate_that_the_api_server_knows_is_put_in_place_and_its_end_is_told(
    host: ScriptHost, node: Node, cluster: Cluster, make: Callable[..., str]
) -> None:
    # As a command's output comes out of Pulumi: without its last line break.
    pem = make(_K8S, KUBE_PROXY).removesuffix("\n")
    run = host.run(node.vouched_credentials(cluster, pem, private_pem(_KEY)))
    assert (run.status, run.changed) == (0, [_CONF]), run.err
    end = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    assert f"kube-proxy's certificate ends {end:%Y-%m-%dT%H:%M:%SZ}\n" in run.out
    assert host.litter() == ""
    again = host.run(node.vouched_credentials(cluster, pem, private_pem(_KEY)))
    assert (again.status, again.changed) == (0, [])


@dataclass(frozen=True, kw_only=True)
class Case:
    """A certificate with one fault, and what the refusal holds."""

    title: str
    said: str = "Unauthorized"
    name: x509.NameAttribute[str] = KUBE_PROXY
    changes: dict[str, object] = field(default_factory=dict)
    key: ec.EllipticCurvePrivateKey = _KEY
    of_the_ca: bool = True


_CASES = (
    Case(title="ended", changes={"ends": timedelta(hours=-1)}),
    Case(title="for servers", changes={"usage": ExtendedKeyUsageOID.SERVER_AUTH}),
    Case(title="another user", name=_OTHER, said=f"{_OTHER.value}"),
    Case(title="another key", key=_OTHER_KEY, said="curl: "),
    Case(title="another CA", of_the_ca=False),
)


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.title)
def test_one_that_it_does_not_know_changes_nothing_and_shows_no_secret(
    host: ScriptHost,
    node: Node,
    cluster: Cluster,
    make: Callable[..., str],
    case: Case,
) -> None:
    assert host.run(node.credentials()).status == 0
    everything = "find /etc /usr/local /var/lib -xdev -type f -path '*kube*' -exec sha256sum {} +"
    before = host.sh(everything)
    pem = make(case.name, **case.changes)
    if not case.of_the_ca:
        pem = issue(make_request(key=_KEY), _OTHER_CA, private_pem(_OTHER_KEY))
    run = host.run(node.vouched_credentials(cluster, pem, private_pem(case.key)))
    assert run.status == 1
    end = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    begin = f"node-1: {_CONF}: the API server does not know kube-proxy by this certificate, which"
    assert run.err.startswith(f"{begin} ends {end:%Y-%m-%dT%H:%M:%SZ}: "), run.err
    assert case.said in run.err, run.err
    assert run.err.endswith("Nothing was changed\n")
    assert host.sh(everything) == before
    assert host.litter() == ""
    inner = private_pem(case.key).splitlines()[1]
    for secret in (inner, base64.b64encode(inner.encode()).decode()):
        assert secret not in run.out + run.err
