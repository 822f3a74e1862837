"""Counters and latency buckets: nothing is lost in a sum, and percentiles are near the truth."""

import math
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache_cli.caching._statistics.counters import Counts, Statistics, add_counts
from langcache_cli.caching._statistics.latency_buckets import (
    HISTOGRAM_ENDS_SECONDS,
    bucket_of,
    latency_histogram,
    percentile_ms,
)
from langcache_cli.caching._statistics.report import CacheReport, Numbers, cache_stats
from langcache_cli.caching.testing import Faults, memory_cache
from langcache_cli.caching.tooling import COUNTERS, Label

WORD = Label("vocabulary", "vocabulary", "get_word")
LEVEL = Label("vocabulary", "vocabulary_level", "get_level")
NAME = st.text("abc_.-é", min_size=1)
seconds = st.floats(1e-6, 100)
counts = st.dictionaries(st.sampled_from([*COUNTERS, "hit_us.3"]), st.integers(1, 10**9))
counted = st.dictionaries(st.sampled_from([WORD, LEVEL]), counts)


MINUTE = 1_800_000_000


def take(statistics: Statistics) -> dict[Label, Counts]:
    """What is taken, of all minutes together."""
    total: dict[Label, Counts] = {}
    for counts in statistics.take(MINUTE).values():
        add_counts(total, counts)
    return total


@given(st.builds(Label, NAME, NAME, st.text("ab:é")))
def test_a_label_is_read_back_from_its_text(label):
    assert Label.parse(str(label)) == label


def test_labels_sort_by_type_then_prefix_then_function():
    assert sorted([LEVEL, WORD, Label("a", "z", "z")]) == [Label("a", "z", "z"), WORD, LEVEL]


@given(st.lists(st.tuples(st.sampled_from([WORD, LEVEL]), st.sampled_from([*COUNTERS]), st.integers(0, 99))))
def test_counters_add_up(added):
    statistics = Statistics()
    for label, counter, amount in added:
        statistics.add(label, counter, amount)
    taken = take(statistics)
    for label in (WORD, LEVEL):
        for counter in COUNTERS:
            total = sum(amount for *where, amount in added if where == [label, counter])
            assert taken.get(label, {}).get(counter, 0) == total


def test_taking_starts_again_from_nothing():
    statistics = Statistics()
    statistics.add(WORD, "hits")
    taken = take(statistics)
    statistics.add(WORD, "hits", 5)
    assert taken == {WORD: {"hits": 1}}
    assert take(statistics) == {WORD: {"hits": 5}}
    assert take(statistics) == {}


@given(st.lists(st.tuples(st.integers(0, 5), counted)))
def test_what_is_given_back_is_taken_again_with_its_minutes(parts):
    statistics, expected = Statistics(), {}
    for number, part in parts:
        minute = MINUTE + 60 * number
        for label, items in part.items():
            for counter, amount in items.items():
                statistics.add(label, counter, amount)
        statistics.give_back(statistics.take(minute))
        add_counts(expected.setdefault(minute, {}), part)
    assert statistics.take(0) == {minute: counts for minute, counts in expected.items() if counts}


def test_each_minute_keeps_its_counts_until_it_is_taken():
    statistics = Statistics()
    statistics.add(WORD, "hits")
    statistics.close_minute(MINUTE)
    statistics.add(WORD, "hits", 5)
    assert statistics.of(WORD) == {"hits": 6}
    assert statistics.take(MINUTE + 60) == {MINUTE: {WORD: {"hits": 1}}, MINUTE + 60: {WORD: {"hits": 5}}}
    assert statistics.since_start() == {WORD: {"hits": 6}}


def test_minutes_of_a_long_outage_are_kept_by_the_hour():
    statistics = Statistics()
    for number in range(10_000):
        statistics.add(WORD, "bypassed")
        statistics.close_minute(MINUTE + 60 * number)
    kept = statistics.take(0)
    assert len(kept) < 60 + 10_000 / 60 + 2
    assert sum(counts[WORD]["bypassed"] for counts in kept.values()) == 10_000
    assert sum(minute % 3600 == 0 for minute in kept) >= 10_000 // 60 - 1


@given(st.floats(1e-3, 1e12))
def test_a_bucket_ends_at_most_19_percent_above_the_latency(microseconds):
    end = 2 ** (bucket_of(microseconds) / 4)
    assert end >= microseconds * 0.999_999
    assert end <= max(1, microseconds * 1.19)


@pytest.mark.parametrize("microseconds", [-5, 0, 0.5, 1])
def test_the_first_bucket_has_everything_up_to_a_microsecond(microseconds):
    assert bucket_of(microseconds) == 0


@given(st.lists(seconds, min_size=1, max_size=60), st.sampled_from([1, 50, 90, 95, 99, 100]))
def test_a_percentile_is_within_19_percent_of_the_truth(latencies, percent):
    statistics = Statistics()
    for latency in latencies:
        statistics.time(WORD, "load", latency)
    true = sorted(latencies)[math.ceil(percent / 100 * len(latencies)) - 1] * 1000
    found = percentile_ms(take(statistics)[WORD], "load", percent)
    assert true / 1.1893 <= found <= true * 1.1893


@given(st.lists(seconds, min_size=1), st.lists(seconds))
def test_percentiles_of_a_sum_are_those_of_all_latencies(here, there):
    apart, together = (Statistics(), Statistics()), Statistics()
    for statistics, latencies in zip(apart, (here, there), strict=True):
        for latency in latencies:
            statistics.time(WORD, "hit", latency)
            together.time(WORD, "hit", latency)
    total: dict[Label, Counts] = {}
    for statistics in apart:
        add_counts(total, take(statistics))
    merged, whole = total[WORD], take(together)[WORD]
    assert percentile_ms(merged, "hit", 95) == percentile_ms(whole, "hit", 95)


