"""What the lab does to a stack before it runs Pulumi, without running it."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.spec import LabSpec
from lab.stack import Stack, _is_dead
from lab.stack_config import _pools

SALTED = "config:\n  kube-nodes:server: https://10.98.0.1:6443\nencryptionsalt: v1:of-an-old-lab\n"


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack whose configuration holds the salt of a lab that is gone."""
    (tmp_path / "Pulumi.dev.yaml").write_text(SALTED)
    return Stack(LabSpec(directory=tmp_path / "lab"), tmp_path, "dev")


def test_a_new_lab_forgets_the_salt_of_an_old_one_and_nothing_else(stack: Stack) -> None:
    stack._drop_foreign_salt()
    kept = (stack.project / "Pulumi.dev.yaml").read_text()
    assert kept == SALTED.partition("encryptionsalt")[0]


def test_the_salt_of_a_stack_that_exists_stays(stack: Stack) -> None:
    states = stack.lab.directory / "backend" / ".pulumi" / "stacks" / "kube-nodes"
    states.mkdir(parents=True)
    (states / "dev.json").write_text("{}")
    stack._drop_foreign_salt()
    assert (stack.project / "Pulumi.dev.yaml").read_text() == SALTED


def test_secrets_that_nothing_can_read_any_more_are_not_thrown_away(stack: Stack) -> None:
    file = stack.project / "Pulumi.dev.yaml"
    text = SALTED.replace("encryptionsalt", "  kube-nodes:caKey:\n    secure: x\nencryptionsalt")
    file.write_text(text)
    with pytest.raises(LabError, match=r"Pulumi\.dev\.yaml: .*set them anew"):
        stack._drop_foreign_salt()
    assert file.read_text() == text


def test_only_a_lock_of_a_dead_process_of_this_machine_is_dead() -> None:
    here, gone = socket.gethostname(), 2**22 + 1
    assert _is_dead({"hostname": here, "pid": gone})
    assert not _is_dead({"hostname": here, "pid": os.getpid()})
    assert not _is_dead({"hostname": "elsewhere", "pid": gone})


def test_a_host_is_declared_once_and_stays_out_when_its_user_took_it_out(tmp_path: Path) -> None:
    lab = LabSpec(directory=tmp_path)
    own: dict[str, Any] = {"kube-nodes:pools": {"db": {"nodes": {"n2": {}}}}}
    assert _pools(lab, "dev", own, ["n1", "n2"]) == {"n1": "workers", "n2": "db"}
    without: dict[str, Any] = {"kube-nodes:pools": {"workers": {"nodes": {"n1": {}}}}}
    assert _pools(lab, "dev", without, ["n1", "n2"]) == {"n1": "workers"}
