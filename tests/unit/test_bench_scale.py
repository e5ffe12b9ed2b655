"""The benchmark of a large fleet: figures, configuration, what a simulated host says."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from benchmarks.scale import figures, fleet
from benchmarks.scale.cluster import spec_of
from benchmarks.scale.figures import Measured
from benchmarks.scale.kubelet import Sent, node_status
from benchmarks.scale.play import sshd_command
from benchmarks.scale.watching import kind_of, peak_mib
from kube_nodes.membership.readiness import read_runs, why_not_ready
from kube_nodes.model.machine import parse_facts
from kube_nodes.model.requests import DeclaredNode
from kube_nodes.render.host_files import (
    read_run_id,
    render_node_credentials,
    render_node_preflight,
    render_node_service_check,
    render_node_units,
)
from kube_nodes.render.shell import render_call, render_unsend, sent_path
from kube_nodes.settings import Settings, parse_settings
from tests.configurations import materials, right_configuration

CREATED = Measured(
    case="create",
    nodes=100,
    changed=100,
    seconds=50.0,
    processor_seconds=40.0,
    load=2.5,
    memory_mib={"engine": 200.4},
    open_files={"engine": 46},
    state_bytes=5_000_000,
    state_gzip_bytes=1_000_000,
)

_OWNER = "kube-nodes.scale"


class TestFigures:
    """What is made of the measurements."""

    def test_growth_is_the_ratio_of_the_same_case_under_the_same_settings(self) -> None:
        many = Measured(case="create", nodes=1000, changed=1000, seconds=550.0)
        other = Measured(case="create", nodes=1000, changed=1000, seconds=1.0, settings="X=1")
        assert figures.growth([CREATED, many, other], "create", 100, 1000) == 11.0
        assert figures.growth([CREATED], "create", 100, 1000) is None

    def test_the_tables_tell_seconds_memory_files_and_state(self) -> None:
        text = figures.render([CREATED])
        assert "| create | 100 | 100 | as by default | 50.0 | 0.50 | 40.0 | 2.5 |" in text
        assert "| 100 | create | 200, 46 |" in text
        assert "| 100 | 5.00 | 50.0 | 1.00 | 10.0 |" in text

    def test_goals_are_met_or_not(self) -> None:
        many = replace(CREATED, nodes=1000, seconds=600.0, memory_mib={"program": 501.0})
        text = figures.render([CREATED, many])
        assert "12.0 times | no |" in text
        assert "create: 1000 nodes take at most 11 times as long as 100" in text
        assert "| 5 kB, of 1000 | yes |" in text
        assert "as it is stored, with gzip | 1 kB, of 1000 | yes |" in text
        assert "| 501 MiB, of 1000 | no |" in text

    def test_what_was_written_is_read_again(self) -> None:
        assert figures.load(figures.dump([CREATED])) == [CREATED]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("pulumi up --yes --stack scale", "engine"),
        ("pulumi stack init scale", None),
        ("/x/pulumi-language-python -root=/x 127.0.0.1:1", "language host"),
        ("python /x/pulumi-language-python-exec --monitor x __main__.py", "program"),
        ("/x/python -P /x/lab/plugins/launch.py command 127.0.0.1:1", "plugin command"),
        ("/x/pulumi-resource-random 127.0.0.1:1", "plugin random"),
        ("/x/python -P -m kube_nodes.membership join", "local command"),
        ("sshd -i", None),
        ("", None),
    ],
)
def test_a_process_is_known_by_its_command_line(line: str, kind: str | None) -> None:
    assert kind_of(line.split()) == kind


def test_the_peak_of_a_process_is_the_kernels_own() -> None:
    assert peak_mib("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n") == 2.0
    assert peak_mib("Name:\tkthread\n") == 0.0


class TestFleet:
    """What is declared."""

    def test_every_host_has_an_address_of_its_own_that_is_not_the_control_planes(
        self, tmp_path: Path
    ) -> None:
        addresses = {fleet.address_of(number) for number in range(1, 1002)}
        assert len(addresses) == 1001
        assert not [each for each in addresses if each.startswith("198.18.0.")]
        assert spec_of(tmp_path).gateway == "198.18.0.1"

    def test_the_configuration_is_one_that_this_project_takes(self, tmp_path: Path) -> None:
        settings = _settings(tmp_path, fleet.Declared())
        assert [node.pool for node in settings.nodes] == ["pool-01"] * 50 + ["pool-02"] * 2
        assert {node.options.max_pods for node in settings.nodes} == {fleet.FIRST_PODS}

    def test_one_node_and_one_pool_can_be_changed(self, tmp_path: Path) -> None:
        declared = fleet.Declared().raised("n0051").raised("pool-01").raised("pool-01")
        settings = _settings(tmp_path, declared)
        found = [node.options.max_pods for node in settings.nodes]
        assert found == [fleet.FIRST_PODS + 2] * 50 + [fleet.FIRST_PODS + 1, fleet.FIRST_PODS]

    def test_a_hosts_files_are_kept(self, tmp_path: Path) -> None:
        spec = spec_of(tmp_path)
        spec.path("srv", "hosts").mkdir(parents=True)
        assert fleet.make_host(spec, 1) == fleet.make_host(spec, 1)


def _settings(folder: Path, declared: fleet.Declared) -> Settings:
    spec = spec_of(folder)
    spec.path("pki").mkdir()
    spec.path("srv", "hosts").mkdir(parents=True)
    spec.path("pki", "ca.crt").write_text(right_configuration()["caCertificate"])
    hosts = [fleet.make_host(spec, number) for number in range(1, 53)]
    uid = right_configuration()["clusterUid"]
    return parse_settings(fleet.configuration(spec, uid, hosts, declared))


class TestHost:
    """What a simulated host makes of this project's own scripts."""

    @pytest.fixture
    def settings(self) -> Settings:
        return parse_settings(right_configuration(binaries={"1.37.2": materials()["binaries"]}))

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """The host's own folder, beside the script that sshd runs."""
        shutil.copy(fleet.HERE / "host.sh", tmp_path)
        here = tmp_path / "hosts" / "n1"
        sent = here / sent_path(_OWNER)
        sent.parent.mkdir(parents=True)
        sent.touch()
        (here / "machine-id").write_text(f"{'ab' * 16}\n")
        return here

    def _send(self, folder: Path, script: str, action: str = "apply", status: int = 0) -> str:
        undo = action == "unsend"
        call = partial(render_call, owner=_OWNER, timeout_seconds=600)
        command = render_unsend(_OWNER) if undo else call(action=action)
        done = subprocess.run(
            ["sh", folder.parents[1] / "host.sh", folder.name],
            input=script,
            env={**os.environ, "SSH_ORIGINAL_COMMAND": command},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    def test_preflight_tells_the_machine(self, settings: Settings, folder: Path) -> None:
        node = settings.nodes[0]
        said = self._send(folder, render_node_preflight(settings.cluster, node, None))
        assert parse_facts(said).machine_id == "ab" * 16

    def test_units_start_the_kubelet_which_finds_what_the_scripts_brought(
        self, settings: Settings, folder: Path
    ) -> None:
        node = settings.nodes[0]
        secret = render_node_credentials(settings.cluster, node, "abcdef.0123", "cert", "key")
        assert "changed /etc/kubernetes/" in self._send(folder, secret)
        units = render_node_units(settings.cluster, node, settings.binaries_of(node))
        said = self._send(folder, units)
        started = read_runs(said)
        assert started.machine_id == "ab" * 16
        assert started.kubelet_seconds
        assert read_run_id(said) in said
        assert (folder.parents[1] / "orders").read_text() == "start n1\n"
        sent = Sent.read(folder)
        assert (sent.server, sent.token) == (settings.cluster.server, "abcdef.0123")
        assert sent.version == str(node.kubelet_version)
        self._send(folder, units, "remove")
        assert (folder.parents[1] / "orders").read_text() == "start n1\nstop n1\n"
        assert not (folder / "units").exists()

    def test_the_service_check_says_its_run(self, settings: Settings, folder: Path) -> None:
        script = render_node_service_check(
            settings.nodes[0],
            url="https://10.96.0.1/readyz",
            ca_certificate=settings.cluster.ca_certificate,
            timeout_seconds=60,
            runs=("a", "b"),
        )
        run = next(line for line in script.splitlines() if line.startswith("run="))
        assert self._send(folder, script) == f"run {run.removeprefix('run=')}\nok\n"

    def test_a_host_that_was_sent_nothing_refuses_and_what_was_sent_can_go(
        self, settings: Settings, folder: Path
    ) -> None:
        script = render_node_preflight(settings.cluster, settings.nodes[0], None)
        self._send(folder, "", "unsend")
        assert not (folder / ".kube-nodes").exists()
        assert "was not sent what this command calls" in self._send(folder, script, status=1)

    def test_what_is_no_script_of_this_project_is_refused(self, folder: Path) -> None:
        assert "arrived cut short" in self._send(folder, "part=units\n", status=1)
        assert "no step is known" in self._send(folder, "echo hello\n# end\n", status=1)

    def test_each_connection_shows_the_hosts_own_key(self) -> None:
        assert "/srv/hosts/n0007/host_key" in sshd_command("n0007")


def test_the_status_of_a_simulated_node_is_what_a_join_waits_for() -> None:
    status = node_status("n1", "198.18.1.1", "ab" * 16, "v1.37.2", "2026-01-01T00:00:00Z")
    node = {"metadata": {"name": "n1"}, "status": status}
    declared = DeclaredNode(id="n1", name="n1", generation=1, version="v1.37.2")
    assert why_not_ready(None, node, declared, read_runs(f"machine {'ab' * 16}")) == ""  # type: ignore[arg-type]
