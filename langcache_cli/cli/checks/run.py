"""Runs the checks of ``langcache check``, prints them in the format that is asked for, and judges them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from langcache_cli.cli.checks.options import Format
from langcache_cli.cli.commands.findings import counted, fleet_document, raise_all, show_nodes
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, Failure, explain
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
    elif not invocation.quiet:
        _print(output, report, outcomes)
    is_on_stdout = format_ in FOR_PROGRAMS or (format_ is not Format.JSON and not invocation.quiet)
    _judge(output, report, outcomes, in_full=not is_on_stdout)
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


def _print(output: Output, report: CheckReport, outcomes: Outcomes) -> None:
    rows = [
        (outcome.result, outcome.name, outcome.detail, milliseconds(1000 * outcome.seconds))
        for outcome in outcomes
    ]
    output.table("", ("Result", "Check", "Found", "Took"), rows, text_columns=3, drops=("Took",))
    if report.fleet.nodes:
        output.line("")
        show_nodes(output, report.fleet)
    advised = [outcome for outcome in outcomes if outcome.hint and outcome.result != "ok"]
    if advised:
        output.line("")
    for outcome in advised:  # never wrapped: it is copied
        output.line(f"{outcome.name}: {outcome.hint}" if len(advised) > 1 else outcome.hint)


def _judge(output: Output, report: CheckReport, outcomes: Outcomes, *, in_full: bool) -> None:
    """Fail as the worst check.

    Args:
        output: Where warnings are printed.
        report: What was found.
        outcomes: The same, explained.
        in_full: Say on stderr what is wrong; otherwise it is on stdout, and is only counted.

    Raises:
        CommandError: One failed.
    """
    warnings = [result for result in report.warnings if result.measured]  # thresholds that were asked for
    if in_full:
        for result in warnings:
            output.warning(f"{result.name}: {result.detail}")
    failures = {
        result.name: Failure(_code_of(result), f"{outcome.name}: {outcome.detail}", outcome.hint)
        for result, outcome in zip(report.results, outcomes, strict=True)
        if result.error is not None
    }
    counts = counted(("check failed", "checks failed", len(failures)), ("warning", "warnings", len(warnings)))
    worst = report.worst
    if worst is None:
        if counts and not in_full:
            output.note(f"langcache: {counts}")
        return
    failure = failures.pop(worst.name)
    if not in_full:
        raise CommandError(failure.code, counts)
    raise_all(output, [*failures.values(), failure])


def _code_of(result: CheckResult) -> ExitCode:
    if result.error is None or _is_check_failure(result.error):
        return ExitCode.CHECK_FAILED
    return explain(result.error).code
