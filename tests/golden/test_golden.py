"""What is rendered for a node is what the golden files show.

`pytest tests/golden --update-golden` writes them anew.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_nodes.model.configuration_fields import KUBE_PROXY, KUBELET, check_fields
from kube_nodes.render import paths
from tests.golden.nodes import (
    CASES,
    CERTIFICATE,
    KEY,
    KUBE_PROXY_UNIT,
    LAYOUT,
    TOKEN,
    VERSIONS,
    rendered,
    written_files,
)

_FILES = Path(__file__).parent / "files"
_EVERY_CASE = pytest.mark.parametrize("case", CASES)


def _scripts(case: str, version: str = VERSIONS[-1]) -> dict[str, str]:
    """Give what arrives on a host's stdin, step by step."""
    now = rendered(case, version)
    return {
        "1-preflight.sh": now.preflight,
        "2-credentials.sh": now.credentials,
        "3-units.sh": now.units,
        "4-service-check.sh": now.service_check,
    }


@_EVERY_CASE
def test_what_is_rendered_is_what_the_golden_files_show(
    case: str, pytestconfig: pytest.Config
) -> None:
    scripts, folder = _scripts(case), _FILES / case
    if pytestconfig.getoption("--update-golden"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in scripts.items():
            (folder / name).write_text(text)
        pytest.skip(f"wrote {len(scripts)} files")

    for name, text in scripts.items():
        assert text == (folder / name).read_text(), f"{name}: use --update-golden, read the diff"


def test_there_is_no_golden_file_of_a_node_that_is_rendered_no_more() -> None:
    assert {folder.name for folder in _FILES.iterdir()} == set(CASES)


@_EVERY_CASE
def test_every_field_is_one_that_this_version_reads_with_its_type(case: str) -> None:
    now = rendered(case)
    files = written_files(now.units)
    for kind, path in (
        (KUBELET, paths.KUBELET_CONFIGURATION),
        (KUBE_PROXY, paths.KUBE_PROXY_CONFIGURATION),
    ):
        if path in files:
            document = yaml.safe_load(files[path])
            assert document.pop("kind") == kind
            assert document.pop("apiVersion").endswith(("/v1beta1", "/v1alpha1"))
            version = now.node.options.kubernetes_version
            assert list(check_fields(kind, document, version, {})) == []


@_EVERY_CASE
def test_kubeconfigs_name_a_user_with_one_credential_and_the_ca_by_path(case: str) -> None:
    files = written_files(rendered(case).credentials)
    assert len(files) == (1 if case == "proxy-only" else 2)
    for content in files.values():
        document = yaml.safe_load(content)
        (context,) = document["contexts"]
        (cluster,), (user,) = document["clusters"], document["users"]
        assert context["name"] == document["current-context"]
        assert context["context"] == {"cluster": cluster["name"], "user": user["name"]}
        assert cluster["cluster"] == {
            "certificate-authority": LAYOUT.ca_certificate,
            "server": "https://192.0.2.10:6443",
        }
        assert set(user["user"]) in ({"token"}, {"client-certificate-data", "client-key-data"})


@_EVERY_CASE
def test_nothing_secret_is_in_a_script_that_previews_show(case: str) -> None:
    now = rendered(case)
    secrets = (*TOKEN.split("."), *KEY.split("\n")[1:2], *CERTIFICATE.split("\n")[1:2])
    encoded = [line for line in now.credentials.splitlines() if "client-key-data" in line]
    assert len(encoded) == 1
    for text in (now.preflight, now.units, now.service_check):
        assert not [secret for secret in secrets if secret in text]
        assert encoded[0] not in text


def _fields(case: str, path: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(written_files(rendered(case).units)[path])
    return document


def test_the_default_kubelet_is_as_the_benchmark_wants_it() -> None:
    fields = _fields("worker", paths.KUBELET_CONFIGURATION)
    assert fields["authentication"]["anonymous"]["enabled"] is False
    assert fields["authorization"]["mode"] == "Webhook"
    assert fields["authentication"]["x509"]["clientCAFile"] == LAYOUT.ca_certificate
    assert fields["readOnlyPort"] == 0
    assert fields["streamingConnectionIdleTimeout"] not in ("0", "0s")
    assert fields["makeIPTablesUtilChains"] is fields["rotateCertificates"] is True
    assert fields["serverTLSBootstrap"] is fields["seccompDefault"] is True
    assert fields["podPidsLimit"] > 0
    assert all("_CBC_" not in suite for suite in fields["tlsCipherSuites"])
    proxy = _fields("worker", paths.KUBE_PROXY_CONFIGURATION)
    assert proxy["metricsBindAddress"].startswith("127.0.0.1:")


def test_a_default_node_is_rendered_alike_for_every_version() -> None:
    for case in ("worker", "proxy-only"):
        older, *newer = (
            {
                name: text.replace(version, "VERSION")
                for name, text in _scripts(case, version).items()
                if "preflight" not in name
            }
            for version in VERSIONS
        )
        assert all(scripts == older for scripts in newer)


def test_what_newer_versions_demand_of_a_host_is_one_line() -> None:
    """cgroup version and kernel are the same for all of them; containerd 1 ended with 1.35."""
    older, *newer = (rendered("worker", version).preflight.splitlines() for version in VERSIONS)
    assert all(lines == newer[0] for lines in newer)
    changed = [pair for pair in zip(older, newer[0], strict=True) if pair[0] != pair[1]]
    assert changed == [("containerd_good=0", "containerd_good=200")]


def test_kube_proxys_name_is_the_nodes_own() -> None:
    for case in CASES:
        node = rendered(case).node
        if case == "full-1.8":
            flags = written_files(rendered(case).units)[KUBE_PROXY_UNIT]
            assert f" --hostname-override={node.id} " in flags
            assert f" --bind-address={node.node_ip} " in flags
            continue
        fields = _fields(case, paths.KUBE_PROXY_CONFIGURATION)
        assert fields["hostnameOverride"] == node.id
        assert fields["bindAddress"] == node.node_ip


def test_a_proxy_only_host_gets_nothing_of_a_kubelet() -> None:
    now = rendered("proxy-only")
    written = written_files(now.credentials) | written_files(now.units)
    assert set(written) == {
        LAYOUT.kube_proxy_kubeconfig,
        LAYOUT.ca_certificate,
        KUBE_PROXY_UNIT,
        paths.KUBE_PROXY_CONFIGURATION,
    }
    assert paths.kubelet_binary(LAYOUT) not in now.units
    assert "\nfail_swap_on=no\n" in now.preflight
    assert "socket" not in now.preflight, "it needs no container runtime"


@pytest.mark.parametrize(("case", "version"), [("full-1.36", 2), ("full-1.37", 3)])
def test_containerds_file_has_sandbox_image_driver_and_folders(case: str, version: int) -> None:
    document = tomllib.loads(written_files(rendered(case).units)[paths.CONTAINERD_CONFIGURATION])
    assert document["version"] == version
    found = dict(_leaves(document))
    assert "registry.example/pause:3.10" in (found.get("sandbox_image"), found.get("sandbox"))
    assert found["SystemdCgroup"] is False
    assert (found["bin_dir"], found["conf_dir"]) == ("/opt/cni/bin", "/etc/cni/net.d")


def _leaves(document: dict[str, Any]) -> list[tuple[str, Any]]:
    leaves = []
    for key, value in document.items():
        leaves += _leaves(value) if isinstance(value, dict) else [(key, value)]
    return leaves


def test_the_stdin_of_a_node_stays_small() -> None:
    assert len(rendered("worker").units) < 18_700
    assert len(rendered("worker").credentials) < 9_000
