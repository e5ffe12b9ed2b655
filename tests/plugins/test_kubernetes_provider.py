"""The settings of the kubernetes stand-in, and a cluster that cannot be reached.

Sources are files of pulumi/pulumi-kubernetes (provider/pkg/…, as of 4.32 to 4.34) unless named.
"""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml

from lab.plugins.values import Secret
from tests.plugins.control_plane import ControlPlane, make_client_certificate, make_kubeconfig
from tests.plugins.driver import Driver
from tests.plugins.kubernetes_objects import (
    BINDING,
    CONFIG_MAP,
    DIFF_NONE,
    DIFF_SOME,
    MODULE,
    Made,
    binding,
    config_map,
    fresh,
    kinds,
    urn,
)


def test_inline_keys_are_left_in_no_file(control_plane: ControlPlane, tmp_path: Path) -> None:
    """Better than the official plugin, which leaves a copy of the kubeconfig in TMPDIR."""
    certificate, key = make_client_certificate(control_plane)
    content = make_kubeconfig(control_plane)
    content["users"][0]["user"] = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    config = {"kubeconfig": Secret(yaml.safe_dump(content)), "namespace": "kube-system"}
    with Driver(MODULE, config, {"TMPDIR": str(tmp_path)}) as driver:
        made = Made(driver, CONFIG_MAP, config_map(fresh(), key="value"))
        assert made.id.startswith("kube-system/")
        assert list(tmp_path.iterdir()) == []


