"""Preflight on a real host: each finding provoked, and nothing on the host changed by the look.

A host of the lab shares its machine's kernel. What belongs to the kernel and not to the host (swap,
file systems, the runtime's version) is a recorded text, mounted over the file or in the place of
the program that says it; each such test says so.
"""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kube_nodes.model.machine import parse_facts
from kube_nodes.render.host_script import (
    KUBE_PROXY,
    render_preflight_script,
    render_receiver,
)
from kube_nodes.render.preflight import HostRules
from tests.documented import assert_documented
from tests.lab.host_script.script_host import Node, Run, ScriptHost

pytestmark = pytest.mark.lab

SOCKET = "/run/containerd/containerd.sock"
# What the host of the lab keeps: so no test has a finding but its own.
RULES = HostRules(
    fail_swap_on=False,
    sysctls=("net/ipv4/ip_forward=1",),
    disks=("/etc=1", "/var/lib/kubelet=1", "/var/lib/kubelet=1%"),
    images_mib=1,
    images_percent=1,
    ports=("kubelet=10250", "kubelet=10248", "kube-proxy=10256", "kube-proxy=10249"),
    runtime_socket=SOCKET,
    cgroup_driver="cgroupfs",
    containerd_least=106,
    cni_bin="/usr/lib/cni",
    cni_conf="/etc/fake-cni",
)
PROXY_ONLY = replace(RULES, sysctls=(), ports=(), runtime_socket="")
CNI = "/etc/fake-cni/10-x.conflist"
PTP = '{"plugins": [{"type": "ptp"}]}'
# Every file of the folders that the scripts write, and of those beside them: its mode, owner, time
# and content.
_FOLDERS = "/etc /usr/local /var/lib/kubelet /var/lib/kube-proxy /var/lib/kube-nodes /opt /tmp"
_DIGEST = rf"""
digest() {{
  find {_FOLDERS} -xdev -printf '%p %m %u:%g %T@ %l\n' | sort
  find {_FOLDERS} -xdev -type f -print0 | sort -z | xargs -0 sha256sum
  ls -A /run
}} 2>/dev/null
"""
# One connection a look: state, look and way back, with the files compared around the look.
_LOOK = """
{digest}
way() {{
{do}
}}
back() {{
{undo}
}}
trap 'back </dev/null >/dev/null 2>&1' EXIT
way </dev/null >/dev/null 2>&1
before=$(digest)
({command})
status=$?
after=$(digest)
[ -n "$before" ] && [ "$before" = "$after" ] || echo "files of the host changed" >&2
exit "$status"
"""
# Wait until somebody listens on a port, in hexadecimal digits.
LISTENING = "while ! grep -q ':{0} [^ ]* 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.1; done"


def script(host: ScriptHost, **fields: Any) -> str:
    """Render the look at the host, which finds nothing unless a field says otherwise."""
    known: dict[str, Any] = {
        "node_id": host.host.name,
        "api_server": host.spec.server,
        "ca_pem": host.spec.path("pki", "ca.crt").read_text(),
        "rules": RULES,
    }
    return render_preflight_script(**(known | fields))


def look(host: ScriptHost, text: str, do: str = ":", undo: str = ":") -> Run:
    """Run it in a state of the host, and compare the host's files before and after."""
    command = _LOOK.format(digest=_DIGEST, do=do, undo=undo, command=render_receiver())
    done = subprocess.run(
        host.argv(command), input=text, capture_output=True, text=True, check=False
    )
    assert "files of the host changed" not in done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def found(host: ScriptHost, do: str = ":", undo: str = ":", **fields: Any) -> list[str]:
    """Return what a look finds, each without the node's name before it."""
    run = look(host, script(host, **fields), do, undo)
    notes = all(f"{host.host.name}: note: " in line for line in run.err.splitlines())
    assert run.status == (0 if notes else 1)
    assert run.out.endswith("\nok\n") == notes
    return [line.removeprefix(f"{host.host.name}: ") for line in run.err.splitlines()]


@pytest.fixture(autouse=True, scope="module")
def _cni(host: ScriptHost) -> Iterator[None]:
    host.sh(f"mkdir -p /etc/fake-cni; echo '{PTP}' >{CNI}")
    yield
    host.sh("rm -rf /etc/fake-cni")


