"""The glue that all stand-ins share: values on the wire, diffs, the life of the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.plugins.diffs import compare, equal, join, top_key
from lab.plugins.values import (
    SIGNATURE_KEY,
    UNKNOWN,
    Secret,
    contains_secret,
    contains_unknown,
    from_struct,
    reveal,
    to_struct,
)
from tests.plugins.driver import CHECKOUT, Driver

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.just(UNKNOWN)
)
KEYS = st.text(min_size=1).filter(lambda key: key != SIGNATURE_KEY)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | inner.filter(lambda value: not isinstance(value, Secret)).map(Secret)
    ),
    max_leaves=8,
)
MAPS = st.dictionaries(KEYS, VALUES, max_size=4)


@settings(max_examples=50, deadline=None)
@given(MAPS)
def test_values_come_back_from_the_wire_as_they_went(properties: dict[str, Any]) -> None:
    assert from_struct(to_struct(properties)) == properties


@settings(max_examples=50, deadline=None)
@given(MAPS)
def test_a_revealed_value_holds_no_secret_and_no_repr_shows_one(properties: dict[str, Any]) -> None:
    assert not contains_secret(reveal(properties))
    assert "hidden" not in repr(Secret({**properties, "x": "hidden"}))


def test_an_unknown_is_found_at_any_depth() -> None:
    assert contains_unknown({"a": [Secret({"b": UNKNOWN})]})
    assert not contains_unknown({"a": [Secret({"b": ""})]})


@settings(max_examples=50, deadline=None)
@given(MAPS, MAPS)
def test_a_comparison_finds_nothing_between_equals_and_something_else_else(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert compare(old, old) == {}
    assert (not compare(old, new)) == equal(old, new)


def test_maps_and_lists_are_compared_by_element_and_secrets_as_a_whole() -> None:
    old = {"m": {"a": 1, "b": 2}, "l": [1, 2], "s": Secret({"a": 1}), "p": "x", "t": True}
    new = {"m": {"a": 1, "c.d": 2}, "l": [1], "s": Secret({"a": 2}), "p": Secret("x"), "t": 1}
    changes = {path: change.kind for path, change in compare(old, new).items()}
    assert changes == {
        "m.b": "delete",
        'm["c.d"]': "add",
        "l[1]": "delete",
        "s": "update",
        "p": "update",
        "t": "update",
    }


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1).filter(lambda key: "\\" not in key), KEYS)
def test_the_first_key_of_a_path_is_found_again(first: str, second: str) -> None:
    assert top_key(join(join(join("", first), second), 3)) == first


def test_a_fault_of_the_plugin_itself_is_told_by_its_place_without_its_values() -> None:
    urn = "urn:pulumi:dev::p::command:local:Command::n1"
    with Driver("lab.plugins.command") as driver, pytest.raises(grpc.RpcError) as failed:
        driver.create(urn, {"create": Secret(["hidden"]), "logging": "none"})
    assert "hidden" not in str(failed.value)
    assert str(failed.value.details()).startswith("internal error of the stand-in plugin command: ")


def test_a_plugin_ends_when_its_engine_is_killed(tmp_path: Path) -> None:
    launch = [sys.executable, str(CHECKOUT / "lab/plugins/launch.py"), "command", "127.0.0.1:1"]
    shell = f'"$@" > {tmp_path}/port & echo $!; exec sleep 60'
    engine = subprocess.Popen(
        ["/bin/sh", "-c", shell, "engine", *launch], stdout=subprocess.PIPE, text=True
    )
    assert engine.stdout is not None
    plugin = int(engine.stdout.readline())
    port = tmp_path / "port"
    while not port.exists() or not port.read_text():
        time.sleep(0.02)
    engine.kill()
    engine.wait()
    engine.stdout.close()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.kill(plugin, 0)
        except ProcessLookupError:
            return
        if "\nState:\tZ" in Path(f"/proc/{plugin}/status").read_text():
            return  # ended; nobody here reaps it
        time.sleep(0.05)
    os.kill(plugin, signal.SIGKILL)
    pytest.fail("the plugin outlived its engine")


def test_local_commands_see_no_variable_that_the_launcher_has_set() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW_ENVIRONMENT],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not [name for name in shown if name.startswith("PYTHON")]


_SHOW_ENVIRONMENT = """
import os, runpy, sys
sys.argv = ["lab/plugins/launch.py", "command"]
import lab.plugins.serving
lab.plugins.serving.serve = lambda plugin: print(*os.environ)
runpy.run_path("lab/plugins/launch.py", run_name="__main__")
"""
