"""Two runs of ``langcache bench`` side by side: the same is no difference, and a difference is found."""

import itertools
import json
import math
import random
from pathlib import Path

import pytest

from langcache_cli.operations.bench.comparison import changes
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


def test_three_turns_are_too_few_to_tell():
    noise = random.Random(4)
    now, then = ({name: turns[:3] for name, turns in run(noise).items()} for _ in range(2))
    assert set(outcomes(now, then).values()) == {"unknown"}


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
