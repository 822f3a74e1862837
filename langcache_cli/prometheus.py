"""The counters of this process for Prometheus, as a collector of ``prometheus_client``.

`langcache_cli.fastapi.cache_router` serves them at ``/metrics``. An application with a registry of its own
adds them to it, once, and serves them with its other metrics:

```python
from prometheus_client import REGISTRY
from langcache_cli.prometheus import CacheCollector

REGISTRY.register(CacheCollector())
```

Each process exports its own numbers with its process id as ``worker``, and Prometheus adds them up. Several
workers behind one port answer in turn, so their series have gaps, which ``rate()`` bridges. There are no
``_created`` series: counters begin at 0 with the process. ``docs/counters.md`` lists all metrics.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from langcache_cli.caching import Cache, get_default_cache
from langcache_cli.caching.tooling import (
    COUNTERS,
    HISTOGRAM_ENDS_SECONDS,
    OUTBOX,
    CounterSpec,
    Label,
    LatencyHistogram,
    latency_histogram,
)

TIMINGS = {"hit": "How long hits took.", "load": "How long the functions behind the cache took."}
"""The latencies that are counted, with their help texts."""

ENDS = (*(f"{end:g}" for end in HISTOGRAM_ENDS_SECONDS), "+Inf")
"""The ``le`` labels of a histogram."""

Labels = dict[str, str]
AllCounts = Mapping[Label, Mapping[str, int]]


class CacheCollector(Collector):
    """The metrics of one cache in this process, since its start.

    Collecting reads memory only, never Redis, and may be done in any thread. A registry holds one collector:
    the metrics of a second cache would have the same names, and `CollectorRegistry.register` refuses it.
    """

    def __init__(self, cache: Cache | None = None) -> None:
        """Collect nothing yet.

        Args:
            cache: None for the default cache of the moment at which the metrics are collected.
        """
        self._cache = cache

    def describe(self) -> Iterable[Metric]:
        """The metrics without their values: registering neither reads the environment nor makes a cache."""
        return _families(enabled=None, outbox=None, counts={})

    def collect(self) -> Iterable[Metric]:
        """The metrics with their values at this moment."""
        cache = self._cache or get_default_cache()
        return _families(
            enabled=cache.enabled,
            outbox=cache.pending_invalidations,
            counts=cache.statistics.since_start(),
        )


def _families(*, enabled: bool | None, outbox: int | None, counts: AllCounts) -> Iterator[Metric]:
    worker = str(os.getpid())
    yield _gauge("langcache_enabled", "1 if the cache is switched on.", enabled, worker)
    yield _gauge("langcache_outbox", "Invalidations that Redis has not confirmed yet.", outbox, worker)
    labels = {label: _labels(label, worker) for label in counts}
    for spec in COUNTERS.values():
        yield _counter(spec, counts, labels)
    for timing in TIMINGS:
        yield _timing(timing, counts, labels)


def _gauge(name: str, meaning: str, value: int | None, worker: str) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=("worker",))
    if value is not None:
        family.add_metric((worker,), value)
    return family


def _counter(spec: CounterSpec, counts: AllCounts, labels: Mapping[Label, Labels]) -> Metric:
    name = f"langcache_{spec.exported_name}_total"
    family = CounterMetricFamily(name, spec.help_text)
    for label, items in counts.items():
        if spec.name in items:
            family.add_sample(name, labels[label], items[spec.name])
    return family


def _timing(timing: str, counts: AllCounts, labels: Mapping[Label, Labels]) -> Metric:
    family = HistogramMetricFamily(f"langcache_{timing}_seconds", TIMINGS[timing])
    for label, items in counts.items():
        histogram = latency_histogram(items, timing)
        if histogram is not None:
            _add_histogram(family, labels[label], histogram)
    return family


def _add_histogram(family: Metric, labels: Labels, histogram: LatencyHistogram) -> None:
    for end, below in zip(ENDS, (*histogram.below, histogram.count), strict=True):
        family.add_sample(f"{family.name}_bucket", {**labels, "le": end}, below)
    family.add_sample(f"{family.name}_sum", labels, histogram.sum_seconds)
    family.add_sample(f"{family.name}_count", labels, histogram.count)


def _labels(label: Label, worker: str) -> Labels:
    """The labels of a series; what an outbox counts belongs to no function and has its worker only."""
    if label == OUTBOX:
        return {"worker": worker}
    return {"function": label.function, "prefix": label.prefix, "type": label.type, "worker": worker}
