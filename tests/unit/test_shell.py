"""How the constant shell comes to a host: sent once and called, or in the script itself."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from kube_nodes.render.host_script import ManagedFile, render_units_script
from kube_nodes.render.shell import (
    SENT_PARTS,
    constant_shell,
    host_scripts,
    host_scripts_sum,
    inlined,
    render_call,
    render_receiver,
    render_unsend,
    sent_path,
    use,
)

HOST = Path(__file__).resolve().parents[2] / "host"
# What sends a file and removes it again, and what is run on hosts whose state is not recorded.
_NOT_SENT = {"delivery", "dispatch", "inspect", "receiver", "running", "token_file"}
_OWNER = "kube-nodes.test"
_the_call = partial(render_call, owner=_OWNER)
_SCRIPT = "node='n1'\nuse version\necho \"$1 $node\" && version /none\n# end\n"


def _call(home: Path, command: str, script: str = _SCRIPT, path: str = "") -> tuple[int, str, str]:
    if os.geteuid() != 0:
        pytest.skip("A script is kept on /run while it runs, where only root may write.")
    environment = {**os.environ, "PATH": path + os.environ["PATH"]}
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=home, input=script, text=True, capture_output=True, check=False, env=environment,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with what is sent."""
    sent = tmp_path / sent_path(_OWNER)
    sent.parent.mkdir(parents=True)
    sent.write_text(host_scripts())
    return tmp_path


@pytest.mark.parametrize("name", SENT_PARTS)
def test_constant_shell_travels_without_comments_and_indentation(name: str) -> None:
    lines = constant_shell(name).splitlines()
    assert not [line for line in lines if not line or line[0] in " \t#"]


@pytest.mark.parametrize("source", sorted(HOST.glob("*.sh")), ids=lambda path: path.name)
def test_stripping_does_not_change_what_a_source_means(source: Path) -> None:
    def parsed(text: str) -> list[str]:
        command = ["bash", "--pretty-print", "/dev/stdin"]
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=True)
        return [line for line in done.stdout.splitlines() if line]

    assert parsed(constant_shell(source.stem)) == parsed(source.read_text())


