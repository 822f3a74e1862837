"""Start, stop and look at a local cluster: what the `langcache redis` commands call."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from langcache_cli.server_options import DEFAULT_WAIT_SECONDS, Backend
from langcache_cli.servers import identity
from langcache_cli.servers.binaries import embedded_server
from langcache_cli.servers.cluster import shape as shapes
from langcache_cli.servers.cluster.forming import form, meeting_host, state_of
from langcache_cli.servers.cluster.reports import (
    ClusterStartReport,
    ClusterStatusReport,
    ClusterStopReport,
)
from langcache_cli.servers.cluster.shape import BUS_OFFSET, ClusterShape
from langcache_cli.servers.errors import InvalidSpecError, PortInUseError, ServerError
from langcache_cli.servers.last_start import LastStart
from langcache_cli.servers.probe import ProbeResult, probe, server_info
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.starting import refusal, start_with, to_the_end
from langcache_cli.servers.state import ServerRecord

_GRACE_SECONDS: Final = 30.0
_UNDO_SECONDS: Final = 1.0  # it has served no client: no data to write on the way out


async def start(
    spec: ServerSpec,
    shape: ClusterShape,
    *,
    backend: Backend = Backend.AUTO,
    wait_seconds: float = DEFAULT_WAIT_SECONDS,
    again: bool = False,
) -> ClusterStartReport:
    """Make sure that this cluster runs; does nothing if it does already. Nodes that ended are started again.

    It has the data of its last run. A start that fails or is cancelled leaves none of the nodes behind that
    it has started.

    Args:
        spec: The login, the memory limit of each node, and the state folder.
        shape: The ports of the nodes and their number.
        backend: ``binary`` or ``embedded``; AUTO takes the embedded one, if there is one.
        wait_seconds: How long to wait for each node, then for the cluster, and for another langcache.
        again: Take the program of the last start.

    Raises:
        PortInUseError: Something else is on a port of a node, or on that of its bus.
        PasswordRejectedError: The cluster runs with another password.
        NoServerAvailableError: There is nothing to start nodes with.
        StartFailedError, NotAnsweringError: A node ended, or they do not become one cluster in time.
        LockBusyError, StateFolderError: See there.
    """
    began = time.monotonic()
    if spec.db:
        raise InvalidSpecError(
            f"A cluster has only database 0, and REDIS_URL names {spec.db}.",
            hint="Leave it out of REDIS_URL.",
        )
    if backend is Backend.AUTO:
        embedded = await asyncio.to_thread(embedded_server)
        backend = Backend.EMBEDDED if embedded else Backend.BINARY
    nodes = shape.nodes(spec)
    async with shapes.home_of(spec.state_dir, shape.port).locked(wait_seconds=wait_seconds):
        missing = [node for node in nodes if not await _runs(spec, node)]
        if len(missing) == len(nodes):
            shapes.forget_unfinished(spec, shape)
        shapes.remember(spec, shape)
        async with _undone_on_failure(spec, shape) as started:
            await _start_all(missing, backend, wait_seconds, started, again=again)
            await form(nodes, shape, wait_seconds)
            shapes.mark_formed(spec, shape)
    return await _started(spec, shape, time.monotonic() - began, already_running=not missing)


async def restart(
    spec: ServerSpec,
    shape: ClusterShape,
    *,
    backend: Backend | None = None,
    wait_seconds: float = DEFAULT_WAIT_SECONDS,
    keep_maxmemory: bool = False,
) -> tuple[ClusterStopReport, ClusterStartReport]:
    """Stop, then start with `backend`; by default the same program as last time, whatever is on PATH now.

    Args:
        spec: The login, the memory limit of each node, and the state folder.
        shape: The cluster.
        backend: None for that of the stopped nodes.
        wait_seconds: See `start`.
        keep_maxmemory: Take the memory limit of the last start instead of the one in ``spec``.

    Raises:
        ServerError: As `stop` and `start` do. If the start fails, no node runs.
    """
    last = LastStart.of(shape.nodes(spec)[0].folder)
    stopped = await stop(spec, shape)
    if keep_maxmemory and last.maxmemory:
        spec = replace(spec, maxmemory=last.maxmemory)
    chosen = backend or last.backend or Backend.AUTO
    started = await start(spec, shape, backend=chosen, wait_seconds=wait_seconds, again=backend is None)
    return stopped, started


async def stop(
    spec: ServerSpec, shape: ClusterShape, *, grace_seconds: float = _GRACE_SECONDS
) -> ClusterStopReport:
    """Stop all nodes that langcache started. Their data stays.

    Raises:
        StopFailedError: A node belongs to another user, or does not end.
        LockBusyError, StateFolderError: See there.
    """
    began = time.monotonic()
    async with shapes.home_of(spec.state_dir, shape.port).locked(wait_seconds=grace_seconds):
        forced = await _end_all(shape.nodes(spec), grace_seconds)
        shapes.forget(spec, shape)
    return ClusterStopReport(
        host=meeting_host(spec.host),
        ports=shape.ports,
        stopped=len(forced),
        forced=any(forced),
        seconds=time.monotonic() - began,
    )


async def status(spec: ServerSpec, shape: ClusterShape) -> ClusterStatusReport:
    """The state of the cluster, within about three seconds; raises nothing."""
    nodes = shape.nodes(spec)
    results = await asyncio.gather(*map(probe, nodes))
    up = [node for node, result in zip(nodes, results, strict=True) if result is ProbeResult.ANSWERING]
    infos = [info for info in await asyncio.gather(*map(server_info, up)) if info]
    records = [record for node in nodes if (record := node.folder.load_running())]
    record = next(iter(records), None)
    return ClusterStatusReport(
        state=await state_of(up[0]) if up else None,
        answering=len(up),
        result=ProbeResult.ANSWERING if up else results[0],
        host=meeting_host(spec.host),
        ports=shape.ports,
        primaries=shape.primaries,
        replicas=shape.replicas,
        url=url_of(spec, shape),
        backend=record.backend if record else None,
        version=infos[0].version if infos else None,
        product=infos[0].product if infos else None,
        used_memory_bytes=sum(info.used_memory_bytes for info in infos) if infos else None,
        uptime_seconds=min((info.uptime_seconds for info in infos), default=None),
        pids=tuple(one.pid for one in records if one.pid is not None),
        log_files=tuple(node.folder.log_file for node in nodes),
    )


def url_of(spec: ServerSpec, shape: ClusterShape) -> str:
    """What to set REDIS_URL to, ``***`` in the place of user and password."""
    login = "***@" if spec.password else ""
    return f"redis+cluster://{login}{','.join(f'{meeting_host(spec.host)}:{port}' for port in shape.ports)}/0"


async def _started(
    spec: ServerSpec, shape: ClusterShape, seconds: float, *, already_running: bool
) -> ClusterStartReport:
    first = shape.nodes(spec)[0]
    info = await server_info(first)
    record = first.folder.load_running()
    return ClusterStartReport(
        already_running=already_running,
        host=meeting_host(spec.host),
        ports=shape.ports,
        primaries=shape.primaries,
        replicas=shape.replicas,
        url=url_of(spec, shape),
        backend=record.backend if record else None,
        version=info.version if info else None,
        product=info.product if info else None,
        seconds=seconds,
    )


@contextlib.asynccontextmanager
async def _undone_on_failure(spec: ServerSpec, shape: ClusterShape) -> AsyncIterator[list[ServerSpec]]:
    """A list for the nodes that are started; if what follows fails, they are stopped."""
    started: list[ServerSpec] = []

    async def undo() -> None:
        await _end_all(started, _UNDO_SECONDS)
        if shapes.find(spec) is None:
            shapes.forget(spec, shape)

    try:
        yield started
    except BaseException:  # an interruption, too, leaves no node behind
        with contextlib.suppress(ServerError):  # the first error is the one to report
            await to_the_end(undo())
        raise


async def _runs(spec: ServerSpec, node: ServerSpec) -> bool:
    """True if this node of the cluster answers; False if its ports are free.

    Raises:
        ServerError: Something else is there, or it refuses the login.
    """
    result = await probe(node)
    ours = node.folder.load_running() is not None
    if result is ProbeResult.ANSWERING and ours:
        return True
    if result is ProbeResult.ANSWERING:
        raise _taken(spec, node)
    if result is not ProbeResult.NOTHING:
        raise refusal(node, result, ours=ours)
    _require_free(meeting_host(node.host), node.port + BUS_OFFSET)
    return False


def _taken(spec: ServerSpec, node: ServerSpec) -> PortInUseError:
    """The error for a Redis that is no node of this cluster."""
    there = replace(spec, port=node.port)
    what, hint = "a Redis", "Choose other ports: langcache redis start --cluster 3 --port 7000"
    if other := shapes.find(there):
        what = f"a cluster of {other.primaries} primaries with {other.replicas} replicas each"
        hint = f"Stop it: langcache redis stop --port {other.port}"
    elif there.folder.load_running():
        hint = f"Stop it: langcache redis stop --port {node.port}"
    return PortInUseError(
        f"Port {node.port} is taken: {what} runs at {node.host}:{node.port}.", hint=hint, port=node.port
    )


def _require_free(host: str, port: int) -> None:
    """Check that the bus of a node can listen.

    Raises:
        PortInUseError: It cannot.
    """
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
            tried.listen()
        except OSError as error:
            raise PortInUseError(
                f"Port {port} is taken, which a node of the cluster needs beside port {port - BUS_OFFSET}.",
                hint="Choose other ports: langcache redis start --cluster 3 --port 7000",
                port=port,
            ) from error


async def _start_all(
    nodes: Sequence[ServerSpec],
    backend: Backend,
    wait_seconds: float,
    started: list[ServerSpec],
    *,
    again: bool,
) -> None:
    """Start nodes at once; ``started`` gets those that answer."""

    async def start_one(node: ServerSpec) -> None:
        node.folder.create()
        if await start_with(node, backend, wait_seconds, again=again) is None:
            raise PortInUseError(
                f"Port {node.port} is taken: a Redis has just begun to listen at {node.host}:{node.port}.",
                hint="Run the command again.",
                port=node.port,
            )
        started.append(node)

    try:
        async with asyncio.TaskGroup() as group:
            for node in nodes:
                group.create_task(start_one(node))
    except BaseExceptionGroup as errors:  # the first is the one to report; the others may follow from it
        raise errors.exceptions[0] from None


async def _end_all(nodes: Sequence[ServerSpec], grace_seconds: float) -> list[bool]:
    """Stop the recorded nodes at once; for each that ran, True if it had to be killed."""

    async def end(node: ServerSpec, record: ServerRecord) -> bool:
        forced = False
        if record.pid is not None and record.birth is not None:
            forced = await identity.terminate(record.pid, record.birth, grace_seconds=grace_seconds)
        node.folder.forget()
        return forced

    running = [(node, record) for node in nodes if (record := node.folder.load_running())]
    ends = await asyncio.gather(*(end(node, record) for node, record in running), return_exceptions=True)
    for failure in ends:  # once all that can be stopped are
        if isinstance(failure, BaseException):
            raise failure
    return [forced is True for forced in ends]
