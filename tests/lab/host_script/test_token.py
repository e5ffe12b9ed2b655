"""A host tries its open bootstrap token itself, before a file is replaced."""

from __future__ import annotations

import subprocess
import time

import pytest

from kube_nodes.membership import tokens
from kube_nodes.membership.api import Api
from kube_nodes.membership.connection import connect
from kube_nodes.model.cluster import Cluster
from kube_nodes.model.requests import Token
from tests.certificates import KUBE_PROXY, issue, make_key, make_request
from tests.configurations import private_pem
from tests.documented import assert_documented
from tests.lab.host_script.script_host import Node, ScriptHost

pytestmark = pytest.mark.lab

_KEY = make_key()
_TOKEN = Token(id="0a1b2c", secret="0123456789abcdef")
_BEARER = f"{_TOKEN.id}.{_TOKEN.secret}"


@pytest.fixture
def api(host: ScriptHost, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The lab's API server, as its administrator reaches it."""
    kubeconfig = str(host.spec.path("kubeconfig"))
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", kubeconfig)
    return Api(connect())


def script(host: ScriptHost, node: Node, end: float) -> str:
    """Render real credentials, with a token that is open until then."""
    ca, ca_key = (host.spec.path(f"pki/ca.{kind}").read_text() for kind in ("crt", "key"))
    cluster = Cluster(
        name="lab",
        server=host.spec.server,
        ca_certificate=ca,
        uid="",
        pod_cidrs=(),
        service_cidrs=(),
    )
    certificate = issue(make_request(KUBE_PROXY, key=_KEY), ca, ca_key)
    return node.vouched_credentials(
        cluster, certificate, private_pem(_KEY), token=_BEARER, token_end=int(end)
    )


def test_a_token_that_is_refused_changes_nothing_and_one_that_is_let_in_is_installed(
    host: ScriptHost, node: Node, api: Api
) -> None:
    text = script(host, node, time.time() + 300)
    everything = "find /etc/kubernetes /var/lib/kube-nodes -exec sha256sum {} + 2>/dev/null"
    before = host.sh(everything)
    run = host.run(text)
    assert run.status == 1
    assert_documented(run.err, "Token closed")
    assert _TOKEN.secret not in run.err + run.out
    assert host.sh(everything) == before
    assert host.litter() == ""

    tokens.open_token(api, _TOKEN, "node-1")
    loop = "while [ ! -e /run/fake-stop ]; do cat /proc/[0-9]*/cmdline; done >/run/fake-seen"
    watcher = subprocess.Popen(host.argv(f"{loop} 2>/dev/null"))
    try:
        run = host.run(text)
    finally:
        host.sh("touch /run/fake-stop")
        watcher.wait()
        tokens.close_token(api, _TOKEN.id)
    assert run.status == 0, run.err
    assert _BEARER in host.read("/etc/kubernetes/bootstrap-kubelet.conf")
    assert host.sh("grep -c -a /dev/fd/6 /run/fake-seen") != "0\n", "curl was seen"
    assert host.sh(f"grep -c -a {_TOKEN.secret} /run/fake-seen") == "0\n"


def test_a_token_is_not_tried_once_it_may_have_ended_or_where_there_is_a_certificate(
    host: ScriptHost, node: Node
) -> None:
    """Else a join that was cut would never go on: membership opens the token again."""
    assert host.run(script(host, node, time.time() - 1)).status == 0
    host.sh(
        "mkdir -p /var/lib/kube-nodes /var/lib/kubelet/pki;"
        " echo 'uid-1 1' >/var/lib/kube-nodes/generation;"
        " touch /var/lib/kubelet/pki/kubelet-client-current.pem"
    )
    assert host.run(script(host, node, time.time() + 300)).status == 0
