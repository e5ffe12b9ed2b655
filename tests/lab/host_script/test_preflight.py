"""Preflight on a real host: each finding provoked, and nothing there changed by the look."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from kube_nodes.model.machine import parse_facts
from kube_nodes.render.host_script import (
    KUBE_PROXY,
)
from tests.documented import assert_documented
from tests.lab.host_script.preflight_host import (
    LISTENING,
    PROXY_ONLY,
    RULES,
    cni,
    found,
    look,
    recorded,
    script,
    subjects,
)
from tests.lab.host_script.script_host import Node, ScriptHost

__all__ = ["cni"]  # a fixture

pytestmark = pytest.mark.lab


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
