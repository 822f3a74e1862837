"""Run one operation on behalf of a command."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError

T = TypeVar("T")


def execute(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` in an event loop of its own.

    Raises:
        CommandError: Ctrl-C. The work was cancelled and has cleaned up after itself.
        Exception: Whatever the work raises.
    """
    import asyncio  # noqa: PLC0415 - a quarter of the time of --help, which runs nothing

    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise CommandError(ExitCode.INTERRUPTED, "interrupted") from None
