"""The report for people."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from langcache_cli.cli.output import Output, memory_use, milliseconds, percent
from langcache_cli.cli.watch.words import clock, duration, last
from langcache_cli.readable import number_of, size, type_option

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import Numbers
    from langcache_cli.operations.overview.census import KeyCounts
    from langcache_cli.operations.statistics.reasons import OtherKeys, Reason
    from langcache_cli.operations.statistics.since_last import SinceLast
    from langcache_cli.operations.stats import StatsReport

COUNTS = ("Hits", "Misses", "Hit rate", "Hit p95", "Load p95")
DROPS = ("Load p95", "Hit p95", "Memory", "Misses", "Keys")
"""Columns that may be left out, least important first."""


def print_report(output: Output, report: StatsReport, window: str, *, memory: bool, functions: bool) -> None:
    """Print the tables of types, functions, reasons and the server.

    Args:
        output: Where to print.
        report: What was collected.
        window: How the user wrote the window, such as ``1h``.
        memory: Show the memory of each type.
        functions: Show the functions, too.
    """
    since = report.since
    title = title_of(report, window)
    if since is not None and not since.first_run:
        title = ""
        output.line(f"Since the last run, {duration(report.window_seconds)} ago:")
    for note in notes_of(report, window):
        output.line(note)
    if title and not output.draws:
        output.line(title)  # a table has its title on a terminal only
    _print_types(output, report, title, memory=memory)
    if report.problem and memory:
        output.line(f"Not all is known: {report.problem}")
    if functions:
        output.line("")
        _print_functions(output, report)
    if report.outbox["deferred"]:
        waited, delivered = report.outbox["deferred"], report.outbox["delivered"]
        output.line(f"{number_of(waited, 'invalidation')} waited for Redis; {delivered:,} delivered since.")
    _print_reasons(output, report)
    output.line("")
    _print_server(output, report, all_keys=memory)


def title_of(report: StatsReport, window: str) -> str:
    """The window, and when it began: it is longer than asked for, by what runs of a minute or an hour."""
    now = time.time()
    return f"The last {last(window)}, since {clock(now - report.window_seconds, now=now)}"


def print_server(output: Output, report: StatsReport) -> None:
    """Print all that Redis reports about itself."""
    server = report.server
    asked = server.keyspace_hits + server.keyspace_misses
    found = percent(server.keyspace_hits / asked if asked else None)
    look_ups = (
        "keyspace hits, all clients",
        f"{server.keyspace_hits:,} of {asked:,}, {found} (since start, langcache's own reads included)",
    )
    _print_server(output, report, look_ups, all_keys=True)


def _print_server(output: Output, report: StatsReport, *more: tuple[str, str], all_keys: bool) -> None:
    server, others = report.server, report.other_keys
    own = f"{_about(output, exact=report.exact)}{report.own_keys:,} ('clear' leaves them)"
    rows = [
        ("version", f"{server.product} {server.version}"),
        ("uptime", duration(server.uptime_seconds)),
        (
            "memory",
            f"{memory_use(server.used_memory_bytes, server.max_memory_bytes)}, {server.eviction_policy}",
        ),
        ("evicted keys", f"{server.evicted_keys:,}"),
        ("connections", f"{server.connected_clients:,}"),
        ("keys in this database", f"{server.database_keys:,}"),
        *([("of these, counters and tags", own)] if report.own_keys else []),
        *([("keys beside this namespace", _others(output, others))] if all_keys else []),
        *more,
    ]
    output.table("", ("Server", ""), rows, text_columns=2)


def notes_of(report: StatsReport, window: str) -> list[str]:
    """What a reader of the numbers must know."""
    notes = [] if report.since is None else list(_since_notes(report.since, window))
    if report.lost.calls:
        minutes = report.lost.minutes
        of_what = "a minute" if minutes == 1 else f"up to {minutes:,} minutes"
        notes.append(
            f"The counters of {of_what} are missing, most likely evicted: the numbers are too low, by "
            f"{number_of(report.lost.calls, 'call')} or more, and the hit rate may be wrong either way; "
            "those of hours live longer: --window 24h. Next: langcache doctor"
        )
    return notes


def _since_notes(since: SinceLast, window: str) -> Iterator[str]:
    """What a reader of the numbers since the last run must know."""
    if since.first_run:
        yield (
            f"The state file {since.first_run}: this is the first run, "
            f"and the numbers are those of the last {last(window)}."
        )
    if since.restarted:
        yield (
            "Redis was restarted or replaced since the last run: counts that it had not saved, if any, are "
            "missing."
        )
    if since.lost_hours:
        hours = ", ".join(time.strftime("%d %b %H:%M", time.localtime(at)) for at in since.lost_hours)
        yield (
            f"Redis has lost counters since the last run, of the hours that began at {hours}: "
            "what was counted in them since is shown, and may be too low."
        )


def _print_types(output: Output, report: StatsReport, title: str, *, memory: bool) -> None:
    about = _about(output, exact=report.exact)
    lines = [
        *((line.name, line.keys, line.numbers) for line in report.types),
        *([("all", report.keys, report.total)] if len(report.types) != 1 else []),
    ]
    rows = [
        (name, f"{about}{keys['keys']:,}", *([_memory(output, keys)] if memory else []), *_cells(numbers))
        for name, keys, numbers in lines
    ]
    columns = ("Type", "Keys", *(["Memory"] if memory else []), *COUNTS)
    output.table(title, columns, rows, drops=DROPS)


def _print_functions(output: Output, report: StatsReport) -> None:
    called = sorted(report.functions.items(), key=lambda item: -item[1]["hits"] - item[1]["misses"])
    if not called:
        output.line("No function of these types was called.")
        return
    has_errors = bool(report.total["load_errors"])
    rows = [
        (
            f"{label.prefix}:{label.function}",
            *([f"{numbers['load_errors']:,}"] if has_errors else []),
            *_cells(numbers),
        )
        for label, numbers in called
    ]
    columns = ("Function", *(["Load errors"] if has_errors else []), *COUNTS)
    output.table("Functions, most called first", columns, rows, drops=(*DROPS, "Load errors"))


def _print_reasons(output: Output, report: StatsReport) -> None:
    misses = [reason for reason in report.reasons if reason.is_cause]
    several = len(report.types) != 1
    if misses:
        rows = [[*_reason_cells(one, types=several), percent(one.miss_ratio)] for one in misses]
        all_misses = report.total["misses"]
        if all_misses and len(misses) > 1:
            rows.append(
                ["all misses", "", *([""] if several else []), f"{all_misses:,}", percent(1.0)],
            )
        _print_table(output, ["Misses by cause", "Meaning", "Misses", "Share"], rows, types=several)
    for reason in misses:
        if reason.estimate:
            output.line(f"{reason.title}: {reason.estimate}")
    beside = [reason for reason in report.reasons if not reason.is_cause]
    if beside:
        several = several and any(reason.parts for reason in beside)
        rows = [_reason_cells(one, types=several) for one in beside]
        _print_table(output, ["Beside misses", "Meaning", "Count"], rows, types=several)
    _print_commands(output, report)


def _reason_cells(reason: Reason, *, types: bool) -> list[str]:
    """Title, meaning, with ``types`` the counts by type, and the count."""
    parts = ", ".join(f"{name} {count:,}" for name, count in reason.parts.items())
    return [reason.title, reason.meaning, *([parts] if types else []), f"{reason.count:,}"]


def _print_table(output: Output, columns: list[str], rows: list[list[str]], *, types: bool) -> None:
    output.line("")
    if types:
        columns.insert(2, "Types")
    output.table("", columns, rows, text_columns=2 + types, drops=("Types", "Meaning"))


def _print_commands(output: Output, report: StatsReport) -> None:
    """What to type next for each reason; a command that several have is printed once."""
    shown = (
        {f"langcache stats {type_option(line.name)}" for line in report.types}
        if len(report.types) == 1
        else ()
    )
    titles: dict[str, list[str]] = {}
    for reason in report.reasons:
        if reason.command and reason.command not in shown:
            titles.setdefault(reason.command, []).append(reason.title)
    if titles:
        output.line("")
    for command, of_one in titles.items():  # never wrapped: it is copied
        output.line(f"Next ({', '.join(of_one)}): {command}")


def _others(output: Output, others: OtherKeys) -> str:
    names = ", ".join(f"namespace {name} {keys:,}" for name, keys in others.namespaces.items())
    return f"{_about(output, exact=not others.is_estimate)}{others.keys:,}{f' ({names})' if names else ''}"


def _about(output: Output, *, exact: bool) -> str:
    if exact:
        return ""
    return "≈ " if output.unicode else "~ "


def _memory(output: Output, keys: KeyCounts) -> str:
    sign = "±" if output.unicode else "+-"
    error = f" {sign} {size(keys['bytes_error'])}" if keys["bytes_error"] else ""
    return f"{size(keys['bytes'])}{error}"


def _cells(numbers: Numbers) -> tuple[str, ...]:
    return (
        f"{numbers['hits']:,}",
        f"{numbers['misses']:,}",
        percent(numbers.hit_rate),
        milliseconds(numbers.percentile_ms("hit", 95)),
        milliseconds(numbers.percentile_ms("load", 95)),
    )
