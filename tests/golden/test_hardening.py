"""What is rendered without any option passes the CIS benchmark's checks and keeps to a sandbox."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.nodes import Node
from kube_nodes.model.versions import NEWEST_MINOR, OLDEST_MINOR
from kube_nodes.render import paths
from kube_nodes.render.host_files import render_node_credentials, render_node_units
from kube_nodes.render.shell import inlined
from kube_nodes.settings import parse_settings
from tests.cis import CHECKS, File, KnownNode, failed_checks
from tests.configurations import merge, right_configuration
from tests.golden.nodes import KUBE_PROXY_UNIT, KUBELET_UNIT, written_files

_MINORS = range(OLDEST_MINOR, NEWEST_MINOR + 1)
_DOCUMENT = Path(__file__).parents[2] / "docs" / "hardening.md"

# Flags of the versions that have no configuration file, by the field that the checks look for.
_FIELDS = {
    "--anonymous-auth": "authentication.anonymous.enabled",
    "--authorization-mode": "authorization.mode",
    "--client-ca-file": "authentication.x509.clientCAFile",
    "--make-iptables-util-chains": "makeIPTablesUtilChains",
    "--read-only-port": "readOnlyPort",
    "--rotate-certificates": "rotateCertificates",
    "--streaming-connection-idle-timeout": "streamingConnectionIdleTimeout",
}
# The first minor that a check is passed in: before, the kubelet has no such setting, or only behind
# a gate of its alpha state. kube-proxy of 1.8 and 1.9 serves metrics on 127.0.0.1 by default.
_SINCE = {"4.2.9": 12, "4.2.11": 12, "4.2.12": 10, "4.2.13": 14, "4.2.14": 25, "4.3.1": 10}


def _declared(minor: int, options: dict[str, Any]) -> tuple[Cluster, Node]:
    # The default mode came with 1.31.
    mode = {} if minor >= 31 else {"proxyMode": "iptables"}
    options = {"kubernetesVersion": f"1.{minor}.3", **mode, **options}
    nodes = {"n1": {"options": options}, "n2": {"options": options}}
    settings = parse_settings(right_configuration(pools={"workers": {"nodes": nodes}}))
    return settings.cluster, settings.nodes[0]


@cache
def _scripts(minor: int) -> tuple[str, str]:
    cluster, node = _declared(minor, {})
    return (
        render_node_credentials(cluster, node, "id.secret", "certificate\n", "key\n"),
        render_node_units(cluster, node, None),
    )


def _units(minor: int, options: dict[str, Any]) -> dict[str, str]:
    return written_files(render_node_units(*_declared(minor, options), None))


def _nested(path: str, value: Any) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _known(credentials: str, units: str) -> KnownNode:
    scripts = credentials + units
    modes = {path: int(mode, 8) for path, mode in re.findall(r"^put (\S+) (\d+) ", scripts, re.M)}
    files = written_files(scripts)
    (command,) = re.findall(r"^ExecStart=\S+ (.*)$", files[KUBELET_UNIT], re.MULTILINE)
    flags = dict(word.strip('"').split("=", 1) for word in command.split(" "))
    kubelet = yaml.safe_load(files.get(paths.KUBELET_CONFIGURATION, "{}"))
    for flag in flags.keys() & _FIELDS.keys():
        kubelet = merge(kubelet, _nested(_FIELDS[flag], yaml.safe_load(flags[flag])))
    names = {
        "unit": KUBELET_UNIT,
        "proxy": "/etc/kubernetes/proxy.conf",
        "ca": "/etc/kubernetes/pki/ca.crt",
        "configuration": paths.KUBELET_CONFIGURATION,
    }
    # The receiver's script gives every file that it puts to root, and the kubelet runs as root and
    # writes its kubeconfig with mode 0600 (WriteToFile of k8s.io/client-go/tools/clientcmd).
    assert "chown 0:0" in inlined(units) and "User=" not in files[KUBELET_UNIT]
    assert flags["--kubeconfig"] == "/etc/kubernetes/kubelet.conf"
    known = {name: modes[path] for name, path in names.items() if path in modes}
    return KnownNode(
        files={
            name: File(mode=mode, owner="root:root")
            for name, mode in (known | {"kubeconfig": 0o600}).items()
        },
        kubelet=kubelet,
        kubelet_flags=flags,
        kube_proxy=yaml.safe_load(files.get(paths.KUBE_PROXY_CONFIGURATION, "{}")),
    )


@pytest.mark.parametrize("minor", _MINORS)
def test_a_node_without_options_passes_all_checks_that_its_version_can_pass(minor: int) -> None:
    known = _known(*_scripts(minor))
    assert failed_checks(known) == [name for name in CHECKS if minor < _SINCE.get(name, 0)]
    assert set(known.files) == {"unit", "proxy", "kubeconfig", "ca"} | (
        {"configuration"} if minor >= 10 else set()
    )


def test_there_are_25_checks_and_each_fails_on_a_node_that_nobody_cared_for() -> None:
    careless = KnownNode(
        files={
            name: File(mode=0o664, owner="kube:kube")
            for name in ("unit", "proxy", "kubeconfig", "ca", "configuration")
        },
        kubelet={"readOnlyPort": 10255, "eventRecordQPS": -1},
        kubelet_flags={"--hostname-override": "n1"},
        kube_proxy={"metricsBindAddress": "0.0.0.0:10249"},
    )
    assert len(CHECKS) == 25
    assert failed_checks(careless) == list(CHECKS)


def _settings(unit: str) -> list[tuple[str, str]]:
    """Take what a unit's section Service says beside how the program is started."""
    service = unit.partition("[Service]\n")[2].partition("\n\n")[0]
    pairs = [line.partition("=")[::2] for line in service.splitlines()]
    life = ("ExecStart", "ExecStartPre", "Restart", "RestartSec", "LimitNOFILE")
    return [(key, value) for key, value in pairs if key not in life]


