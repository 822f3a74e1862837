"""The collector for Prometheus: the series, at any moment, in any registry, without Redis."""

import os
import threading

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from langcache_cli.caching import Cache, CacheSettings, set_default_cache
from langcache_cli.caching.tooling import COUNTERS, OUTBOX, Label
from langcache_cli.prometheus import CacheCollector

WORD = Label("vocabulary", "vocabulary", 'Words."get"')
PID = str(os.getpid())
BEFORE = r"""
langcache_enabled{worker="PID"} 1
langcache_outbox{worker="PID"} 0
langcache_hits_total{WORD,worker="PID"} 2
langcache_near_total{WORD,worker="PID"} 1
langcache_deferred_total{worker="PID"} 3
langcache_read_bytes_total{WORD,worker="PID"} 500
langcache_hit_seconds_bucket{WORD,worker="PID",le="6.4e-05"} 0
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.000128"} 0
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.000256"} 0
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.000512"} 0
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.001024"} 1
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.002048"} 1
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.004096"} 1
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.008192"} 1
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.016384"} 1
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.032768"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.065536"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.131072"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.262144"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="0.524288"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="1.04858"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="2.09715"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="4.1943"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="8.38861"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="16.7772"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="33.5544"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="67.1089"} 2
langcache_hit_seconds_bucket{WORD,worker="PID",le="+Inf"} 2
langcache_hit_seconds_sum{WORD,worker="PID"} 0.0188059
langcache_hit_seconds_count{WORD,worker="PID"} 2
""".replace("WORD", r'function="Words.\"get\"",prefix="vocabulary",type="vocabulary"').replace("PID", PID)
"""What the version before wrote for the counts of the first test. Dashboards name these series."""


@pytest.fixture
def cache():
    return Cache(CacheSettings.load(env_file=None))


def text_of(cache: Cache | None) -> str:
    registry = CollectorRegistry()
    registry.register(CacheCollector(cache))
    return generate_latest(registry).decode()


def series(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_series_are_those_that_were_written_by_hand(cache):
    tally = cache.statistics.tally(WORD)
    tally.count_hit(500, 0.001)
    tally.count_near_hit(0.018)
    cache.statistics.add(OUTBOX, "deferred", 3)
    found = series(text_of(cache))
    assert found == pytest.approx(series(BEFORE), rel=1e-5)


def test_every_metric_has_its_help_and_its_type_also_before_anything_is_counted(cache):
    lines = [line for line in text_of(cache).splitlines() if line.startswith("#")]
    expected = [
        ("langcache_enabled", "gauge", "1 if the cache is switched on."),
        ("langcache_outbox", "gauge", "Invalidations that Redis has not confirmed yet."),
        *((f"langcache_{spec.exported_name}_total", "counter", spec.help_text) for spec in COUNTERS.values()),
        ("langcache_hit_seconds", "histogram", "How long hits took."),
        ("langcache_load_seconds", "histogram", "How long the functions behind the cache took."),
    ]
    assert lines == [
        line
        for name, kind, meaning in expected
        for line in (f"# HELP {name} {meaning}", f"# TYPE {name} {kind}")
    ]
    assert "langcache_read_bytes_total" in {name for name, _, _ in expected}


def test_the_sum_of_latencies_grows_with_every_load_however_large_it_is(cache):
    for _ in range(100):
        cache.statistics.time(WORD, "load", 50_000)
    sums = []
    for _ in range(2):
        sums += [n for (name, _), n in series(text_of(cache)).items() if name == "langcache_load_seconds_sum"]
        cache.statistics.time(WORD, "load", 0.001)
    assert sums[1] - sums[0] == pytest.approx(0.001, rel=0.1)


def test_registering_makes_no_cache_and_reads_no_setting(monkeypatch):
    monkeypatch.setenv("LANGCACHE_NAMESPACE", "::")  # would be refused
    before = set_default_cache(None)
    try:
        CollectorRegistry(auto_describe=True).register(CacheCollector())
    finally:
        set_default_cache(before)


def test_without_a_cache_it_collects_from_the_default_cache_of_the_moment(cache):
    registry = CollectorRegistry()
    registry.register(CacheCollector())
    before = set_default_cache(cache)
    try:
        cache.statistics.add(WORD, "loads", 5)
        assert "langcache_loads_total{" in generate_latest(registry).decode()
        set_default_cache(Cache(CacheSettings.load(env_file=None)))
        assert "langcache_loads_total{" not in generate_latest(registry).decode()
    finally:
        set_default_cache(before)


def test_a_registry_refuses_a_second_collector(cache):
    registry = CollectorRegistry()
    registry.register(CacheCollector(cache))
    with pytest.raises(ValueError, match="langcache_hits"):
        registry.register(CacheCollector(cache))


def test_one_metric_can_be_asked_for_alone(cache):
    cache.statistics.add(WORD, "loads", 5)
    registry = CollectorRegistry()
    registry.register(CacheCollector(cache))
    text = generate_latest(registry.restricted_registry(["langcache_loads_total"])).decode()
    assert {name for name, _ in series(text)} == {"langcache_loads_total"}


def test_another_thread_collects_while_this_one_counts(cache):
    collected, done = [], threading.Event()

    def collect() -> None:
        while not done.is_set():
            collected.append(text_of(cache))
        collected.append(text_of(cache))

    thread = threading.Thread(target=collect)
    thread.start()
    for number in range(3000):
        cache.statistics.add(Label("vocabulary", "vocabulary", f"f{number % 50}"), "loads")
        cache.statistics.time(WORD, "hit", 0.001 * number)
    done.set()
    thread.join()
    loads = [n for (name, _), n in series(collected[-1]).items() if name == "langcache_loads_total"]
    assert sum(loads) == 3000
