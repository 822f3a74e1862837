"""Wait until a server answers, and say clearly why one does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from langcache_cli.servers import identity
from langcache_cli.servers.errors import NotAnsweringError, PasswordRejectedError, PortInUseError, ServerError
from langcache_cli.servers.probe import PROBE_SECONDS, ProbeResult, probe, server_info
from langcache_cli.servers.process import died, last_words
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import ServerRecord, StateFolder

_RETRY_SECONDS: Final = 0.03
_OTHER_PORT: Final = "Or choose another port: langcache redis start --port 6380"
_UNSETTLED: Final = (ProbeResult.LOADING, ProbeResult.BUSY)


async def settled(spec: ServerSpec, seconds: float) -> ProbeResult:
    """What is there now; a Redis that loads or is busy gets `seconds` to finish."""
    result = ProbeResult.NOTHING
    async for result in _probes(spec, seconds):
        if result not in _UNSETTLED:
            break
    return result


async def process_answers(
    spec: ServerSpec, folder: StateFolder, record: ServerRecord, seconds: float
) -> ServerRecord | None:
    """Wait for the process just launched. None when it ended because another Redis took the port and works.

    Raises:
        StartFailedError: It ended.
        NotAnsweringError: It runs and does not answer.
    """
    result = ProbeResult.NOTHING
    # Looked at before each probe: when it ended for want of the port, the probe then sees who has the port.
    alive = True
    async for result in _probes(spec, seconds):
        # An answer counts only from the server with our configuration; by now the port may be another's.
        info = await server_info(spec) if result is ProbeResult.ANSWERING else None
        if info and info.config_file == str(folder.config_file):
            return replace(record, pid=info.pid, birth=identity.birth_of(info.pid), version=info.version)
        if not alive and result is ProbeResult.ANSWERING:
            return None
        if not alive and result not in _UNSETTLED:
            raise died(spec, folder, record.program)
        alive = identity.is_alive(record.pid, record.birth)
    raise not_answering(spec, result, seconds, last_words(spec, folder))


async def container_answers(
    spec: ServerSpec, record: ServerRecord, seconds: float
) -> ServerRecord | ProbeResult:
    """Wait for the container just started; what was seen last if it did not answer.

    Raises:
        PasswordRejectedError: It answers, to another password.
    """
    result = ProbeResult.NOTHING
    async for result in _probes(spec, seconds):
        if result is ProbeResult.ANSWERING:
            info = await server_info(spec)
            return replace(record, version=info.version if info else None)
        if result is ProbeResult.WRONG_PASSWORD:
            raise refusal(spec, result, ours=True)
        # NOT_REDIS too is waited for: the engine's proxy accepts connections before the server does.
    return result


def refusal(spec: ServerSpec, result: ProbeResult, *, ours: bool) -> ServerError:
    """The error for an address at which no server can be started because of what is there."""
    where = f"{spec.host}:{spec.port}"
    if result is ProbeResult.WRONG_PASSWORD:
        return PasswordRejectedError(
            f"A Redis runs at {where} and does not accept the user and password of REDIS_URL.",
            hint="langcache started it with another password: langcache redis restart"
            if ours
            else f"Put that server's password into REDIS_URL\n{_OTHER_PORT}",
        )
    what = {
        ProbeResult.NOT_REDIS: "is not Redis",
        ProbeResult.HANGING: "accepts connections and does not answer",
    }.get(result, f"is {result}")
    hint = "It is the server langcache started: langcache redis restart" if ours else _whose(spec)
    return PortInUseError(
        f"Port {spec.port} is taken: what listens at {where} {what}.", hint=hint, port=spec.port
    )


def not_answering(
    spec: ServerSpec, result: ProbeResult, seconds: float, log_lines: tuple[str, ...]
) -> NotAnsweringError:
    """The error for a server that was started and is not ready; stopping it is the caller's part."""
    loading = result is ProbeResult.LOADING
    return NotAnsweringError(
        f"Redis at {spec.host}:{spec.port} did not answer within {seconds:g} seconds ({result}).",
        hint="It is still loading its data: wait for it with langcache redis start --wait 300"
        if loading
        else "It was stopped again. Try a longer --wait.",
        log_lines=log_lines,
        still_loading=loading,
    )


def _whose(spec: ServerSpec) -> str:
    return f"See whose it is: lsof -i :{spec.port}\n{_OTHER_PORT}"


async def _probes(spec: ServerSpec, seconds: float) -> AsyncIterator[ProbeResult]:
    """At least one probe, then more until the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        yield await probe(spec, PROBE_SECONDS)
        if time.monotonic() >= deadline:
            return
        await asyncio.sleep(_RETRY_SECONDS)