def recorded(path: str, text: str) -> dict[str, str]:
    """Mount a recorded text over a file."""
    name = f"/run/fake-{path.replace('/', '-')}"
    do = f"cat >{name} <<'TEXT'\n{text}TEXT\nmount --bind {name} {path}"
    return {"do": do, "undo": f"umount {path}; rm {name}"}


def program(name: str, text: str) -> dict[str, str]:
    """Put a recording in the place of a program."""
    path = f"/usr/local/sbin/{name}"
    do = f"cat >{path} <<'TEXT'\n#!/bin/sh\n{text}\nTEXT\nchmod 755 {path}"
    return {"do": do, "undo": f"rm {path}"}


def subjects(findings: list[str]) -> list[str]:
    """Return what was found where, without rule and remedy."""
    return [each.partition(";")[0] for each in findings]


def test_a_host_that_can_join_has_no_finding_and_says_which_machine_it_is(
    host: ScriptHost,
) -> None:
    run = look(host, script(host))
    assert (run.status, run.err) == (0, "")
    machine_id = host.read("/etc/machine-id").strip()
    assert run.out == f"fact machine-id {machine_id}\nok\n"
    assert parse_facts(run.out).machine_id == machine_id


def test_a_running_node_of_ours_is_well_and_not_made_proxy_only_in_place(
    host: ScriptHost, node: Node
) -> None:
    """Its kubelet holds its ports; it would be stopped before its pods were drained."""
    host.run(node.units())
    assert found(host) == []
    (finding,) = found(host, units=(KUBE_PROXY,), rules=PROXY_ONLY)
    assert finding.startswith("role: a kubelet runs here; ")


def test_a_host_without_the_basics_is_told_of_all_of_it_at_once(host: ScriptHost) -> None:
    """The swap is a recorded /proc/swaps: swap is of the machine's kernel."""
    text = script(
        host,
        node_id="n1",
        ca_pem=host.spec.path("pki", "etcd-ca.crt").read_text(),
        rules=replace(
            RULES,
            fail_swap_on=True,
            cgroup_v1=False,
            runtime_socket="/run/none.sock",
            sysctls=("net/ipv4/ip_forward=1", "no/such=1"),
        ),
    )
    # The lab's hosts are systemd's: its folder is hidden from the script alone.
    text = text.replace("/run/systemd/system", "/run/no-systemd/system")
    swaps = recorded("/proc/swaps", "Filename Type Size\n/dev/sda2 partition 1 0 -2\n")
    run = look(
        host,
        text.replace("tools='", "tools='no-such-tool "),
        f"{swaps['do']}\nsysctl -qw net.ipv4.ip_forward=0; mount --make-private /",
        f"{swaps['undo']}; sysctl -qw net.ipv4.ip_forward=1; mount --make-rshared /",
    )
    assert run.status == 1
    assert re.findall(r"^n1: (.*?): ", run.err, re.MULTILINE) == [
        *("no-such-tool", "systemd", "swap"),
        *(["cgroup"] if host.sh("stat -fc %T /sys/fs/cgroup") != "cgroup2fs\n" else []),
        *("net/ipv4/ip_forward", "no/such", host.spec.server, "host name"),
        *("/run/none.sock", "note"),
    ]
    assert "n1: swap: /dev/sda2 is on; " in run.err
    assert_documented(run.err, "Swap on")
    assert_documented(run.err, "API server not reached from the host")
    assert "n1: net/ipv4/ip_forward: 0; it must be 1; sysctl -w net/ipv4/ip_forward=1" in run.err
    assert "n1: no/such: not there; " in run.err
    assert "certificate" in run.err
    assert "n1: note: /: not a shared mount; " in run.err


def test_a_login_that_is_not_root_is_found(host: ScriptHost) -> None:
    name = host.host.name
    text = script(host).replace("$(id -u)", "1000")
    assert f"{name}: user: root; files and units are root's; " in look(host, text).err


