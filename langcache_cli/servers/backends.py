"""Choose what to start a server with."""

from __future__ import annotations

import asyncio

from langcache_cli.servers.binaries import ServerBinary, embedded_server, installed_server
from langcache_cli.servers.compose import Compose, engine_runs, find_compose, reachable_in_container
from langcache_cli.servers.errors import NoServerAvailableError
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import Backend


async def choose(spec: ServerSpec, backend: Backend) -> Compose | ServerBinary:
    """The backend asked for; AUTO: compose when an engine runs, else an installed binary, else an embedded.

    Raises:
        NoServerAvailableError: None of them is here, with the reason for each.
    """
    order = (Backend.COMPOSE, Backend.BINARY, Backend.EMBEDDED) if backend is Backend.AUTO else (backend,)
    reasons = []
    for candidate in order:
        found = await _find(spec, candidate)
        if not isinstance(found, str):
            return found
        reasons.append(f"{candidate}: {found}")
    raise NoServerAvailableError(tuple(reasons))


async def _find(spec: ServerSpec, backend: Backend) -> Compose | ServerBinary | str:
    """What was found, or why nothing was."""
    if backend is Backend.COMPOSE:
        return await _find_compose(spec)
    if backend is Backend.BINARY:
        return _usable(await asyncio.to_thread(installed_server), "no valkey-server or redis-server on PATH")
    return _usable(await asyncio.to_thread(embedded_server), "the embedded extra is not installed")


async def _find_compose(spec: ServerSpec) -> Compose | str:
    if not reachable_in_container(spec):
        return f"containers are published on 127.0.0.1, not on {spec.host}"
    if not await engine_runs():
        return "no Docker engine answers"
    return await find_compose() or "neither `docker compose` nor docker-compose is here"


def _usable(binary: ServerBinary | None, absent: str) -> ServerBinary | str:
    if binary is None:
        return absent
    return f"{binary.path} is {binary.version}, older than 6.2" if binary.too_old else binary
