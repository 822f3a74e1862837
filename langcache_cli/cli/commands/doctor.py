"""The command ``langcache doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from langcache_cli.cli.commands.findings import counted, fleet_document, mend_of, raise_all, show_nodes
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, Failure, explain
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute

if TYPE_CHECKING:
    from langcache_cli.operations.diagnosis.inspection import Inspection


def doctor(ctx: typer.Context) -> None:
    """Find what is wrong, or may soon be, and say what to type next.

    Looks at the server that REDIS_URL names, at all nodes of a cluster, or at the sentinels and their
    primary; at the entries, and the calls of the last hour; at the database if DATABASE_URL is set; and at
    settings that nothing reads. Nothing is written.

    Exits with 0 if nothing is wrong, with 1 if something should be changed though the cache works, 69 if
    something cannot be reached, 75 if Redis is starting or busy: try again, 77 if a login or a right is
    refused, 78 if a URL or a file is wrong.

    Examples:
        langcache doctor
        langcache doctor --json
        langcache doctor --timeout 10
    """
    execute(_doctor(ctx.obj))


async def _doctor(invocation: Invocation) -> None:
    from langcache_cli.operations.diagnosis.doctor import examine  # noqa: PLC0415 - see the package
    from langcache_cli.operations.opening import require_enabled  # noqa: PLC0415 - see the package

    settings, output = invocation.settings(), Output(invocation)
    require_enabled(settings)
    target = invocation.target(settings)
    output.target(target)
    inspection = await examine(
        settings,
        lambda: invocation.database_if_configured(settings, sample=False),
        env_file=invocation.settings_file,
        within=settings.operation_timeout,
    )
    wrong = [*inspection.of("error"), *inspection.of("warning")]
    if invocation.json:
        output.document("doctor", {"target": target, "passed": not wrong, **fleet_document(inspection)})
    elif not invocation.quiet:
        show_nodes(output, inspection)
        _show(output, inspection)
    _judge(invocation, output, inspection)


def _show(output: Output, inspection: Inspection) -> None:
    for finding in inspection.findings:
        output.line("")
        for line in _wrapped(output, f"{finding.severity}: {finding.found}", finding.why):
            output.line(line)
        if mend := mend_of(finding):
            output.line(f"  {mend}")  # never wrapped: it is copied
    if not inspection.of("error") and not inspection.of("warning"):
        output.line("")
        output.line("Nothing is wrong.")


def _wrapped(output: Output, found: str, why: str) -> list[str]:
    """The lines of a finding; on a terminal no word is cut at its edge."""
    import textwrap  # noqa: PLC0415 - see the package

    if not output.draws:
        return [found, f"  {why}"]
    wrap = textwrap.TextWrapper(
        output.width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    lines = wrap.wrap(found)
    wrap.initial_indent = "  "
    return [*lines, *wrap.wrap(why)]


def _judge(invocation: Invocation, output: Output, inspection: Inspection) -> None:
    """The first error that has an exit code of its own decides it.

    Raises:
        CommandError: Something is wrong.
    """
    errors, warnings = inspection.of("error"), inspection.of("warning")
    wrong = (*errors, *warnings)
    if not wrong:
        return
    codes = [explain(finding.error).code for finding in errors if finding.error is not None]
    code = codes[0] if codes else ExitCode.CHECK_FAILED
    if invocation.quiet and not invocation.json:  # nothing is on stdout
        raise_all(output, [Failure(code, f"{one.severity}: {one.found}", mend_of(one)) for one in wrong])
    counts = counted(("error", "errors", len(errors)), ("warning", "warnings", len(warnings)))
    if not invocation.json:
        raise CommandError(code, counts)
    first = wrong[0]
    raise CommandError(
        code, first.found if len(wrong) == 1 else f"{counts}; the first: {first.found}", mend_of(first)
    )
