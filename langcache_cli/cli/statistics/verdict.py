"""What the thresholds of ``langcache stats`` say of the report, as an exit code and as a line for Nagios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langcache_cli.cli.formats.nagios import Figure, NagiosState, nagios_line
from langcache_cli.cli.output import percent
from langcache_cli.cli.statistics.text import notes_of
from langcache_cli.cli.watch.words import duration

if TYPE_CHECKING:
    from langcache_cli.operations.stats import StatsReport

HUNDRED = 100


@dataclass(frozen=True, slots=True)
class HitRateLimits:
    """The least hit rates, in percent; None for no limit.

    Attributes:
        warning: Below it a person should look.
        critical: Below it the command fails.
    """

    warning: float | None = None
    critical: float | None = None

    def judge(self, hit_rate: float | None, span: str) -> tuple[NagiosState, str]:
        """The state, and the reason; empty if all is well.

        Args:
            hit_rate: From 0 to 1; None if no call was counted.
            span: The time it is about, such as ``in the last 1h``.
        """
        if self.warning is None and self.critical is None:
            return NagiosState.OK, ""
        if hit_rate is None:
            return NagiosState.UNKNOWN, f"no call was counted {span}: the hit rate is unknown"
        for state, limit in ((NagiosState.CRITICAL, self.critical), (NagiosState.WARNING, self.warning)):
            if limit is not None and HUNDRED * hit_rate < limit:
                return state, f"the hit rate is {percent(hit_rate)}, lower than {limit:g} %"
        return NagiosState.OK, ""


def span_of(report: StatsReport, window: str) -> str:
    """The time that the numbers are about, in words."""
    if report.since is not None and not report.since.first_run:
        return f"since the last run, {duration(report.window_seconds)} ago"
    return f"in the last {window}"


def nagios_report(report: StatsReport, limits: HitRateLimits, window: str) -> tuple[NagiosState, str]:
    """The state and the line."""
    total, server, keys = report.total, report.server, report.keys
    span = span_of(report, window)
    state, reason = limits.judge(total.hit_rate, span)
    calls = total["hits"] + total["misses"]
    rate = f"hit rate {percent(total.hit_rate)} of {calls:,} calls {span}" if calls else f"no calls {span}"
    sentence = "; ".join([reason or rate, *notes_of(report, window)])
    hit_p95, load_p95 = total.percentile_ms("hit", 95), total.percentile_ms("load", 95)
    figures = [
        Figure(
            "hit_rate",
            None if total.hit_rate is None else HUNDRED * total.hit_rate,
            "%",
            warning=_at_least(limits.warning),
            critical=_at_least(limits.critical),
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


def _at_least(limit: float | None) -> str:
    return "" if limit is None else f"{limit:g}:"
