"""Programs come by URL: cut, wrong or half-there downloads never reach their place."""

from __future__ import annotations

import re
import subprocess
import threading
import time

import pytest

from tests.lab.host_script.artifacts import Artifacts
from tests.lab.host_script.script_host import Node, ScriptHost, assert_installed, program

pytestmark = pytest.mark.lab
KUBELET = "/usr/local/bin/kubelet"


def ranges(server: Artifacts) -> list[str]:
    """Return what was asked for by range."""
    return [wanted for _, wanted in server.requests if wanted]


def test_a_wrong_checksum_leaves_the_old_program_running(host: ScriptHost, node: Node) -> None:
    host.run(node.units())
    before = host.started("kubelet")
    node.build = 2
    script = node.units()
    node.artifacts.contents["/2/kubelet"] = b"something else"
    run = host.run(script)
    assert run.status == 1
    url = f"{node.artifacts.url}/2/kubelet"
    assert run.err.startswith(f"node-1: cannot get kubelet: {url}: has the sum ")
    assert run.err.endswith(". Nothing was changed\n")
    assert host.started("kubelet") == before
    node.build = 1
    assert_installed(host, node)


def test_a_page_with_status_200_in_place_of_the_program_is_not_installed(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    script = node.units()
    server.contents.clear()
    server.page = b"<html>not here</html>"
    run = host.run(script)
    assert run.status == 1 and "has the sum " in run.err
    assert not host.exists("/usr/local/bin/kubelet")
    server.page = None
    run = host.run(script)
    assert run.status == 1 and "404" in run.err
    assert host.litter() == ""


@pytest.mark.parametrize(
    ("change", "said"), [("v1.36.3", "is Kubernetes v1.36.3"), ("", "no program")]
)
def test_a_program_of_another_version_or_processor_leaves_the_old_one_running(
    host: ScriptHost, node: Node, change: str, said: str
) -> None:
    host.run(node.units())
    before = host.started("kubelet")
    content = program("kubelet", 2, change) if change else b"\x7fELF of another processor"
    node.contents = {"kubelet": content}
    run = host.run(node.units())
    assert run.status == 1
    assert f"{KUBELET} is " in run.err and said in run.err
    assert "not Kubernetes v1.37.2" in run.err and "Nothing was changed" in run.err
    assert host.started("kubelet") == before
    assert_installed(host, Node(node.artifacts))


def test_a_sha_512_serves_as_well(host: ScriptHost, node: Node) -> None:
    node.sha512 = True
    assert host.run(node.units()).status == 0
    assert_installed(host, node)
    assert host.run(node.units()).changed == []
    script = node.units()
    node.artifacts.contents["/1/kubelet"] = b"something else"
    host.sh("rm /usr/local/bin/kubelet")
    assert "has the sum " in host.run(script).err


def test_a_mirror_that_is_down_or_wrong_is_passed_over_and_one_that_is_right_is_enough(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    script_url = server.url
    server.contents["/wrong/1/kubelet"] = server.contents["/wrong/1/kube-proxy"] = b"wrong"
    closed = script_url.rpartition(":")[0] + ":1"
    node.mirrors = (closed, f"{script_url}/wrong")
    assert host.run(node.units()).status == 0
    assert_installed(host, node)
    host.run(node.units(), "remove")
    server.requests.clear()
    node.mirrors = (script_url,)
    node.origin = "http://192.0.2.1:9"  # answers nobody
    assert host.run(node.units()).status == 0
    assert_installed(host, node)


def test_an_error_names_each_place_that_was_tried(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    node.mirrors = (f"{server.url}/none",)
    script = node.units()
    server.contents.clear()
    run = host.run(script)
    assert run.err.count("\n") == 1
    assert f"{server.url}/none/1/kube-proxy: " in run.err
    assert f"; {server.url}/1/kube-proxy: " in run.err


def test_a_redirection_is_followed(host: ScriptHost, node: Node, server: Artifacts) -> None:
    script = node.units()
    for name in ("kubelet", "kube-proxy"):
        server.contents[f"/elsewhere/{name}"] = server.contents.pop(f"/1/{name}")
        server.moved[f"/1/{name}"] = f"/elsewhere/{name}"
    assert host.run(script).status == 0
    assert_installed(host, node)
    host.run(script, "remove")
    server.moved["/1/kubelet"] = "file:///etc/shadow"
    assert host.run(script).status == 1


def test_a_download_that_is_cut_goes_on_where_it_ended(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    server.cut_after, server.cuts = 40, 3
    assert host.run(node.units()).status == 0
    assert len(ranges(server)) == 3
    assert_installed(host, node)


def test_a_download_that_is_cut_again_and_again_is_gone_on_with_by_the_next_run(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    server.cut_after = 40
    run = host.run(node.units())
    assert run.status == 1
    assert "cannot get kube-proxy: " in run.err and "Nothing was changed" in run.err
    server.cut_after = None
    server.requests.clear()
    assert host.run(node.units()).status == 0
    assert ranges(server)[0] == "bytes=200-"
    assert_installed(host, node)


def test_a_download_of_some_seconds_tells_how_far_it_is(
    host: ScriptHost, node: Node, server: Artifacts
) -> None:
    server.hold = threading.Event()
    # curl writes to the disk what fills its buffer.
    content = program("kube-proxy") + b"#" * 400_000
    node.contents = {"kube-proxy": content}
    script = node.units()
    going_on = threading.Timer(4.5, server.hold.set)
    going_on.start()
    run = host.run(script)
    going_on.join()
    assert run.status == 0
    place = f"{server.url}/1/kube-proxy"
    told = rf"node-1: kube-proxy: (\d+) of {len(content)} bytes from {place}\n"
    found = re.fullmatch(told, run.err)
    assert found, run.err
    assert 0 < int(found[1]) <= len(content) // 2
    assert host.litter() == "" and not host.exists("/run/kube-nodes.head")

    host.run(script, "remove")
    assert host.run(script).err == "", "one that takes no time is not told of"


@pytest.mark.parametrize("with_ranges", [True, False])
def test_a_run_that_is_killed_in_a_download_is_gone_on_with_by_the_next(
    host: ScriptHost, node: Node, server: Artifacts, with_ranges: bool
) -> None:
    server.hold = threading.Event()
    # curl writes to the disk what fills its buffer.
    node.contents = {"kube-proxy": program("kube-proxy") + b"#" * 200_000}
    script = node.units().replace("\nbegin\n", "\necho $$ >/run/fake-pid\nbegin\n")
    with subprocess.Popen(host.argv(host.call()), stdin=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        client.stdin.write(script)
        client.stdin.close()
        end = time.monotonic() + 20
        while not host.sh("head -c 1 /usr/local/bin/kube-proxy.kn-part"):
            assert time.monotonic() < end
            time.sleep(0.05)
        host.sh("kill -9 $(cat /run/fake-pid); pkill -9 -x curl")
    server.hold.set()
    server.hold, server.ranges = None, with_ranges
    server.requests.clear()
    assert host.run(node.units()).status == 0
    assert ranges(server)
    assert_installed(host, node)
    assert host.sh("wc -c </usr/local/bin/kube-proxy") == f"{len(node.contents['kube-proxy'])}\n"


@pytest.mark.parametrize("with_ranges", [True, False])
@pytest.mark.parametrize("size", [5, 5000])
def test_a_part_of_something_else_is_thrown_away(
    host: ScriptHost, node: Node, server: Artifacts, with_ranges: bool, size: int
) -> None:
    server.ranges = with_ranges
    host.sh(f"head -c {size} /dev/zero >/usr/local/bin/kubelet.kn-part")
    assert host.run(node.units()).status == 0
    assert_installed(host, node)


def test_a_full_disk_keeps_the_old_program_running_and_nothing_of_the_new_one(
    host: ScriptHost, node: Node
) -> None:
    host.run(node.units())
    before = host.started("kubelet")
    node.contents = {"kubelet": program("kubelet", 2) + b"#" * 300_000}
    host.sh(
        "cp -a /usr/local/bin /run/fake-bin && mount -t tmpfs -o size=200k none /usr/local/bin"
        " && cp -a /run/fake-bin/. /usr/local/bin"
    )
    try:
        run = host.run(node.units())
        assert run.status == 1 and "cannot get kubelet: " in run.err
        assert host.sh("ls /usr/local/bin").split() == ["kube-proxy", "kubelet"]
        assert host.started("kubelet") == before
    finally:
        host.sh("umount -l /usr/local/bin; rm -rf /run/fake-bin")
    assert_installed(host, Node(node.artifacts))


def test_a_program_that_runs_is_replaced_by_another_file(host: ScriptHost, node: Node) -> None:
    """Written over in place it would fail with `text file busy`, or break what runs."""
    host.run(node.units())
    before = host.sh(f"stat -c %i {KUBELET}")
    host.sh(f"cp {KUBELET} /run/fake-copy; ln {KUBELET} /usr/local/bin/kubelet-same-file")
    node.build = 2
    assert host.run(node.units()).status == 0
    assert host.sh(f"stat -c %i {KUBELET}") != before
    assert host.sh("cmp /run/fake-copy /usr/local/bin/kubelet-same-file && echo same") == "same\n"


def test_programs_that_are_there_already_are_used_if_their_version_is_right(
    host: ScriptHost, node: Node
) -> None:
    place_by_hand(host, "v1.37.2")
    node.installed = True
    run = host.run(node.units())
    assert (run.status, run.err) == (0, "")
    assert host.active("kubelet") and host.active("kube-proxy")
    host.run(node.units(), "remove")
    assert host.exists("/usr/local/bin/kubelet")


@pytest.mark.parametrize(
    ("version", "found"), [("v1.36.3", "Kubernetes v1.36.3"), ("", "not there")]
)
def test_a_program_of_another_version_than_declared_stops_before_anything_changes(
    host: ScriptHost, node: Node, version: str, found: str
) -> None:
    if version:
        place_by_hand(host, version)
    node.installed = True
    node.programs = node.programs[:1]
    run = host.run(node.units())
    assert (run.status, run.err) == (
        1,
        f"node-1: {KUBELET} is {found}, not Kubernetes v1.37.2; install that version, or declare"
        " binaries. Nothing was changed\n",
    )
    assert not host.exists("/etc/systemd/system/kubelet.service")


def test_a_program_that_its_owner_replaced_is_started(host: ScriptHost, node: Node) -> None:
    """A package manager renames a new file to the old name: what runs is the file before."""
    host.sh("mkdir -p /usr/local/bin; cp /bin/busybox /usr/local/bin/kubelet.real")
    place_by_hand(host, "v1.37.2")
    node.installed = True
    host.run(node.units())
    host.sh("cp -a /usr/local/bin/kubelet /run/fake-new; mv /run/fake-new /usr/local/bin/kubelet")
    assert "kubelet" in host.run(node.units()).restarted


def place_by_hand(host: ScriptHost, version: str) -> None:
    """Put the programs there as their owner would."""
    for name in ("kubelet", "kube-proxy"):
        text = program(name, 1, version).decode()
        host.sh(f"cat >/usr/local/bin/{name} <<'X'\n{text}X\nchmod 755 /usr/local/bin/{name}")
