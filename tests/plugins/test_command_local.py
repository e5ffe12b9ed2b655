"""`command:local:Command` over the plugin's real gRPC interface.

What is expected was read in pulumi-command v1.2.1, provider/pkg/provider/local/, unless a
test names another source.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2

from lab.plugins.values import UNKNOWN, Secret
from tests.plugins.driver import Driver
from tests.plugins.rendezvous import all_at_once

URN = "urn:pulumi:dev::p::command:local:Command::n1"


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    folder = tmp_path_factory.mktemp("project")
    with Driver("lab.plugins.command", cwd=folder, variables={"OPERATORS_OWN": "kept"}) as driver:
        yield driver


def create(plugin: Driver, **inputs: Any) -> Any:
    checked = plugin.check(URN, {"logging": "none", **inputs})
    return plugin.create(URN, checked)[1]


def test_create_gives_stdin_to_a_shell_and_takes_both_streams_without_the_last_newline(
    plugin: Driver,
) -> None:
    state = create(plugin, create="cat; echo; echo careful >&2", stdin="a\nb\n")
    assert (state["stdout"], state["stderr"]) == ("a\nb\n", "careful")
    assert state["stdin"] == "a\nb\n"


def test_the_id_is_the_name_and_eight_hexadecimal_digits(plugin: Driver) -> None:
    """Source: local/commandController.go, `resource.NewUniqueHex(name, 8, 0)`."""
    resource_id, _ = plugin.create(URN, {"create": "true"})
    assert resource_id.startswith("n1")
    assert len(bytes.fromhex(resource_id.removeprefix("n1"))) == 4


def test_without_a_create_command_nothing_runs_and_the_outputs_are_empty(plugin: Driver) -> None:
    assert create(plugin, stdin="x") == {
        "logging": "none",
        "stdin": "x",
        "stdout": "",
        "stderr": "",
    }


def test_a_command_inherits_the_operators_environment_and_the_project_folder(
    plugin: Driver,
) -> None:
    state = create(plugin, create='echo "$OPERATORS_OWN $MORE"; pwd', environment={"MORE": "too"})
    said, folder = state["stdout"].splitlines()
    assert said == "kept too"
    assert "project" in Path(folder).name


def test_dir_and_interpreter_are_heeded(plugin: Driver, tmp_path: Path) -> None:
    state = create(
        plugin, create="hello", dir=str(tmp_path), interpreter=["/bin/sh", "-c", 'pwd; echo "$0"']
    )
    assert state["stdout"] == f"{tmp_path}\nhello"


def test_a_failure_shows_the_command_and_all_output_whatever_logging_says(plugin: Driver) -> None:
    """Source: local/commandOutputs.go, `%w: running %q:\\n%s`."""
    with pytest.raises(grpc.RpcError) as failed:
        create(plugin, create='echo "one"; sleep 0.1; echo two >&2; exit 3')
    expected = (
        'exit status 3: running "echo \\"one\\"; sleep 0.1; echo two >&2; exit 3":\none\ntwo\n'
    )
    assert failed.value.details() == expected


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"dir": "/not/there"}, 'chdir /not/there: no such file or directory: running "x":\n'),
        (
            {"interpreter": ["no-such-program"]},
            'exec: "no-such-program": executable file not found in $PATH: running "x":\n',
        ),
        ({"create": "kill -TERM $$"}, 'signal: terminated: running "kill -TERM $$":\n'),
    ],
)
def test_a_command_that_cannot_start_or_is_killed_fails_as_go_words_it(
    plugin: Driver, inputs: dict[str, Any], reason: str
) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        create(plugin, **{"create": "x", **inputs})
    assert failed.value.details() == reason


def test_a_command_may_end_before_it_has_read_its_stdin(plugin: Driver) -> None:
    """Unlike a remote one: Go's os/exec ignores the broken pipe."""
    assert create(plugin, create="echo done", stdin="x" * 3_000_000)["stdout"] == "done"


def test_update_runs_update_or_else_create_and_knows_what_was_printed_before(
    plugin: Driver,
) -> None:
    old: dict[str, Any] = {"create": "echo old", "stdin": "1"}
    state: dict[str, Any] = {**old, "stdout": "printed", "stderr": "said"}
    show = 'cat; echo "$PULUMI_COMMAND_STDOUT $PULUMI_COMMAND_STDERR"'
    new: dict[str, Any] = {"create": show, "stdin": "2"}
    assert plugin.update(URN, "n1x", state, old, new)["stdout"] == "2printed said"
    new = {"create": "false", "update": show, "stdin": "3"}
    assert plugin.update(URN, "n1x", state, old, new)["stdout"] == "3printed said"
    new = {"create": show, "addPreviousOutputInEnv": False}
    assert plugin.update(URN, "n1x", state, old, new)["stdout"] == " "


