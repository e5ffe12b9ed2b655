"""Every version's flags and fields: none that it lacks, none that it has something better for.

What versions have is asked of tests/unit/data/component_flags.yaml, which was read from the
sources of Kubernetes 1.8 to 1.37 apart from the product's own table.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kube_nodes.model import component_settings, configuration_fields
from kube_nodes.model.cluster import Cluster
from kube_nodes.model.configuration_fields import KUBE_PROXY, KUBELET, check_fields, has_field
from kube_nodes.model.nodes import Node
from kube_nodes.model.owned_fields import KUBE_PROXY_OWNED, KUBELET_OWNED
from kube_nodes.model.versions import NEWEST_MINOR, OLDEST_MINOR, KubernetesVersion
from kube_nodes.render import paths
from kube_nodes.render.host_files import render_node_units
from kube_nodes.settings import ConfigurationError, parse_settings
from tests.configurations import right_configuration
from tests.golden.nodes import CASES, KUBE_PROXY_UNIT, KUBELET_UNIT, rendered, written_files

_MINORS = range(OLDEST_MINOR, NEWEST_MINOR + 1)
_DATA = Path(__file__).parents[1] / "unit" / "data"
_PARTS = (
    (KUBELET, "kubelet", KUBELET_UNIT, paths.KUBELET_CONFIGURATION),
    (KUBE_PROXY, "kube-proxy", KUBE_PROXY_UNIT, paths.KUBE_PROXY_CONFIGURATION),
)


@cache
def _real_flags() -> dict[str, dict[str, list[Any]]]:
    flags: dict[str, dict[str, list[Any]]] = yaml.safe_load(
        (_DATA / "component_flags.yaml").read_text()
    )
    return flags


def _flags(unit: str) -> dict[str, str]:
    (command,) = re.findall(r"^ExecStart=\S+ (.*)$", unit, re.MULTILINE)
    words = [word.strip('"').partition("=") for word in command.split(" ")]
    names = [name for name, _, _ in words]
    assert len(names) == len(set(names))
    return {name: value for name, _, value in words}


# Flags without a field that nothing needs once a version calls them deprecated. Docker's CNI flags
# are deprecated from 1.21 on, too, but there is nothing else for Docker.
_REPLACED = ("--container-runtime", "--logtostderr")


def faults(files: dict[str, str], version: KubernetesVersion) -> list[str]:
    """Find what a version would refuse, ignore or call deprecated in a node's files."""
    found, minor = [], version.minor
    for kind, program, unit, configuration in _PARTS:
        flags = _flags(files[unit])
        for flag in flags:
            since, until, deprecated = _real_flags()[program][flag]
            own = component_settings.flags(kind)[flag].field
            better = bool(own) and has_field(kind, own, minor)
            if not since <= minor <= until:
                found.append(f"{flag} is no flag of 1.{minor}")
            if better or (deprecated and minor >= deprecated and flag in _REPLACED):
                found.append(f"{flag} has something better in 1.{minor}")
        assert ("--config" in flags) == (configuration in files) == (minor >= 10)
        if configuration in files:
            document = yaml.safe_load(files[configuration])
            del document["apiVersion"], document["kind"]
            for path, value in configuration_fields.walk_fields(kind, document):
                if not has_field(kind, path, minor):
                    found.append(f"{path}={value} is no field of 1.{minor}")
            found += [f"{path} {rule}" for path, rule in check_fields(kind, document, version, {})]
    return found


@pytest.mark.parametrize("case", [case for case in CASES if case != "proxy-only"])
def test_a_golden_node_has_no_flag_and_no_field_that_its_version_lacks(case: str) -> None:
    now = rendered(case)
    version = now.node.options.kubernetes_version
    assert faults(written_files(now.units), version) == []


def test_every_flag_of_the_table_is_one_of_the_sources_for_as_long() -> None:
    for kind, program, _, _ in _PARTS:
        for name, flag in component_settings.flags(kind).items():
            since, until, _ = _real_flags()[program][name]
            assert flag.span.until <= until, name
            assert flag.span.since >= since, name


