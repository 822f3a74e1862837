"""Errors of a command that is run as a plugin of Nagios: a line and an exit code from 0 to 3, always."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import typer

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import Failure, explain
from langcache_cli.cli.formats.nagios import NagiosState, nagios_line
from langcache_cli.cli.output import Output

STATES = {
    ExitCode.DONE: NagiosState.OK,
    ExitCode.CHECK_FAILED: NagiosState.CRITICAL,
    ExitCode.UNREACHABLE: NagiosState.CRITICAL,
    ExitCode.NO_PERMISSION: NagiosState.CRITICAL,
    ExitCode.TRY_LATER: NagiosState.WARNING,
}
"""The state for each exit code; ``UNKNOWN`` for all others: nothing was measured."""


@contextlib.contextmanager
def nagios_errors(output: Output, *, debug: bool = False) -> Iterator[None]:
    """Print an error as a plugin does.

    Args:
        output: Where to print.
        debug: Show the traceback on stderr.

    Raises:
        typer.Exit: In the place of any other error; its code is the state.
    """
    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        if debug:
            import traceback  # noqa: PLC0415 - as in `main`

            traceback.print_exc()
        raise typer.Exit(print_failure(output, explain(error))) from error


def print_failure(output: Output, failure: Failure) -> NagiosState:
    """Print the line of a failure and return the state."""
    state = STATES.get(failure.code, NagiosState.UNKNOWN)
    output.line(nagios_line(state, f"{failure.message}; {failure.hint}" if failure.hint else failure.message))
    return state
