"""The command ``langcache config validate``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from langcache_cli.cli.commands.config.sources import kinds_of_settings, sources_of
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.output import Output, visible


def validate(ctx: typer.Context) -> None:
    """Check every setting, and exit with 78 if one is wrong.

    It checks values, and names that begin with LANGCACHE_ or are near a setting. Whether Redis answers is
    for 'langcache doctor' to say.

    Examples:
        langcache config validate
        langcache config validate --env-file prod.env
    """
    from langcache_cli.operations.configuration import problems_of  # noqa: PLC0415 - see the package

    invocation: Invocation = ctx.obj
    output = Output(invocation)
    problems = problems_of(kinds_of_settings(), sources_of(invocation))
    if invocation.json:
        fields = [asdict(problem) for problem in problems]
        output.document("config.validate", {"valid": not problems, "problems": fields})
    for problem in problems:
        if not invocation.json:
            place = "" if problem.origin.kind == "default" else f" ({problem.origin})"
            output.line(visible(f"{problem.message}{place}"))
    if problems:
        count = "one setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        raise CommandError(
            ExitCode.BAD_CONFIGURATION,
            f"{count} wrong",
            "Change what is named above, and type 'langcache config validate' again.",
        )
    if not invocation.json:
        output.line("All settings are valid.")