def test_a_kernel_that_protects_its_defaults_is_told_which_are_others(host: ScriptHost) -> None:
    """What protectKernelDefaults demands is of the machine's kernel: only compared."""
    panic = int(host.read("/proc/sys/kernel/panic"))
    assert found(host, rules=replace(RULES, sysctls=(f"kernel/panic={panic + 10}",))) == [
        f"kernel/panic: {panic}; it must be {panic + 10}; sysctl -w kernel/panic={panic + 10},"
        " and the same in /etc/sysctl.d"
    ]


def test_a_host_without_a_number_of_its_own_is_found(host: ScriptHost) -> None:
    (finding,) = found(host, **recorded("/etc/machine-id", "uninitialized\n"))
    assert finding.startswith("machine-id: uninitialized; a host has its own")


def test_the_product_uuid_is_a_fact_where_there_is_one(host: ScriptHost) -> None:
    """A recorded one: the lab hides the machine's own, which all hosts would share."""
    uuid = "4C4C4544-0035-4A10-8052-CAC04F4D3233"
    text = script(host).replace("/sys/class/dmi/id/product_uuid", "/run/fake-uuid")
    run = look(host, text, f"echo {uuid} >/run/fake-uuid", "rm /run/fake-uuid")
    assert parse_facts(run.out).product_uuid == uuid.lower()


def test_a_stopped_runtime_is_found_although_its_socket_is_there(host: ScriptHost) -> None:
    (finding,) = found(
        host,
        f"systemctl kill -s KILL containerd; systemctl stop containerd; [ -S {SOCKET} ] || exit 9",
        "systemctl start containerd",
    )
    assert finding.startswith(f"{SOCKET}: nothing listens; ")
    assert_documented(f"n1: {finding}", "Container runtime down")


def test_a_runtime_whose_cri_plugin_is_off_is_found(host: ScriptHost) -> None:
    """As in the packages of containerd's vendor: the kubelet would say `unknown service`."""
    own = "/etc/containerd/config.toml"
    (finding,) = found(
        host,
        f"echo 'disabled_plugins = [\"cri\"]' >/run/off.toml; mount --bind /run/off.toml {own};"
        " systemctl restart containerd",
        f"umount {own}; rm /run/off.toml; systemctl restart containerd",
    )
    assert finding.startswith("containerd's CRI plugin: switched off; the kubelet speaks to it; ")


def test_another_cgroup_driver_than_the_runtimes_is_found(host: ScriptHost) -> None:
    rules = replace(RULES, cgroup_driver="systemd")
    (finding,) = found(host, rules=rules)
    assert finding.startswith("cgroup driver: cgroupfs in containerd; the kubelet's is systemd, ")
    assert_documented(f"n1: {finding}", "Cgroup driver")
    # Where we write containerd's file, it will have the kubelet's own.
    assert found(host, rules=replace(rules, containerd_file=0)) == []


def test_the_driver_is_that_of_the_runtime_that_pods_get(host: ScriptHost) -> None:
    own = """\
version = 2
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "other"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.other]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.other.options]
SystemdCgroup = true
"""
    (finding,) = found(host, **recorded("/etc/containerd/config.toml", own))
    assert finding.startswith("cgroup driver: systemd in containerd; the kubelet's is cgroupfs")


@pytest.mark.parametrize(
    ("version", "rules", "finding"),
    [
        (
            "containerd github.com/containerd/containerd 1.5.9-0ubuntu1 ",
            {},
            "containerd: 1.5.9; this kubelet needs CRI v1",
        ),
        (
            "containerd containerd.io 1.7.24 88bf19b2105c8b17560993bee28a01ddc2f97182",
            {"containerd_file": 200},
            "containerd: 1.7.24; only containerd 2 reads version 3 of its file",
        ),
        (
            "containerd containerd.io 1.7.24 88bf19b2105c8b17560993bee28a01ddc2f97182",
            {"containerd_good": 200},
            "note: containerd: 1.7.24; Kubernetes supports only containerd 2 from 1.36 on",
        ),
        (
            "containerd github.com/containerd/containerd/v2 v2.0.2 c507a0257ea6462fbd6f5ba4f5c74f",
            {"containerd_file": 200, "containerd_good": 200},
            "",
        ),
    ],
)
def test_a_runtime_too_old_for_what_is_declared_is_found(
    host: ScriptHost, version: str, rules: dict[str, Any], finding: str
) -> None:
    """Recorded versions: the lab has one containerd."""
    say = program("containerd", f"[ $1 != --version ] || echo '{version}'")
    findings = found(host, **say, rules=replace(RULES, **rules))
    assert [each[: len(finding)] for each in findings] == ([finding] if finding else [])


