"""The work that the benchmarks measure: the same for every tool."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import work
from benchmarks.tools import HERE
from kube_nodes.render.host_files import node_directories, node_files
from kube_nodes.settings import parse_settings
from lab import ssh
from lab.spec import Host

HOST = Host(name="n7", address="10.98.250.17", host_key=ssh.new_key_pair().public)
DEFINITIONS = ("ansible/playbook.yml", "pyinfra_deploy/deploy.py", "by_hand/host.sh")


@pytest.fixture
def credentials(tmp_path: Path) -> work.Credentials:
    return work.Credentials.read(tmp_path)


def test_a_template_filled_is_what_this_project_renders(credentials: work.Credentials) -> None:
    plan = work.plan(credentials, 110, HOST.host_key)
    settings = parse_settings(work.configuration([HOST], credentials.ca, 110))
    (node,) = settings.nodes
    rendered = [
        *node_files(settings.cluster, node),
        *work.credential_files(settings, node, credentials),
    ]
    assert plan.texts(HOST) == {each.path: each.content for each in rendered}
    assert list(plan.directories) == list(node_directories(node))


def test_what_is_secret_is_for_root_alone(credentials: work.Credentials) -> None:
    plan = work.plan(credentials, 110, HOST.host_key)
    modes = {each.path: each.mode for each in plan.files}
    assert modes["/etc/kubernetes/proxy.conf"] == "0600"
    assert modes["/etc/kubernetes/bootstrap-kubelet.conf"] == "0600"


def test_the_change_is_of_one_file(credentials: work.Credentials) -> None:
    before, after = (
        work.plan(credentials, pods, HOST.host_key).texts(HOST)
        for pods in (work.FIRST_PODS, work.CHANGED_PODS)
    )
    changed = [path for path, text in before.items() if after[path] != text]
    assert changed == ["/var/lib/kubelet/config.yaml"]


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_every_tool_has_every_file_and_folder(
    definition: str, credentials: work.Credentials
) -> None:
    text = (HERE / definition).read_text(encoding="utf-8")
    plan = work.plan(credentials, 110, HOST.host_key)
    paths = [*(each.path for each in plan.files), *(each.path for each in plan.directories)]
    assert [path for path in paths if path not in text] == []


def test_this_program_puts_the_same_files_there(credentials: work.Credentials) -> None:
    settings = parse_settings(work.configuration([HOST], credentials.ca, 110))
    (node,) = settings.nodes
    scripts = work.credentials_script(settings, node, credentials) + work.units_script(
        settings, node
    )
    for path, text in work.plan(credentials, 110, HOST.host_key).texts(HOST).items():
        assert f"put {path} " in scripts
        assert text in scripts


def test_no_secret_is_in_what_is_shown_of_an_object(credentials: work.Credentials) -> None:
    assert "PRIVATE" not in repr(credentials)
    assert "PRIVATE" not in repr(work.plan(credentials, 110, HOST.host_key))
