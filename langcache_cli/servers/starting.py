"""Start a server with what was chosen, and leave nothing behind if it does not come up."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from langcache_cli.servers import identity, process, ready
from langcache_cli.servers.binaries import ServerBinary
from langcache_cli.servers.compose import Compose
from langcache_cli.servers.errors import NotAnsweringError, ServerError
from langcache_cli.servers.logs import container_log
from langcache_cli.servers.probe import ProbeResult
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import ServerRecord, StateFolder


async def bring_up(
    spec: ServerSpec, folder: StateFolder, chosen: Compose | ServerBinary, wait_seconds: float
) -> ServerRecord | None:
    """Start and wait until it answers. None when another Redis was faster and answers to this URL.

    Failed or cancelled, it stops what it started, unless that server is still loading its data.

    Raises:
        ServerError: The server could not be started, or does not answer.
    """
    if isinstance(chosen, Compose):
        return await _bring_up_container(spec, folder, chosen, wait_seconds)
    return await _bring_up_process(spec, folder, chosen, wait_seconds)


async def _bring_up_process(
    spec: ServerSpec, folder: StateFolder, binary: ServerBinary, wait_seconds: float
) -> ServerRecord | None:
    started = process.launch(spec, folder, binary)

    async def undo() -> None:
        if started.pid and started.birth:
            await identity.terminate(started.pid, started.birth, grace_seconds=1.0)

    async with _undone_on_failure(undo, folder):
        record = await ready.process_answers(spec, folder, started, wait_seconds)
        if record:
            folder.save(record)
        else:
            folder.forget()
        return record


async def _bring_up_container(
    spec: ServerSpec, folder: StateFolder, compose: Compose, wait_seconds: float
) -> ServerRecord:
    async def undo() -> None:
        await compose.stop(spec)

    async with _undone_on_failure(undo, folder):
        started = await compose.up(spec)
        folder.save(started)
        answer = await ready.container_answers(spec, started, wait_seconds)
        if isinstance(answer, ProbeResult):
            lines = await container_log(compose, spec, tail=5)
            raise ready.not_answering(spec, answer, wait_seconds, tuple(lines))
        folder.save(answer)
        return answer


@contextlib.asynccontextmanager
async def _undone_on_failure(undo: Callable[[], Awaitable[None]], folder: StateFolder) -> AsyncIterator[None]:
    try:
        yield
    except BaseException as error:
        # A server that loads its data is healthy; stopping it would make the next start as slow as this one.
        if not (isinstance(error, NotAnsweringError) and error.still_loading):
            # What went wrong first is what people need to read.
            with contextlib.suppress(ServerError):
                await undo()
                folder.forget()
        raise
