"""The script of the API server's token file: our line among those of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kube_nodes.model.static_token import StaticTokenSettings
from kube_nodes.render.static_token import render_token_file
from tests.lab.host_script.script_host import Run, ScriptHost

pytestmark = pytest.mark.lab

FILE = "/srv/control-plane/token.csv"
OTHERS = '# not a token\nt1,"somebody",1,"a,b"\nt2,us,2\n'
STATE = "/var/lib/kube-nodes"


def script(letter: str = "a", **declared: Any) -> str:
    """Render the script for a token that is one letter, 32 times."""
    settings = StaticTokenSettings(**{"file": FILE, **declared})
    return render_token_file("cp1", "project.stack", letter * 32, settings)


def line(letter: str = "a", user: str = "kubelet-bootstrap") -> str:
    """Give the line that is expected."""
    return f'{letter * 32},{user},10001,"system:bootstrappers"\n'


@pytest.fixture
def clean(host: ScriptHost) -> Iterator[ScriptHost]:
    """The host, without a token file before and after."""
    yield host
    host.sh(f"rm -rf /srv/control-plane {STATE}")


def seed(host: ScriptHost, text: str = OTHERS, mode: str = "600", owner: str = "0:0") -> None:
    """Let somebody else's lines be there."""
    make = f"mkdir -p /srv/control-plane; printf %s '{text}' >{FILE}"
    host.sh(f"{make}; chmod {mode} {FILE}; chown {owner} {FILE}")


def refused(host: ScriptHost, run: Run, *words: str) -> None:
    """Hold a run to its error, without the token in it, and to having changed nothing."""
    assert run.status == 1
    assert run.err.startswith("cp1: ")
    assert all(word in run.err for word in words), run.err
    assert "a" * 32 not in run.err + run.out
    assert host.sh(f"ls {FILE}.kn-new 2>/dev/null") == ""


def test_a_new_file_is_roots_alone_and_a_second_run_changes_nothing(clean: ScriptHost) -> None:
    run = clean.run(script())
    assert (run.status, run.err) == (0, "")
    assert f"cp1: changed {FILE}; kube-apiserver reads it when it starts" in run.out
    assert clean.read(FILE) == line()
    assert clean.sh(f"stat -c %a:%U:%G {FILE}") == "600:root:root\n"
    inode = clean.sh(f"stat -c %i {FILE}")
    again = clean.run(script())
    assert (again.status, again.out, again.err) == (0, "", "")
    assert clean.sh(f"stat -c %i {FILE}") == inode


def test_lines_of_others_and_the_owner_stay_and_only_ours_goes(clean: ScriptHost) -> None:
    seed(clean, mode="400", owner="1:1")
    assert clean.run(script()).status == 0
    assert clean.read(FILE) == OTHERS + line()
    assert clean.sh(f"stat -c %a:%u:%g {FILE}") == "400:1:1\n"
    assert clean.run(script(), "remove").status == 0
    assert clean.read(FILE) == OTHERS
    assert clean.sh(f"stat -c %a:%u:%g {FILE}") == "400:1:1\n"
    assert not clean.exists(STATE)


def test_a_last_line_without_an_end_is_not_lost(clean: ScriptHost) -> None:
    seed(clean, OTHERS.rstrip("\n"))
    assert clean.run(script()).status == 0
    assert clean.read(FILE) == OTHERS + line()


@pytest.mark.parametrize(
    ("change", "expected"),
    [({}, line("b")), ({"user": "me"}, line("b", "me"))],
    ids=["token", "user"],
)
def test_another_token_or_user_takes_the_place_of_ours(
    clean: ScriptHost, change: dict[str, str], expected: str
) -> None:
    seed(clean)
    clean.run(script())
    clean.sh(f"echo 't3,them,3' >>{FILE}")
    assert clean.run(script("b", **change)).status == 0
    assert clean.read(FILE) == f"{OTHERS}t3,them,3\n{expected}"


def test_another_file_gets_the_line_and_the_earlier_one_loses_it(clean: ScriptHost) -> None:
    seed(clean)
    clean.run(script())
    other = "/srv/control-plane/other.csv"
    assert clean.run(script(file=other)).status == 0
    assert (clean.read(FILE), clean.read(other)) == (OTHERS, line())


def test_a_file_of_our_own_stays_empty_or_the_api_server_would_not_start(
    clean: ScriptHost,
) -> None:
    clean.run(script())
    assert clean.run(script(), "remove").status == 0
    assert clean.exists(FILE)
    assert clean.read(FILE) == ""
    assert clean.run(script(), "remove").status == 0, "again"


def test_another_token_of_our_user_is_somebody_elses_and_refused(clean: ScriptHost) -> None:
    text = OTHERS + line("c").replace(",kubelet-bootstrap,", ',"kubelet-bootstrap",')
    seed(clean, text)
    refused(clean, clean.run(script()), "another token of user kubelet-bootstrap", "remove that")
    assert clean.read(FILE) == text
    assert clean.run(script(user="me")).status == 0
    assert clean.read(FILE) == text + line(user="me")


def test_a_file_that_others_may_read_is_refused(clean: ScriptHost) -> None:
    seed(clean, mode="640")
    refused(clean, clean.run(script()), f"others may read {FILE}", "make it 0600")
    assert clean.read(FILE) == OTHERS


def test_a_link_is_refused(clean: ScriptHost) -> None:
    seed(clean)
    clean.sh(f"mv {FILE} {FILE}.real; ln -s {FILE}.real {FILE}")
    refused(clean, clean.run(script()), "is no plain file")


def test_a_full_disk_costs_nobody_a_line(clean: ScriptHost) -> None:
    clean.sh("mkdir -p /srv/control-plane; mount -t tmpfs -o size=4k none /srv/control-plane")
    try:
        seed(clean)
        refused(clean, clean.run(script()), "is the disk full?")
        assert clean.read(FILE) == OTHERS
    finally:
        clean.sh("umount /srv/control-plane")


def test_a_run_that_is_killed_leaves_no_line_that_nobody_knows(clean: ScriptHost) -> None:
    """It is on record before it is in the file: the next run, with another token, finds it."""
    seed(clean)
    killed = script().replace("\nfinish() {\n", "\nfinish() {\nkill -9 $$\n")
    assert killed != script()
    assert clean.run(killed).status != 0
    assert clean.read(FILE) == OTHERS + line()
    assert clean.run(script("b")).status == 0
    assert clean.read(FILE) == OTHERS + line("b")
