"""What the thresholds of ``langcache stats`` say of the report, as an exit code and as a line for Nagios."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache_cli.cli.formats.nagios import Figure, NagiosState, nagios_line
from langcache_cli.cli.output import percent
from langcache_cli.cli.statistics.text import notes_of
from langcache_cli.cli.watch.words import duration, last
from langcache_cli.readable import number_of

if TYPE_CHECKING:
    from langcache_cli.operations.statistics.limits import HitRateLimits
    from langcache_cli.operations.stats import StatsReport

HUNDRED = 100


def span_of(report: StatsReport, window: str) -> str:
    """The time that the numbers are about, in words."""
    if report.since is not None and not report.since.first_run:
        return f"since the last run, {duration(report.window_seconds)} ago"
    return f"in the last {last(window)}"


def nagios_report(report: StatsReport, limits: HitRateLimits, window: str) -> tuple[NagiosState, str]:
    """The state and the line."""
    total, server, keys = report.total, report.server, report.keys
    span = span_of(report, window)
    found, reason = limits.judge(total.hit_rate, span)
    state = NagiosState[found.upper()]
    calls = total["hits"] + total["misses"]
    rate = (
        f"hit rate {percent(total.hit_rate)} of {number_of(calls, 'call')} {span}"
        if calls
        else f"no calls {span}"
    )
    sentence = "; ".join([reason or rate, *notes_of(report, window)])
    hit_p95, load_p95 = total.percentile_ms("hit", 95), total.percentile_ms("load", 95)
    figures = [
        Figure(
            "hit_rate",
            None if total.hit_rate is None else HUNDRED * total.hit_rate,
            "%",
            warning=at_least(limits.warning),
            critical=at_least(limits.critical),
        ),
        Figure("hits", total["hits"]),
        Figure("misses", total["misses"]),
        Figure("load_errors", total["load_errors"]),
        Figure("bypassed", total["bypassed"]),
        Figure("hit_p95", None if hit_p95 is None else hit_p95 / 1000, "s"),
        Figure("load_p95", None if load_p95 is None else load_p95 / 1000, "s"),
        Figure("keys", keys["keys"]),
        Figure("used_memory", server.used_memory_bytes, "B"),
        Figure("evicted_keys", server.evicted_keys, "c"),
    ]
    return state, nagios_line(state, sentence, figures)


def at_least(limit: float | None) -> str:
    """The range of a figure that must not be lower."""
    return "" if limit is None else f"{limit:g}:"
