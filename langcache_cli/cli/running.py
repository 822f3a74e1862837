"""Run one operation on behalf of a command."""

from __future__ import annotations

import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from langcache_cli.cli.exit_codes import ExitCode
from langcache_cli.cli.failures import CommandError

T = TypeVar("T")


def execute(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` in an event loop of its own.

    Raises:
        CommandError: Ctrl-C or SIGTERM. The work was cancelled and has cleaned up after itself.
        Exception: Whatever the work raises.
    """
    import asyncio  # noqa: PLC0415 - a quarter of the time of --help, which runs nothing

    try:
        return asyncio.run(_ended_by_sigterm(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise CommandError(ExitCode.INTERRUPTED, "interrupted") from None


async def _ended_by_sigterm(work: Coroutine[Any, Any, T]) -> T:
    """Let SIGTERM cancel ``work``, as Ctrl-C does; a second one ends the process at once."""
    import asyncio  # noqa: PLC0415 - as above
    import signal  # noqa: PLC0415 - as above

    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def cancel() -> None:
        loop.remove_signal_handler(signal.SIGTERM)
        if task is not None:
            task.cancel()

    # NotImplementedError: loops on Windows have no signal handlers; the others: not in the main thread
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        loop.add_signal_handler(signal.SIGTERM, cancel)
    try:
        return await work
    finally:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # as above
            loop.remove_signal_handler(signal.SIGTERM)
