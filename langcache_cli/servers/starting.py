"""Choose a backend, start a server with it, wait until it answers, clean up if it does not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from langcache_cli.server_options import Backend
from langcache_cli.servers import identity, process
from langcache_cli.servers.binaries import ServerBinary, embedded_server, installed_server
from langcache_cli.servers.compose import Compose, engine_runs, find_compose, reachable_in_container
from langcache_cli.servers.errors import (
    InvalidSpecError,
    NoServerAvailableError,
    NotAnsweringError,
    PasswordRejectedError,
    PortInUseError,
    ServerBusyError,
    ServerError,
)
from langcache_cli.servers.last_start import LastStart, remember
from langcache_cli.servers.probe import UNSETTLED, ProbeResult, probes, server_info
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import ServerRecord, StateFolder

_TERMINATE_SECONDS: Final = 1.0  # it has not served anyone: no data to write on the way out
_OTHER_PORT: Final = "Or choose another port: langcache redis start --port 6380"


async def start_with(
    spec: ServerSpec, backend: Backend, wait_seconds: float, *, again: bool = False
) -> ServerRecord | None:
    """Start a server and wait until it answers; with ``again`` the program of the last start, if it is there.

    If it fails or is cancelled, it stops what it started, unless that server is still loading its data.

    Returns:
        The server; None if meanwhile another Redis took the port and answers to this URL.

    Raises:
        ServerError: There is nothing to start a server with, it could not be started, or does not answer.
    """
    chosen = await _choose(spec, backend, again=again)
    if isinstance(chosen, Compose):
        return await _start_container(spec, chosen, wait_seconds)
    return await _start_process(spec, chosen, wait_seconds)


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work that must not be left half done; a cancellation meanwhile holds once it has ended."""
    working = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not working.done():
        try:
            await asyncio.wait([working])
        except asyncio.CancelledError as error:
            cancelled = error
    failure = working.exception()
    if cancelled is not None:
        raise cancelled
    if failure is not None:
        raise failure


def refusal(spec: ServerSpec, result: ProbeResult, *, ours: bool) -> ServerError:
    """The error if what is at the address makes it impossible to start a server there."""
    where = f"{spec.host}:{spec.port}"
    if result is ProbeResult.WRONG_PASSWORD:
        hint = f"Put that server's password into REDIS_URL\n{_OTHER_PORT}"
        if ours:
            hint = (
                "langcache started it with another password: check the password in REDIS_URL\n"
                "Or restart it with the password that REDIS_URL has now: langcache redis restart"
            )
        return PasswordRejectedError(
            f"A Redis runs at {where} and does not accept the user and password of REDIS_URL.", hint=hint
        )
    if result is ProbeResult.NO_PASSWORD:
        hint = f"Leave the password out of REDIS_URL: redis://{where}\n{_OTHER_PORT}"
        if ours:
            hint = "langcache started it without one: langcache redis restart"
        return PasswordRejectedError(
            f"A Redis runs at {where} that has no password, but REDIS_URL names one.", hint=hint
        )
    if result in UNSETTLED and not ours:
        state = "is loading its data" if result is ProbeResult.LOADING else "refuses commands for now"
        return ServerBusyError(
            f"A Redis that langcache did not start runs at {where} and {state}.",
            hint="Wait for it: langcache redis start --wait 300",
        )
    if result is ProbeResult.NO_DATABASE:
        hint = "langcache started it with fewer: langcache redis restart" if ours else _OTHER_PORT
        return InvalidSpecError(f"The Redis at {where} has no database {spec.db}.", hint=hint)
    what = {
        ProbeResult.NOT_REDIS: "is not Redis",
        ProbeResult.HANGING: "accepts connections and does not answer",
    }.get(result, f"is {result}")
    hint = f"Find the process: lsof -i :{spec.port}\n{_OTHER_PORT}"
    if ours:
        hint = "langcache started that server: langcache redis restart"
    return PortInUseError(
        f"Port {spec.port} is taken: what listens at {where} {what}.", hint=hint, port=spec.port
    )


async def _choose(spec: ServerSpec, backend: Backend, *, again: bool) -> Compose | ServerBinary:
    """The backend asked for; AUTO: compose if an engine runs, else an installed binary, else an embedded one.

    A program that cannot read the data is passed over; the last resort is the one that wrote it.

    Raises:
        NoServerAvailableError: None of them is available; with the reason for each.
    """
    last = await asyncio.to_thread(LastStart.of, spec.folder)
    wrote_it = await asyncio.to_thread(last.binary)
    if again and wrote_it is not None and backend in (Backend.AUTO, wrote_it.backend):
        return wrote_it
    order = (Backend.COMPOSE, Backend.BINARY, Backend.EMBEDDED) if backend is Backend.AUTO else (backend,)
    reasons = []
    for candidate in order:
        found = await _find(spec, candidate, last)
        if not isinstance(found, str):
            return found
        reasons.append(f"{candidate}: {found}")
    if wrote_it is not None and backend in (Backend.AUTO, wrote_it.backend) and not wrote_it.too_old:
        return wrote_it
    raise NoServerAvailableError(tuple(reasons))


