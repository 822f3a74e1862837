"""Stop a server that is langcache's own."""

from __future__ import annotations

from langcache_cli.servers import identity
from langcache_cli.servers.compose import find_compose
from langcache_cli.servers.errors import NotOursError, StopFailedError
from langcache_cli.servers.probe import ProbeResult, probe
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import Backend, ServerRecord


async def take_down(spec: ServerSpec, record: ServerRecord, grace_seconds: float) -> bool:
    """Stop the recorded server; True when it had to be killed.

    Raises:
        StopFailedError: It can't be stopped from here.
    """
    if record.backend is Backend.COMPOSE:
        compose = await find_compose()
        if compose is None:
            raise StopFailedError(
                "Docker Compose, which runs the server, is not here.", hint="Is Docker on PATH?"
            )
        await compose.stop(spec)
        return False
    if record.pid is None or record.birth is None:
        return False
    return await identity.terminate(record.pid, record.birth, grace_seconds=grace_seconds)


async def require_nothing(spec: ServerSpec) -> None:
    """Check that nothing listens at the address.

    Raises:
        NotOursError: Something does, and it is not langcache's.
    """
    result = await probe(spec)
    if result is not ProbeResult.NOTHING:
        raise NotOursError(
            f"langcache did not start what listens at {spec.host}:{spec.port} ({result}); it is left alone.",
            hint="Stop it the way it was started: systemctl, brew services, docker, or the shell it runs in.",
        )
