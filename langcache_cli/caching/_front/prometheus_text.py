"""The counters of one process in Prometheus' text format.

Each process exports its own, with its process id as ``worker``: Prometheus adds them up. Several workers
behind one port answer in turn, so their series have gaps, which ``rate()`` bridges.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from langcache_cli.caching._statistics.counters import COUNTERS, OUTBOX, Counts, Label
from langcache_cli.caching._statistics.latency_buckets import BUCKETS_PER_DOUBLING

if TYPE_CHECKING:
    from langcache_cli.caching._front.cache import Cache

TIMINGS = {"hit": "How long hits took.", "load": "How long the functions behind the cache took."}
BUCKETS = range(6 * BUCKETS_PER_DOUBLING, 27 * BUCKETS_PER_DOUBLING, BUCKETS_PER_DOUBLING)
"""From 64 microseconds to a minute, doubling."""


def prometheus_text(cache: Cache) -> str:
    """The metrics of this process, since its start."""
    counts = cache.statistics.since_start()
    worker = str(os.getpid())
    lines = [
        *_family("langcache_enabled", "gauge", "1 if the cache is switched on."),
        f"langcache_enabled{_labels({'worker': worker})} {int(cache.enabled)}",
        *_family("langcache_outbox", "gauge", "Invalidations that Redis has not confirmed yet."),
        f"langcache_outbox{_labels({'worker': worker})} {cache.pending_invalidations}",
    ]
    for counter, meaning in COUNTERS.items():
        name = _name(counter)
        lines += _family(name, "counter", f"{meaning[0].upper()}{meaning[1:]}.")
        counted = {label: items[counter] for label, items in counts.items() if counter in items}
        lines += [f"{name}{_of(label, worker)} {number}" for label, number in counted.items()]
    for timing, meaning in TIMINGS.items():
        name = f"langcache_{timing}_seconds"
        lines += _family(name, "histogram", meaning)
        for label, items in counts.items():
            lines += _histogram(name, label, items, timing=timing, worker=worker)
    return "\n".join(lines) + "\n"


def _histogram(name: str, label: Label, counts: Counts, *, timing: str, worker: str) -> Iterator[str]:
    stem = f"{timing}_us."
    buckets = {int(key.removeprefix(stem)): n for key, n in counts.items() if key.startswith(stem)}
    if not buckets:
        return
    for end in BUCKETS:
        below = sum(count for number, count in buckets.items() if number <= end)
        seconds = f"{2 ** (end // BUCKETS_PER_DOUBLING) / 1e6:g}"
        yield f"{name}_bucket{_of(label, worker, le=seconds)} {below}"
    total = sum(buckets.values())
    yield f"{name}_bucket{_of(label, worker, le='+Inf')} {total}"
    # of each bucket its geometric middle: the buckets grow by 19 %, so the sum is right within 10 %
    middle = sum(2 ** ((number - 0.5) / BUCKETS_PER_DOUBLING) * count for number, count in buckets.items())
    yield f"{name}_sum{_of(label, worker)} {middle / 1e6:.6g}"
    yield f"{name}_count{_of(label, worker)} {total}"


def _name(counter: str) -> str:
    """``hits`` becomes ``langcache_hits_total``; units come last, before ``total``."""
    words = counter.split("_")
    if words[0] == "bytes":
        words.append(words.pop(0))
    return f"langcache_{'_'.join(words)}_total"


def _family(name: str, kind: str, meaning: str) -> list[str]:
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]


def _of(label: Label, worker: str, **more: str) -> str:
    names = {"function": label.function, "prefix": label.prefix, "type": label.type}
    if label == OUTBOX:
        names = {}
    return _labels({**names, "worker": worker, **more})


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
