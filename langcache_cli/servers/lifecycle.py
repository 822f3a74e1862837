"""Start, stop and look at the local server: what the `langcache redis` commands call."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from langcache_cli.servers.backends import choose
from langcache_cli.servers.lock import exclusive
from langcache_cli.servers.ownership import may_run, ours
from langcache_cli.servers.probe import ProbeResult, probe, server_info
from langcache_cli.servers.ready import refusal, settled
from langcache_cli.servers.reports import RestartReport, StartReport, StatusReport, StopReport
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.starting import bring_up
from langcache_cli.servers.state import Backend, ServerRecord, StateFolder, state_folder
from langcache_cli.servers.stopping import require_nothing, take_down

WAIT_SECONDS: Final = 20.0
GRACE_SECONDS: Final = 30.0  # a full append-only file is written to disk on the way out


async def start(
    spec: ServerSpec, *, backend: Backend = Backend.AUTO, wait_seconds: float = WAIT_SECONDS
) -> StartReport:
    """Make sure that a server answers to this address and password; does nothing when one already does.

    Two starts at once give one server. A start that fails or is cancelled leaves none behind, unless it is
    still loading its data. `wait_seconds` is for the server, or for another langcache at work, not for
    downloading an image.

    Raises:
        PasswordRejectedError: A Redis with another password is there.
        PortInUseError: Something else is there.
        NoServerAvailableError: There is nothing to start a server with.
        StartFailedError, NotAnsweringError: The server ended, or does not answer in time.
        LockBusyError, StateFolderError: See there.
    """
    began = time.monotonic()
    # Before the lock, so that a running server needs no writable folder.
    if await probe(spec) is ProbeResult.ANSWERING:
        return await _started(spec, began, ours(spec), already_running=True)
    folder = state_folder(spec.state_dir, spec.port)
    async with exclusive(folder, wait_seconds=wait_seconds):
        result = await settled(spec, wait_seconds)
        if result is ProbeResult.ANSWERING:
            return await _started(spec, began, ours(spec), already_running=True)
        if result is not ProbeResult.NOTHING:
            raise refusal(spec, result, ours=ours(spec) is not None)
        record = await bring_up(spec, folder, await choose(spec, backend), wait_seconds)
    return await _started(spec, began, record, already_running=record is None)


async def stop(spec: ServerSpec, *, grace_seconds: float = GRACE_SECONDS) -> StopReport:
    """Stop what langcache started on this port; no error when nothing runs there. The data stays.

    Needs no password. The server gets `grace_seconds` to end before it is killed.

    Raises:
        NotOursError: What is there was not started by langcache. It is left alone.
        StopFailedError: It belongs to another user, survives, or the engine refuses.
        LockBusyError, StateFolderError: See there.
    """
    began = time.monotonic()
    folder = state_folder(spec.state_dir, spec.port)
    if folder.load() is None:
        await require_nothing(spec)
        return _stopped(spec, began, None)
    async with exclusive(folder, wait_seconds=grace_seconds):
        record = folder.load()
        if record is None or not may_run(record):
            folder.forget()
            await require_nothing(spec)
            return _stopped(spec, began, None)
        forced = await take_down(spec, record, grace_seconds)
        folder.forget()
        if record.backend is Backend.COMPOSE:
            await require_nothing(spec)
        return _stopped(spec, began, record, forced=forced)


async def restart(
    spec: ServerSpec, *, backend: Backend | None = None, wait_seconds: float = WAIT_SECONDS
) -> RestartReport:
    """Stop, then start with the same backend unless another is asked for. Touches no server that is not ours.

    Raises:
        ServerError: As `stop` and `start` do; between the two nothing runs.
    """
    stopped = await stop(spec)
    chosen = backend or stopped.backend or Backend.AUTO
    return RestartReport(stop=stopped, start=await start(spec, backend=chosen, wait_seconds=wait_seconds))


async def status(spec: ServerSpec) -> StatusReport:
    """How it stands, within about two seconds; never raises because of the server or the state folder."""
    folder = state_folder(spec.state_dir, spec.port)
    result = await probe(spec)
    info = await server_info(spec) if result is ProbeResult.ANSWERING else None
    record = ours(spec) if result is not ProbeResult.NOTHING else None
    return StatusReport(
        result=result,
        ours=record is not None,
        host=spec.host,
        port=spec.port,
        backend=record.backend if record else None,
        pid=record.pid if record else None,
        started_at=record.started_at if record else None,
        version=info.version if info else None,
        uptime_seconds=info.uptime_seconds if info else None,
        used_memory_bytes=info.used_memory_bytes if info else None,
        maxmemory_bytes=info.maxmemory_bytes if info else None,
        log_file=_log_file(folder, record),
    )


async def _started(
    spec: ServerSpec, began: float, record: ServerRecord | None, *, already_running: bool
) -> StartReport:
    folder = state_folder(spec.state_dir, spec.port)
    info = await server_info(spec)
    return StartReport(
        already_running=already_running,
        ours=record is not None,
        host=spec.host,
        port=spec.port,
        backend=record.backend if record else None,
        pid=record.pid if record else None,
        version=info.version if info else None,
        log_file=_log_file(folder, record),
        seconds=time.monotonic() - began,
    )


def _stopped(
    spec: ServerSpec, began: float, record: ServerRecord | None, *, forced: bool = False
) -> StopReport:
    return StopReport(
        stopped=record is not None,
        forced=forced,
        host=spec.host,
        port=spec.port,
        backend=record.backend if record else None,
        pid=record.pid if record else None,
        seconds=time.monotonic() - began,
    )


def _log_file(folder: StateFolder, record: ServerRecord | None) -> Path | None:
    """A container's log is the engine's."""
    return folder.log_file if record and record.backend is not Backend.COMPOSE else None
