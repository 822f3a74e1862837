"""The command ``langcache doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from langcache_cli.cli.commands.findings import fleet_document, mend_of, show_nodes
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, explain
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output
from langcache_cli.cli.running import execute

if TYPE_CHECKING:
    from langcache_cli.operations.diagnosis.inspection import Inspection


def doctor(ctx: typer.Context) -> None:
    """Find what is wrong with Redis, or may soon be, and say what to type next.

    Looks at all nodes of a cluster, at the sentinels and their primary, or at the one server that REDIS_URL
    names. Nothing is written. Exits with 0 if nothing is wrong, with 1 if something should be changed though
    the cache works, with 69 if something cannot be reached, 75 if it may work in a moment, 77 if a login or a
    right is refused, 78 if REDIS_URL names the wrong server.

    Examples:
        langcache doctor
        langcache doctor --json
    """
    execute(_doctor(ctx.obj))


async def _doctor(invocation: Invocation) -> None:
    from langcache_cli.operations.diagnosis.inspection import diagnose  # noqa: PLC0415 - see the package
    from langcache_cli.operations.opening import require_enabled  # noqa: PLC0415 - see the package

    settings, output = invocation.settings(), Output(invocation)
    require_enabled(settings)
    target = invocation.target(settings)
    output.target(target)
    inspection = await diagnose(settings, within=settings.operation_timeout)
    wrong = [*inspection.of("error"), *inspection.of("warning")]
    if invocation.json:
        output.document("doctor", {"target": target, "passed": not wrong, **fleet_document(inspection)})
    elif wrong or not invocation.quiet:
        show_nodes(output, inspection)
        _show(output, inspection)
    _judge(inspection)


def _show(output: Output, inspection: Inspection) -> None:
    for finding in inspection.findings:
        output.line("")
        output.line(f"{finding.severity}: {finding.found}")
        output.line(f"  {finding.why}")
        if mend := mend_of(finding):
            output.line(f"  {mend}")
    if not inspection.of("error") and not inspection.of("warning"):
        output.line("")
        output.line("Nothing is wrong.")


def _judge(inspection: Inspection) -> None:
    """The first error that has an exit code of its own decides it.

    Raises:
        CommandError: Something is wrong.
    """
    errors, warnings = inspection.of("error"), inspection.of("warning")
    if not errors and not warnings:
        return
    counts = [
        f"{len(found):,} {name}{'s' if len(found) > 1 else ''}"
        for name, found in (("error", errors), ("warning", warnings))
        if found
    ]
    failures = [explain(finding.error).code for finding in errors if finding.error is not None]
    code = failures[0] if failures else ExitCode.CHECK_FAILED
    first = (*errors, *warnings)[0]
    message = f"{' and '.join(counts)}; the first: {first.found}"
    raise CommandError(code, message, mend_of(first), reported=True)
