"""The script that looks at a host, from what is expected there: it writes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from kube_nodes.model.binaries import SHA256_DIGITS
from kube_nodes.model.dns import render_query
from kube_nodes.model.expectation import HOST_FOLDER, Expectation, ExpectedFile, ExpectedNetwork
from kube_nodes.model.journal import PATTERN
from kube_nodes.model.network_checks import POD, SERVICE
from kube_nodes.render import paths
from kube_nodes.render.quoting import shell_word
from kube_nodes.render.shell import constant_shell


def render_inspection_script(expected: Expectation, *, drift: bool = False) -> str:
    """Return the script; its stdout is what model/host_facts.py reads.

    Args:
        expected: what will be compared with it.
        drift: tell the text of what has changed, and nothing of how the node works.
    """
    calls = [
        ("text", "uptime", "/proc/uptime"),
        ("text", "machine", "/etc/machine-id"),
        ("text", "generation", paths.GENERATION),
        ("record", paths.UNITS_LIST),
        ("written", paths.CREDENTIALS_SUMS),
        *(_file(file, with_text=drift) for file in expected.files),
        *((("sent", HOST_FOLDER),) if expected.is_sent_to else ()),
        *(("sysctl", name) for name, _ in expected.sysctls),
        *(("version", path) for path in expected.programs),
        *(("kubeconfig", each.path) for each in expected.kubeconfigs),
        *_certificates(expected),
        *(("unit", unit.name) for unit in expected.units if drift),
        *(() if drift else _units(expected)),
        *(() if drift else _network(expected.network, expected.ca_path)),
    ]
    lines = (" ".join(map(shell_word, call)) for call in calls)
    return "\n".join([constant_shell("inspect") + next(lines), *lines, "echo end", "# end\n"])


def _file(file: ExpectedFile, *, with_text: bool) -> tuple[str, ...]:
    if file.kind == "target":
        return ("file", file.path, "target")
    if not file.digest:
        return ("file", file.path)
    kind = "sha256" if len(file.digest) == SHA256_DIGITS else "sha512"
    asked = ("file", file.path, kind)
    return (*asked, file.digest) if with_text and file.content else asked


def _certificates(expected: Expectation) -> Iterator[tuple[str, ...]]:
    """Ask for certificates in files of their own; those in a kubeconfig come with it."""
    kubeconfigs = {each.path for each in expected.kubeconfigs}
    for each in expected.certificates:
        if each.path not in kubeconfigs:
            yield ("pem", each.path)


def _units(expected: Expectation) -> Iterator[tuple[str, ...]]:
    for unit in expected.units:
        yield ("unit", unit.name)
        if unit.program:
            yield ("journal", unit.name, PATTERN)
        if unit.health_url:
            yield ("http", unit.name, unit.health_url)
    if expected.proxy_mode_url:
        yield ("mode", expected.proxy_mode_url)


def _network(network: ExpectedNetwork, ca_path: str) -> Iterator[tuple[str, ...]]:
    if network.service_url:
        trust = ("--cacert", ca_path) if network.service_url.startswith("https:") else ()
        yield ("http", SERVICE, network.service_url, *trust)
    for node, url in network.pods.items():
        yield ("http", f"{POD}{node}", url)
    if network.name:
        version = 6 if ":" in network.name.address else 4
        query = "".join(f"\\{byte:03o}" for byte in render_query(network.name.name, version))
        for server in network.name.servers:
            yield ("dns", server, query)