def test_all_that_a_nodes_steps_call_is_sent() -> None:
    assert {path.stem for path in HOST.glob("*.sh")} == {*SENT_PARTS, *_NOT_SENT}
    assert re.findall(r"^kn_(\w+)\(\) \{$", host_scripts(), re.MULTILINE) == list(SENT_PARTS)
    with pytest.raises(ValueError, match=r"\['inspect'\] is not sent"):
        use("base", "inspect")


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_is_sent_can_be_read_by_each_shell(shell: str) -> None:
    command = [shell, "-n"]
    done = subprocess.run(
        command, input=host_scripts(), text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_sent_is_small_and_named_by_its_sum() -> None:
    assert len(host_scripts()) < 40_000
    assert hashlib.sha256(host_scripts().encode()).hexdigest() == host_scripts_sum()


def test_a_call_is_a_short_line_without_what_tells_nodes_apart() -> None:
    command = _the_call(action="remove", timeout_seconds=30)
    assert f" f=.kube-nodes/{_OWNER}/$s;" in command
    assert "sh $f remove 30;" in command
    assert len(command) < 300
    assert "\n" not in command


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_call_runs_the_script_with_what_was_sent(home: Path, tmp_path: Path, shell: str) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sh").symlink_to(shutil.which(shell) or shell)
    status, out, _ = _call(home, _the_call(timeout_seconds=10), path=f"{programs}:")
    assert (status, out) == (0, "apply n1\nnot there\n")


@pytest.mark.parametrize("change", ["missing", "cut short", "one byte more"])
def test_a_call_refuses_what_is_not_what_was_sent(home: Path, change: str) -> None:
    sent = home / sent_path(_OWNER)
    if change == "missing":
        sent.unlink()
    else:
        sent.write_text(host_scripts()[:-10] if change == "cut short" else f"{host_scripts()} ")
    # More than a pipe holds: a command that ended without reading it would lose its own message.
    script = f"{_SCRIPT}{'#' * 200_000}\n"
    status, out, err = _call(home, _the_call(timeout_seconds=10), script)
    assert (status, out) == (1, "")
    said = "~/.kube-nodes: our scripts are gone; raise the reapply number"
    assert err.splitlines()[-1] == said


def test_a_call_lets_nobody_else_write_what_it_runs(home: Path) -> None:
    """SFTP makes files by the umask of the login, which may let a group write."""
    sent = home / sent_path(_OWNER)
    for path in (sent, sent.parent, sent.parent.parent):
        path.chmod(0o775)
    assert _call(home, _the_call(timeout_seconds=10))[0] == 0
    for path in (sent, sent.parent, sent.parent.parent):
        assert path.stat().st_mode & 0o777 == 0o755


def test_a_call_refuses_a_script_that_was_cut_short(home: Path) -> None:
    status, out, err = _call(home, _the_call(timeout_seconds=10), _SCRIPT.removesuffix("end\n"))
    assert (status, out, err) == (1, "", "the script arrived cut short\n")


def test_a_call_ends_at_its_time_limit(home: Path) -> None:
    status, _, _ = _call(home, _the_call(timeout_seconds=1), "sleep 30\n# end\n")
    assert status == 124


def test_a_call_says_what_to_do_where_sudo_refuses(home: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {"id": "echo 1000", "sudo": "exit 1"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    status, out, err = _call(home, _the_call(timeout_seconds=10), path=f"{programs}:")
    assert (status, out) == (1, "")
    assert err.startswith("sudo: refused; files and units are root's; log in as root")


def test_all_versions_of_what_was_sent_are_removed(home: Path) -> None:
    (home / sent_path(_OWNER)).with_name("older").write_text("")
    for _ in range(2):
        assert _call(home, render_unsend(_OWNER)) == (0, "", "")
    assert list(home.iterdir()) == []


def test_what_another_stack_sent_stays(home: Path) -> None:
    assert _call(home, render_unsend("kube-nodes.other"))[0] == 0
    assert _call(home, _the_call(timeout_seconds=10))[0] == 0
    with pytest.raises(ValueError, match=r"owner: '\.\./x' does not match"):
        render_unsend("../x")


def test_a_script_with_its_parts_in_it_does_the_same(home: Path) -> None:
    text = inlined(_SCRIPT)
    assert text == _SCRIPT.replace("use version\n", constant_shell("version"))
    command = render_receiver(action="remove", timeout_seconds=10)
    status, out, _ = _call(home, command, text)
    assert (status, out) == (0, "remove n1\nnot there\n")


def test_a_file_that_looks_like_the_line_of_parts_stays_as_it_is() -> None:
    text = "use base\n"
    script = render_units_script(
        node_id="n1",
        generation=1,
        cluster_uid="uid-1",
        api_server="https://192.0.2.1:6443",
        files=[ManagedFile(path="/etc/a.conf", content=text)],
    )
    assert f"<<'END'\n{text}END\n" in inlined(script)


def test_the_receiver_is_a_constant_line_for_root_and_through_sudo() -> None:
    for user in ("root", "admin"):
        command = render_receiver(user=user, action="remove", timeout_seconds=30)
        assert "timeout -k 10 30 sh /dev/fd/4 remove" in command
        assert "\n" not in command
    assert render_receiver(user="admin").startswith("sudo -n sh -c ")


@pytest.mark.parametrize("action", ["rm", "apply; id", ""])
def test_there_are_two_actions(action: str) -> None:
    with pytest.raises(ValueError, match=f"action: '{action}' is not apply or remove"):
        render_receiver(action=action)
    with pytest.raises(ValueError, match=f"action: '{action}' is not apply or remove"):
        _the_call(action=action, timeout_seconds=1)
