"""`--fail-on`: what a limit means, and what is none."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from langcache_cli.operations.bench.limits import Limit, LimitError, Verdict

SCATTER = (0.99, 1.0, 1.01, 1.02, 0.98)


def document(**paths: float) -> dict[str, Any]:
    """A run whose paths have one latency, and five turns about it."""
    return {"paths": {name: path(value, SCATTER) for name, value in paths.items()}}


def path(value: float, turns: tuple[float, ...]) -> dict[str, Any]:
    metrics = ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99.9_ms", "mean_ms", "max_ms")
    by_turn = {name: [value * turn for turn in turns] for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")}
    counts = {"count": [round(1000 / value / turn) for turn in turns], "seconds": [1.0 for _ in turns]}
    return {**dict.fromkeys(metrics, value), "runs_per_second": 1000 / value, "turns": {**by_turn, **counts}}


def verdict(text: str, now: dict[str, Any], before: dict[str, Any] | None) -> Verdict:
    return Limit.parse(text).verdict(now, before)


BEFORE = document(noop=1.0, database=1.0, ping=1.0, hit=1.0, miss=2.0, gone=1.0)
NOW = document(noop=1.0, database=1.0, ping=3.0, hit=1.2, miss=4.0)


@pytest.mark.parametrize(
    ("text", "exceeded"),
    [
        ("p99>+10%", ["hit", "miss"]),
        ("p50>+50%", ["miss"]),
        ("p50>+25%", ["miss"]),
        ("hit:p95>+10%", ["hit"]),
        ("hit:p95>-50%", ["hit"]),
        ("ping:p50>+25%", ["ping"]),
        ("ping:max>+250%", []),
        ("p50>2.5ms", ["ping", "miss"]),
        ("miss:max>4.001ms", []),
        ("hit:mean<5ms", ["hit"]),
        ("noop:p50>0.5ms", ["noop"]),
        ("rate<-20%", ["miss"]),
        ("miss:rate<-99%", []),
    ],
)
def test_a_limit_names_the_paths_that_exceed_it(text, exceeded):
    found = verdict(text, NOW, BEFORE)
    assert [sentence.split(":")[0] for sentence in found.exceeded] == exceeded
    assert all(sentence.endswith(text) for sentence in found.exceeded)
    assert not found.unjudged


def test_a_limit_is_not_exceeded_where_the_interval_reaches_below_it():
    """One turn in five was disturbed: p99 of all calls is far higher, and no interval supports it."""
    now = document(noop=1.0, database=1.0, hit=1.0)
    now["paths"]["hit"] = path(1.236, (0.8, 0.81, 0.79, 0.82, 3.0))
    assert verdict("hit:p99>+10%", now, BEFORE) == Verdict((), ())


def test_two_runs_of_one_version_exceed_no_limit_in_recorded_noise():
    runs = json.loads((Path(__file__).parent / "bench_noise.json").read_text("utf-8"))
    documents = [
        {"paths": {name: {"p50_ms": 1.0, "turns": {"p50_ms": turns}} for name, turns in run.items()}}
        for run in runs
    ]
    pairs = [pair for two in itertools.pairwise(documents) for pair in (two, two[::-1])]
    failed = sum(bool(verdict("p50>+10%", *pair).exceeded) for pair in pairs)
    assert failed <= 0.05 * len(pairs)


def test_what_slows_the_machine_exceeds_no_limit():
    slow = document(noop=2.0, database=2.0, hit=2.0)
    assert verdict("hit:p50>+25%", slow, BEFORE) == Verdict((), ())


def test_a_limit_that_cannot_be_judged_says_what_it_takes():
    short = {"paths": {"hit": path(9.0, SCATTER[:4])}}
    (sentence,) = verdict("hit:p50>+25%", short, BEFORE).unjudged
    assert sentence.startswith("hit:p50>+25%: hit: the baseline has 5 turns and this run has 4, too few")
    assert sentence.endswith("--repeat 5 or more")
    only = document(noop=1.0, ping=1.0)
    (sentence,) = verdict("p50>+25%", only, only).unjudged
    assert "as in 'ping:p50>+25%'" in sentence


def test_a_sentence_says_what_it_is_and_was():
    (sentence,) = verdict("hit:p99>+10%", NOW, BEFORE).exceeded
    assert sentence == (
        "hit: p99 is 1.200 ms, it was 1.000 ms; by turns 1.20 times (1.15 to 1.25): hit:p99>+10%"
    )


def test_the_path_of_a_function_has_colons():
    limit = Limit.parse("vocabulary:get_word hit:p99>1ms")
    assert (limit.path, limit.metric, limit.ms) == ("vocabulary:get_word hit", "p99", 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p99",
        "p99>10",
        "p99>10%",
        "p99>=+10%",
        "p98>+1%",
        "rate<5ms",
        ":p99>+1%",
        "p99>+1% x",
        "p99.9>+1%",
        "mean>-5%",
    ],
)
def test_what_is_no_limit_says_so_with_an_example(text):
    with pytest.raises(LimitError, match=r"such as|there is no metric 'p98'|not known by turn"):
        Limit.parse(text)


def test_a_path_that_was_not_measured_is_named():
    for limit, baseline in (("get:p99>1ms", None), ("hit:p99>+1%", document(miss=1.0))):
        with pytest.raises(LimitError, match=limit.partition(":")[0]):
            verdict(limit, document(hit=1.0), baseline)