# Each of these gives a service a mount namespace of its own, in one version of systemd or another.
_NAMESPACES = re.compile(
    r"(Private(Devices|IPC|Mounts|Tmp|Users|Network)|Protect\w+|ProcSubset|MountFlags|\w+Paths"
    r"|TemporaryFileSystem|Root\w+|\w+Directory|DynamicUser|LogNamespace)"
)


@pytest.mark.parametrize("minor", _MINORS)
@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_both_units_are_sandboxed_wherever_a_node_can_join(minor: int, mode: str) -> None:
    if mode == "nftables" and minor < 31:
        return
    units = _units(minor, {"proxyMode": mode})
    kubelet, kube_proxy = _settings(units[KUBELET_UNIT]), _settings(units[KUBE_PROXY_UNIT])
    assert bool(kubelet) == bool(kube_proxy) == (minor >= 17)
    for key, value in kubelet:
        assert not _NAMESPACES.fullmatch(key), key
        assert "@mount" not in value
        assert key not in ("NoNewPrivileges", "RestrictSUIDSGID", "UMask", "DeviceAllow")


def test_only_a_kube_proxy_that_may_need_modules_can_load_them() -> None:
    for mode in ("iptables", "ipvs", "nftables"):
        unit = _units(37, {"proxyMode": mode})[KUBE_PROXY_UNIT]
        assert ("CAP_SYS_MODULE" in unit) == ("=@module" in unit) == (mode != "nftables")
        assert ("ReadWritePaths=/proc/sys/net /run\n" in unit) == (mode != "nftables")


def test_docker_leaves_the_kubelet_what_its_network_plugins_need() -> None:
    unit = _units(20, {"docker": {"sandboxImage": "registry.example/pause:3.2"}})[KUBELET_UNIT]
    keys = {key for key, _ in _settings(unit)}
    assert "LockPersonality" in keys
    assert not keys & {"RestrictNamespaces", "RestrictAddressFamilies"}


@pytest.mark.parametrize("option", ["kubeletUnit", "kubeProxyUnit"])
def test_each_setting_of_a_sandbox_can_be_replaced_and_taken_away(option: str) -> None:
    path = KUBELET_UNIT if option == "kubeletUnit" else KUBE_PROXY_UNIT
    for key, _ in _settings(_units(37, {})[path]):
        gone = _units(37, {option: {"Service": {key: []}}})[path]
        assert key not in dict(_settings(gone))
        other = _units(37, {option: {"Service": {key: "other"}}})[path]
        assert [value for name, value in _settings(other) if name == key] == ["other"]


def _documented() -> list[tuple[str, str, str]]:
    """Read the table of settings: setting, whether the kubelet has it, whether kube-proxy has."""
    text = _DOCUMENT.read_text(encoding="utf-8").partition("## Sandbox")[2]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    return [(row[1].strip(" `"), row[2].strip(), row[3].strip()) for row in rows]


def test_every_setting_of_the_sandboxes_has_a_row_in_the_document() -> None:
    rows = _documented()
    written = {
        part: {f"{key}={value}" for key, value in _settings(_units(37, {"proxyMode": mode})[unit])}
        for part, unit, mode in (
            ("kubelet", KUBELET_UNIT, "nftables"),
            ("nftables", KUBE_PROXY_UNIT, "nftables"),
            ("iptables", KUBE_PROXY_UNIT, "iptables"),
        )
    }
    assert {row[0] for row in rows if row[1] == "yes"} == written["kubelet"]
    assert {row[0] for row in rows if row[2] in ("yes", "nftables")} == written["nftables"]
    assert {row[0] for row in rows if row[2] in ("yes", "other modes")} == written["iptables"]


def test_every_check_has_a_row_in_the_document_with_the_tests_that_prove_it() -> None:
    text = _DOCUMENT.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (4\.\d\.\d+) \| ", text, re.MULTILINE)
    assert rows == list(CHECKS)
    everything = "".join(
        path.read_text(encoding="utf-8") for path in (_DOCUMENT.parents[1] / "tests").rglob("*.py")
    )
    named = set(re.findall(r"`(test_\w+)`", text))
    assert {name for name in named if f"def {name}(" not in everything} == set()
    assert "test_a_node_without_options_passes_all_checks_that_its_version_can_pass" in named


@pytest.mark.parametrize(("mode", "most"), [("iptables", 3.0), ("nftables", 2.6)])
def test_systemd_understands_every_line_and_finds_little_exposed(
    mode: str, most: float, tmp_path: Path
) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not on this machine.")
    units = _units(37, {"proxyMode": mode})
    for name, path, limit in (("kubelet", KUBELET_UNIT, 7.1), ("proxy", KUBE_PROXY_UNIT, most)):
        file = tmp_path / f"kn-{name}.service"
        # Its program is not on this machine, and is not what is looked at.
        file.write_text(units[path].replace("ExecStart=/usr/local/bin/", "ExecStart=/bin/true "))
        command = ["systemd-analyze", "verify", str(file)]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        assert [line for line in said.splitlines() if file.name in line] == []
        command = ["systemd-analyze", "security", "--offline=true", str(file)]
        rated = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"exposure level for \S+ ([\d.]+)", rated.stdout)
        if not found:
            pytest.skip("systemd-analyze can't rate a file here; it can since systemd 250.")
        assert float(found[1]) <= limit