def test_relative_paths_of_a_kubeconfig_start_from_its_folder(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """clientcmd resolves them so; the plugin's own folder is another one."""
    content = make_kubeconfig(control_plane)
    content["clusters"][0]["cluster"]["certificate-authority"] = "ca.crt"
    (control_plane.directory / "relative").write_text(yaml.safe_dump(content))
    config = {"kubeconfig": str(control_plane.directory / "relative")}
    with Driver(MODULE, config, cwd=tmp_path) as driver:
        Made(driver, CONFIG_MAP, config_map(fresh(), key="value"))


def test_context_and_cluster_choose_within_the_kubeconfig(control_plane: ControlPlane) -> None:
    """provider/provider.go (Configure, overrides)."""
    content = make_kubeconfig(control_plane, "https://127.0.0.1:1")
    good = make_kubeconfig(control_plane)["clusters"][0]["cluster"]
    content["clusters"].append({"name": "good", "cluster": good})
    context = {"cluster": "good", "user": "admin", "namespace": "kube-public"}
    content["contexts"].append({"name": "other", "context": context})
    text = yaml.safe_dump(content)
    with Driver(MODULE, {"kubeconfig": text, "context": "other"}) as driver:
        made = Made(driver, CONFIG_MAP, config_map(fresh(), key="value"))
        assert made.id.startswith("kube-public/")
    with Driver(MODULE, {"kubeconfig": text, "cluster": "good"}) as driver:
        Made(driver, CONFIG_MAP, config_map(fresh(), key="value"))


def test_a_changed_server_replaces_everything_unless_the_cluster_is_identified(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """provider/provider.go (DiffConfig)."""
    here = yaml.safe_dump(make_kubeconfig(control_plane))
    there = yaml.safe_dump(make_kubeconfig(control_plane, "https://127.0.0.1:1"))
    answer = kube.diff_config({"kubeconfig": here}, {"kubeconfig": there})
    assert list(answer.replaces) == ["kubeconfig"]
    old = {"kubeconfig": here, "clusterIdentifier": "a"}
    answer = kube.diff_config(old, {"kubeconfig": there, "clusterIdentifier": "a"})
    assert answer.changes == DIFF_SOME
    assert list(answer.replaces) == []
    answer = kube.diff_config(old, {"kubeconfig": here, "clusterIdentifier": "b"})
    assert list(answer.replaces) == ["clusterIdentifier"]
    answer = kube.diff_config({"kubeconfig": here}, old)
    assert answer.changes == DIFF_SOME
    assert list(answer.replaces) == []
    assert kube.diff_config(old, old).changes == DIFF_NONE


def test_the_same_cluster_in_another_file_replaces_nothing(
    kube: Driver, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """provider/util.go (parseKubeconfigString): a path stands for what is in it."""
    other = tmp_path / "kubeconfig"
    other.write_text(control_plane.kubeconfig.read_text())
    answer = kube.diff_config(
        {"kubeconfig": str(control_plane.kubeconfig)}, {"kubeconfig": str(other)}
    )
    assert answer.changes == DIFF_SOME
    assert list(answer.replaces) == []


def test_a_recorded_kubeconfig_path_that_is_gone_fails_the_next_change_of_the_provider(
    kube: Driver, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """provider/util.go (parseKubeconfigString): a path without a file is taken for the content.

    The SDK fills `kubeconfig` from $KUBECONFIG, so an operator's path would get into the state;
    an empty string keeps it out and still means the ambient kubeconfig.
    """
    gone = {"kubeconfig": str(tmp_path / "gone")}
    here = {"kubeconfig": str(control_plane.kubeconfig)}
    with pytest.raises(grpc.RpcError, match="neither an existing file nor the text"):
        kube.diff_config(gone, here)
    assert list(kube.diff_config(here, {"kubeconfig": ""}).replaces) == []


@pytest.fixture(params=["refused", "silent", "no kubeconfig", "not our CA"])
def unreachable(
    request: pytest.FixtureRequest, control_plane: ControlPlane, tmp_path: Path
) -> Iterator[Driver]:
    """A provider whose cluster cannot be reached, each in its own way."""
    variables = {"KUBECONFIG": str(tmp_path / "nowhere"), "HOME": str(tmp_path)}
    if request.param == "no kubeconfig":
        with Driver(MODULE, {}, variables) as driver:
            yield driver
        return
    if request.param == "not our CA":
        content = make_kubeconfig(control_plane)
        content["clusters"][0]["cluster"].pop("certificate-authority")
        with Driver(MODULE, {"kubeconfig": yaml.safe_dump(content)}, variables) as driver:
            yield driver
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if request.param == "refused":
            listener.close()
        # A listener that never answers stands for a firewall that drops packets.
        text = yaml.safe_dump(make_kubeconfig(control_plane, f"https://127.0.0.1:{port}"))
        with Driver(MODULE, {"kubeconfig": text}, variables) as driver:
            yield driver


def test_without_a_cluster_previews_go_on_and_all_else_fails_and_keeps_the_state(
    unreachable: Driver, kube: Driver
) -> None:
    """provider/provider.go (clusterUnreachable in Create, Read, Update and Delete)."""
    name = fresh()
    made = Made(kube, BINDING, binding(name))
    begin = time.monotonic()
    checked = unreachable.check(BINDING, binding(fresh()))
    assert unreachable.create(BINDING, checked, preview=True) == ("", checked)
    news = unreachable.check(BINDING, binding(name, user="joe"), made.inputs)
    assert kinds(unreachable.diff(BINDING, made.state, made.inputs, news))
    where = (BINDING, made.id, made.state)
    assert unreachable.update(*where, made.inputs, news, preview=True) == news
    assert time.monotonic() - begin < 10
    assert len(unreachable.messages) == 1
    assert "unreachable" in unreachable.messages[0]
    for call in (
        lambda: unreachable.create(BINDING, checked),
        lambda: unreachable.update(*where, made.inputs, news),
        lambda: unreachable.read(*where, made.inputs),
        lambda: unreachable.delete(*where),
    ):
        with pytest.raises(grpc.RpcError, match="cluster is unreachable"):
            call()


def test_what_the_stand_in_does_not_have_is_refused_by_name(
    kube: Driver, control_plane: ControlPlane
) -> None:
    """Silence would let a stack pass here that does something else with the official plugin."""
    with pytest.raises(grpc.RpcError, match="no Patch or List resources"):
        kube.check(
            urn("kubernetes:core/v1:NodePatch"),
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}},
        )
    with pytest.raises(grpc.RpcError, match="not known to the lab's stand-in"):
        kube.check(urn("kubernetes:helm.sh/v4:Chart"), {})
    with pytest.raises(grpc.RpcError, match="enableServerSideApply"):
        Driver(MODULE, {"enableServerSideApply": "false"}).__enter__()


def test_the_plugin_starts_in_a_second_without_the_kubernetes_package(
    control_plane: ControlPlane,
) -> None:
    """The package takes 0.3 s to import; a run that changes nothing does without it."""
    begin = time.monotonic()
    with Driver(MODULE, variables={"KUBECONFIG": str(control_plane.kubeconfig)}) as driver:
        assert time.monotonic() - begin < 3
        driver.check(BINDING, binding("x"))
        maps = Path(f"/proc/{driver.process.pid}/maps").read_text()
        assert "pydantic_core" not in maps
