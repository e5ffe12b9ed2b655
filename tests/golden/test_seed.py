"""The manual's own cluster, from docs/examples/seed-1.8.yaml: what is rendered, and what it lacks.

tests/golden/seed/manual/ holds the manual's two units with its values filled in, as its reader's
shell would have written them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_nodes.model.cluster import Cluster
from kube_nodes.model.nodes import Node
from kube_nodes.model.static_token import StaticTokenSettings
from kube_nodes.render.host_files import render_node_credentials, render_node_units
from kube_nodes.render.static_token import render_token_csv
from kube_nodes.settings import parse_settings
from tests.components.outputs import STATIC_TOKEN
from tests.components.recording import Graph, declare, opened
from tests.configurations import materials
from tests.golden.nodes import CERTIFICATE, KEY, written_files

_ROOT = Path(__file__).parents[2]
_FOLDER = Path(__file__).parent / "seed"
_EXAMPLE = _ROOT / "docs" / "examples" / "seed-1.8.yaml"
_TOKEN = STATIC_TOKEN
_KUBECONFIGS = "/etc/kubernetes/kubeconfig/"
_UNITS = "/usr/lib/systemd/system/"


def _values() -> dict[str, Any]:
    config = yaml.safe_load(_EXAMPLE.read_text())["config"]
    values: dict[str, Any] = {key.removeprefix("kube-nodes:"): config[key] for key in config}
    return values | {"caCertificate": materials()["ca"]}


@cache
def _stack(binding: str = "user") -> Graph:
    """Declare the manual's cluster as the stack that it is."""
    values = _values()
    values["staticToken"] |= {"binding": binding}
    return declare(values, {"caKey": materials()["ca_key"]})


@cache
def _declared() -> tuple[Cluster, Node]:
    settings = parse_settings(_values(), {"caKey": materials()["ca_key"]})
    return replace(settings.cluster, ca_certificate="manual's CA\n"), settings.nodes[0]


@cache
def _files() -> dict[str, str]:
    """Give what the host gets, by path."""
    cluster, node = _declared()
    credentials = render_node_credentials(cluster, node, _TOKEN, CERTIFICATE, KEY)
    return written_files(credentials) | written_files(render_node_units(cluster, node, None))


def _shown() -> dict[str, str]:
    """Give what the golden files show, by their names."""
    files = _files()
    named = {path.rpartition("/")[2]: text for path, text in files.items() if "pki" not in path}
    return {
        **named,
        "token.csv": _stack().outputs["staticTokenCsv"],
        "binding-user.yaml": _binding("user"),
        "binding-group.yaml": _binding("group"),
    }


def _binding(kind: str) -> str:
    """Give the ClusterRoleBinding of the token as the stack declares it."""
    inputs: dict[str, Any] = _stack(kind)[f"rbac-static-{kind}"].inputs
    return yaml.safe_dump(opened(inputs))


def test_the_manuals_cluster_is_rendered_as_the_golden_files_show(
    pytestconfig: pytest.Config,
) -> None:
    shown = _shown()
    if pytestconfig.getoption("--update-golden"):
        for name, text in shown.items():
            (_FOLDER / name).write_text(text)
        pytest.skip(f"wrote {len(shown)} files")
    assert shown == {
        file.name: file.read_text() for file in sorted(_FOLDER.iterdir()) if file.is_file()
    }


def test_every_file_is_in_the_folder_that_the_manuals_units_read_it_from() -> None:
    assert set(_files()) == {
        f"{_KUBECONFIGS}bootstrap.kubeconfig",
        f"{_KUBECONFIGS}kube-proxy.kubeconfig",
        "/etc/kubernetes/pki/kubernetes-ca.pem",
        f"{_UNITS}kubelet.service",
        f"{_UNITS}kube-proxy.service",
    }


def test_the_folders_that_the_manual_makes_are_made() -> None:
    cluster, node = _declared()
    made = re.findall(r"^dir (\S+) ", render_node_units(cluster, node, None), re.MULTILINE)
    assert set(made) == {
        "/etc/cni/net.d",
        "/etc/kubernetes/manifests",
        "/var/lib/kube-proxy",
        "/var/lib/kubelet",
    }


def _unit(text: str) -> tuple[str, dict[str, str], set[str]]:
    """Take a unit apart: its program, its flags, and its other lines, each with its section."""
    program = section = ""
    flags: dict[str, str] = {}
    lines: set[str] = set()
    for line in filter(None, text.replace("\\\n", "").splitlines()):
        if line.startswith("["):
            section = line
        elif not line.startswith("ExecStart="):
            lines.add(f"{section} {line}")
        else:
            words = line.removeprefix("ExecStart=").replace("--hairpin-mode ", "--hairpin-mode=")
            program, *rest = words.split()
            for word in rest:
                name, _, value = word.partition("=")
                name = name.replace("_", "-")
                flags[name] = f"{flags[name]},{value}" if name in flags else value
    return program, flags, lines


