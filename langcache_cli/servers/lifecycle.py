"""Start, stop, restart and look at the local server: what the `langcache redis` commands call."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from langcache_cli.server_options import DEFAULT_WAIT_SECONDS, Backend
from langcache_cli.servers import identity
from langcache_cli.servers.compose import find_compose
from langcache_cli.servers.errors import NotOursError, StopFailedError
from langcache_cli.servers.last_start import LastStart, adopt
from langcache_cli.servers.probe import ProbeResult, look_elsewhere, probe, server_info, settled
from langcache_cli.servers.process import has_other_password
from langcache_cli.servers.reports import RestartReport, StartReport, StatusReport, StopReport
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.starting import refusal, start_with
from langcache_cli.servers.state import ServerRecord

if TYPE_CHECKING:
    from langcache_cli.caching.tooling import RedisAddress

GRACE_SECONDS: Final = 30.0
"""How long a server may take to end: it writes its append-only file to disk first."""


async def start(
    spec: ServerSpec,
    *,
    backend: Backend = Backend.AUTO,
    wait_seconds: float = DEFAULT_WAIT_SECONDS,
    again: bool = False,
) -> StartReport:
    """Make sure that a server answers to this address and password; does nothing if one does already.

    Concurrent starts give one server. A start that fails or is cancelled leaves no server behind, unless it
    is still loading its data. A server older than the one that wrote the data is never started; with
    `again` it is the program of the last start. `wait_seconds` limits the wait for the server and for another
    langcache, not the download of an image.

    Raises:
        PasswordRejectedError: A Redis with another password is there.
        PortInUseError: Something else is there.
        NoServerAvailableError: There is nothing to start a server with.
        StartFailedError, NotAnsweringError: The server ended, or does not answer in time.
        LockBusyError, StateFolderError: See there.
    """
    began = time.monotonic()
    # Before the lock: with a running server the state folder need not be writable.
    if await probe(spec) is ProbeResult.ANSWERING:
        return await _started(spec, began, spec.folder.load_running(), already_running=True)
    async with spec.folder.locked(wait_seconds=wait_seconds):
        result = await settled(spec, wait_seconds)
        if result is ProbeResult.ANSWERING:
            return await _started(spec, began, spec.folder.load_running(), already_running=True)
        if result is not ProbeResult.NOTHING:
            raise refusal(spec, result, ours=spec.folder.load_running() is not None)
        changed = has_other_password(spec)
        record = await start_with(spec, backend, wait_seconds, again=again)
    report = await _started(spec, began, record, already_running=record is None)
    return replace(report, password_changed=changed and record is not None)


async def stop(spec: ServerSpec, *, grace_seconds: float = GRACE_SECONDS) -> StopReport:
    """Stop the server langcache started on this port; no error if none runs. The data stays.

    Needs no password. The server gets `grace_seconds` to end before it is killed.

    Raises:
        NotOursError: langcache did not start the server that is there. It is left alone.
        StopFailedError: The server belongs to another user, does not end, or the engine refuses.
        LockBusyError, StateFolderError: See there.
    """
    began = time.monotonic()
    if spec.folder.load() is None:
        await _require_nothing(spec)
        return _stopped(spec, began, None)
    async with spec.folder.locked(wait_seconds=grace_seconds):
        record = spec.folder.load()
        if record is None or not record.may_run():
            spec.folder.forget()
            await _require_nothing(spec)
            return _stopped(spec, began, None)
        adopt(spec.folder, record)
        forced = await _end(spec, record, grace_seconds)
        spec.folder.forget()
        if record.backend is Backend.COMPOSE:
            await _require_nothing(spec)
        return _stopped(spec, began, record, forced=forced)


async def restart(
    spec: ServerSpec,
    *,
    backend: Backend | None = None,
    wait_seconds: float = DEFAULT_WAIT_SECONDS,
    keep_maxmemory: bool = False,
) -> RestartReport:
    """Stop, then start with `backend`; by default the same program as last time, whatever is on PATH now.

    Args:
        spec: The server.
        backend: None for that of the stopped server.
        wait_seconds: See `start`.
        keep_maxmemory: Take the memory limit of the last start instead of the one in ``spec``.

    Raises:
        ServerError: As `stop` and `start` do. If the start fails, no server runs.
    """
    stopped = await stop(spec)
    chosen = backend or stopped.backend or Backend.AUTO
    if keep_maxmemory and (limit := LastStart.of(spec.folder).maxmemory):
        spec = replace(spec, maxmemory=limit)
    started = await start(spec, backend=chosen, wait_seconds=wait_seconds, again=backend is None)
    return RestartReport(stop=stopped, start=started)


async def status(spec: ServerSpec) -> StatusReport:
    """The state of the server, within about two seconds; raises nothing."""
    result = await probe(spec)
    info = await server_info(spec) if result is ProbeResult.ANSWERING else None
    record = spec.folder.load_running() if result is not ProbeResult.NOTHING else None
    return StatusReport(
        result=result,
        ours=record is not None,
        host=spec.host,
        port=spec.port,
        backend=record.backend if record else None,
        pid=record.pid if record else None,
        started_at=record.started_at if record else None,
        version=info.version if info else None,
        product=info.product if info else None,
        uptime_seconds=info.uptime_seconds if info else None,
        used_memory_bytes=info.used_memory_bytes if info else None,
        maxmemory_bytes=info.maxmemory_bytes if info else None,
        log_file=_log_file(spec, record),
    )


async def _end(spec: ServerSpec, record: ServerRecord, grace_seconds: float) -> bool:
    """Stop the recorded server; True if it had to be killed.

    Raises:
        StopFailedError: It cannot be stopped from here.
    """
    if record.backend is Backend.COMPOSE:
        compose = await find_compose()
        if compose is None:
            raise StopFailedError(
                "The server runs in Docker Compose, which was not found.", hint="Is Docker on PATH?"
            )
        await compose.stop(spec)
        return False
    if record.pid is None or record.birth is None:
        return False
    return await identity.terminate(record.pid, record.birth, grace_seconds=grace_seconds)


async def _require_nothing(spec: ServerSpec) -> None:
    """Check that nothing listens at the address.

    Raises:
        NotOursError: Something does, and langcache did not start it.
    """
    result = await probe(spec)
    if result is not ProbeResult.NOTHING:
        raise NotOursError(
            f"langcache did not start what listens at {spec.host}:{spec.port} ({result}); it is left alone.",
            hint="Stop it the way it was started: systemctl, brew services, docker, or the shell it runs in.",
        )


async def _started(
    spec: ServerSpec, began: float, record: ServerRecord | None, *, already_running: bool
) -> StartReport:
    info = await server_info(spec)
    return StartReport(
        already_running=already_running,
        ours=record is not None,
        host=spec.host,
        port=spec.port,
        backend=record.backend if record else None,
        pid=record.pid if record else None,
        version=info.version if info else None,
        product=info.product if info else None,
        log_file=_log_file(spec, record),
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


def _log_file(spec: ServerSpec, record: ServerRecord | None) -> Path | None:
    """The engine keeps the log of a container."""
    return spec.folder.log_file if record and record.backend is not Backend.COMPOSE else None


async def status_of(address: RedisAddress) -> StatusReport:
    """As `status`, for any address.

    Raises:
        CacheUnavailableError: What is there does not fit the URL, such as its options of TLS, or the
            host has no address.
    """
    result, info = await look_elsewhere(address)
    return StatusReport(
        result=result,
        ours=False,
        host=address.path or address.host,
        port=0 if address.path else address.port,
        backend=None,
        pid=None,
        started_at=None,
        version=info.version if info else None,
        uptime_seconds=info.uptime_seconds if info else None,
        used_memory_bytes=info.used_memory_bytes if info else None,
        maxmemory_bytes=info.maxmemory_bytes if info else None,
        log_file=None,
        product=info.product if info else None,
    )