def test_an_update_without_any_command_keeps_what_was_printed(plugin: Driver) -> None:
    state = plugin.update(URN, "n1x", {"stdout": "kept", "stderr": ""}, {}, {"delete": "true"})
    assert state == {"delete": "true", "stdout": "kept", "stderr": ""}


def test_delete_runs_the_recorded_command_with_the_recorded_stdin(
    plugin: Driver, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    command = f'(cat; echo "$PULUMI_COMMAND_STDOUT") > {told}'
    plugin.delete(URN, "n1x", {"delete": command, "stdin": "bye ", "stdout": "o", "stderr": ""})
    assert told.read_text() == "bye o\n"
    plugin.delete(URN, "n1x", {"stdout": "", "stderr": ""})


def test_a_read_gives_the_recorded_state_back(plugin: Driver) -> None:
    """Refresh finds no drift: there is no Read (issue 432 of pulumi-command)."""
    state = {"create": "x", "stdout": Secret("s"), "stderr": ""}
    assert plugin.read(URN, "n1x", state, {"create": "x"}) == ("n1x", state, {"create": "x"})


def test_secret_inputs_stay_secret_and_do_not_make_the_outputs_secret(plugin: Driver) -> None:
    """Source: infer/resource.go `ensureDefaultSecrets`: by name only; so a program asks for
    secret outputs itself (additionalSecretOutputs)."""
    state = create(plugin, create="cat", stdin=Secret("hidden"))
    assert state["stdin"] == Secret("hidden")
    assert state["stdout"] == "hidden"


def test_the_preview_of_a_create_runs_nothing_and_leaves_the_outputs_unknown(
    plugin: Driver, tmp_path: Path
) -> None:
    """Source: infer/resource.go `markComputed`."""
    inputs = {"create": f"touch {tmp_path}/ran", "stdin": Secret(UNKNOWN), "logging": "none"}
    resource_id, state = plugin.create(URN, plugin.check(URN, inputs), preview=True)
    assert resource_id
    assert state == {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("new", "known"),
    [
        ({"create": "a", "stdin": "same"}, True),
        ({"create": "b", "stdin": "same"}, False),
        ({"create": "a", "stdin": UNKNOWN}, False),
        ({"create": "a"}, False),
        ({"create": "a", "stdin": Secret("same")}, False),
        # An input that was not there before does not make them unknown, oddly.
        ({"create": "a", "stdin": "same", "delete": "d"}, True),
    ],
)
def test_the_preview_of_an_update_leaves_the_outputs_unknown_where_a_recorded_input_changes(
    plugin: Driver, new: dict[str, Any], known: bool
) -> None:
    """Source: infer/resource.go `markComputed`, `ensureDefaultComputed`."""
    old = {"create": "a", "stdin": "same"}
    state = {**old, "stdout": "o", "stderr": "e"}
    expected = {**new, "stdout": "o" if known else UNKNOWN, "stderr": "e" if known else UNKNOWN}
    assert plugin.update(URN, "n1x", state, old, new, preview=True) == expected


def test_every_changed_input_is_an_update_also_delete_and_logging(plugin: Driver) -> None:
    """Source: infer/resource.go `diff`: the detailed diff compares with the recorded state."""
    old = {"create": "a", "delete": "x", "environment": {"A": "1", "B": "2"}}
    new = {"create": "a", "logging": "none", "environment": {"A": "1", "B.x": "2"}}
    answer = plugin.diff(URN, {**old, "stdout": "", "stderr": ""}, old, new)
    assert {path: (one.kind, one.inputDiff) for path, one in answer.detailedDiff.items()} == {
        "delete": (answer.detailedDiff["delete"].DELETE, False),
        "logging": (answer.detailedDiff["logging"].ADD, False),
        "environment.B": (answer.detailedDiff["delete"].DELETE, False),
        'environment["B.x"]': (answer.detailedDiff["logging"].ADD, False),
    }
    assert not answer.replaces
    assert answer.changes == answer.DIFF_SOME


def test_the_same_inputs_are_no_change_whatever_is_in_the_state(plugin: Driver) -> None:
    old = {"create": "a", "stdin": Secret("s"), "triggers": ["x", 1]}
    answer = plugin.diff(URN, {**old, "create": "edited", "stdout": ""}, old, old)
    assert answer.changes == answer.DIFF_NONE
    assert not answer.detailedDiff


def test_triggers_that_come_or_go_replace_and_changed_ones_are_left_to_the_engine(
    plugin: Driver,
) -> None:
    """Source: infer/resource.go `diff`: forceReplace is asked with the whole path, so the
    changed element replaces by the SDK's replace_on_changes=["triggers[*]"] alone."""
    answer = plugin.diff(URN, {}, {"create": "a"}, {"create": "a", "triggers": ["x"]})
    assert list(answer.replaces) == ["triggers"]
    old, new = {"triggers": ["x", "y"]}, {"triggers": ["x", "z"]}
    answer = plugin.diff(URN, old, old, new)
    assert not answer.replaces
    assert list(answer.detailedDiff) == ["triggers[1]"]


@pytest.mark.parametrize(
    ("inputs", "wrong"),
    [
        ({"crate": "x"}, "crate"),
        ({"create": 3}, "create"),
        ({"environment": {"A": 1}}, "environment[A]"),
        ({"interpreter": "sh"}, "interpreter"),
        ({"assetPaths": ["*"]}, "assetPaths"),
    ],
)
def test_inputs_of_a_wrong_name_or_type_are_refused_by_name(
    plugin: Driver, inputs: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(AssertionError) as failed:
        plugin.check(URN, inputs)
    assert f'property: "{wrong}"' in str(failed.value)


def test_lines_are_shown_as_logging_asks(plugin: Driver) -> None:
    """Source: local/logging.go, util/util.go `LogOutput`."""
    for logging, shown in [("stdout", ["o1"]), ("stderr", ["e1"]), ("none", []), (None, ["o1"])]:
        before = len(plugin.messages)
        create(plugin, create="echo o1; sleep 0.05; echo e1 >&2", logging=logging)
        lines = plugin.messages[before:]
        assert [line for line in lines if line in shown] == shown
        assert logging is None or lines == shown


def test_a_hundred_commands_run_at_the_same_time(plugin: Driver, tmp_path: Path) -> None:
    with all_at_once(tmp_path, 100) as command, ThreadPoolExecutor(100) as pool:
        states = list(pool.map(lambda _: create(plugin, create=command), range(100)))
    assert [state["stdout"] for state in states] == ["together"] * 100


def test_a_failure_keeps_the_end_of_much_output_and_says_what_it_left_out(plugin: Driver) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        create(plugin, create="seq 100000; echo the reason >&2; exit 1")
    details = str(failed.value.details())
    assert details.endswith("the reason\n")
    assert "bytes before this left out]" in details
    assert len(details) < 70_000


def test_output_without_end_fails_without_filling_the_memory(plugin: Driver) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        create(plugin, create="head -c 20000000 /dev/zero")
    assert str(failed.value.details()).startswith("stdout is over the stand-in's limit of 16 MiB")


def test_cancel_kills_the_direct_child_and_the_call_is_over_at_once(tmp_path: Path) -> None:
    """Source: exec.CommandContext, and middleware/cancel of pulumi-go-provider."""
    pid_file = tmp_path / "pid"
    with Driver("lab.plugins.command") as driver, ThreadPoolExecutor(1) as pool:
        command = f"echo $$ > {pid_file}; trap '' TERM INT; exec sleep 60"
        running = pool.submit(driver.create, URN, {"create": command, "logging": "none"})
        while not pid_file.exists() or not pid_file.read_text():
            time.sleep(0.02)
        begun = time.monotonic()
        driver.stub.Cancel(empty_pb2.Empty())
        with pytest.raises(grpc.RpcError) as failed:
            running.result(10)
        assert time.monotonic() - begun < 1
        assert str(failed.value.details()).startswith('signal: killed: running "echo')
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid_file.read_text()), 0)
        with pytest.raises(grpc.RpcError):  # nothing starts any more either
            driver.create(URN, {"create": f"touch {tmp_path}/ran"})
        assert not (tmp_path / "ran").exists()


def test_cancel_waits_for_what_a_killed_shell_left_behind(tmp_path: Path) -> None:
    """Why `create` must begin with exec: the orphan holds stdout, and os/exec waits for it."""
    with Driver("lab.plugins.command") as driver, ThreadPoolExecutor(1) as pool:
        command = f"touch {tmp_path}/begun; sleep 1.5; true"
        running = pool.submit(driver.create, URN, {"create": command, "logging": "none"})
        while not (tmp_path / "begun").exists():
            time.sleep(0.02)
        begun = time.monotonic()
        driver.stub.Cancel(empty_pb2.Empty())
        with pytest.raises(grpc.RpcError):
            running.result(10)
        assert time.monotonic() - begun > 1


def test_a_custom_timeout_kills_the_command(plugin: Driver) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        plugin.create(URN, {"create": "exec sleep 30", "logging": "none"}, timeout=0.2)
    assert failed.value.details() == 'signal: killed: running "exec sleep 30":\n'