@given(st.lists(seconds, min_size=1), st.floats(0, 100), st.floats(0, 100))
def test_a_higher_percentile_is_never_lower(latencies, one, other):
    statistics = Statistics()
    for latency in latencies:
        statistics.time(WORD, "hit", latency)
    taken = take(statistics)[WORD]
    low, high = (percentile_ms(taken, "hit", percent) for percent in sorted((one, other)))
    assert low <= high


def test_a_tally_is_part_of_the_statistics_once_and_until_it_is_retired():
    statistics = Statistics()
    tally = statistics.tally(WORD)
    tally.count_hit(100, 0.001)
    assert statistics.of(WORD) == {"hits": 1, "bytes_read": 100, f"hit_us.{bucket_of(1000)}": 1}
    taken = statistics.take(MINUTE)
    assert statistics.of(WORD) == {}
    tally.count_hit(1, 0.001)
    assert statistics.of(WORD)["bytes_read"] == 1
    statistics.give_back(taken)
    statistics.retire(tally)
    tally.count_hit(10**6, 0.001)
    assert statistics.since_start()[WORD]["bytes_read"] == 101
    assert take(statistics)[WORD]["hits"] == 2


def test_a_tally_that_counts_while_it_is_taken_loses_nothing():
    statistics, total = Statistics(), dict[Label, Counts]()
    tally = statistics.tally(WORD)

    def count() -> None:
        for _ in range(20_000):
            tally.count_hit(1, 0.001)

    thread = threading.Thread(target=count)
    thread.start()
    while thread.is_alive():
        add_counts(total, take(statistics))
    add_counts(total, take(statistics))
    assert total[WORD] == {"hits": 20_000, "bytes_read": 20_000, f"hit_us.{bucket_of(1000)}": 20_000}


def test_hits_and_loads_are_timed_apart():
    statistics = Statistics()
    statistics.time(WORD, "hit", 0.001)
    statistics.time(WORD, "load", 1.0)
    taken = take(statistics)[WORD]
    assert percentile_ms(taken, "hit", 95) == pytest.approx(1, rel=0.19)
    assert percentile_ms(taken, "load", 95) == pytest.approx(1000, rel=0.19)


def test_without_latencies_there_is_no_percentile():
    assert percentile_ms({"hits": 5}, "hit", 95) is None


@given(st.lists(st.sampled_from([bucket_of(1e6 * end) for end in HISTOGRAM_ENDS_SECONDS]), min_size=1))
def test_a_histogram_has_every_latency_at_its_end_and_beyond(buckets):
    statistics = Statistics()
    for bucket in buckets:
        statistics.time(WORD, "hit", 2 ** (bucket / 4) / 1e6)
    histogram = latency_histogram(take(statistics)[WORD], "hit")
    ends = [round(1e6 * end) for end in HISTOGRAM_ENDS_SECONDS]
    assert histogram.below == tuple(sum(2 ** (bucket / 4) <= end for bucket in buckets) for end in ends)
    assert histogram.count == len(buckets)


@given(st.lists(st.floats(1e-6, 1e5), min_size=1))
def test_a_histogram_counts_all_latencies_and_its_sum_is_within_10_percent(latencies):
    statistics = Statistics()
    for latency in latencies:
        statistics.time(WORD, "load", latency)
    histogram = latency_histogram(take(statistics)[WORD], "load")
    assert histogram.count == len(latencies)
    assert list(histogram.below) == sorted(histogram.below)
    assert histogram.below[-1] <= histogram.count
    assert sum(latencies) / 1.1 <= histogram.sum_seconds <= sum(latencies) * 1.1


def test_without_latencies_there_is_no_histogram():
    assert latency_histogram({"hits": 5, "load_us.3": 1}, "hit") is None


def test_what_is_given_back_is_taken_again_once_and_stays_part_of_the_whole():
    statistics = Statistics()
    statistics.add(WORD, "loads", 3)
    taken = statistics.take(MINUTE)
    statistics.add(WORD, "loads", 4)
    assert statistics.since_start() == {WORD: {"loads": 7}}
    statistics.give_back(taken)
    assert statistics.since_start()[WORD] == {"loads": 7}
    assert take(statistics) == {WORD: {"loads": 7}}
    assert statistics.since_start()[WORD] == {"loads": 7}
    assert take(statistics) == {}


def test_threads_lose_no_count():
    statistics, taken = Statistics(), []
    label = Label("t", "p", "f")

    def count():
        for number in range(3000):
            statistics.add(label, "hits")
            if number % 100 == 0:
                taken.append(take(statistics))

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    taken.append(take(statistics))
    assert sum(counts.get(label, {}).get("hits", 0) for counts in taken) == 12_000


async def test_the_record_says_what_is_wrong_with_redis_and_the_rate_in_percent():
    faults = Faults()
    cache = memory_cache(faults=faults)
    assert (await cache.stats())["error"] == ""
    faults.fail()
    down = await cache.stats()
    assert not down["reachable"]
    assert down["error"]
    faults.heal()
    await cache.aclose()
    numbers = Numbers({"hits": 2, "misses": 1})
    stats = cache_stats(enabled=True, server=None, report=CacheReport(60, {Label("a", "a", "f"): numbers}))
    assert (stats["hit_rate"], stats["hit_rate_percent"]) == (0.6667, 66.67)
