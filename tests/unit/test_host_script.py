"""Rendering what runs on a node: every text arrives as it is, and no value can end its line."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_nodes.render.check_scripts import render_preflight_script, render_service_check_script
from kube_nodes.render.host_script import (
    KUBE_PROXY,
    KUBELET,
    Binary,
    Directory,
    ManagedFile,
    ServiceUnit,
    render_credentials_script,
    render_units_script,
)
from kube_nodes.render.preflight import HostRules
from kube_nodes.render.quoting import shell_word
from kube_nodes.render.shell import constant_shell, inlined

API = "https://192.0.2.1:6443"
SHA256 = "0" * 64
# Text with what shells, here-documents and terminals trip over.
TEXT = st.lists(
    st.one_of(
        st.sampled_from(
            ["'", '"', "\\", "$(id)", "`id`", "END", "AEND", "E", "\n", "\r", "\t", "!", "é"]
        ),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
    ),
    max_size=12,
).map("".join)


def units(**fields: Any) -> str:
    """Render a units script with defaults."""
    known: dict[str, Any] = {
        "node_id": "n1",
        "generation": 1,
        "cluster_uid": "uid-1",
        "api_server": API,
        "files": [ManagedFile(path="/etc/a.conf", content="a: 1\n", restarts=("kubelet",))],
    }
    return render_units_script(**(known | fields))


def data_of(script: str) -> str:
    """Return the part after the constant shell."""
    return script[script.index("\nbegin\n") + 1 :]


def file(**fields: Any) -> list[ManagedFile]:
    """Return one managed file with defaults."""
    return [ManagedFile(**({"path": "/etc/a.conf", "content": "a\n"} | fields))]


def binary(**fields: Any) -> list[Binary]:
    """Return one binary with defaults."""
    known = {
        "path": "/usr/local/bin/x",
        "version": "v1.37.2",
        "sources": ("https://h/x",),
        "digest": SHA256,
    }
    return [Binary(**(known | fields))]


@settings(max_examples=150, deadline=None)
@given(TEXT)
def test_any_text_arrives_byte_for_byte_through_a_real_shell(text: str) -> None:
    content = text if text.endswith("\n") or not text else f"{text}\n"
    call = data_of(units(files=[ManagedFile(path="/etc/a", content=content)]))
    call = call.removeprefix("begin\nlife\n")
    script = f"put() {{ cat; }}\nfinish() {{ :; }}\n{call}"
    done = subprocess.run(
        ["sh", "/dev/stdin"], input=script.encode(), capture_output=True, check=True
    )
    assert done.stdout == content.encode()
    assert done.stderr == b""


@given(st.text())
def test_a_word_is_one_word_to_a_real_shell_or_is_refused(value: str) -> None:
    try:
        word = shell_word(value)
    except ValueError:
        assert re.search(r"[\x00-\x1f\x7f]", value)
        return
    try:
        argument = value.encode()
    except UnicodeEncodeError:
        return
    done = subprocess.run(
        ["sh", "-c", f"printf %s {word}"], capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    assert done.stdout == argument


def test_the_text_does_not_depend_on_the_order_of_files_binaries_and_folders() -> None:
    files = [ManagedFile(path=f"/etc/{name}", content=f"{name}\n") for name in "abc"]
    folders = [Directory(path=f"/var/{name}") for name in "abc"]
    binaries = [*binary(path="/usr/local/bin/a"), *binary(path="/usr/local/bin/b")]
    one = units(files=files, directories=folders, binaries=binaries)
    two = units(files=files[::-1], directories=folders[::-1], binaries=binaries[::-1])
    assert one == two


def test_a_changed_line_of_a_file_is_the_only_changed_line_of_the_script() -> None:
    before = units(files=file(content="a: 1\nb: 2\n")).splitlines()
    after = units(files=file(content="a: 1\nb: 3\n")).splitlines()
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert changed == [("b: 2", "b: 3")]


def test_another_reapply_number_changes_nothing_else() -> None:
    before, after = units().splitlines(), units(reapply=1).splitlines()
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert changed == [("reapply=0", "reapply=1")]


def test_only_a_node_that_adopts_has_the_shell_for_it() -> None:
    taking = units(adopt=True)
    assert units() == taking.replace(" foreign take_over\n", "\n")
    rules = HostRules(adopting_unit_dir="/etc/systemd/system", runtime_socket="/run/x.sock")
    asked: dict[str, Any] = {"node_id": "n1", "api_server": "https://192.0.2.1:6443", "ca_pem": ""}
    assert " adoption proxy_mode" in render_preflight_script(**asked, rules=rules)
    assert " foreign proxy_mode" in render_preflight_script(**asked)


def test_what_looks_at_a_host_defines_no_function_twice_but_the_one_that_adoption_replaces() -> (
    None
):
    """The later one would silently take the place of a check."""
    rules = HostRules(adopting_unit_dir="/etc/systemd/system", runtime_socket="/run/x.sock")
    script = render_preflight_script(
        node_id="n1", api_server="https://192.0.2.1:6443", ca_pem="", rules=rules
    )
    names = re.findall(r"^(\w+)\(\) \{", inlined(script), re.MULTILINE)
    assert [name for name in set(names) if names.count(name) > 1] == ["main_pid"]
    names = re.findall(r"^(\w+)\(\) \{", inlined(units(adopt=True)), re.MULTILINE)
    twice = {name for name in names if names.count(name) > 1}
    assert twice == {"theirs", "take", "untake", "taken"}


def test_a_script_holds_its_data_and_no_constant_shell() -> None:
    assert len(units(files=[])) < 500
    assert len(render_credentials_script(node_id="n1", generation=1, files=[])) < 300


def test_a_file_of_which_only_a_part_could_be_written_is_not_put_in_place(tmp_path: Path) -> None:
    """A limit on a file's size stands for a disk that is full."""
    target = tmp_path / "config.yaml"
    target.write_text("before\n")
    script = "\n".join(
        [
            "action=apply node=n1",
            constant_shell("base"),
            "place() { :; }",
            "chown() { :; }",
            "ulimit -f 1",
            "trap leave EXIT",
            f"put {target} 0600 kubelet <<'END'",
            *["other"] * 2000,
            "END",
            'echo "changes $changes"',
        ]
    )
    done = subprocess.run(
        ["sh"], input=script, cwd=tmp_path, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"n1: cannot write {target}; is the disk full?" in done.stderr
    assert target.read_text() == "before\n"
    assert list(tmp_path.iterdir()) == [target]


def test_scripts_end_with_the_line_that_the_receiver_looks_for() -> None:
    credentials = render_credentials_script(node_id="n1", generation=1, files=file())
    preflight = render_preflight_script(node_id="n1", api_server=API, ca_pem="x\n")
    check = render_service_check_script(node_id="n1", url=API, run_id="0-a")
    for script in (units(), credentials, preflight, check):
        assert script.endswith("\n# end\n")
        done = subprocess.run(
            ["sh", "-n"], input=inlined(script), text=True, capture_output=True, check=True
        )
        assert done.stderr == ""


def test_a_secret_content_is_not_in_the_representation_of_its_file() -> None:
    assert "hunter2" not in repr(file(content="hunter2\n"))


def test_units_name_what_is_asked_and_how_long_it_may_be_silent() -> None:
    proxy = ServiceUnit(name="kube-proxy", health_url="http://127.0.0.1:1/x", settle_seconds=3)
    script = units(units=(ServiceUnit(name="containerd"), KUBELET, proxy))
    wanted = "containerd=0= kubelet=10=http://127.0.0.1:10248/healthz kube-proxy=3="
    assert f"units='{wanted}http://127.0.0.1:1/x'\n" in script


REFUSED: list[tuple[str, Callable[[], str], str]] = [
    ("a node id with a line break", lambda: units(node_id="n1\nid"), "node_id"),
    ("a node id in capitals", lambda: units(node_id="N1"), "node_id"),
    ("a relative path", lambda: units(files=file(path="etc/a")), "path: 'etc/a'"),
    ("a path with a parent", lambda: units(files=file(path="/etc/../a")), "path"),
    ("a path with a space", lambda: units(files=file(path="/etc/a b")), "path"),
    ("a path with a command", lambda: units(files=file(path="/etc/$(id)")), "path"),
    ("a path declared twice", lambda: units(files=file() * 2), "declared twice"),
    ("a mode that is no mode", lambda: units(files=file(mode="rw")), "/etc/a.conf mode: 'rw'"),
    ("a short mode", lambda: units(files=file(mode="600")), "mode"),
    ("content without a last line break", lambda: units(files=file(content="a")), "line break"),
    ("content with NUL", lambda: units(files=file(content="a\0\n")), "NUL"),
    ("an unknown unit", lambda: units(files=file(restarts=("sshd",))), "restarts: ['sshd']"),
    ("a unit with a command", lambda: units(units=(ServiceUnit(name="a;id"),)), "unit"),
    ("a URL of another kind", lambda: units(binaries=binary(sources=("file:///x",))), "source"),
    (
        "a URL with a password",
        lambda: units(binaries=binary(sources=("https://a:b@h/x",))),
        "source",
    ),
    ("a URL with a space", lambda: units(binaries=binary(sources=("https://h/a b",))), "source"),
    ("a sum that is short", lambda: units(binaries=binary(digest="abc")), "digest: 'abc'"),
    ("a kubelet folder /", lambda: units(kubelet_root="/"), "kubelet_root"),
    ("a server without scheme", lambda: units(api_server="192.0.2.1:6443"), "api_server"),
    ("a cluster with a line break", lambda: units(cluster_uid="a\nid"), "control character"),
    (
        "a code that is no HTTP code",
        lambda: render_service_check_script(node_id="n", url=API, run_id="a", accept=("x",)),
        "accept: 'x'",
    ),
    (
        "a run id with a command",
        lambda: render_service_check_script(node_id="n", url=API, run_id="$(id)"),
        "run_id",
    ),
]


@pytest.mark.parametrize(
    ("render", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_value_that_would_not_arrive_as_meant_is_refused(
    render: Callable[[], str], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        render()


def test_kubelet_and_kube_proxy_answer_where_the_stand_ins_of_the_tests_listen() -> None:
    assert KUBELET.health_url == "http://127.0.0.1:10248/healthz"
    assert KUBE_PROXY.health_url == "http://127.0.0.1:10256/healthz"
