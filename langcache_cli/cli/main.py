"""The command ``langcache``: its subcommands, its global options, its one error boundary."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from langcache_cli import __version__
from langcache_cli.cli.arguments import global_options_first
from langcache_cli.cli.commands import (
    bench,
    check,
    clear,
    config,
    dashboard,
    doctor,
    keys,
    redis,
    stats,
    types,
    warm,
    watch,
)
from langcache_cli.cli.commands.help import help_
from langcache_cli.cli.completion.bash import complete, is_completing
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, Failure, explain
from langcache_cli.cli.help import CONTEXT, HelpfulCommand, HelpfulGroup
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.log_lines import LogFormat, choose_log_format, configure_logging, traceback_text
from langcache_cli.cli.output import Output, never_fail_to_encode

EPILOG = (
    "Global options may stand before or after the command. Exit codes: 0 done, 1 check failed, 2 usage, "
    "3 partial, 4 refused, 69 unreachable, 70 bug, 75 try later, 77 no permission, 78 bad configuration, "
    "130 interrupted."
)

HELP = """Operate the Redis cache of a backend: start it, warm it, clear it, see how it does.

Examples:
    langcache redis start        start a local Redis, unless one answers already
    langcache warm --sample      fill it with 1,000 German words
    langcache stats              hit rates and latencies of the last hour
    langcache doctor             what is wrong, and what to type next
"""

app = typer.Typer(
    name="langcache",
    cls=HelpfulGroup,
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help is read in pipes and pagers too: no boxes
    context_settings=CONTEXT,
)
command = partial(app.command, cls=HelpfulCommand)
command()(warm.warm)
command()(clear.clear)
command()(stats.stats)
command()(watch.watch)
command()(dashboard.dashboard)
command()(check.check)
command()(doctor.doctor)
app.add_typer(bench.app, name="bench")
app.add_typer(keys.app, name="keys")
app.add_typer(config.app, name="config")
app.add_typer(redis.app, name="redis")
command()(types.types)
command("help")(help_)


@command()
def version(ctx: typer.Context) -> None:
    """Print the version.

    Examples:
        langcache version
        langcache version --json
    """
    _show_version(ctx.obj)


def _show_version(invocation: Invocation) -> None:
    output = Output(invocation)
    if invocation.json:
        output.document("version", {"version": __version__})
    else:
        output.line(f"langcache {__version__}")


def _version_and_exit(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        _show_version(Invocation(json=ctx.params.get("json", False)))
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    url_file: Annotated[
        Path | None, typer.Option(help="Read REDIS_URL from this file.", metavar="FILE")
    ] = None,
    env_file: Annotated[
        Path | None, typer.Option(help="Read settings from this file instead of .env.", metavar="FILE")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Use this namespace, the first part of every key.", metavar="NAME")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            help="Wait at most this long for each answer of Redis or the database.",
            metavar="SECONDS",
            min=0.01,
            max=60,
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON document on stdout, also for errors.", is_eager=True
        ),  # before --version
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print more, and the warnings of libraries.")
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Print without colours, as NO_COLOR does.")
    ] = False,
    no_input: Annotated[
        bool, typer.Option("--no-input", help="Never ask; what would need an answer is refused.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _log_format: Annotated[
        LogFormat,
        typer.Option(
            "--log-format",
            help="Write stderr as text, or as one JSON object a line, the warnings of libraries too.",
        ),
    ] = LogFormat.TEXT,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version_and_exit, is_eager=True)
    ] = False,
) -> None:
    """Keep the global options for the subcommand."""
    configure_logging(shown=verbose or debug)
    ctx.obj = Invocation(
        url_file=url_file,
        env_file=env_file,
        namespace=namespace,
        timeout=timeout,
        json=json,
        quiet=quiet,
        verbose=verbose,
        color=not no_color,
        ask=not no_input,
        debug=debug,
    )


# typer has its own copy of click in newer versions; this is the base of usage errors in either
_UsageError: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError"
)


def run(arguments: Sequence[str]) -> int:
    """Run the command with ``arguments`` and return its exit code. Never raises, never shows a secret."""
    ordered = global_options_first(arguments)
    never_fail_to_encode()
    choose_log_format(ordered)
    if is_completing():
        return complete(lambda: app(args=[], prog_name="langcache", standalone_mode=False))
    output = Output(Invocation(json="--json" in ordered))
    debug = "--debug" in ordered
    try:
        code = app(args=ordered, prog_name="langcache", standalone_mode=False)
    except _UsageError as error:
        return _usage(output, error)
    except typer.Abort:
        output.failure(Failure(ExitCode.INTERRUPTED, "interrupted"))
        return ExitCode.INTERRUPTED
    except SystemExit as stop:
        return _stopped(output, stop)
    except BaseException as error:  # noqa: BLE001 - the one place that turns errors into exit codes
        if debug:
            with contextlib.suppress(OSError, ValueError):  # stderr cannot be written to
                print(traceback_text(error), file=sys.stderr)  # noqa: T201 - before the one line that explains it
        failure = explain(error)
        output.failure(failure, reported=isinstance(error, CommandError) and error.reported)
        return failure.code
    if code == ExitCode.INTERRUPTED:
        output.failure(Failure(ExitCode.INTERRUPTED, "interrupted"))
    return code if isinstance(code, int) else ExitCode.DONE


def _stopped(output: Output, stop: SystemExit) -> int:
    """The exit code of typer's own ways out: completion, and help whose reader closes the pipe early.

    A text comes from a task of an application (``warm --app``) that ended the process.
    """
    if isinstance(stop.__context__, BrokenPipeError) or stop.code is None:
        return ExitCode.DONE
    if isinstance(stop.code, int):
        return stop.code
    output.failure(Failure(ExitCode.BAD_CONFIGURATION, f"the application ended: {stop.code}"))
    return ExitCode.BAD_CONFIGURATION


def _usage(output: Output, error: Exception) -> ExitCode:
    message = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    if context is not None and message == context.get_help():  # asked for nothing: no_args_is_help
        output.line(message)
    elif message:  # without one, the help has been printed already
        command = context.command_path if context is not None else "langcache"
        output.failure(Failure(ExitCode.USAGE, message, f"See '{command} --help'."))
    return ExitCode.USAGE
