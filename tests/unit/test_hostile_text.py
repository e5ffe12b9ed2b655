"""Nothing that can be written into the configuration is more than text on its way to a host.

Each example goes through the settings, the renderers and the rendered scripts, run by real shells:
only the functions that call systemd and the network are replaced by ones that write into a folder.
tests/lab/host_script/test_contents.py does it with the whole scripts on a real host.
"""

from __future__ import annotations

import copy
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kube_nodes.render import paths
from kube_nodes.render.documents import render_unit
from kube_nodes.render.host_files import render_node_credentials, render_node_units
from kube_nodes.settings import ConfigurationError, Settings, parse_settings
from tests.configurations import merge, right_configuration
from tests.golden.nodes import KUBE_PROXY_UNIT, KUBELET_UNIT, LAYOUT, written_files
from tests.unit.hostile_text import CANARY, INJECTIONS, lines, texts

_HOST = Path(__file__).resolve().parents[2] / "host"
_CONSTANT_SHELL = "".join(file.read_text() for file in sorted(_HOST.glob("*.sh")))
# What the shell of the host scripts does, as far as data reaches it: a path, a mode, a content.
# Nothing else that the rendered lines may call does anything here.
_STUBS = "".join(
    f"{name}() {{ :; }}\n" for name in re.findall(r"^(\w+)\(\) ", _CONSTANT_SHELL, re.MULTILINE)
)
_STUBS += 'put() { mkdir -p "$ROOT${1%/*}" && cat >"$ROOT$1"; }\n'


def accepted(values: dict[str, Any]) -> Settings | None:
    """Parse a configuration; one that is refused is told without a control character."""
    try:
        return parse_settings(values)
    except ConfigurationError as error:
        for fault in error.faults:
            assert fault.isprintable(), fault
            assert len(fault) < 1000
        return None


