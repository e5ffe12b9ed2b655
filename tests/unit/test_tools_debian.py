"""Debian packages: what is missing is found, and installed only as root."""

from pathlib import Path

import pytest

from lab.tools import ToolsError, debian
from tests.unit.fake_tools import write_executable

DPKG = """#!/bin/sh
# The state of the machine is a file: one package a line, as dpkg-query shows it.
cat "$FAKE_DPKG"
exit 1
"""
APT = """#!/bin/sh
echo "$*" >>"$FAKE_LOG"
[ "$1" = install ] && echo "ipset installed" >>"$FAKE_DPKG"
exit 0
"""
INSTALL = "apt-get install --yes --no-install-recommends ipset"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where dbus is there and ipset was removed; returns what apt-get was told."""
    write_executable(tmp_path / "path/dpkg-query", DPKG)
    write_executable(tmp_path / "path/apt-get", APT)
    (tmp_path / "dpkg").write_text("dbus installed\nipset config-files\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/path:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_DPKG", str(tmp_path / "dpkg"))
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_missing_packages_are_those_that_are_not_installed(log: Path) -> None:
    assert debian.missing_packages(["dbus", "ipset", "unheard-of"]) == ["ipset", "unheard-of"]


def test_nothing_is_run_when_nothing_is_missing(log: Path) -> None:
    assert debian.ensure_packages(["dbus"], report=print) == []
    assert not log.exists()


def test_root_gets_the_missing_packages_installed(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)

    assert debian.ensure_packages(["dbus", "ipset"], report=print) == ["ipset"]
    assert log.read_text().splitlines() == ["update", INSTALL.removeprefix("apt-get ")]


def test_another_user_is_told_the_command_and_nothing_is_run(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(ToolsError, match=f"missing: ipset; run as root: {INSTALL}"):
        debian.ensure_packages(["dbus", "ipset"], report=print)
    assert not log.exists()


def test_an_apt_get_that_did_not_install_is_an_error(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    write_executable(tmp_path / "path/apt-get", "#!/bin/sh\nexit 0\n")

    with pytest.raises(ToolsError, match="apt-get did not install ipset"):
        debian.ensure_packages(["ipset"], report=print)


def test_a_machine_without_dpkg_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolsError, match="no dpkg-query; the lab runs on Debian 12"):
        debian.missing_packages()