def test_a_flag_and_its_field_leave_no_minor_without_a_way_to_say_it() -> None:
    for kind, _, _, _ in _PARTS:
        for name, flag in component_settings.flags(kind).items():
            if flag.field:
                said = [m for m in _MINORS if m in flag.span or has_field(kind, flag.field, m)]
                assert said == list(range(said[0], said[-1] + 1)), name


def test_from_1_10_on_kube_proxy_gets_no_flag_that_its_file_makes_it_ignore() -> None:
    for name, flag in component_settings.flags(KUBE_PROXY).items():
        for minor in _MINORS:
            if flag.field and minor >= 10 and minor in flag.span and name != "--v":
                assert has_field(KUBE_PROXY, flag.field, minor), f"{name} in 1.{minor}"


def _node(minor: int, options: dict[str, Any]) -> tuple[Cluster, Node]:
    chosen = {"kubernetesVersion": f"1.{minor}.3", "proxyMode": "iptables", **options}
    nodes = {"n1": {"options": chosen}, "n2": {"options": chosen}}
    settings_ = parse_settings(right_configuration(pools={"workers": {"nodes": nodes}}))
    return settings_.cluster, settings_.nodes[0]


@pytest.mark.parametrize("minor", _MINORS)
def test_a_default_node_with_iptables_is_right_in_every_minor(minor: int) -> None:
    cluster, node = _node(minor, {})
    files = written_files(render_node_units(cluster, node, None))
    assert faults(files, node.options.kubernetes_version) == []


_NAMES = st.from_regex(r"[a-z]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)
_QUANTITIES = st.sampled_from(["100m", "1", "512Mi", "2Gi"])
_VALUES = {
    "boolean": st.booleans(),
    "integer": st.integers(0, 100),
    "number": st.integers(0, 100),
    "string": st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=12),
    "duration": st.sampled_from(["0s", "30s", "1h5m"]),
    "quantity": st.just("1Mi"),
    "list": st.lists(_NAMES, max_size=3),
    "map": st.dictionaries(_NAMES, _NAMES, max_size=3),
}


