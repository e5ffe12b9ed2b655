"""Preflight and service check: read-only scripts that say what they found."""

from __future__ import annotations

import threading

import pytest

from kube_nodes.render.host_script import (
    KUBE_PROXY,
    render_preflight_script,
    render_service_check_script,
)
from tests.lab.host_script.artifacts import Artifacts
from tests.lab.host_script.script_host import Node, ScriptHost

pytestmark = pytest.mark.lab


def test_preflight_changes_nothing_and_passes_where_a_node_can_join(
    host: ScriptHost, node: Node
) -> None:
    ca = host.spec.path("pki", "ca.crt").read_text()
    name = host.host.name
    script = render_preflight_script(node_id=name, api_server=host.spec.server, ca_pem=ca)
    before = host.sh("ls -A /etc /var/lib /run /tmp")
    run = host.run(script)
    assert (run.status, run.out, run.err) == (0, "ok\n", "")
    assert host.sh("ls -A /etc /var/lib /run /tmp") == before


def test_preflight_refuses_to_make_a_worker_proxy_only_in_place(
    host: ScriptHost, node: Node
) -> None:
    """Its kubelet would be stopped before its pods were drained."""
    host.run(node.units())
    ca = host.spec.path("pki", "ca.crt").read_text()
    script = render_preflight_script(
        node_id=host.host.name, api_server=host.spec.server, ca_pem=ca, units=(KUBE_PROXY,)
    )
    run = host.run(script)
    assert run.status == 1
    assert f"{host.host.name}: role: a kubelet runs here; " in run.err


def test_preflight_reports_everything_at_once(host: ScriptHost, node: Node) -> None:
    host.sh("mkdir -p /etc/kubernetes /run/systemd/system/kubelet.service.d")
    host.sh("echo '    server: https://other' >/etc/kubernetes/kubelet.conf")
    host.sh("printf '[Service]\\nNice=1\\n' >/run/systemd/system/kubelet.service.d/10-x.conf")
    host.run(Node(node.artifacts, programs=(KUBE_PROXY,)).units())
    host.sh("printf '[Service]\\nExecStart=/bin/true\\n' >/run/systemd/system/kubelet.service")
    host.sh("systemctl daemon-reload")
    ca = host.spec.path("pki", "etcd-ca.crt").read_text()
    script = render_preflight_script(
        node_id="n1", api_server=host.spec.server, ca_pem=ca, runtime_socket="/run/none.sock"
    )
    run = host.run(script.replace("tools='", "tools='no-such-tool "))
    host.sh("rm -r /run/systemd/system/kubelet.service*; systemctl daemon-reload")
    assert run.status == 1
    findings = [line.split(": ")[:2] for line in run.err.splitlines()]
    subjects = ["no-such-tool", "/run/none.sock", "host name", host.spec.server]
    subjects += ["/etc/kubernetes/kubelet.conf", "kubelet"]
    assert findings == [["n1", subject] for subject in subjects]
    assert "server https://other" in run.err
    assert "certificate" in run.err


def test_the_service_check_waits_for_an_answer_and_says_what_it_tried(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    url = f"{server.url}/page"
    script = render_service_check_script(
        node_id="n1", url=url, run_id="0-a", accept=("200",), wait_seconds=1
    )
    run = host.run(script)
    assert run.status == 1
    assert run.err.startswith(f"n1: {url} did not answer with 200 within 1 s: 404")
    patient = script.replace("wait=1", "wait=20")
    timer = threading.Timer(1, lambda: server.put("page", b"pod=\x1b[1ma\nnode=b\n" + b"x" * 999))
    timer.start()
    run = host.run(patient)
    timer.join()
    assert run.status == 0
    assert run.out.startswith("run 0-a\npod= [1ma node=b xxx")
    assert len(run.out) < 220
