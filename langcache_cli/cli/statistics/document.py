"""The report as a JSON document, and as lines of CSV."""

from __future__ import annotations

import csv
import io
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import Label, Numbers
    from langcache_cli.operations.overview.census import KeyCounts
    from langcache_cli.operations.statistics.since_last import SinceLast
    from langcache_cli.operations.stats import StatsReport

OUTBOX = ("deferred", "delivered")
REMOVED = ("cleared_keys", "invalidated_tags")
"""Counters that belong to no function, in two sections."""

REASON = ("name", "count", "miss_ratio", "meaning", "parts", "command", "estimate")


def document(report: StatsReport, *, memory: bool, functions: bool) -> dict[str, Any]:
    """The fields of the document ``langcache.stats/1``.

    Args:
        report: What was collected.
        memory: Show the memory of each type.
        functions: Show the functions, too.
    """
    server = report.server
    fields: dict[str, Any] = {
        "window_seconds": report.window_seconds,
        "lost": {"minutes": report.lost.minutes, "calls": report.lost.calls},
        "keys_exact": report.exact,
        "total": {**_keys(report.keys, memory=memory), **_numbers(report.total)},
        "outbox": {name: report.outbox[name] for name in OUTBOX},
        "removed": {name: report.outbox[name] for name in REMOVED},
        "types": {
            line.name: {
                **_keys(line.keys, memory=memory),
                "ttl_seconds": line.ttl_seconds,
                **_numbers(line.numbers),
            }
            for line in report.types
        },
        "reasons": [{name: getattr(reason, name) for name in REASON} for reason in report.reasons],
        "own_keys": report.own_keys,
        "other_keys": {
            "keys": report.other_keys.keys,
            "namespaces": report.other_keys.namespaces,
            "exact": not report.other_keys.is_estimate,
        },
        "server": {name: getattr(server, name) for name in type(server).__slots__},
    }
    if functions:
        fields["functions"] = [
            {**_label(label), **_numbers(numbers)} for label, numbers in sorted(report.functions.items())
        ]
    if report.since is not None:
        fields["since_last"] = _since(report.since)
    return fields


def csv_text(report: StatsReport, *, memory: bool, functions: bool) -> str:
    """One line for each type, or with ``functions`` for each function; what is not known is empty."""
    if functions:
        rows = [{**_label(label), **_numbers(numbers)} for label, numbers in sorted(report.functions.items())]
        empty = {"type": "", "prefix": "", "function": "", **_numbers(report.total)}
    else:
        rows = [
            {
                "type": line.name,
                **_keys(line.keys, memory=memory),
                "ttl_seconds": line.ttl_seconds,
                **_numbers(line.numbers),
            }
            for line in report.types
        ]
        empty = rows[0] if rows else {"type": ""}
    text = io.StringIO()
    writer = csv.DictWriter(text, list(empty), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _label(label: Label) -> dict[str, str]:
    return {"type": label.type, "prefix": label.prefix, "function": label.function}


def _keys(counts: KeyCounts, *, memory: bool) -> dict[str, Any]:
    return {name: count for name, count in counts.items() if memory or not name.startswith("bytes")}


def _numbers(numbers: Numbers) -> dict[str, Any]:
    return {
        **numbers.exported(),
        "hit_ratio": numbers.hit_rate,
        "hit_p50_ms": numbers.percentile_ms("hit", 50),
        "hit_p95_ms": numbers.percentile_ms("hit", 95),
        "load_p50_ms": numbers.percentile_ms("load", 50),
        "load_p95_ms": numbers.percentile_ms("load", 95),
    }


def _since(since: SinceLast) -> dict[str, Any]:
    return {
        "first_run": bool(since.first_run),
        "first_run_reason": since.first_run,
        "previous_at": None if since.previous_at is None else _utc(since.previous_at),
        "redis_restarted": since.restarted,
        "lost_hours": [_utc(start) for start in since.lost_hours],
        "evicted_keys": since.evicted_keys,
    }


def _utc(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