def _free_fields(kind: str, owned: dict[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw free fields, nested as in the file."""
    table = configuration_fields._table()[kind]
    usable = {
        path: _VALUES[entry["type"]]
        for path, entry in table.items()
        if entry["type"] in _VALUES and "of" not in entry and path not in owned
    }
    chosen = st.lists(st.sampled_from(sorted(usable)), max_size=4, unique=True)
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries({name: usable[name] for name in names})
    ).map(_nested)


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, key = path.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = value
    return result


_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "maxPods": st.integers(1, 1000),
        "podPidsLimit": st.integers(1, 1000),
        "verbosity": st.integers(0, 10),
        "gpu": st.just("nvidia"),
        "docker": st.fixed_dictionaries({}, optional={"sandboxImage": st.just("a.example/p:3")}),
        "containerd": st.just({"sandboxImage": "a.example/p:3"}),
        "cadvisorAllowedCidrs": st.just(["10.0.0.0/8"]),
        "proxyMode": st.sampled_from(["nftables", "iptables", "ipvs", "userspace"]),
        "labels": st.dictionaries(_NAMES.map(lambda name: f"example.com/{name}"), _NAMES),
        "taints": st.just(["a=b:NoSchedule", "c:NoExecute"]),
        "kubeReserved": st.dictionaries(st.sampled_from(["cpu", "memory", "pid"]), _QUANTITIES),
        "evictionHard": st.dictionaries(
            st.sampled_from(["pid.available", "containerfs.available", "memory.available"]),
            st.sampled_from(["5%", "100Mi"]),
        ),
        "kubeletConfiguration": _free_fields(KUBELET, KUBELET_OWNED),
        "kubeProxyConfiguration": _free_fields(KUBE_PROXY, KUBE_PROXY_OWNED),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(minor=st.sampled_from(_MINORS), options=_OPTIONS)
def test_any_options_are_refused_by_version_or_rendered_as_the_version_takes_them(
    minor: int, options: dict[str, Any]
) -> None:
    try:
        cluster, node = _node(minor, options)
    except ConfigurationError as error:
        for fault in error.faults:
            assert re.search(r"(exists only since|was removed after) 1\.\d+|keep one of", fault)
            assert fault.count(";") >= 1, "there is a remedy"
        return
    files = written_files(render_node_units(cluster, node, None))
    assert faults(files, node.options.kubernetes_version) == []


@pytest.mark.parametrize("minor", [8, 9, 12, 19, 26, 37])
def test_a_free_field_is_said_the_way_the_version_takes_it(minor: int) -> None:
    free = {"failSwapOn": False, "imageGCHighThresholdPercent": 70, "hairpinMode": "none"}
    cluster, node = _node(minor, {"kubeletConfiguration": free})
    files = written_files(render_node_units(cluster, node, None))
    flags = _flags(files[KUBELET_UNIT])
    if minor < 10:
        assert flags["--fail-swap-on"] == "false"
        assert flags["--image-gc-high-threshold"] == "70"
    else:
        assert yaml.safe_load(files[paths.KUBELET_CONFIGURATION]).items() >= free.items()


@pytest.mark.parametrize(
    ("minor", "flags", "field"),
    [
        (8, {"--container-runtime", "--container-runtime-endpoint"}, False),
        (23, {"--container-runtime", "--container-runtime-endpoint"}, False),
        (24, {"--container-runtime-endpoint"}, False),
        (26, {"--container-runtime-endpoint"}, False),
        (27, set(), True),
    ],
)
def test_the_runtimes_socket_is_told_as_each_version_wants_it(
    minor: int, flags: set[str], field: bool
) -> None:
    cluster, node = _node(minor, {})
    files = written_files(render_node_units(cluster, node, None))
    found = _flags(files[KUBELET_UNIT])
    assert {name for name in found if name.startswith("--container-runtime")} == flags
    assert found.get("--container-runtime", "remote") == "remote"
    assert ("containerRuntimeEndpoint" in files.get(paths.KUBELET_CONFIGURATION, "")) is field


@pytest.mark.parametrize(
    ("minor", "gates"),
    [
        (8, {"Accelerators", "DevicePlugins"}),
        (10, {"Accelerators", "DevicePlugins"}),
        (11, {"DevicePlugins"}),
        (25, {"DevicePlugins"}),
        (26, set()),
        (37, set()),
    ],
)
def test_a_gpu_gets_the_feature_gates_that_its_version_has(minor: int, gates: set[str]) -> None:
    cluster, node = _node(minor, {"gpu": "nvidia"})
    files = written_files(render_node_units(cluster, node, None))
    if minor < 10:
        text = _flags(files[KUBELET_UNIT])["--feature-gates"]
        assert {word.partition("=")[0] for word in text.split(",")} == gates
    else:
        document = yaml.safe_load(files[paths.KUBELET_CONFIGURATION])
        assert set(document.get("featureGates", {})) == gates


def test_a_gpu_gets_containerds_runtime_where_its_file_is_written() -> None:
    for version, minor in ((2, 37), (3, 37)):
        containerd = {"sandboxImage": "a.example/pause:3", "configVersion": version}
        cluster, node = _node(minor, {"gpu": "nvidia", "containerd": containerd})
        text = written_files(render_node_units(cluster, node, None))[paths.CONTAINERD_CONFIGURATION]
        assert 'BinaryName = "/usr/bin/nvidia-container-runtime"' in text
        assert text.count(".runtimes.runc]") == 1


def test_a_joining_node_has_the_joining_taint_and_an_older_one_its_own() -> None:
    options = {"taints": ["a=b:NoSchedule"], "labels": {"example.com/a": "b"}}
    for minor in (16, 17):
        cluster, node = _node(minor, options)
        flags = _flags(written_files(render_node_units(cluster, node, None))[KUBELET_UNIT])
        if minor < 17:
            assert flags["--register-with-taints"] == "a=b:NoSchedule"
            assert flags["--node-labels"] == "example.com/a=b"
        else:
            assert flags["--register-with-taints"] == "kube-nodes/joining=:NoSchedule"
            assert "--node-labels" not in flags