async def _find(spec: ServerSpec, backend: Backend, data: LastStart) -> Compose | ServerBinary | str:
    """What was found, or why nothing was."""
    if backend is Backend.COMPOSE:
        return await _find_compose(spec)
    search, absent = {
        Backend.BINARY: (installed_server, "no valkey-server or redis-server on PATH"),
        Backend.EMBEDDED: (embedded_server, "the embedded extra is not installed"),
    }[backend]
    binary = await asyncio.to_thread(search, lambda found: not data.why_unreadable(found))
    if binary is None:
        return absent
    if binary.too_old:
        return f"{binary.path} is {binary.version}, older than 6.2"
    if reason := data.why_unreadable(binary):
        return f"{reason} ({spec.folder.data_dir})"
    return binary


async def _find_compose(spec: ServerSpec) -> Compose | str:
    if not reachable_in_container(spec):
        return f"containers are published on 127.0.0.1, not on {spec.host}"
    if not await engine_runs():
        return "no Docker engine answers"
    return await find_compose() or "neither `docker compose` nor docker-compose is installed"


async def _start_process(spec: ServerSpec, binary: ServerBinary, wait_seconds: float) -> ServerRecord | None:
    started = process.launch(spec, binary)

    async def undo() -> None:
        if started.pid and started.birth:
            await identity.terminate(started.pid, started.birth, grace_seconds=_TERMINATE_SECONDS)

    async with _undone_on_failure(undo, spec.folder):
        try:
            record = await _answering_process(spec, started, wait_seconds)
        except NotAnsweringError as error:
            if error.still_loading:  # it is left running
                remember(spec, binary)
            raise
        if record:
            remember(spec, binary)
            spec.folder.save(record)
        else:
            spec.folder.forget()
        return record


async def _answering_process(spec: ServerSpec, record: ServerRecord, seconds: float) -> ServerRecord | None:
    """Wait for the process just launched. None if it ended because another Redis took the port and answers.

    Raises:
        StartFailedError: It ended.
        NotAnsweringError: It runs and does not answer.
    """
    result = ProbeResult.NOTHING
    # Checked before each probe: if the process ended because its port was taken, the probe shows by what.
    alive = True
    async for result in probes(spec, seconds):
        # Another server may have the port by now: only the one with our configuration counts.
        info = await server_info(spec) if result is ProbeResult.ANSWERING else None
        if info and info.config_file == str(spec.folder.config_file):
            return replace(record, pid=info.pid, birth=identity.birth_of(info.pid), version=info.version)
        if not alive and result is ProbeResult.ANSWERING:
            return None
        if not alive and result not in UNSETTLED:
            raise process.ended_at_once(spec, record.program)
        alive = identity.is_alive(record.pid, record.birth)
    raise _not_answering(spec, result, seconds, process.last_log_lines(spec))


async def _start_container(spec: ServerSpec, compose: Compose, wait_seconds: float) -> ServerRecord:
    async def undo() -> None:
        await compose.stop(spec)

    async with _undone_on_failure(undo, spec.folder):
        started = await compose.up(spec)
        spec.folder.save(started)
        remember(spec, None)
        record = await _answering_container(spec, compose, started, wait_seconds)
        spec.folder.save(record)
        return record


async def _answering_container(
    spec: ServerSpec, compose: Compose, record: ServerRecord, seconds: float
) -> ServerRecord:
    """Wait for the container just started.

    Raises:
        PasswordRejectedError: It answers, to another password.
        NotAnsweringError: It does not answer.
    """
    result = ProbeResult.NOTHING
    async for result in probes(spec, seconds):
        if result is ProbeResult.ANSWERING:
            info = await server_info(spec)
            return replace(record, version=info.version if info else None)
        if result in (ProbeResult.WRONG_PASSWORD, ProbeResult.NO_PASSWORD):
            raise refusal(spec, result, ours=True)
        # NOT_REDIS is waited for as well: the engine's proxy accepts connections before the server does.
    raise _not_answering(spec, result, seconds, tuple(await compose.log_lines(spec, tail=5)))


def _not_answering(
    spec: ServerSpec, result: ProbeResult, seconds: float, log_lines: tuple[str, ...]
) -> NotAnsweringError:
    loading = result is ProbeResult.LOADING
    return NotAnsweringError(
        f"Redis at {spec.host}:{spec.port} did not answer within {seconds:g} s ({result}).",
        hint="It is still loading its data: wait for it with langcache redis start --wait 300"
        if loading
        else "It was stopped again. Try a longer --wait.",
        log_lines=log_lines,
        still_loading=loading,
    )


@contextlib.asynccontextmanager
async def _undone_on_failure(undo: Callable[[], Awaitable[None]], folder: StateFolder) -> AsyncIterator[None]:
    async def undo_and_forget() -> None:
        await undo()
        folder.forget()

    try:
        yield
    except BaseException as error:  # an interruption, too, leaves no server behind
        # A server that is loading its data is healthy; stopped, its next start would take as long again.
        if not (isinstance(error, NotAnsweringError) and error.still_loading):
            # The first error is the one to report.
            with contextlib.suppress(ServerError):
                await to_the_end(undo_and_forget())
        raise
