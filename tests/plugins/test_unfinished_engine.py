"""A run that fails while something is declared no more, under the real engine."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.engine import CHECKOUT, Engine

# `second` depends on what goes, and is skipped since `first` fails: as a node's credentials are,
# where its prepare fails in the run that has kube-proxy's next certificate signed.
PROGRAM = """
import signal

import pulumi
from pulumi_command import local

from kube_nodes.components.unfinished import keep_where_unfinished

signal.signal(signal.SIGINT, signal.SIG_DFL)
config = pulumi.Config()
epoch = config.require_int("epoch")
shared = local.Command(f"shared-{epoch}", create="echo shared", delete="true")
first = local.Command("first", create=config.require("first"))
second = local.Command(
    "second",
    create="cat",
    stdin=pulumi.Output.concat("epoch ", str(epoch), " ", shared.stdout),
    opts=pulumi.ResourceOptions(depends_on=[first]),
)
pulumi.export("second", second.stdout)
keep_where_unfinished([second.stdout])
"""


def test_what_a_skipped_step_depended_on_stays_until_a_run_succeeds(tmp_path: Path) -> None:
    variables = {"PYTHONPATH": str(CHECKOUT), "PULUMI_CONTINUE_ON_ERROR": "true"}
    config = {"epoch": 1, "first": "true"}
    engine = Engine(tmp_path, PROGRAM, config=config, variables=variables)
    assert (run := engine.up()).ok, run.output

    engine.configure({"epoch": 2, "first": "echo no >&2; exit 3"})
    failed = engine.up()
    assert not failed.ok
    assert "Not everything succeeded: what is declared no more was left as it is" in failed.output
    assert "integrity" not in failed.output
    assert failed.changes == {"create": 1, "update": 1}
    assert engine.resource("shared-1") and engine.resource("shared-2")

    engine.configure({"first": "true"})
    done = engine.up()
    assert done.ok, done.output
    assert done.changes["delete"] == 1
    assert engine.outputs() == {"second": "epoch 2 shared"}
    assert engine.preview("--expect-no-changes").ok