def on_a_host(script: str, shell: str) -> dict[str, str]:
    """Run the data of a script by a shell in a folder of its own; return the files it wrote."""
    start = script.index("\nbegin\n")
    header = script[: script.index("\nuse ") + 1]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        work = Path(folder, "work")
        root.mkdir()
        work.mkdir()
        done = subprocess.run(
            [shell, "/dev/stdin", "apply"],
            input=(header + _STUBS + script[start:]).encode(),
            cwd=work,
            env={"ROOT": str(root), "HOME": str(work), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert list(work.iterdir()) == []
        assert not list(root.rglob(CANARY))
        return {
            f"/{path.relative_to(root)}": path.read_bytes().decode()
            for path in root.rglob("*")
            if path.is_file()
        }


def arrive(parsed: Settings) -> dict[str, str]:
    """Send the first node's files through both shells; return them as they were rendered."""
    cluster, node = parsed.cluster, parsed.nodes[0]
    scripts = {
        "dash": render_node_units(cluster, node, None),
        "bash": render_node_credentials(
            cluster, node, "abcdef.0123456789abcdef", "cert\n", "key\n"
        ),
    }
    arrived: dict[str, str] = {}
    for shell, script in scripts.items():
        files = written_files(script)
        assert on_a_host(script, shell) == files
        arrived |= files
    return arrived


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_UNIT_LINES = st.one_of(lines(), st.lists(lines(), max_size=3))
_TEXTS = _maybe(
    clusterName=texts(),
    options=_maybe(
        kubeletUnit=_maybe(
            Unit=_maybe(Description=_UNIT_LINES), Service=_maybe(Environment=_UNIT_LINES)
        ),
        kubeProxyUnit=_maybe(Service=_maybe(ExecStartPre=_UNIT_LINES)),
        kubeletConfiguration=_maybe(
            providerID=texts(),
            enforceNodeAllocatable=st.lists(texts(), max_size=3),
            evictionSoft=st.dictionaries(texts(), texts(), max_size=2),
        ),
        kubeProxyConfiguration=_maybe(nodePortAddresses=st.lists(texts(), max_size=3)),
    ),
)


@given(_TEXTS)
@example({"clusterName": "".join(INJECTIONS).replace("\n", " ")})
@example({"options": {"kubeletConfiguration": {"providerID": "".join(INJECTIONS)}}})
@example({"options": {"kubeletUnit": {"Service": {"Environment": "a\\"}}}})
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_free_texts_are_refused_or_arrive_as_they_are_and_run_nothing(
    texts_: dict[str, Any],
) -> None:
    parsed = accepted(right_configuration(**copy.deepcopy(texts_)))
    if parsed is None:
        return
    files = arrive(parsed)
    options = texts_.get("options", {})
    for path, kind, key in (
        (paths.KUBELET_CONFIGURATION, "kubeletConfiguration", "Kubelet"),
        (paths.KUBE_PROXY_CONFIGURATION, "kubeProxyConfiguration", "KubeProxy"),
    ):
        document = yaml.safe_load(files[path])
        assert document["kind"] == f"{key}Configuration"
        written = options.get(kind, {})
        assert {name: document.get(name) for name in written} == written
    for path, key in ((KUBELET_UNIT, "kubeletUnit"), (KUBE_PROXY_UNIT, "kubeProxyUnit")):
        _assert_unit_has(files[path], options.get(key, {}))
    kubeconfig = yaml.safe_load(files[LAYOUT.kube_proxy_kubeconfig])
    assert kubeconfig["clusters"][0]["name"] == texts_.get("clusterName", "kubernetes")


def _assert_unit_has(unit: str, settings_: dict[str, dict[str, Any]]) -> None:
    """Read the unit as systemd does: a line a setting, no line joined to the next."""
    sections = dict(re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[|\Z)", unit, re.DOTALL | re.MULTILINE))
    assert list(sections) == ["Unit", "Service", "Install"]
    for section, values in settings_.items():
        for key, value in values.items():
            wanted = value if isinstance(value, list) else [value]
            found = re.findall(rf"^{key}=(.*)$", sections[section], re.MULTILINE)
            assert found == wanted
    assert not re.search(r"\\$", unit, re.MULTILINE)
    assert unit.count("ExecStart=") >= 1


_NAMES = st.one_of(
    st.sampled_from(INJECTIONS),
    texts(2),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,8}", fullmatch=True),
)


@given(
    label=_NAMES, value=_NAMES, taint=_NAMES, effect=st.sampled_from(["NoSchedule", "NoExecute"])
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_labels_and_taints_are_refused_or_arrive_as_one_word_of_the_command(
    label: str, value: str, taint: str, effect: str
) -> None:
    """Up to 1.16 they travel in the unit's command line."""
    options = {
        "kubernetesVersion": "1.9.11",
        "proxyMode": "iptables",
        "labels": {label: value},
        "taints": [f"{taint}={value}:{effect}"],
    }
    parsed = accepted(right_configuration(options=options))
    if parsed is None:
        return
    unit = arrive(parsed)[KUBELET_UNIT]
    (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    # A valid label or taint has nothing that would have to be quoted.
    assert f" --node-labels={label}={value} " in command
    assert f" --register-with-taints={taint}={value}:{effect} " in command


@given(node=_NAMES, pool=_NAMES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_names_of_nodes_and_pools_are_refused_or_arrive_as_one_word(node: str, pool: str) -> None:
    values = right_configuration()
    declared = values["pools"].pop("workers")["nodes"]["n1"]
    values["pools"] = {pool: {"nodes": {node: declared}}}
    parsed = accepted(values)
    if parsed is not None:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", node)
        document = yaml.safe_load(arrive(parsed)[paths.KUBE_PROXY_CONFIGURATION])
        assert document["hostnameOverride"] == node


_PATHS = st.one_of(
    texts(2).map(lambda text: f"/{text}"),
    st.from_regex(r"(/[a-z0-9._@+=-]{1,6}){1,3}", fullmatch=True),
    st.sampled_from(INJECTIONS).map(lambda text: f"/etc/{text}"),
)


@given(_maybe(caCertificate=_PATHS, kubeProxyKubeconfig=_PATHS, binaryDir=_PATHS))
@example({"caCertificate": "/\x7f\x85\u2028\u202e"})
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_paths_are_refused_or_arrive_and_are_where_they_were_declared(
    layout: dict[str, str],
) -> None:
    parsed = accepted(merge(right_configuration(), {"options": {"layout": layout}}))
    if parsed is None:
        return
    files = arrive(parsed)
    for key in layout.keys() & {"caCertificate", "kubeProxyKubeconfig"}:
        assert layout[key] in files
    if "binaryDir" in layout:
        assert f"ExecStart={layout['binaryDir']}/kubelet " in files[KUBELET_UNIT]


def test_the_watch_over_injections_sees_one(tmp_path: Path) -> None:
    done = subprocess.run(["sh", "-c", INJECTIONS[0]], cwd=tmp_path, check=False)
    assert done.returncode == 0 and (tmp_path / CANARY).exists()


@pytest.mark.parametrize("value", ["a\\", "a\n[Service]", "a\x00", "a\\\\"])
def test_a_unit_can_hold_no_line_that_reaches_into_another(value: str) -> None:
    with pytest.raises(ValueError, match=r"Unit\.Description"):
        render_unit({"Unit": [("Description", value)]})
