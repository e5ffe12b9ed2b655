"""The page on large fleets: tables that are fresh, an example that is right, sums as by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from docs import fleet_arithmetic, reference
from docs.fleet_arithmetic import Costs, Inputs
from kube_nodes.fleet.fleet_file import read_fleet
from kube_nodes.fleet.operator import manifests
from tests.configurations import right_configuration

_PAGE = (reference.CHECKOUT / "docs" / "large-fleets.md").read_text(encoding="utf-8")


def test_its_tables_are_fresh() -> None:
    assert reference.fill(_PAGE, reference.render_fleets()) == _PAGE, "run `make reference`"


def test_its_example_is_a_fleet(tmp_path: Path) -> None:
    fleet, operator = (
        yaml.safe_load(found)
        for found in re.findall(r"```yaml\n(name:.*?|operator:.*?)```", _PAGE, re.DOTALL)
    )
    fleet["config"]["kube-nodes:caCertificate"] = right_configuration()["caCertificate"]
    path = tmp_path / "prod.fleet.yaml"
    path.write_text(yaml.safe_dump(fleet | operator, sort_keys=False))
    read = read_fleet(path)
    assert [each.name for each in read.stacks] == ["prod-shared", "prod-web", "prod-batch"]
    assert manifests(read).count("kind: Stack") == 3


def test_the_seats_are_those_that_kube_apiserver_works_out() -> None:
    # 600 requests at once, 20 of 245 shares: 48.98; of them 15 per cent, at most a sixth.
    costs = Costs(replace(Inputs(), read_limit=400, write_limit=200, shares=20, all_shares=245))
    assert (costs.seats(), costs.list_seats()) == (49, 8)
    assert Costs(replace(Inputs(), read_limit=40, write_limit=20)).list_seats() == 1


def test_what_a_create_writes_grows_with_the_square() -> None:
    # 100 nodes of 10 steps, each before and after: 2,000 writes of 5 MB on average.
    costs = Costs(replace(Inputs(), resources=10, state_kb=100, write_ms_per_mb=20))
    assert costs.written_gb(100) == pytest.approx(10)
    assert costs.writing_seconds(100) == pytest.approx(200)
    assert costs.written_gb(200) == pytest.approx(40)


def test_joins_are_no_faster_than_the_signers() -> None:
    quick = Inputs(create_cpu=0.001, write_ms_per_mb=0, controller_qps=20, certificates=2)
    assert Costs(quick).joins_a_second() == 10
    # An hour's requests would be 72,000; there are never more than all of them.
    assert Costs(quick).pending() == 10000


def test_other_inputs_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    fleet_arithmetic.main(["--set", "nodes=1000", "--set", "stacks=10"])
    assert "| nodes in a stack | 100 |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        fleet_arithmetic.main(["--set", "node=1"])
    assert "node is no input" in capsys.readouterr().err
