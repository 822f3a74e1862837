"""Runs the checks of ``langcache check``, prints them in the format that is asked for, and judges them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from langcache_cli.cli.checks.options import Format
from langcache_cli.cli.commands.findings import fleet_document, show_nodes
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, explain
from langcache_cli.cli.formats.github import github_lines
from langcache_cli.cli.formats.nagios import Figure, NagiosState, nagios_line
from langcache_cli.cli.formats.outcome import Outcome, Outcomes
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, milliseconds

if TYPE_CHECKING:
    from langcache_cli.operations.check import CheckReport, CheckRequest, CheckResult
    from langcache_cli.operations.statistics.limits import HitRateLimits, LatencyLimits

SUITE = "langcache check"
FOR_PROGRAMS = (Format.NAGIOS, Format.JUNIT, Format.GITHUB)


async def run_checks(
    invocation: Invocation, request: CheckRequest, *, sample: bool, format_: Format | None
) -> NagiosState:
    """Run, print and judge; returns the state for Nagios.

    Raises:
        CommandError: A check failed, and the format is not that of Nagios.
        CacheError: The settings do not allow to begin.
    """
    output = Output(invocation)
    try:
        report, target = await _report(invocation, output, request, sample=sample)
    except Exception as error:
        if format_ not in FOR_PROGRAMS:
            raise
        return _cannot_begin(output, error, format_)
    outcomes = [_outcome(result) for result in report.results]
    if format_ is Format.NAGIOS:
        state = state_of(report)
        output.line(nagios_line(state, _sentence(outcomes), _figures(report, request)))
        return state
    if format_ in FOR_PROGRAMS:
        _print_for_ci(output, outcomes, format_)
    elif format_ is Format.JSON:
        output.document("check", {"target": target, **_document(report)})
    elif not invocation.quiet or report.failures:
        _print(output, report)
    for result in report.warnings if format_ not in FOR_PROGRAMS else ():
        if result.measured:  # a threshold that was asked for
            output.warning(f"{result.name}: {result.detail}")
    _judge(report)
    return NagiosState.OK


async def _report(
    invocation: Invocation, output: Output, request: CheckRequest, *, sample: bool
) -> tuple[CheckReport, str]:
    from langcache_cli.operations.check import check  # noqa: PLC0415 - see `commands`
    from langcache_cli.operations.opening import open_cache  # noqa: PLC0415 - as above

    settings = invocation.settings()
    database = invocation.database_if_configured(settings, sample=sample)
    target = invocation.target(settings)
    output.target(target)
    if database is not None:
        output.target(f"from {database.target}")
    async with database or contextlib.nullcontext(), open_cache(settings) as cache:
        return await check(cache, database, request), target


def state_of(report: CheckReport) -> NagiosState:
    """The state of all checks together: what may work in a moment is a warning."""
    states = {NagiosState.OK}
    for result in report.results:
        if result.result == "unknown":
            states.add(NagiosState.UNKNOWN)
        elif result.result == "warning":
            states.add(NagiosState.WARNING)
        elif result.error is not None:
            later = explain(result.error).code == ExitCode.TRY_LATER
            states.add(NagiosState.WARNING if later else NagiosState.CRITICAL)
    order = (NagiosState.CRITICAL, NagiosState.UNKNOWN, NagiosState.WARNING, NagiosState.OK)
    return next(state for state in order if state in states)


def _cannot_begin(output: Output, error: Exception, format_: Format | None) -> NagiosState:
    """Print what kept the checks from running.

    Raises:
        CommandError: The format is not that of Nagios.
    """
    failure = explain(error)
    outcome = Outcome("settings", "failed", failure.message, failure.hint)
    if format_ is Format.NAGIOS:
        is_disabled = getattr(error, "variable", "") == "REDIS_ENABLED"
        state = NagiosState.CRITICAL if is_disabled else NagiosState.UNKNOWN
        output.line(nagios_line(state, outcome.sentence))
        return state
    _print_for_ci(output, [outcome], format_)
    raise CommandError(failure.code, failure.message, failure.hint) from error


def _outcome(result: CheckResult) -> Outcome:
    hint, detail = result.hint, result.detail
    if result.error is not None and not hint and not _is_check_failure(result.error):
        failure = explain(result.error)
        detail, hint = failure.message, failure.hint
    return Outcome(result.name, result.result, detail, hint, result.seconds)


def _is_check_failure(error: Exception) -> bool:
    from langcache_cli.operations.check import CheckFailedError  # noqa: PLC0415 - as above

    return isinstance(error, CheckFailedError)


def _print_for_ci(output: Output, outcomes: Outcomes, format_: Format | None) -> None:
    if format_ is Format.JUNIT:
        from langcache_cli.cli.formats.junit import junit_xml  # noqa: PLC0415 - the parser of XML takes time

        output.line(junit_xml(SUITE, outcomes))
    else:
        for line in github_lines(outcomes):
            output.line(line)


def _sentence(outcomes: Outcomes) -> str:
    bad = [outcome for outcome in outcomes if outcome.result != "ok"]
    return "; ".join(
        f"{outcome.name}: {outcome.sentence if outcome.fails else outcome.detail}"
        for outcome in bad or outcomes
    )


def _figures(report: CheckReport, request: CheckRequest) -> list[Figure]:
    measured = {name: value for result in report.results for name, value in result.measured.items()}
    redis = report.results[0]
    figures = [Figure("redis", redis.seconds, "s")]
    if "latency_ms" in measured:
        limits: LatencyLimits = request.latency
        latency_ms = measured["latency_ms"] or 0.0
        figures.append(
            Figure("latency", latency_ms / 1000, "s", _seconds(limits.warning), _seconds(limits.critical))
        )
    if "hit_ratio" in measured:
        rates: HitRateLimits = request.hit_rate
        ratio = measured["hit_ratio"]
        rate = None if ratio is None else 100 * ratio
        figures.append(Figure("hit_rate", rate, "%", _least(rates.warning), _least(rates.critical)))
    for result in report.results:
        if "keys" in result.measured:
            name = result.name.replace(" ", "_")
            least = request.min_keys.get(result.name.partition(" ")[2])
            figures.append(Figure(name, result.measured["keys"], critical=_least(least)))
    return figures


def _seconds(milliseconds_: float | None) -> str:
    return "" if milliseconds_ is None else f"{milliseconds_ / 1000:g}"


def _least(limit: float | None) -> str:
    return "" if limit is None else f"{limit:g}:"


def _document(report: CheckReport) -> dict[str, object]:
    checks = [
        {
            "name": result.name,
            "passed": result.error is None,
            "result": result.result,
            "detail": result.detail,
            "duration_ms": 1000 * result.seconds,
            **({"hint": hint} if (hint := _outcome(result).hint) else {}),
            **result.measured,
        }
        for result in report.results
    ]
    return {"passed": not report.failures, "checks": checks, **fleet_document(report.fleet)}


def _print(output: Output, report: CheckReport) -> None:
    rows = [
        (result.result, result.name, result.detail, milliseconds(1000 * result.seconds))
        for result in report.results
    ]
    output.table("", ("Result", "Check", "Found", "Took"), rows, text_columns=3, drops=("Took",))
    if report.fleet.nodes:
        output.line("")
        show_nodes(output, report.fleet)


def _judge(report: CheckReport) -> None:
    """Fail as the worst check.

    Raises:
        CommandError: One failed.
    """
    worst = report.worst
    if worst is None or worst.error is None:
        return
    message = f"{worst.name}: {worst.detail}"
    if _is_check_failure(worst.error):
        raise CommandError(ExitCode.CHECK_FAILED, message, worst.hint)
    failure = explain(worst.error)
    if not worst.hint:
        message = f"{worst.name}: {failure.message}"
    raise CommandError(failure.code, message, worst.hint or failure.hint)
