"""Another epoch takes the kubelet's certificates from it, and never its identity."""

from __future__ import annotations

import re

import pytest

from kube_nodes.render.shell import inlined
from tests.lab.host_script.script_host import Node, ScriptHost, program

pytestmark = pytest.mark.lab

_CONF, _PKI = "/etc/kubernetes/kubelet.conf", "/var/lib/kubelet/pki"
_CLIENT, _SERVING = f"{_PKI}/kubelet-client-current.pem", f"{_PKI}/kubelet-server-current.pem"
_NAMES = f"users:\n- user:\n    client-certificate: {_CLIENT}\n    client-key: {_CLIENT}\n"
# As a kubelet that finds a certificate in its kubeconfig alone: it keeps it, and has it renewed.
_RENEWS = f"""\
#!/bin/sh
if [ "$1" != --version ] && [ ! -e {_CLIENT} ] && grep -qs -e -data: {_CONF}; then
  sed -n 's/^ *client-[a-z]*-data: *//p' {_CONF} |
    while read -r line; do echo "$line" | base64 -d; done >{_PKI}/first.pem
  ln -sf {_PKI}/first.pem {_CLIENT}
  grep -q 'BEGIN PRIVATE KEY' {_CLIENT} || exit 1
  [ -e /run/never ] || (sleep 0.3
    sed "s/^first.*\\|^second.*/second $(date +%s%N)/" {_PKI}/first.pem >{_PKI}/second.pem
    ln -sf {_PKI}/second.pem {_CLIENT}) &
fi
"""
_PEM = "-----BEGIN CERTIFICATE-----\nfirst\n-----END CERTIFICATE-----\n" + (
    "-----BEGIN PRIVATE KEY-----\nkeymarker\n-----END PRIVATE KEY-----\n"
)
KILLED = 255


@pytest.fixture
def member(host: ScriptHost, node: Node) -> Node:
    """A node that has its certificates."""
    shell = program("kubelet").decode().removeprefix("#!/bin/sh\n")
    node.contents["kubelet"] = (_RENEWS + shell).encode()
    _become_member(host, node)
    return node


def _become_member(host: ScriptHost, node: Node) -> None:
    node.certificate_epoch = 1
    assert host.run(node.units()).status == 0
    host.sh(
        f"mkdir -p {_PKI} /etc/kubernetes; cd {_PKI}; rm -rf * /var/lib/kube-nodes/certificates"
        f"; printf %s '{_PEM}' >a.pem; cp a.pem s.pem; chmod 600 *"
        f"; ln -s {_PKI}/a.pem {_CLIENT}; ln -s {_PKI}/s.pem {_SERVING}"
        f"; printf '{_NAMES}' >{_CONF}; chmod 600 {_CONF}"
    )


def _seen(host: ScriptHost) -> tuple[str, str, str]:
    """Tell the kubeconfig, the certificate in use, and whether there is one for others."""
    word = re.search(r"first|second", host.read(_CLIENT))
    serving = host.sh(f"test -e {_SERVING} && echo yes").strip()
    return host.read(_CONF), word[0] if word else "", serving


def test_a_new_epoch_restarts_the_kubelet_once_and_waits_for_another_certificate(
    host: ScriptHost, member: Node
) -> None:
    member.certificate_epoch = 2
    run = host.run(member.units())
    assert (run.status, run.restarted) == (0, ["kubelet"]), run.err
    assert "renewed kubelet\n" in run.out
    assert "keymarker" not in run.out + run.err
    # The serving one is asked for anew: the kubelet has none until it is approved.
    assert _seen(host) == (_NAMES, "second", "")
    assert host.litter() == ""
    again = host.run(member.units())
    assert (again.status, again.restarted, "renewed" in again.out) == (0, [], False)


def test_where_none_comes_the_one_of_before_is_back_and_said_why(
    host: ScriptHost, member: Node
) -> None:
    member.certificate_epoch, member.wait_seconds = 2, 3
    host.sh("touch /run/never")
    run = host.run(member.units())
    host.sh("rm /run/never")
    assert run.status == 1
    assert "node-1: no new certificate came within 3 s: see `journalctl -u kubelet`" in run.err
    assert _seen(host) == (_NAMES, "first", "yes")
    assert host.active("kubelet") and host.litter() == ""
    assert host.run(member.units()).status == 0
    assert _seen(host) == (_NAMES, "second", "")


def test_a_node_that_joins_with_an_epoch_renews_nothing(host: ScriptHost, node: Node) -> None:
    node.certificate_epoch = 5
    assert host.run(node.units()).restarted == ["kubelet", "kube-proxy"]
    host.sh(f"mkdir -p {_PKI} /etc/kubernetes; printf %s '{_PEM}' >{_CLIENT}")
    host.sh(f"printf '{_NAMES}' >{_CONF}")
    again = host.run(node.units())
    assert (again.status, again.restarted) == (0, [])


def test_a_kubeconfig_that_names_another_file_is_left_as_it_is(
    host: ScriptHost, member: Node
) -> None:
    host.sh(f"sed -i s,client-current,other, {_CONF}")
    before, member.certificate_epoch = host.read(_CONF), 2
    run = host.run(member.units())
    assert run.status == 1 and f"{_CONF} does not name {_CLIENT}; remove it" in run.err
    assert _seen(host) == (before, "first", "yes")
    assert host.litter() == ""


_KILL = "kill -9 $$\n"
# Where it is killed: before each thing that it changes, and between them.
_MOMENTS = (
    'ln "$conf" "$conf.kn-kept"',
    'mv -fT "$conf.kn-new" "$conf"',
    'for p in "$client" "$serving"; do ! exists',
    '[ "$p" = "$client" ] ||',
    'rm -f "$serving.kn-kept"',
    'echo "$epoch" >"$record" || die',
)


@pytest.mark.parametrize(
    ("moment", "epoch"),
    # The next run declares the epoch, or none any more.
    [(moment, 2 - number % 2) for number, moment in enumerate(_MOMENTS)],
)
def test_a_renewal_that_is_killed_loses_no_identity(
    host: ScriptHost, member: Node, moment: str, epoch: int
) -> None:
    member.certificate_epoch = 2
    # Between the two that the loop moves.
    loop = 'do ! exists "$p" || mv -fT "$p" "$p.kn-kept"'
    script = inlined(member.units())
    if moment.startswith("["):
        assert script.count(loop) == 1
        script = script.replace(loop, f"do {moment} {_KILL}{loop.removeprefix('do ')}")
    else:
        assert script.count(moment) == 1
        script = script.replace(moment, _KILL + moment)
    assert host.run(script).status == KILLED
    member.certificate_epoch = epoch
    run = host.run(member.units())
    assert run.status == 0, run.err
    conf, certificate, _ = _seen(host)
    assert (conf, certificate in ("first", "second")) == (_NAMES, True)
    assert epoch == 1 or certificate == "second"
    assert host.litter() == ""
