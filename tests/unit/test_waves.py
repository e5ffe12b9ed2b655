"""How a pool is divided into waves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_nodes.model.share import Share, parse_positive_share, parse_share
from kube_nodes.model.waves import plan_waves

SHARES = st.one_of(
    st.integers(1, 300).map(Share), st.integers(1, 100).map(lambda n: Share(n, per_cent=True))
)
IDS = st.sets(st.integers(1, 999).map(lambda number: f"n{number:03}"), max_size=120)


@pytest.mark.parametrize(
    ("total", "canary", "batch", "sizes"),
    [
        (0, "1", "25%", []),
        (1, "1", "25%", [1]),
        (2, "1", "25%", [1, 1]),
        (6, "1", "25%", [1, 2, 2, 1]),
        (6, "0", "2", [2, 2, 2]),
        (6, "2", "100%", [2, 4]),
        (3, "9", "1", [3]),
        (100, "1%", "10%", [1, *[10] * 9, 9]),
    ],
)
def test_a_canary_and_then_batches(total: int, canary: str, batch: str, sizes: list[int]) -> None:
    ids = [f"n{number:03}" for number in range(total)]
    waves = plan_waves(reversed(ids), parse_share(canary), parse_share(batch))
    assert [len(wave) for wave in waves] == sizes
    assert [node for wave in waves for node in wave] == ids


@given(IDS, st.one_of(SHARES, st.just(Share(0))), SHARES)
def test_each_node_is_in_one_wave_and_no_wave_is_wider_than_declared(
    ids: set[str], canary: Share, batch: Share
) -> None:
    waves = plan_waves(ids, canary, batch)
    assert [node for wave in waves for node in wave] == sorted(ids)
    widest = [canary.of(len(ids)), *[batch.of(len(ids))] * len(waves)]
    if not canary.of(len(ids)):
        widest = widest[1:]
    assert all(0 < len(wave) <= most for wave, most in zip(waves, widest, strict=False))


@pytest.mark.parametrize(
    ("value", "total", "count"),
    [(2, 10, 2), ("2", 10, 2), ("25%", 10, 3), ("1%", 10, 1), ("100%", 7, 7), ("0%", 7, 0)],
)
def test_a_share_is_rounded_up(value: object, total: int, count: int) -> None:
    assert parse_share(value).of(total) == count


@pytest.mark.parametrize("value", [True, 1.5, "25 %", "-1", -1, "a", "", None, [1], "٣", "1e3"])
def test_what_is_no_share_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="neither a number of nodes nor a share"):
        parse_share(value)


def test_no_node_at_all_is_no_batch() -> None:
    with pytest.raises(ValueError, match="is no node at all; give at least 1"):
        parse_positive_share("0%")
    with pytest.raises(ValueError, match="is more than all; give at most 100%"):
        parse_share("101%")
