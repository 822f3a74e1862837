"""The command ``langcache``: its subcommands, its global options, its one error boundary."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from langcache_cli import __version__
from langcache_cli.cli.arguments import (
    Debug,
    EnvFile,
    Json,
    LogFormatOption,
    Namespace,
    NoColor,
    NoInput,
    Quiet,
    Timeout,
    UrlFile,
    Verbose,
    global_options_first,
)
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
from langcache_cli.cli.completion.shells import shell_named
from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError, Failure, explain
from langcache_cli.cli.formats.asked import asked_format
from langcache_cli.cli.formats.nagios_errors import print_failure
from langcache_cli.cli.help import CONTEXT, HelpfulCommand, HelpfulGroup
from langcache_cli.cli.invocation import Invocation
from langcache_cli.cli.log_lines import LogFormat, choose_log_format, configure_logging, traceback_text
from langcache_cli.cli.output import RUN, Output, never_fail_to_encode

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
command(cls=clear.ClearCommand)(clear.clear)
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
    url_file: UrlFile = None,
    env_file: EnvFile = None,
    namespace: Namespace = None,
    timeout: Timeout = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
    no_input: NoInput = False,
    debug: Debug = False,
    _log_format: LogFormatOption = LogFormat.TEXT,
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
    format_ = asked_format(ordered)
    output = Output(Invocation(json=format_ == "json"))
    RUN.document, RUN.has_printed = None, False
    code = _run(ordered, output, format_)
    try:
        output.print_document()
    except CommandError as error:
        output.failure(error.failure)
        return error.failure.code
    return code


def _run(ordered: Sequence[str], output: Output, format_: str) -> int:
    """The exit code of a command, whose document is still to be printed."""
    debug = "--debug" in ordered
    try:
        with shell_named(ordered) as words:
            code = app(args=words, prog_name="langcache", standalone_mode=False)
    except _UsageError as error:
        return _usage(output, error, format_)
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
        output.failure(failure)
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


def _usage(output: Output, error: Exception, format_: str) -> int:
    message = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    if context is not None and message == context.get_help():  # asked for nothing: no_args_is_help
        output.line(message)
    elif message:  # without one, the help has been printed already
        command = context.command_path if context is not None else "langcache"
        failure = Failure(ExitCode.USAGE, message, f"See '{command} --help'.")
        if format_ == "nagios":
            return print_failure(output, failure)
        output.failure(failure)
    return ExitCode.USAGE
