"""The shell lines of `lab env`, read back by a real shell."""

import os
import subprocess
from pathlib import Path

import pytest

from lab.env import UNSET, lab_variables, shell_exports


def variables(lab_dir: str = "/labs/one", path: str = "/usr/bin:/bin") -> dict[str, str]:
    tools = [Path("/cache/pulumi-1"), Path("/cache/kubectl-1")]
    return lab_variables(
        Path(lab_dir), venv=Path("/checkout/.venv"), tool_directories=tools, path=path
    )


def test_the_virtual_environment_is_first_then_the_tools_then_the_old_path() -> None:
    expected = "/checkout/.venv/bin:/cache/pulumi-1:/cache/kubectl-1:/usr/bin:/bin"

    assert variables()["PATH"] == expected


def test_a_second_eval_adds_nothing_to_path() -> None:
    once = variables()["PATH"]

    assert variables(path=once)["PATH"] == once


def test_an_entry_that_stood_late_in_path_is_moved_to_the_front() -> None:
    path = variables(path="/usr/bin:/checkout/.venv/bin")["PATH"]

    assert path == "/checkout/.venv/bin:/cache/pulumi-1:/cache/kubectl-1:/usr/bin"


def test_an_empty_entry_which_means_the_current_folder_is_dropped() -> None:
    assert variables(path=":/usr/bin::/bin:")["PATH"].endswith("/usr/bin:/bin")


def test_a_folder_with_a_colon_is_refused() -> None:
    with pytest.raises(ValueError, match=r'"/a:b/bin" has a ":"'):
        lab_variables(Path("/lab"), venv=Path("/a:b"), tool_directories=[], path="")


def test_everything_of_the_engine_is_in_the_labs_folder() -> None:
    made = variables()

    assert made["PULUMI_HOME"] == "/labs/one/pulumi-home"
    assert made["PULUMI_BACKEND_URL"] == "file:///labs/one/backend?metadata=skip"
    assert made["PULUMI_CONFIG_PASSPHRASE_FILE"] == "/labs/one/passphrase"
    assert made["KUBECONFIG"] == "/labs/one/kubeconfig"
    assert made["SSH_AUTH_SOCK"] == "/labs/one/ssh/agent.sock"


def test_the_engine_goes_on_after_an_error_and_downloads_nothing() -> None:
    made = variables()

    assert made["PULUMI_CONTINUE_ON_ERROR"] == "true"
    assert made["PULUMI_SKIP_UPDATE_CHECK"] == "true"
    assert made["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"


def test_the_state_is_compressed_by_one_way_alone() -> None:
    """The engine refuses both at once, and the user's shell may have the other."""
    assert variables()["PULUMI_DIY_BACKEND_GZIP"] == "true"
    assert "PULUMI_DIY_BACKEND_ZSTD" in UNSET


@pytest.mark.parametrize("lab_dir", ["/labs/one", "/my labs/it's $HOME `x`", "/labs/a\nb"])
def test_a_shell_reads_back_exactly_these_values(lab_dir: str) -> None:
    made = variables(lab_dir)
    result = subprocess.run(
        ["/bin/sh", "-c", 'eval "$LINES_OF_LAB"; exec /usr/bin/env -0'],
        env={"LINES_OF_LAB": shell_exports(made)},
        capture_output=True,
        text=True,
        check=True,
    )
    read = dict(entry.split("=", 1) for entry in result.stdout.split("\0") if entry)

    assert {name: read[name] for name in made} == made


def test_a_passphrase_of_the_users_own_does_not_win_over_the_labs() -> None:
    result = subprocess.run(
        ["/bin/sh", "-c", 'eval "$LINES_OF_LAB"; echo "${PULUMI_CONFIG_PASSPHRASE-none}"'],
        env=os.environ
        | {"LINES_OF_LAB": shell_exports(variables()), "PULUMI_CONFIG_PASSPHRASE": "mine"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout == "none\n"
