"""The report as metrics of Prometheus: ``langcache_up``, the numbers of the window, the server's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from langcache_cli.cli.formats.prometheus_text import Family, exposition

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import Numbers
    from langcache_cli.operations.stats import StatsReport

PERCENTILES = (("hit", 50), ("hit", 95), ("load", 50), ("load", 95))
WHAT = {"hit": "How long hits took", "load": "How long the functions behind the cache took"}
SERVER: dict[str, tuple[str, str, Literal["gauge", "counter"]]] = {
    "langcache_redis_used_memory_bytes": ("used_memory_bytes", "Memory that Redis uses.", "gauge"),
    "langcache_redis_max_memory_bytes": (
        "max_memory_bytes",
        "The memory limit of Redis; 0 for none.",
        "gauge",
    ),
    "langcache_redis_connected_clients": ("connected_clients", "Open connections of all clients.", "gauge"),
    "langcache_redis_uptime_seconds": ("uptime_seconds", "Time since Redis was started.", "gauge"),
    "langcache_redis_database_keys": ("database_keys", "Keys in the database, of all applications.", "gauge"),
    "langcache_redis_evicted_keys_total": (
        "evicted_keys",
        "Keys that Redis removed at its memory limit.",
        "counter",
    ),
    "langcache_redis_keyspace_hits_total": (
        "keyspace_hits",
        "Look-ups of all clients that found a key.",
        "counter",
    ),
    "langcache_redis_keyspace_misses_total": (
        "keyspace_misses",
        "Look-ups of all clients that did not.",
        "counter",
    ),
}


def metrics_text(report: StatsReport, namespace: str, *, memory: bool, functions: bool) -> str:
    """The metrics of a report.

    Args:
        report: What was collected.
        namespace: The label ``namespace`` of every sample.
        memory: Show the memory of each type.
        functions: One sample for each function instead of each type.
    """
    labels = {"namespace": namespace}
    return exposition(
        [
            *_state(up=True, reachable=True, namespace=namespace),
            *_window(report, labels, functions=functions),
            *_keys(report, labels, memory=memory),
            *_since(report, labels),
            *_server(report, labels),
        ]
    )


def failure_text(namespace: str, *, reachable: bool) -> str:
    """The metrics of a run that could not collect anything.

    Args:
        namespace: The label; empty if it is not known.
        reachable: Redis answered, and refused.
    """
    return exposition(_state(up=False, reachable=reachable, namespace=namespace))


def _state(*, up: bool, reachable: bool, namespace: str) -> Iterator[Family]:
    labels = {"namespace": namespace}
    for name, meaning, value in (
        ("langcache_up", "1 if the numbers were collected.", up),
        ("langcache_redis_reachable", "1 if Redis answered, with an error or without.", reachable),
    ):
        family = Family(name, meaning)
        family.add(int(value), labels)
        yield family


def _window(report: StatsReport, labels: dict[str, str], *, functions: bool) -> Iterator[Family]:
    from langcache_cli.caching.tooling import COUNTERS  # noqa: PLC0415 - see `commands`

    length = Family("langcache_window_seconds", "True length of the window of langcache_window_*.")
    length.add(report.window_seconds, labels)
    yield length
    lost = Family("langcache_window_lost_calls", "Calls whose counters Redis has lost, at least.")
    lost.add(report.lost.calls, labels)
    yield lost
    lines: list[tuple[dict[str, str], Numbers]] = [
        ({**labels, "type": line.name}, line.numbers) for line in report.types
    ]
    if functions:
        lines = [
            ({**labels, "type": label.type, "prefix": label.prefix, "function": label.function}, numbers)
            for label, numbers in sorted(report.functions.items())
        ]
    for spec in COUNTERS.values():
        meaning = f"{spec.help_text.removesuffix('.')}, in the window."
        family = Family(f"langcache_window_{spec.exported_name}", meaning)
        if spec.per_function:
            for of_line, numbers in lines:
                family.add(numbers[spec.name], of_line)
        else:
            family.add(report.outbox[spec.name], labels)
        yield family
    ratio = Family("langcache_window_hit_ratio", "Hits as a share of hits and misses, from 0 to 1.")
    for of_line, numbers in lines:
        ratio.add(numbers.hit_rate, of_line)
    yield ratio
    for what, percent in PERCENTILES:
        family = Family(f"langcache_window_{what}_p{percent}_seconds", f"{WHAT[what]}: percentile {percent}.")
        for of_line, numbers in lines:
            milliseconds = numbers.percentile_ms(what, percent)
            family.add(None if milliseconds is None else milliseconds / 1000, of_line)
        yield family


def _keys(report: StatsReport, labels: dict[str, str], *, memory: bool) -> Iterator[Family]:
    keys = Family("langcache_keys", "Keys in Redis; estimated where there are many.")
    sizes = Family("langcache_keys_bytes", "Memory of these keys; estimated where there are many.")
    for line in report.types:
        of_line = {**labels, "type": line.name}
        keys.add(line.keys["keys"], of_line)
        sizes.add(line.keys["bytes"] if memory else None, of_line)
    others = Family("langcache_other_keys", "Keys in the database that are not of this namespace.")
    others.add(report.other_keys.keys, labels)
    yield from (keys, sizes, others)


def _since(report: StatsReport, labels: dict[str, str]) -> Iterator[Family]:
    since = report.since
    if since is None:
        return
    for name, meaning, value in (
        ("first_run", "1 if there was no earlier run to compare with.", bool(since.first_run)),
        ("redis_restarted", "1 if Redis was restarted or replaced since the last run.", since.restarted),
        ("lost_buckets", "Hours whose counters Redis has lost since the last run.", len(since.lost_hours)),
    ):
        family = Family(f"langcache_since_last_{name}", meaning)
        family.add(int(value), labels)
        yield family


def _server(report: StatsReport, labels: dict[str, str]) -> Iterator[Family]:
    for name, (attribute, meaning, kind) in SERVER.items():
        family = Family(name, meaning, kind)
        family.add(getattr(report.server, attribute), labels)
        yield family
