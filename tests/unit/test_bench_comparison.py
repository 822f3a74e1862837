"""Two runs of ``langcache bench`` side by side: the same is no difference, and a difference is found."""

import itertools
import json
import math
import random
import statistics
from pathlib import Path

import pytest

from langcache_cli.operations.bench.changes import changes, turns_needed
from langcache_cli.operations.bench.comparison import Comparison, compare
from langcache_cli.operations.bench.rank_test import shift

RUNS = json.loads((Path(__file__).parent / "bench_noise.json").read_text("utf-8"))
"""Medians of the turns, in microseconds, of 40 runs of one version on two busy cores, one after another."""

PATHS = {"noop": 2.0, "ping": 35.0, "get": 24.0, "hit": 34.0, "miss": 900.0, "database": 450.0}

Turns = dict[str, list[float]]


def outcomes(now: Turns, then: Turns) -> dict[str, str]:
    return {name: change.outcome for name, change in changes(now, then).items()}


def run(noise: random.Random, turns: int = 5, **slower: float) -> Turns:
    """A run whose turns differ by 3 %, as those of an idle machine."""
    return {
        name: [median * slower.get(name, 1) * math.exp(noise.gauss(0, 0.03)) for _ in range(turns)]
        for name, median in PATHS.items()
    }


def share_without_difference(pairs: list[tuple[Turns, Turns]]) -> float:
    return sum(set(outcomes(*pair).values()) == {"no difference"} for pair in pairs) / len(pairs)


def test_a_against_a_is_no_difference_in_recorded_noise():
    assert len(RUNS) == 40
    assert share_without_difference([*itertools.pairwise(RUNS)]) >= 0.95
    assert share_without_difference([*itertools.permutations(RUNS, 2)]) >= 0.95


def test_a_against_a_is_no_difference_on_an_idle_machine():
    noise = random.Random(1)
    assert share_without_difference([(run(noise), run(noise)) for _ in range(500)]) >= 0.95


@pytest.mark.parametrize(
    ("turns", "ratio", "outcome"),
    [(5, 1.2, "slower"), (5, 1 / 1.2, "faster"), (10, 1.1, "slower"), (10, 1 / 1.1, "faster")],
)
def test_a_path_that_takes_more_or_less_is_found(turns, ratio, outcome):
    noise = random.Random(2)
    found = [outcomes(run(noise, turns, hit=ratio), run(noise, turns))["hit"] for _ in range(200)]
    assert found.count(outcome) >= 190


def test_what_slows_the_whole_machine_is_no_difference_of_a_path():
    noise = random.Random(3)
    slow = dict.fromkeys(PATHS, 2.0)
    pairs = [(run(noise, **slow), run(noise)) for _ in range(200)]
    found = [
        name for pair in pairs for name, outcome in outcomes(*pair).items() if outcome != "no difference"
    ]
    assert len(found) <= 10


@pytest.mark.parametrize(("now_turns", "then_turns"), [(3, 5), (4, 4), (5, 4), (4, 20)])
def test_fewer_than_five_turns_of_either_run_are_too_few(now_turns, then_turns):
    assert changes({"ping": [9.0] * now_turns}, {"ping": [1.0] * then_turns})["ping"].outcome == "unknown"
    assert changes({"ping": [9.0] * 5}, {"ping": [1.0] * 5})["ping"].outcome == "slower"


def test_many_paths_need_more_turns():
    assert [turns_needed(paths) for paths in (1, 6, 7, 23, 24)] == [5, 5, 6, 6, 7]
    for paths in (6, 7):
        names = [str(number) for number in range(paths)]
        found = changes(dict.fromkeys(names, [2.0] * 5), dict.fromkeys(names, [1.0] * 5))
        assert {change.lowest is None for change in found.values()} == {paths == 7}


def test_only_paths_of_both_runs_are_compared():
    noise = random.Random(5)
    now, then = run(noise), run(noise)
    del now["miss"], then["ping"]
    then["get"] = []
    assert list(changes(now, then)) == ["noop", "hit", "database"]


