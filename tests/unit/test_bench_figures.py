"""The figures of the benchmarks: medians, ratios of one round, margins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import join, quick
from benchmarks.__main__ import main
from benchmarks.cases import CASES
from benchmarks.figures import (
    SMALLEST_MARGIN,
    Figure,
    Sample,
    dump_baseline,
    dump_samples,
    figure,
    judge,
    load_baseline,
    load_samples,
    margin,
    next_rounds,
    per_host,
    ratio,
    seconds,
)
from benchmarks.report import PROGRAM, SCRIPT, render, show, write_part


def sample(tool: str, seconds: float, *, number: int = 1, hosts: int = 2) -> Sample:
    return Sample(hosts=hosts, case="first run", tool=tool, round=number, seconds=seconds)


def test_a_figure_is_the_median_with_its_range() -> None:
    assert figure([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0)
    assert figure([1.0, 2.0, 3.0, 10.0]).median == 2.5
    assert figure([2.0, 1.0, 3.0]).spread == 1.0


def test_nothing_has_no_figure() -> None:
    with pytest.raises(ValueError, match="no value"):
        figure([])


def test_seconds_are_those_of_one_tool_and_case() -> None:
    samples = [sample("a", 1), sample("a", 3, number=2), sample("b", 9), sample("a", 7, hosts=8)]
    assert seconds(samples, 2, "first run", "a") == Figure(2, 1, 3)
    assert seconds(samples, 2, "nothing to do", "a") is None


def test_a_ratio_is_of_two_runs_of_one_round() -> None:
    # The second round was on a busy machine: both took twice as long, the ratio stays.
    samples = [sample("a", 10), sample("b", 2), sample("a", 20, number=2), sample("b", 4, number=2)]
    assert ratio(samples, 2, "first run", "a", beside="b") == Figure(5, 5, 5)


def test_a_round_without_one_of_the_two_has_no_ratio() -> None:
    samples = [sample("a", 10), sample("b", 2), sample("a", 90, number=2)]
    assert ratio(samples, 2, "first run", "a", beside="b") == Figure(5, 5, 5)
    assert ratio(samples, 2, "first run", "a", beside="c") is None


def test_what_one_host_costs_leaves_out_what_all_runs_cost() -> None:
    samples = [sample("a", 3 + 0.5 * hosts, hosts=hosts) for hosts in (2, 8, 16)]
    assert per_host(samples, "first run", "a") == pytest.approx(0.5)
    assert per_host(samples[:1], "first run", "a") is None


def test_samples_are_read_as_they_were_written() -> None:
    samples = [sample("a", 1.25), sample("b", 2, number=3)]
    assert load_samples(dump_samples(samples)) == samples


def test_further_rounds_have_numbers_of_their_own() -> None:
    assert list(next_rounds([], 2)) == [1, 2]
    assert list(next_rounds([sample("a", 1), sample("a", 1, number=4)], 2)) == [5, 6]


def test_a_baseline_is_read_as_it_was_written() -> None:
    found = {"first run": Figure(2.0, 1.5, 2.5)}
    assert load_baseline(dump_baseline(found)) == found


def test_a_calm_baseline_still_has_a_margin() -> None:
    assert margin(Figure(1.0, 1.0, 1.0)) == SMALLEST_MARGIN


def test_the_margin_is_twice_the_measured_range() -> None:
    assert margin(Figure(2.0, 1.8, 2.2)) == pytest.approx(0.4)


def test_noise_as_in_the_baseline_is_not_slower() -> None:
    baseline = Figure(2.0, 1.8, 2.2)
    assert not judge(Figure(2.2, 2.2, 2.4), baseline).is_slower
    assert not judge(baseline, baseline).is_slower


def test_one_disturbed_run_is_not_slower() -> None:
    assert not judge(Figure(9.0, 2.0, 12.0), Figure(2.0, 1.9, 2.1)).is_slower


def test_what_is_slower_in_every_run_is_told() -> None:
    assert judge(Figure(3.0, 2.9, 3.1), Figure(2.0, 1.9, 2.1)).is_slower


def rounds(count: int = 2, factor: float = 1.0) -> list[Sample]:
    """Make rounds in which the script takes 1 s a case, and this program 2, 3, 4, 5 s."""
    made = []
    for number in range(count):
        for place, case in enumerate(CASES):
            one = Sample(hosts=2, case=case, tool=SCRIPT, round=number, seconds=1.0)
            made += [one, replace(one, tool=PROGRAM, seconds=factor * (place + 2))]
    return made


def test_the_short_benchmark_divides_by_the_whole_round_of_the_script() -> None:
    found = quick.ratios(rounds())
    assert [found[case].median for case in CASES] == [0.5, 0.75, 1.0, 1.25]


def test_the_short_benchmark_needs_every_case() -> None:
    with pytest.raises(ValueError, match=r"round 0: .* was not measured"):
        quick.ratios(rounds()[1:])


def test_the_short_benchmark_tells_what_is_slower() -> None:
    baseline = quick.ratios(rounds())
    same = quick.judge_all(quick.ratios(rounds()), baseline)
    slower = quick.judge_all(quick.ratios(rounds(factor=1.6)), baseline)
    assert not any(verdict.is_slower for verdict in same.values())
    assert all(verdict.is_slower for verdict in slower.values())
    assert "SLOWER" in quick.render(slower)
    assert "SLOWER" not in quick.render(same)


def test_a_baseline_of_other_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="of other cases"):
        quick.judge_all(quick.ratios(rounds()), {"another": Figure(1, 1, 1)})


def test_the_committed_baseline_is_of_todays_cases() -> None:
    baseline = load_baseline(quick.BASELINE.read_text(encoding="utf-8"))
    assert tuple(baseline) == CASES
    # Noise must not fail it, and a doubled time must.
    assert all(margin(each) < 1 for each in baseline.values())


def test_a_table_has_seconds_and_ratios() -> None:
    samples = [sample(PROGRAM, 4), sample("Ansible", 40), sample(SCRIPT, 2)]
    lines = render(samples).splitlines()
    assert "### 2 hosts" in lines
    assert "Rounds: 1." in lines
    assert (
        "| case | this program, s | Ansible, s | script, s | Ansible / this program |"
        " this program / script |"
    ) in lines
    assert "| first run | 4.00 | 40.0 | 2.00 | 10.0 | 2.00 |" in lines
    assert "| nothing to do | - | - | - | - | - |" in lines


def test_a_tool_that_was_measured_less_often_is_told() -> None:
    samples = [sample(PROGRAM, 4), sample(PROGRAM, 5, number=2), sample("Ansible", 40)]
    assert "Rounds, some of them not whole: Ansible 1, this program 2." in render(samples)


def test_a_range_is_shown_where_there_is_one() -> None:
    assert show(Figure(1.234, 1.0, 2.0)) == "1.23 (1.00 to 2.00)"
    assert show(Figure(123.4, 123.4, 123.4)) == "123"
    assert show(None) == "-"


def test_a_part_of_a_page_is_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x begin -->\nold\n<!-- x end -->\nb\n")
    write_part(page, "x", "new\n")
    write_part(page, "x", "new\n")
    assert page.read_text() == "a\n<!-- x begin -->\n\nnew\n\n<!-- x end -->\nb\n"


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n")
    with pytest.raises(ValueError, match="has no"):
        write_part(page, "x", "new")


def test_the_tables_of_a_file_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "samples"
    file.write_text(dump_samples([sample(PROGRAM, 4), sample("pyinfra", 6)]))
    assert main(["tables", str(file)]) == 0
    assert "| first run | 4.00 | 6.00 | 1.50 |" in capsys.readouterr().out


def test_one_host_is_refused_as_none_can_be_added(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--hosts", "1,2"]) == 1
    assert "give 2 or more" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_an_error_of_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert join.main(["--tables", "/nonexistent"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("bench: ")
    assert "/nonexistent" in said
    assert said.count("\n") == 1
