"""Reading a units script back: what was rendered comes out again, whatever stands in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_nodes.render.host_script import Binary, ManagedFile
from kube_nodes.render.script_reading import parse_units_script
from tests.unit.test_host_script import TEXT, units

_GOLDEN = Path(__file__).parents[1] / "golden" / "files"
# What a reader could take for a part of the script itself.
_LINES = st.one_of(
    TEXT,
    st.sampled_from(
        [
            "put /etc/b.conf 0600 '' <<'END'",
            "END",
            "binary /bin/sh v1.2.3 '' ''",
            "generation=9",
            "# end",
            "finish",
            "",
        ]
    ),
)
_CONTENT = st.lists(_LINES, max_size=6).map(lambda lines: "".join(f"{line}\n" for line in lines))
_RESTARTS = st.sampled_from([(), ("kubelet",), ("kube-proxy",), ("kubelet", "kube-proxy")])
_FILES = st.lists(
    st.builds(
        ManagedFile,
        path=st.from_regex(r"(/[a-z0-9_@%+=:,-]{1,8}){1,3}", fullmatch=True),
        content=_CONTENT,
        mode=st.sampled_from(["0600", "0644", "0755"]),
        restarts=_RESTARTS,
    ),
    max_size=4,
    unique_by=lambda file: file.path,
)


@given(_FILES)
def test_every_file_is_read_as_it_was_written(files: list[ManagedFile]) -> None:
    script = parse_units_script(units(files=files, generation=3))
    assert script.files == tuple(sorted(files, key=lambda file: file.path))
    assert script.settings["generation"] == "3"
    assert script.binaries == ()


def test_programs_and_settings_are_read() -> None:
    binaries = [
        Binary(
            path="/usr/local/bin/kubelet",
            version="v1.37.2",
            sources=("https://one.example/kubelet", "https://two.example/it's;here"),
            digest="0" * 64,
            restarts=("kubelet",),
        ),
        Binary(path="/usr/local/bin/other", version="v1.37.2"),
    ]
    script = parse_units_script(units(binaries=binaries, reapply=2))
    assert script.binaries == tuple(binaries)
    assert script.settings["node"] == "n1"
    assert script.settings["reapply"] == "2"
    assert script.units == ("kubelet", "kube-proxy")


def test_the_rest_is_everything_else_as_it_stands() -> None:
    before, after = (
        parse_units_script(units(files=[ManagedFile(path="/a", content=text)], reapply=number)).rest
        for text, number in (("the first text\n", 0), ("two\n", 1))
    )
    assert before.replace("reapply=0", "reapply=1") == after
    assert "the first text" not in before


@pytest.mark.parametrize("path", sorted(_GOLDEN.glob("*/3-units.sh")), ids=lambda p: p.parent.name)
def test_every_kind_of_node_is_read(path: Path) -> None:
    script = parse_units_script(path.read_text())
    assert script.units[-1] == "kube-proxy"
    assert {file.path for file in script.files} >= {"/etc/kubernetes/pki/ca.crt"}
    assert all(file.content.endswith("\n") for file in script.files)


@pytest.mark.parametrize(
    "text", ["", "[secret]", "echo hello\n", units()[:-30], units().replace("\nEND\n", "\n")]
)
def test_what_is_no_whole_script_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"has no end|not a whole units script"):
        parse_units_script(text)
