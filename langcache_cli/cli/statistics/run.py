"""Collects the report of ``langcache stats``, prints it in the format that is asked for, and judges it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.formats.atomic_file import AtomicFile
from langcache_cli.cli.formats.nagios import NagiosState
from langcache_cli.cli.formats.nagios_errors import nagios_errors
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute
from langcache_cli.cli.statistics import document, metrics, text
from langcache_cli.cli.statistics.known_namespace import known_namespace
from langcache_cli.cli.statistics.options import Format, StatsOptions, window_seconds
from langcache_cli.cli.statistics.verdict import nagios_report, span_of
from langcache_cli.cli.watch.words import last
from langcache_cli.readable import type_option

if TYPE_CHECKING:
    from langcache_cli.caching import CacheSettings
    from langcache_cli.operations.statistics.state_file import State, StateError
    from langcache_cli.operations.stats import StatsReport

OWNER_ONLY = 0o600


def run(invocation: Invocation, options: StatsOptions) -> None:
    """Show the statistics, or their history.

    Raises:
        typer.Exit: With the format of Nagios, always; its code is the state.
        CommandError: The options contradict each other, or a threshold is crossed.
        CacheError: Redis did not answer, or refused.
    """
    if options.format is Format.NAGIOS:
        invocation = replace(invocation, quiet=True)
        with nagios_errors(Output(invocation), debug=invocation.debug):
            options.require_sense()
            raise typer.Exit(execute(_stats(invocation, options)))
    options.require_sense()
    if options.history:
        execute(_history(invocation, options))
    else:
        execute(_stats(invocation, options))


async def _stats(invocation: Invocation, options: StatsOptions) -> NagiosState:
    output, namespace = Output(invocation), ""
    try:
        settings = invocation.settings()
        namespace, target = settings.namespace, invocation.target(settings)
        output.target(target)
        report = await _collect(settings, options)
    except Exception as error:
        if not namespace:
            path = None if options.textfile is None else options.textfile.path
            namespace = known_namespace(invocation, path)
        metric_lines = metrics.failure_text(namespace, reachable=_answered(error))
        if options.textfile is not None:
            options.textfile.write(metric_lines)
        if options.format is Format.PROM:
            output.line(metric_lines.rstrip("\n"))
        raise
    if options.textfile is not None:
        options.textfile.write(_metrics(report, namespace, options))
    if options.textfile is None or options.format is not None:
        _print(output, report, options, target, namespace)
    else:
        output.note(f"Wrote {options.textfile.path}.")
    try:
        return _judge(output, report, options)
    except CommandError as error:
        output.failure(error.failure)
        raise typer.Exit(error.failure.code) from error
    finally:
        if options.state is not None and report.state is not None:
            output.print_document()  # first: what was not printed is part of the next run
            options.state.write(report.state.text(), mode=OWNER_ONLY)


async def _collect(settings: CacheSettings, options: StatsOptions) -> StatsReport:
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - see `commands`
    from langcache_cli.operations.stats import StatsRequest  # noqa: PLC0415 - as above
    from langcache_cli.operations.stats import stats as collect  # noqa: PLC0415 - as above

    request = StatsRequest(
        window_seconds(options.window),
        types=options.types,
        exact=options.exact,
        sizes=options.memory,
        previous=_previous(options.state),
    )
    async with open_cache(settings) as cache:
        return await collect(cache, request)


async def _history(invocation: Invocation, options: StatsOptions) -> None:
    from langcache_cli.cli.watch.frame import history_lines  # noqa: PLC0415 - see `commands`
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - as above
    from langcache_cli.operations.overview.collecting import WINDOWS, CacheOverview  # noqa: PLC0415 - as above

    window = options.window
    if window not in WINDOWS:
        raise CommandError(ExitCode.USAGE, f"--window {window!r}: with --history one of {', '.join(WINDOWS)}")
    settings, output = invocation.settings(), Output(invocation)
    output.target(invocation.target(settings))
    async with open_cache(settings) as cache:
        overview = await CacheOverview(cache).collect(window)
        if "total" not in overview:
            await cache.report()  # raises what is wrong
    if invocation.json:
        output.overview(overview)
    else:
        for line in history_lines(overview, width=output.width, unicode=output.unicode):
            output.line(line)
    state, reason = options.limits.judge(overview["total"]["hit_ratio"], f"in the last {last(window)}")
    _enforce(output, NagiosState[state.upper()], reason)


def _previous(state: AtomicFile | None) -> State | StateError | None:
    """What the last run saw; why that is not known; None if it is not asked for.

    Raises:
        CommandError: The file is there and cannot be read.
    """
    from langcache_cli.operations.statistics.state_file import StateError, read_state  # noqa: PLC0415 - as above

    if state is None:
        return None
    try:
        return read_state(state.path)
    except StateError as error:
        return error
    except OSError as error:
        message = f"--state {state.path} cannot be read: {error.strerror}"
        raise CommandError(ExitCode.BAD_CONFIGURATION, message) from None


def _print(output: Output, report: StatsReport, options: StatsOptions, target: str, namespace: str) -> None:
    memory, functions = options.memory, bool(options.types)
    match options.format:
        case Format.JSON:
            fields = document.document(report, memory=memory, functions=functions)
            if options.limits.given:
                state, reason = options.limits.judge(report.total.hit_rate, span_of(report, options.window))
                fields["verdict"] = {"state": state, "reason": reason}
            output.document("stats", {"target": target, **fields})
        case Format.CSV | Format.PROM:
            for note in text.notes_of(report, options.window):
                output.note(note)
            if options.format is Format.CSV:
                lines = document.csv_text(report, memory=memory, functions=functions)
            else:
                lines = _metrics(report, namespace, options)
            output.line(lines.rstrip("\n"))
        case Format.NAGIOS:
            output.line(nagios_report(report, options.limits, options.window)[1])
        case _ if options.server:
            text.print_server(output, report)
        case _:
            text.print_report(output, report, options.window, memory=memory, functions=functions)


def _metrics(report: StatsReport, namespace: str, options: StatsOptions) -> str:
    functions = bool(options.types)
    return metrics.metrics_text(report, namespace, memory=options.memory, functions=functions)


def _judge(output: Output, report: StatsReport, options: StatsOptions) -> NagiosState:
    span = span_of(report, options.window)
    found, reason = options.limits.judge(report.total.hit_rate, span)
    state = NagiosState[found.upper()]
    if options.format is not Format.NAGIOS:
        _enforce(output, state, reason, _explaining(report, options))
    return state


def _explaining(report: StatsReport, options: StatsOptions) -> str:
    """What to type to see why the rate is low: about the type with most misses, unless it is shown."""
    worst = max(report.types, key=lambda line: line.numbers["misses"], default=None)
    if worst is None or not worst.numbers["misses"] or worst.name in options.types:
        return ""
    command = f"langcache stats {type_option(worst.name)} --window {options.window}"
    return f"Most misses are of {worst.name}: {command}"


def _enforce(output: Output, state: NagiosState, reason: str, hint: str = "") -> None:
    """Warn, or fail.

    Raises:
        CommandError: The hit rate is critical, or not known.
    """
    if state is NagiosState.WARNING:
        output.warning(reason)
    elif state is not NagiosState.OK:
        raise CommandError(ExitCode.CHECK_FAILED, reason, hint)


def _answered(error: BaseException) -> bool:
    """True if Redis answered, with an error."""
    from langcache_cli.caching import (  # noqa: PLC0415 - as above
        AuthenticationFailedError,
        ServerLoadingError,
        ServerReplyError,
        UnknownCacheTypeError,
    )

    answers = (AuthenticationFailedError, ServerLoadingError, ServerReplyError, UnknownCacheTypeError)
    return isinstance(error, answers) or isinstance(error.__cause__, ServerReplyError)
