"""Programs come from the operator's machine over SSH: only what lacks, and on with what was cut."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kube_nodes.membership import deliver as delivery
from kube_nodes.membership.deliver import deliver, recall
from kube_nodes.membership.errors import MembershipError
from kube_nodes.membership.progress import Progress
from kube_nodes.model.requests import DeliverRequest
from kube_nodes.model.routes import Hop, Route, SentFile
from kube_nodes.render import paths
from lab import ssh
from tests.documented import assert_documented
from tests.lab.host_script.script_host import Node, ScriptHost, assert_installed, program

pytestmark = pytest.mark.lab
PROGRESS = Progress("node-1")


class Operator:
    """The operator's project folder, with programs in it."""

    def __init__(self, host: ScriptHost, folder: Path) -> None:
        self.host, self.folder = host, folder
        self.user = "root"
        self.contents = {"kubelet": program("kubelet"), "kube-proxy": program("kube-proxy")}

    def request(self) -> DeliverRequest:
        files = []
        for name, content in self.contents.items():
            source = self.folder / name
            source.write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            files.append(SentFile(source=str(source), path=f"/usr/local/bin/{name}", digest=digest))
        spec = self.host.spec
        hop = Hop(
            address=self.host.host.address,
            port=22,
            user=self.user,
            host_key=self.host.host.host_key,
        )
        key = ssh.key_file(spec).read_text()
        return DeliverRequest(
            node="node-1", route=Route(hops=(hop,)), files=tuple(files), private_key=key
        )

    def deliver(self) -> list[str]:
        """Deliver, and return what was sent."""
        return [line.split()[1] for line in deliver(self.request(), PROGRESS).splitlines()[1:]]


@pytest.fixture
def operator(host: ScriptHost, node: Node, tmp_path: Path) -> Operator:
    node.delivered = True
    return Operator(host, tmp_path)


@pytest.mark.parametrize("user", ["root", "admin"])
def test_what_the_host_lacks_is_sent_once_and_installed_from_there(
    host: ScriptHost, node: Node, operator: Operator, user: str
) -> None:
    operator.user = user
    assert sorted(operator.deliver()) == ["kube-proxy", "kubelet"]
    assert host.sh(f"stat -c '%a %U' {paths.SENT_FILES}") == "700 root\n"
    assert host.sh(f"stat -c '%a %U' {paths.SENT_FILES}/*") == "600 root\n" * 2
    assert operator.deliver() == []
    assert host.run(node.units()).status == 0
    assert_installed(host, node)
    assert not host.exists(paths.SENT_FILES)
    assert operator.deliver() == []
    assert not host.exists(paths.SENT_FILES)


def test_only_the_program_that_differs_is_sent(
    host: ScriptHost, node: Node, operator: Operator
) -> None:
    operator.deliver()
    host.run(node.units())
    operator.contents["kubelet"] = program("kubelet", 2)
    assert operator.deliver() == ["kubelet"]
    node.build = 2
    assert host.run(node.units()).restarted == ["kubelet"]
    assert_installed(host, node)


def test_a_transfer_that_was_cut_goes_on_where_it_ended(
    host: ScriptHost, operator: Operator
) -> None:
    content = b"x" * 3_000_000
    operator.contents = {"kubelet": content}
    request = operator.request()
    part = f"{paths.sent_file(request.files[0].digest)}.part"
    host.sh(f"mkdir -p {paths.SENT_FILES}; head -c 2000000 /dev/zero | tr '\\0' x >{part}")
    assert deliver(request, PROGRESS) == "delivered\nsent kubelet 1000000"
    assert host.sh(f"sha256sum <{part.removesuffix('.part')}").split()[0] == request.files[0].digest


@pytest.mark.parametrize("size", [2_000_000, 4_000_000])
def test_a_part_of_something_else_is_sent_anew(
    host: ScriptHost, operator: Operator, size: int
) -> None:
    operator.contents = {"kubelet": b"x" * 3_000_000}
    request = operator.request()
    part = f"{paths.sent_file(request.files[0].digest)}.part"
    host.sh(f"mkdir -p {paths.SENT_FILES}; head -c {size} /dev/zero >{part}")
    assert "sent kubelet 3000000" in deliver(request, PROGRESS)
    assert host.sh(f"sha256sum <{part.removesuffix('.part')}").split()[0] == request.files[0].digest


def test_a_file_that_is_not_what_was_declared_is_not_sent(
    host: ScriptHost, operator: Operator
) -> None:
    request = operator.request()
    (operator.folder / "kubelet").write_bytes(b"something else")
    with pytest.raises(MembershipError, match=r"kubelet has the sha256 .* Nothing was sent"):
        deliver(request, PROGRESS)
    (operator.folder / "kubelet").unlink()
    with pytest.raises(MembershipError, match="no such file or directory; put the file there"):
        deliver(request, PROGRESS)
    assert host.sh(f"ls {paths.SENT_FILES} | grep -c part") in ("", "0\n")


def test_a_host_with_another_key_is_sent_nothing(host: ScriptHost, operator: Operator) -> None:
    request = operator.request()
    wrong = Hop(address=host.host.address, port=22, user="root", host_key=ssh.new_key_pair().public)
    other = DeliverRequest(
        node="node-1",
        route=Route(hops=(wrong,)),
        files=request.files,
        private_key=request.private_key,
    )
    with pytest.raises(MembershipError, match="shows another host key than the declared one"):
        deliver(other, PROGRESS)
    assert not host.exists(paths.SENT_FILES)


def test_a_full_disk_is_said_so_and_keeps_nothing(host: ScriptHost, operator: Operator) -> None:
    operator.contents = {"kubelet": b"x" * 3_000_000}
    host.sh(f"mkdir -p {paths.SENT_FILES}; mount -t tmpfs -o size=1m none {paths.SENT_FILES}")
    try:
        with pytest.raises(MembershipError) as refused:
            operator.deliver()
        assert_documented(f"node-1: {refused.value}", "Disk full", 2)
        assert host.sh(f"ls {paths.SENT_FILES}") == ""
    finally:
        host.sh(f"umount {paths.SENT_FILES}")


def test_what_was_sent_and_never_installed_is_recalled(
    host: ScriptHost, operator: Operator
) -> None:
    operator.deliver()
    assert recall(operator.request(), PROGRESS) == "recalled"
    assert not host.exists("/var/lib/kube-nodes")
    assert recall(operator.request(), PROGRESS) == "recalled"


def test_a_new_version_takes_the_place_of_one_that_was_never_installed(
    host: ScriptHost, operator: Operator
) -> None:
    operator.deliver()
    operator.contents["kubelet"] = program("kubelet", 2)
    operator.deliver()
    assert len(host.sh(f"ls {paths.SENT_FILES}").split()) == 2


def test_a_host_that_prints_without_end_is_cut_off(
    host: ScriptHost, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "render_delivery", lambda *_: "yes\n# end\n")
    with pytest.raises(MembershipError, match="the host prints without end"):
        operator.deliver()
    assert host.sh("pgrep -x yes") == ""


def test_a_sent_file_that_is_gone_is_asked_for(host: ScriptHost, node: Node) -> None:
    node.delivered = True
    run = host.run(node.units())
    assert run.status == 1
    assert "raise the node's reapply to have it sent again. Nothing was changed" in run.err
