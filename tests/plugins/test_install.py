"""Official plugins first, else stand-ins, and those in a lab's own PULUMI_HOME only.

The command line tool is a script here, so that each way a download can go is tried.
"""

import json
import os
import time
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.plugins import download
from lab.plugins.install import OWNED, Installed, claim, install, wanted, write_stand_in
from lab.spec import LabSpec
from tests.plugins.engine import CHECKOUT

REFUSED = "exit 1"
INSTALLS = """
folder="$PULUMI_HOME/plugins/$3-$4-v$5"
mkdir -p "$folder"
printf 'official' >"$folder/pulumi-resource-$4"
"""
HANGS = "exec sleep 60"


def make_cli(folder: Path, script: str) -> Path:
    cli = folder / "pulumi"
    log = folder / "calls"
    cli.write_text(f'#!/bin/sh\necho "$*" >>"{log}"\n{script}\n')
    cli.chmod(0o755)
    return cli


def calls(folder: Path) -> list[str]:
    log = folder / "calls"
    return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "pulumi-home"


def launchers(home: Path) -> dict[str, str]:
    found = (home / "plugins").glob("resource-*/pulumi-resource-*")
    return {path.parent.name: path.read_text() for path in found}


def test_the_versions_are_those_of_the_sdk_packages() -> None:
    asked = {plugin.name: plugin.version for plugin in wanted(CHECKOUT / ".venv")}
    lines = (CHECKOUT / "requirements.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if line.startswith("pulumi-"))

    assert {f"pulumi-{name}": version for name, version in asked.items()} == pinned


def test_official_plugins_are_installed_where_they_can_be(home: Path, tmp_path: Path) -> None:
    done = install(home, CHECKOUT, pulumi=make_cli(tmp_path, INSTALLS))

    assert set(launchers(home).values()) == {"official"}
    assert done.stand_ins == ()
    assert len(done.official) == 4
    assert done.sentence.endswith("the official ones.")
    assert any(
        line.startswith("plugin install resource random 4.21.4 --exact") for line in calls(tmp_path)
    )


def test_stand_ins_take_their_place_and_the_sentence_names_them(home: Path, tmp_path: Path) -> None:
    done = install(home, CHECKOUT, pulumi=make_cli(tmp_path, REFUSED))

    assert set(launchers(home)) == {
        f"resource-{one.name}-v{one.version}" for one in wanted(CHECKOUT / ".venv")
    }
    assert done.official == ()
    assert all(f"{one.name} {one.version}" in done.sentence for one in wanted(CHECKOUT / ".venv"))
    assert "stand-ins" in done.sentence


def test_a_plugin_that_comes_is_used_beside_stand_ins(home: Path, tmp_path: Path) -> None:
    script = f'[ "$4" = tls ] || exit 1\n{INSTALLS}'

    done = install(home, CHECKOUT, pulumi=make_cli(tmp_path, script))

    assert done.official == ("tls 5.6.2",)
    assert len(done.stand_ins) == 3
    assert done.sentence.endswith("Official: tls 5.6.2.")


@pytest.mark.parametrize("script", [REFUSED, INSTALLS], ids=["stand-ins", "official"])
def test_the_second_run_does_nothing(home: Path, tmp_path: Path, script: str) -> None:
    first = install(home, CHECKOUT, pulumi=make_cli(tmp_path, script))
    before = calls(tmp_path)

    second = install(home, CHECKOUT, pulumi=make_cli(tmp_path, script))

    assert (first.changed, second.changed) == (True, False)
    assert calls(tmp_path) == before
    assert (second.official, second.stand_ins) == (first.official, first.stand_ins)


def test_asked_again_the_download_is_tried_again(home: Path, tmp_path: Path) -> None:
    install(home, CHECKOUT, pulumi=make_cli(tmp_path, REFUSED))

    done = install(home, CHECKOUT, pulumi=make_cli(tmp_path, INSTALLS), again=True)

    assert done.stand_ins == ()
    assert set(launchers(home).values()) == {"official"}


def test_a_plugin_that_was_deleted_comes_back(home: Path, tmp_path: Path) -> None:
    install(home, CHECKOUT, pulumi=make_cli(tmp_path, REFUSED))
    before = launchers(home)
    next((home / "plugins").glob("resource-tls-*/*")).unlink()

    done = install(home, CHECKOUT, pulumi=make_cli(tmp_path, REFUSED))

    assert done.changed
    assert launchers(home) == before


def test_stand_ins_follow_a_moved_checkout(home: Path, tmp_path: Path) -> None:
    moved = tmp_path / "it's moved"
    for name in ("lab", ".venv"):
        moved.mkdir(exist_ok=True)
        (moved / name).symlink_to(CHECKOUT / name)
    install(home, CHECKOUT, pulumi=make_cli(tmp_path, REFUSED))
    before = calls(tmp_path)

    done = install(home, moved, pulumi=make_cli(tmp_path, REFUSED))

    assert done.changed
    assert calls(tmp_path) == before, "the download is not tried again for it"
    assert all("moved/.venv/bin/python" in text for text in launchers(home).values())


def test_what_a_killed_download_left_does_not_hide_a_stand_in(home: Path, tmp_path: Path) -> None:
    """pulumi sdk/go/common/workspace/plugins.go: a folder with a .partial beside it is skipped."""
    claim(home)
    (home / "plugins").mkdir()
    (home / "plugins" / "resource-tls-v5.6.2.partial").touch()

    install(home, CHECKOUT, pulumi=make_cli(tmp_path, REFUSED))

    assert not list((home / "plugins").glob("*.partial"))


def test_a_site_that_never_answers_is_given_up_soon(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "FIRST_BYTE_SECONDS", 1.0)
    started = time.monotonic()

    done = install(
        home, CHECKOUT, pulumi=make_cli(tmp_path, f'echo $$ >>"{tmp_path}/pids"\n{HANGS}')
    )

    assert time.monotonic() - started < 5
    assert done.official == ()
    for pid in (tmp_path / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_a_slow_download_is_waited_for_while_bytes_arrive(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "FIRST_BYTE_SECONDS", 1.5)
    monkeypatch.setattr(download, "STALLED_SECONDS", 1.5)
    script = f'for n in 1 2 3 4 5 6; do sleep 0.3; echo more >>"$TMPDIR/tar"; done\n{INSTALLS}'

    done = install(home, CHECKOUT, pulumi=make_cli(tmp_path, script))

    assert done.stand_ins == ()


def test_a_users_own_home_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    link = tmp_path / "looks-like-a-lab"
    link.symlink_to(tmp_path / ".pulumi")

    for path in (tmp_path / ".pulumi", link):
        with pytest.raises(LabError, match="is the user's own"):
            install(path, CHECKOUT)
    assert not (tmp_path / ".pulumi").exists()


def test_a_home_with_somebodys_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text("{}")
    plugin = wanted(CHECKOUT / ".venv")[0]

    with pytest.raises(LabError, match=f"has files in it and no {OWNED}"):
        install(tmp_path, CHECKOUT)
    with pytest.raises(LabError, match=f"has files in it and no {OWNED}"):
        write_stand_in(plugin, tmp_path, CHECKOUT)
    assert [path.name for path in tmp_path.iterdir()] == ["credentials.json"]


def test_what_plain_pulumi_wrote_into_a_labs_home_before_it_was_used_stays(
    home: Path, tmp_path: Path
) -> None:
    """After `make env`, a shell runs plain pulumi before the first `make up`, or after `down`."""
    LabSpec(directory=tmp_path).save()
    (home / "workspaces").mkdir(parents=True)
    (home / "credentials.json").write_text("{}")

    install(home, CHECKOUT, pulumi=make_cli(tmp_path, REFUSED))

    assert (home / OWNED).is_file()
    assert {path.name for path in home.iterdir()} >= {"credentials.json", "workspaces"}


def test_a_plugin_with_neither_form_is_an_error(home: Path, tmp_path: Path) -> None:
    package = tmp_path / ".venv/lib/python3.11/site-packages/pulumi_acme"
    package.mkdir(parents=True)
    asked = {"resource": True, "name": "acme", "version": "1.2.3", "server": "https://a.example"}
    (package / "pulumi-plugin.json").write_text(json.dumps(asked))

    with pytest.raises(LabError, match=r"acme 1\.2\.3: its download failed and the lab has no"):
        install(home, tmp_path, pulumi=make_cli(tmp_path, REFUSED))
    assert "--server https://a.example" in calls(tmp_path)[0]


def test_an_environment_without_pulumi_packages_is_an_error(home: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"install requirements\.txt"):
        install(home, tmp_path)


def test_the_sentence_without_stand_ins_promises_nothing_of_them() -> None:
    done = Installed(official=("random 4.21.4",), stand_ins=(), changed=False)

    assert done.sentence == "Pulumi plugins: random 4.21.4, the official ones."