def test_dockers_cgroup_driver_is_compared(host: ScriptHost) -> None:
    """A recorded answer of Docker, which the lab has not: kubelets up to 1.23 take it."""
    rules = replace(RULES, runtime_socket="/var/run/docker.sock")
    assert subjects(found(host, **program("docker", "echo systemd"), rules=rules)) == [
        "/var/run/docker.sock: nothing listens",
        "cgroup driver: systemd in Docker",
    ]


def test_what_containerd_2_says_of_itself_is_understood(host: ScriptHost) -> None:
    """A recorded `containerd config dump` of 2.1, whose names and quotes differ."""
    dump = """\
version = 3
root = '/var/lib/containerd'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = 'runc'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = ''
    SystemdCgroup = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dir = ''
  bin_dirs = ['/opt/none/bin']
  conf_dir = '/etc/none.d'
  conf_template = ''
"""
    text = f"[ $1 = config ] || exec echo containerd x v2.1.4 y\ncat <<'DUMP'\n{dump}DUMP"
    findings = found(
        host, **program("containerd", text), rules=replace(RULES, cni_bin="", cni_conf="")
    )
    assert subjects(findings) == [
        "cgroup driver: systemd in containerd",
        "note: /opt/none/bin: no CNI plugins",
        "note: /etc/none.d: no CNI configuration",
    ]


def test_a_kernel_without_overlay_is_found(host: ScriptHost) -> None:
    """A recorded /proc/filesystems: the machine's kernel is everybody's."""
    (finding,) = found(host, **recorded("/proc/filesystems", "\text4\n"))
    assert finding.startswith("overlay: not in this kernel; containerd's snapshotter needs it; ")


def test_a_missing_cni_is_a_note_since_an_add_on_may_bring_it(host: ScriptHost) -> None:
    findings = found(
        host,
        f"mkdir /run/fake-empty; rm {CNI}",
        f"rmdir /run/fake-empty; echo '{PTP}' >{CNI}",
        rules=replace(RULES, cni_bin="/run/fake-empty"),
    )
    assert subjects(findings) == [
        "note: /run/fake-empty: no CNI plugins",
        "note: /etc/fake-cni: no CNI configuration",
    ]


def test_pods_on_a_bridge_need_bridge_netfilter(host: ScriptHost) -> None:
    setting = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    (finding,) = found(
        host,
        f"echo '{PTP.replace('ptp', 'bridge')}' >{CNI}; [ ! -e {setting} ] || echo 0 >{setting}",
        f"echo '{PTP}' >{CNI}; [ ! -e {setting} ] || echo 1 >{setting}",
    )
    assert finding.startswith("note: net/bridge/bridge-nf-call-iptables: not 1; ")


def test_a_port_that_something_else_holds_is_found_with_its_holder(host: ScriptHost) -> None:
    """A kubelet.service that is not ours is something else, too."""
    unit = "/run/systemd/system/kubelet.service"
    serve = "[Service]\\nExecStart=/bin/busybox httpd -f -p 10250\\n"
    one, other = found(
        host,
        f"printf '{serve}' >{unit}; systemctl daemon-reload; systemctl start kubelet;"
        " systemd-run -q --unit=fake-6 busybox httpd -f -p [::1]:10249;"
        f" {LISTENING.format('280A')}; {LISTENING.format('2809')}",
        f"systemctl stop kubelet fake-6; rm {unit}; systemctl daemon-reload",
    )
    assert re.fullmatch(
        r"port 10250: held by busybox \(process \d+\); kubelet listens there;"
        " stop that, or give it another port",
        one,
    )
    assert other.startswith("port 10249: held by busybox (process ")


