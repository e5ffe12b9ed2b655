"""A look at a real host before a join, and the host in a state that it finds fault with.

A host of the lab shares its machine's kernel. What belongs to the kernel and not to the host (swap,
file systems, the runtime's version) is a recorded text, mounted over the file or in the place of
the program that says it; each such test says so.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from kube_nodes.render.check_scripts import render_preflight_script
from kube_nodes.render.preflight import HostRules
from kube_nodes.render.shell import inlined
from tests.lab.host_script.script_host import Run, ScriptHost

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
    """Render the look at the host, which finds nothing unless a field says otherwise.

    Its parts are in it, for tests to change.
    """
    known: dict[str, Any] = {
        "node_id": host.host.name,
        "api_server": host.spec.server,
        "ca_pem": host.spec.path("pki", "ca.crt").read_text(),
        "rules": RULES,
    }
    return inlined(render_preflight_script(**(known | fields)))


def look(host: ScriptHost, text: str, do: str = ":", undo: str = ":") -> Run:
    """Run it in a state of the host, and compare the host's files before and after."""
    command = _LOOK.format(digest=_DIGEST, do=do, undo=undo, command=host.call())
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
def cni(host: ScriptHost) -> Iterator[None]:
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
