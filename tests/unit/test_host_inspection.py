"""host/inspect.sh, run for real on files of this machine: it tells facts, and never a secret."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kube_nodes.model.dns import DnsError, parse_answer, render_query
from kube_nodes.model.host_facts import HostFacts, parse_host_facts
from kube_nodes.render.inspection import render_inspection_script
from tests.configurations import private_pem
from tests.unit.healthy_node import answer, authority, encoded, expected, issue

_SOURCE = Path(__file__).parents[2] / "host" / "inspect.sh"
_SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]
_EVERY_SHELL = pytest.mark.parametrize("shell", _SHELLS)


def _told(call: str, shell: str = "sh") -> str:
    script = f". {_SOURCE}\n{call}\necho end\n"
    return subprocess.run([shell, "-c", script], capture_output=True, text=True, check=True).stdout


def _facts(call: str, shell: str = "sh") -> HostFacts:
    return parse_host_facts(_told(call, shell))


@_EVERY_SHELL
def test_each_kind_of_path_is_told(tmp_path: Path, shell: str) -> None:
    (tmp_path / "file").write_text("content\n")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "lost").symlink_to("nowhere")
    names = ("file", "folder", "link", "lost", "none")
    facts = _facts("\n".join(f"file {tmp_path}/{name} sha256" for name in names), shell)
    found = {name: facts.files[f"{tmp_path}/{name}"] for name in names}
    assert {name: fact.kind for name, fact in found.items()} == {
        "file": "file", "folder": "folder", "link": "link", "lost": "link", "none": "absent",
    }  # fmt: skip
    assert (found["file"].mode, found["folder"].mode) == ("0640", "0700")
    assert found["file"].owner == f"{os.getuid()}:{os.getgid()}"
    assert found["file"].digest.startswith("434728a410a7")
    assert {found[name].digest for name in names[1:]} == {""}
    long = _facts(f"file {tmp_path}/file sha512", shell).files[f"{tmp_path}/file"].digest
    assert long == hashlib.sha512(b"content\n").hexdigest()
    target = _facts(f"file {tmp_path}/link target", shell).files[f"{tmp_path}/link"]
    assert (target.kind, target.mode, target.digest) == ("file", "0640", "")


@_EVERY_SHELL
def test_what_was_sent_is_told_where_it_is_whole(tmp_path: Path, shell: str) -> None:
    assert _facts(f"sent {tmp_path}", shell).sent == frozenset()
    sums = {text: hashlib.sha256(text.encode()).hexdigest() for text in ("one", "two", "three")}
    for folder, text in (("a", "one"), ("a", "two"), ("b", "three")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / sums[text]).write_text(text)
    (tmp_path / "a" / sums["two"]).write_text("cut")
    assert _facts(f"sent {tmp_path}", shell).sent == {sums["one"], sums["three"]}


_KEY = private_pem(authority().key)
_LEAF = issue("n1", authority()).pem


@_EVERY_SHELL
@pytest.mark.parametrize(
    "text",
    [
        _LEAF + _KEY,
        _KEY + _LEAF,
        _LEAF + authority().pem + _KEY,
        _LEAF.replace("-----END CERTIFICATE-----\n", "") + _KEY,
        f"{_KEY}\n",
        _KEY.replace("PRIVATE", "EC PRIVATE"),
        "-----BEGIN CERTIFICATE-----\n" + _KEY,
    ],
)
def test_of_a_file_with_a_key_only_certificates_are_told(
    tmp_path: Path, shell: str, text: str
) -> None:
    (tmp_path / "pem").write_text(text)
    told = _told(f"pem {tmp_path}/pem", shell)
    assert not [line for line in _KEY.splitlines()[1:-1] if line in told]
    assert "PRIVATE KEY" not in told


def test_the_certificates_arrive_whole(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text(_LEAF + _KEY + authority().pem)
    facts = _facts(f"pem {tmp_path}/pem")
    assert facts.certificates[f"{tmp_path}/pem"] == _LEAF + authority().pem


_KUBECONFIG = f"""apiVersion: v1
clusters:
- cluster:
    certificate-authority: /etc/kubernetes/pki/ca.crt
    server: https://192.0.2.10:6443
  name: kubernetes
contexts:
- context: {{cluster: kubernetes, user: inner}}
  name: default
- context:
    cluster: kubernetes
    user: kube-proxy
  name: other