def test_a_kubelet_that_somebody_else_runs_is_found(host: ScriptHost) -> None:
    """What counts is the process's name: kubelets come in many wrappings."""
    names = ("kubelet", "k3s-agent", "kubelite")
    start = "".join(
        f"cp /bin/sleep /run/fake-bin/{name};"
        f" systemd-run -q --unit=fake-{name} /run/fake-bin/{name} 600;"
        for name in names
    )
    state = {
        "do": f"mkdir -p /run/fake-bin; {start}",
        "undo": f"systemctl stop {' '.join(f'fake-{name}' for name in names)}; rm -r /run/fake-bin",
    }
    findings = found(host, **state)
    assert sorted(
        re.findall(r"^process \d+: (\S+); ", "\n".join(findings), re.MULTILINE)
    ) == sorted(names)
    # Beside kube-proxy alone a kubelet may be anybody's.
    assert found(host, **state, units=(KUBE_PROXY,), rules=PROXY_ONLY) == []


def test_another_clusters_kubeconfig_and_drop_ins_are_found(host: ScriptHost) -> None:
    folder = "/run/systemd/system/kubelet.service.d"
    findings = found(
        host,
        f"mkdir -p /etc/kubernetes {folder}; printf '[Service]\\nNice=1\\n' >{folder}/10-x.conf;"
        " echo '    server: https://other' >/etc/kubernetes/kubelet.conf;"
        " printf '[Service]\\nExecStart=/bin/true\\n' >/run/systemd/system/kubelet.service;"
        " systemctl daemon-reload",
        "rm -r /run/systemd/system/kubelet.service* /etc/kubernetes; systemctl daemon-reload",
    )
    assert subjects(findings) == [
        "/etc/kubernetes/kubelet.conf: server https://other",
        f"kubelet: {folder}/10-x.conf",
    ]


def test_a_full_disk_is_found_where_something_is_to_be_written(host: ScriptHost) -> None:
    """For a folder that is not there yet the one above counts; percents are a note."""
    small = "/run/fake-small"
    disks = (f"{small}/a/b=20", f"{small}=8", f"{small}=101%", f"{small}=90%")
    findings = found(
        host,
        f"mkdir {small}; mount -t tmpfs -o size=8m tmpfs {small}",
        f"umount {small}; rmdir {small}",
        rules=replace(RULES, disks=disks, images_mib=900_000_000),
    )
    assert findings[:2] == [
        f"{small}: 8 MiB free; 20 MiB are needed; free some space",
        f"note: {small}: 8 of 8 MiB free; below 101% the kubelet evicts pods; free some space",
    ]
    assert_documented(f"n1: {findings[0]}", "Disk full")
    (last,) = findings[2:]
    assert re.match(r"/var/lib/containerd: \d+ MiB free; 900000000 MiB are needed; ", last)


@contextmanager
def api_server(host: ScriptHost, date: float) -> Iterator[str]:
    """Answer on the lab's gateway like an API server whose clock shows `date`."""

    class Handler(BaseHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(date, usegmt=True)

        def do_GET(self) -> None:
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer((host.spec.gateway, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pki = host.spec.path("pki")
    context.load_cert_chain(pki / "kube-apiserver.crt", pki / "kube-apiserver.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://{host.spec.gateway}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("ahead", "finds"), [(300, True), (-300, True), (20, False)])
def test_a_clock_that_is_not_the_api_servers_is_found(
    host: ScriptHost, ahead: int, finds: bool
) -> None:
    """Hosts of the lab have the machine's clock: it is the server's that is off."""
    with api_server(host, time.time() + ahead) as url:
        findings = found(host, api_server=url)
    assert bool(findings) == finds
    for finding in findings:
        assert abs(int(finding.split()[1]) + ahead) <= 30
        assert_documented(f"n1: {finding}", "Clock off")


def test_an_api_server_that_the_host_does_not_reach_is_found(host: ScriptHost) -> None:
    with socket.socket() as closed:  # bound and not listening: refused at once
        closed.bind((host.spec.gateway, 0))
        url = f"https://{host.spec.gateway}:{closed.getsockname()[1]}"
        (finding,) = found(host, api_server=url)
    assert finding.startswith(f"{url}: curl: (7) ")
    assert_documented(f"n1: {finding}", "API server not reached from the host")
