"""What ``langcache bench`` makes of its raw times: quantiles, turns, slices of time, the schedule."""

import asyncio
import time

import pytest

from langcache_cli.operations.bench.document import document_of
from langcache_cli.operations.bench.host import Host
from langcache_cli.operations.bench.latencies import QUANTILE_PERCENTS, Repeat, summarize
from langcache_cli.operations.bench.loops import closed_loop, open_loop
from langcache_cli.operations.bench.running import BenchReport
from langcache_cli.operations.bench.trust import trust_in


def repeat(times: list[float], *, at: float = 0.0) -> Repeat:
    """A turn whose runs follow each other."""
    starts = [sum(times[:number]) for number in range(len(times))]
    return Repeat(begun_at=at, starts=starts, times=times, seconds=sum(times))


def report(*repeats: Repeat, rate: float | None = None) -> BenchReport:
    host = Host("Linux x86_64", 2, (0.1, 0.2, 0.3), None)
    return BenchReport({"hit": summarize(repeats)}, 1, len(repeats), 1.0, rate, {"python": "3"}, host, 0.0)


def test_there_are_200_quantiles_from_the_fastest_to_the_slowest():
    found = summarize([repeat([number / 1000 for number in range(1, 10_001)])])
    assert len(QUANTILE_PERCENTS) == len(found.quantiles_ms) == len(set(QUANTILE_PERCENTS)) == 200
    assert list(QUANTILE_PERCENTS) == sorted(QUANTILE_PERCENTS)
    assert {0.0, 50.0, 95.0, 99.0, 100.0} <= set(QUANTILE_PERCENTS)
    assert any(abs(percent - 99.9) < 1e-9 for percent in QUANTILE_PERCENTS)
    assert any(abs(percent - 99.99) < 1e-9 for percent in QUANTILE_PERCENTS)
    assert found.quantiles_ms[0] == pytest.approx(1)
    assert found.quantiles_ms[QUANTILE_PERCENTS.index(50.0)] == pytest.approx(found.percentiles_ms[50.0])
    assert found.quantiles_ms[-1] == pytest.approx(found.max_ms) == pytest.approx(10_000)


@pytest.mark.parametrize(("turns", "slices"), [(1, 60), (5, 60), (7, 56), (61, 61)])
def test_the_run_is_cut_into_about_60_slices_that_end_with_their_turns(turns, slices):
    found = summarize([repeat([0.001 * (turn + 1)] * 120, at=10.0 * turn) for turn in range(turns)])
    assert len(found.slices) == slices
    assert sum(part.count for part in found.slices) == found.count == 120 * turns
    for turn in range(turns):
        parts = [part for part in found.slices if part.turn == turn + 1]
        assert {round(part.p50_ms or 0, 6) for part in parts if part.count} == {turn + 1.0}
        assert parts[0].at_seconds == 10.0 * turn


def test_a_slice_without_runs_has_no_latency():
    stalled = Repeat(starts=[0.0, 0.9, 1.0], times=[0.001, 0.002, 0.003], seconds=1.0)
    parts = summarize([stalled]).slices
    assert [part.count for part in parts if part.count] == [1, 1, 1]
    assert {part.p50_ms for part in parts if not part.count} == {None}


def test_a_path_whose_runs_all_failed_is_a_document_all_the_same():
    failed = report(Repeat(errors=3, seconds=1.0, error=OSError()))
    trust = trust_in(failed)
    path = document_of(failed, trust)["paths"]["hit"]
    assert (trust.status, trust.reasons) == ("invalid", ("hit: no run succeeded",))
    assert (path["count"], path["errors"], path["quantiles_ms"]) == (0, 3, [])
    assert path["turns"]["p50_ms"] == [None]


def test_a_run_is_noisy_from_a_ratio_of_1_5_between_the_medians_of_turns():
    assert trust_in(report(repeat([0.001] * 9), repeat([0.0015] * 9))).status == "valid"
    noisy = trust_in(report(repeat([0.001] * 9), repeat([0.0016] * 9)))
    assert (noisy.status, noisy.reasons) == ("noisy", ("hit: the medians of its turns differ by 1.6 times",))


async def test_an_open_loop_times_from_the_intended_start():
    async def blocks_once() -> None:
        nonlocal runs
        runs += 1
        if runs == 20:
            time.sleep(0.1)  # noqa: ASYNC251 - the stall is the point

    runs = 0
    timed = await open_loop(blocks_once, seconds=0.5, per_second=200)
    assert (len(timed.times), timed.errors, timed.asked) == (100, 0, 100)
    waited = [latency for latency in timed.times if latency > 0.02]
    assert len(waited) >= 10, "all that should have begun within the stall were late, not one run"
    assert max(timed.lags) > 0.05
    runs = 0
    closed = await closed_loop(blocks_once, seconds=0.3, concurrency=1)
    assert sum(latency > 0.02 for latency in closed.times) < 10


async def test_an_open_loop_that_falls_behind_is_invalid():
    async def slow() -> None:
        time.sleep(0.01)  # noqa: ASYNC251 - the process that asks is what is too slow

    behind = report(await open_loop(slow, seconds=0.2, per_second=1000), rate=1000)
    kept = behind.paths["hit"].schedule
    assert kept is not None
    assert kept.reached_per_second < 200
    trust = trust_in(behind)
    assert trust.status == "invalid"
    assert "of 1,000 runs a second were begun" in trust.reasons[0]


async def test_an_interrupted_open_loop_leaves_no_task():
    async def hangs() -> None:
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(open_loop(hangs, seconds=0.05, per_second=200), 0.3)
    assert asyncio.all_tasks() == before