@pytest.mark.parametrize("sizes", [(3, 4), (5, 5), (6, 2), (7, 9)])
def test_the_interval_of_the_rank_test_is_exact(sizes):
    """Every order of the two samples is as likely: count in how many the interval misses 0."""
    first, second = sizes
    orders = [*itertools.combinations(range(first + second), first)]
    missed = 0
    for order in orders:
        below = [float(place) for place in order]
        above = [float(place) for place in range(first + second) if place not in order]
        found = shift(below, above, error=0.2)
        assert found.lowest is not None
        assert found.highest is not None
        missed += not found.lowest <= 0 <= found.highest
    assert 0 < missed / len(orders) <= 0.2


def compared(now: Turns, then: Turns, **fields: object) -> Comparison:
    def document(run: Turns) -> dict[str, object]:
        paths = {
            name: {"p50_ms": statistics.median(turns), "turns": {"p50_ms": turns}}
            for name, turns in run.items()
        }
        return {"paths": paths}

    return compare({**document(now), **fields}, document(then), ("BEFORE", "AFTER"))


def test_the_summary_says_what_is_slower_or_faster():
    noise = random.Random(6)
    then = run(noise)
    assert compared(then, then).summary == "No path is slower or faster."
    wide = {"hit": [1.0, 4.0, 2.0, 1.1, 3.0], "get": [1.0] * 5, "noop": [1.0] * 5, "database": [1.0] * 5}
    assert compared(wide, wide).summary.startswith(
        "No path is slower or faster as far as these runs can show. To be seen, a path would have to be "
        "slower or faster by: hit 4.0 times. "
    )
    found = compared(run(noise, hit=3, miss=0.2), then)
    assert found.summary == (
        "1 of 6 paths is slower: hit, 2.96 times (2.80 to 3.13). "
        "1 of 6 paths is faster: miss, 0.20 times (0.18 to 0.22)."
    )
    assert not found.warnings
    assert "noop or database" in found.allowance
    assert "not both measured" in compared({"hit": [1.0], "get": [1.0]}, then).allowance
    assert "one path" in compared({"hit": [1.0]}, then).allowance


def test_paths_that_only_one_run_has_are_named():
    found = compared({"ping": [1.0] * 5, "quiz:f hit": [1.0] * 5}, {"ping": [1.0] * 5, "hit": [1.0] * 5})
    assert found.warnings == (
        "Not compared, as only BEFORE has them: hit",
        "Not compared, as only AFTER has them: quiz:f hit",
    )


def test_a_disturbed_run_says_that_it_must_not_be_quoted():
    then = run(random.Random(7))
    noisy = compared(then, then, status="noisy", reasons=["ping: one", "get: two"])
    assert noisy.warnings == ("AFTER is NOISY, its numbers must not be quoted: ping: one; and 1 more",)
    (sentence,) = compare(noisy.baseline, {**noisy.baseline, "status": "noisy"}).warnings
    assert sentence.startswith("The baseline is NOISY, its numbers must not be quoted")
    invalid = compared(then, then, status="invalid", reasons=["ping: no run succeeded"])
    assert "AFTER is INVALID" in invalid.warnings[0]
    assert invalid.summary == "Nothing can be said: AFTER is INVALID."


def test_unknown_says_which_run_has_too_few_turns():
    found = compared({"ping": [1.0, 1.0, 1.0]}, {"ping": [1.0] * 5})
    assert found.summary == "Nothing can be said: there are too few turns."
    (sentence,) = found.warnings
    assert sentence == (
        "ping: BEFORE has 5 turns and AFTER has 3, too few to compare 1 path; "
        "measure both with --repeat 5 or more"
    )


def test_a_ratio_that_contradicts_the_medians_of_all_calls_is_explained():
    now, then = {"ping": [1.0, 1.0, 2.0, 2.0, 2.0]}, {"ping": [1.0, 1.0, 1.0, 2.0, 2.0]}
    found = compared(now, then)
    assert found.paths["ping"].ratio == pytest.approx(1)
    assert found.warnings[0].startswith(
        "ping: the ratio is 1.00 by turns and 2.00 by the medians of all calls"
    )