@pytest.mark.parametrize("name", ["kubelet.service", "kube-proxy.service"])
def test_every_flag_and_line_of_the_manuals_unit_is_in_ours(name: str) -> None:
    program, flags, lines = _unit((_FOLDER / "manual" / name).read_text())
    own_program, own_flags, own_lines = _unit(_files()[f"{_UNITS}{name}"])
    assert own_program == program
    assert {flag: own_flags.get(flag) for flag in flags} == flags
    firewall = ("[Service] ExecStartPre=", "[Service] ExecStopPost=")
    ours, manuals = (
        {line for line in each if not line.startswith(firewall)} for each in (own_lines, lines)
    )
    assert ours == manuals


def _added(name: str) -> set[str]:
    _, flags, _ = _unit((_FOLDER / "manual" / name).read_text())
    _, own_flags, _ = _unit(_files()[f"{_UNITS}{name}"])
    return set(own_flags) - set(flags)


def test_what_our_units_have_beyond_the_manuals_is_for_safety_and_the_nodes_life() -> None:
    assert _added("kube-proxy.service") == {"--hostname-override"}
    assert _added("kubelet.service") == {
        "--authentication-token-webhook",
        "--cadvisor-port",
        "--eviction-hard",
        "--make-iptables-util-chains",
        "--read-only-port",
        "--rotate-certificates",
        "--streaming-connection-idle-timeout",
    }


def test_the_firewall_of_port_4194_is_there_while_the_kubelet_runs_and_never_piles_up() -> None:
    text = (_FOLDER / "manual" / "kubelet.service").read_text()
    manual = re.findall(r"^ExecStopPost=/sbin/iptables -A (.*)$", text, re.MULTILINE)
    own = _files()[f"{_UNITS}kubelet.service"]

    def rules(prefix: str) -> list[str]:
        return re.findall(rf"^{re.escape(prefix)} (.*)$", own, re.MULTILINE)

    assert rules("ExecStartPre=/sbin/iptables -w -A") == manual
    assert rules("ExecStartPre=-/sbin/iptables -w -D") == manual
    assert rules("ExecStopPost=-/sbin/iptables -w -D") == manual
    assert own.index(" -w -D INPUT") < own.index(" -w -A INPUT") < own.index("ExecStart=")


def test_both_kubeconfigs_name_one_api_server_and_the_ca_that_the_kubelet_reads() -> None:
    for name in ("bootstrap", "kube-proxy"):
        (entry,) = yaml.safe_load(_files()[f"{_KUBECONFIGS}{name}.kubeconfig"])["clusters"]
        assert entry["name"] == "kubernetes"
        assert entry["cluster"] == {
            "certificate-authority": "/etc/kubernetes/pki/kubernetes-ca.pem",
            "server": "https://192.168.100.17:6443",
        }


def test_the_token_file_is_the_manuals_line_and_is_written_on_the_master() -> None:
    line = f'{_TOKEN},kubelet-bootstrap,10001,"system:bootstrappers"'
    assert _stack().outputs["staticTokenCsv"] == f"{line}\n"
    script = opened(_stack()["static-token-file-kube-master"].inputs["stdin"])
    assert "\nfile=/etc/kubernetes/token.csv\n" in script
    assert f"\n{line}\n" in script


def test_the_manuals_node_joins_with_the_one_token_and_has_none_of_its_own() -> None:
    graph = _stack()
    assert not [key for key in graph.resources if "kube-node-102-token" in key]
    credentials = opened(graph["kube-node-102-credentials"].inputs["stdin"])
    bootstrap = written_files(credentials)[f"{_KUBECONFIGS}bootstrap.kubeconfig"]
    (user,) = yaml.safe_load(bootstrap)["users"]
    assert user == {"name": "kubelet-bootstrap", "user": {"token": _TOKEN}}


@pytest.mark.parametrize("wrong", ["", "a" * 31, "A" * 32, f"{_TOKEN}\n", 'x",admin,0,"y'])
def test_a_token_that_is_none_is_refused_and_not_shown(wrong: str) -> None:
    with pytest.raises(ValueError, match="32 lower-case hexadecimal digits") as raised:
        render_token_csv(wrong, StaticTokenSettings())
    assert not wrong or wrong not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "subject"),
    [("user", ("User", "kubelet-bootstrap")), ("group", ("Group", "system:bootstrappers"))],
)
def test_the_binding_is_to_the_one_user_or_to_the_group(
    kind: str, subject: tuple[str, str]
) -> None:
    binding = yaml.safe_load(_binding(kind))
    assert [(each["kind"], each["name"]) for each in binding["subjects"]] == [subject]
    assert binding["roleRef"]["name"] == "system:node-bootstrapper"