current-context: default
users:
- name: kube-proxy
  user:
    client-certificate-data: {encoded(_LEAF)}
    client-key-data: {encoded(_KEY)}
- name: bootstrap
  user:
    token: abcdef.0123456789abcdef
- name: flow
  user: {{token: flowtk.0123456789abcdef}}
- name: odd
  user: "token: quoted.0123456789abcdef"
- name: basic
  user:
    password: hunter2
- name: link
  cluster:
    server: https://admin:hunter3@192.0.2.10
"""


@_EVERY_SHELL
def test_of_a_kubeconfig_names_and_certificate_are_told_and_no_credential(
    tmp_path: Path, shell: str
) -> None:
    path = f"{tmp_path}/kubeconfig"
    Path(path).write_text(_KUBECONFIG)
    told = _told(f"kubeconfig {path}", shell)
    for secret in ("0123456789abcdef", "hunter", _KEY.splitlines()[1], encoded(_KEY)[:40]):
        assert secret not in told
    facts = parse_host_facts(told)
    assert facts.kubeconfigs[path] == {
        "certificate-authority": {"/etc/kubernetes/pki/ca.crt"},
        "server": {"https://192.0.2.10:6443"},
        "user": {"kube-proxy"},
    }
    assert facts.certificates[path] == _LEAF


def test_a_certificate_whose_last_line_does_not_end_arrives_whole(tmp_path: Path) -> None:
    """Pulumi strips what a command prints, and so the certificate in a kubeconfig."""
    path = f"{tmp_path}/kubeconfig"
    Path(path).write_text(f"    client-certificate-data: {encoded(_LEAF.strip())}\n")
    assert _facts(f"kubeconfig {path}").certificates[path] == _LEAF


def test_a_certificate_field_that_holds_a_key_tells_nothing(tmp_path: Path) -> None:
    path = f"{tmp_path}/kubeconfig"
    Path(path).write_text(f"    client-certificate-data: {encoded(_KEY)}\n")
    assert _told(f"kubeconfig {path}") == "end\n"


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=3000))
def test_any_bytes_give_bounded_lines_without_control_characters(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "any"
    path.write_bytes(data)
    told = _told(f"text x {path}\npem {path}\nkubeconfig {path}\nfile {path} sha")
    assert all(line.isprintable() and len(line) < 700 for line in told.splitlines())
    assert told.endswith("\nend\n")


def test_a_large_file_is_told_in_few_lines(tmp_path: Path) -> None:
    lines = ["QUJD"] * 200_000
    (tmp_path / "pem").write_text("-----BEGIN CERTIFICATE-----\n" + "\n".join(lines))
    assert len(_told(f"pem {tmp_path}/pem").splitlines()) == 100


def test_no_answer_is_told_with_curls_last_word() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        fact = _facts(f"http x http://127.0.0.1:{closed.getsockname()[1]}/").http["x"]
    assert fact.status == "000"
    assert fact.error.startswith("(7) Failed to connect")
    assert fact.error.count("Failed") == 1


def test_a_missing_file_is_passed_over(tmp_path: Path) -> None:
    calls = [f"{call} {tmp_path}/none" for call in ("text x", "pem", "kubeconfig", "version")]
    assert _told("\n".join(calls)) == "end\n"


def test_the_script_asks_for_everything_that_is_judged() -> None:
    script = render_inspection_script(expected())
    for file in expected().files:
        assert f"\nfile {file.path}" in script
    secrets = [file.path for file in expected().files if not file.digest]
    assert not [path for path in secrets if f"file {path} sha" in script]
    assert script.endswith("\necho end\n# end\n")
    assert len(script) < 8_000


@_EVERY_SHELL
def test_the_script_writes_nothing_and_comes_to_its_end(tmp_path: Path, shell: str) -> None:
    """Also where nothing of a node is there, as here."""
    script = render_inspection_script(expected())
    done = subprocess.run(
        [shell], input=script, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60
    )
    assert parse_host_facts(done.stdout).complete
    assert list(tmp_path.iterdir()) == []


def test_an_answer_of_a_dns_server_is_read() -> None:
    assert parse_answer(bytes.fromhex(answer("192.0.2.7")), 4) == ["192.0.2.7"]
    with pytest.raises(DnsError, match="NXDOMAIN"):
        parse_answer(bytes.fromhex(answer(code=3)), 4)
    with pytest.raises(DnsError, match="no address"):
        parse_answer(bytes.fromhex(answer()), 6)


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(
    lambda tail: render_query("a.example", 4)[:2] + b"\x80\x00" + tail)))  # fmt: skip
def test_no_answer_makes_the_reader_fail(data: bytes) -> None:
    try:
        assert parse_answer(data, 4)
    except DnsError as error:
        assert str(error)


@_EVERY_SHELL
def test_a_text_is_told_only_where_it_is_another(tmp_path: Path, shell: str) -> None:
    path = f"{tmp_path}/file"
    Path(path).write_bytes("maxPods: 50\n# \xe9\x1b\n".encode("latin-1"))
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert _facts(f"file {path} sha256 {digest}", shell).contents == {}
    assert _facts(f"file {path} sha256", shell).contents == {}
    changed = _facts(f"file {path} sha256 {'a' * 64}", shell)
    assert changed.contents == {path: "maxPods: 50\n# \\xe9\x1b\n"}
    (tmp_path / "link").symlink_to("file")
    gone = f"file {tmp_path}/link sha256 {digest}\nfile {tmp_path}/none sha256 {digest}"
    assert _facts(gone, shell).contents == {}


@pytest.mark.parametrize(
    "text",
    [
        _KEY,
        "  token: x\n",
        '"password": "x"\n',
        "    client-key-data: x\n",
        "ExecStart=/x --token=abcdef.0123456789abcdef\n",
    ],
)
def test_a_text_that_looks_like_a_credential_stays_on_the_host(tmp_path: Path, text: str) -> None:
    path = f"{tmp_path}/file"
    Path(path).write_text(f"maxPods: 50\n{text}")
    told = _told(f"file {path} sha256 {'a' * 64}")
    assert told.splitlines()[1:] == [f"content {path} -", "end"]
    assert parse_host_facts(told).contents == {path: None}


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    path = f"{tmp_path}/file"
    Path(path).write_text("x" * 1_000_000)
    assert _facts(f"file {path} sha256 {'a' * 64}").contents == {path: "x" * 32_000}


def test_no_declared_text_of_a_node_looks_like_a_credential(tmp_path: Path) -> None:
    """Or its diff would never be shown."""
    for number, file in enumerate(each for each in expected().files if each.content):
        path = f"{tmp_path}/{number}"
        Path(path).write_text(file.content)
        assert _facts(f"file {path} sha256 {'a' * 64}").contents == {path: file.content}


@_EVERY_SHELL
def test_secret_files_are_compared_on_the_host(tmp_path: Path, shell: str) -> None:
    for name in ("same", "other", "gone"):
        (tmp_path / name).write_text(f"token of {name}\n")
    sums = f"echo '# 1 0'; cd {tmp_path}; sha256sum $PWD/same $PWD/other $PWD/gone"
    (tmp_path / "sums").write_bytes(subprocess.check_output(["sh", "-c", sums]))
    (tmp_path / "other").write_text("another\n")
    (tmp_path / "gone").unlink()
    told = _told(f"written {tmp_path}/sums\nwritten {tmp_path}/none", shell)
    assert parse_host_facts(told).written == {
        f"{tmp_path}/same": True, f"{tmp_path}/other": False, f"{tmp_path}/gone": False,
    }  # fmt: skip
    assert "token" not in told


def test_the_record_is_told_as_far_as_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "ours").touch()
    (tmp_path / "list").write_text(f"{tmp_path}/ours\n{tmp_path}/gone\n?{tmp_path}/list\n")
    record = _facts(f"record {tmp_path}/list\nrecord {tmp_path}/none").record
    assert record == {f"{tmp_path}/list", f"{tmp_path}/ours"}


def test_a_sysctl_is_told(tmp_path: Path) -> None:
    facts = _facts("sysctl kernel/ostype\nsysctl none/such")
    assert facts.sysctls == {"kernel/ostype": "Linux"}


def test_drift_asks_for_texts_and_for_nothing_that_waits() -> None:
    script = render_inspection_script(expected(), drift=True)
    calls = script.partition("\ntext uptime")[2].splitlines()
    kinds = {call.partition(" ")[0] for call in calls}
    assert kinds.isdisjoint({"http", "dns", "journal", "mode"})
    with_text = [file for file in expected().files if file.content]
    assert len(with_text) >= 5
    for file in with_text:
        assert f"file {file.path} sha256 {file.digest}" in calls
    secrets = [file.path for file in expected().files if not file.digest]
    assert not [path for path in secrets if f"file {path} sha" in script]
