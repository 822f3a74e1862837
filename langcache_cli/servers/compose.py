"""Run the server in a container, by `docker compose` or the older `docker-compose`."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from langcache_cli.servers.commands import run, tail_of
from langcache_cli.servers.errors import StartFailedError, StopFailedError
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import Backend, ServerRecord

COMPOSE_FILE: Final = "docker-compose.redis.yml"
SERVICE: Final = "redis"

_ASK_SECONDS: Final = 5.0  # an engine that needs longer to say its version won't start a container either
_UP_SECONDS: Final = 600.0  # the first start downloads the image
_DOWN_SECONDS: Final = 60.0  # twice the grace period in the compose file


@dataclass(frozen=True, kw_only=True)
class Compose:
    """A compose command that works here, and the file it is given."""

    command: tuple[str, ...]
    file: Path

    def argv(self, spec: ServerSpec, *words: str) -> list[str]:
        """The command line; one project, so one container and one volume, for each port."""
        return [*self.command, "-p", f"langcache-{spec.port}", "-f", str(self.file), *words]

    async def up(self, spec: ServerSpec) -> ServerRecord:
        """Create and start the container, not waiting for its answer. Takes minutes if the image is missing.

        Raises:
            StartFailedError: The engine refused, or needed more than ten minutes.
        """
        # No --wait: docker-compose 1.x does not know it.
        ended = await run(self.argv(spec, "up", "-d", SERVICE), environment(spec), seconds=_UP_SECONDS)
        if ended.code != 0:
            raise StartFailedError(
                f"{' '.join(self.command)} could not start Redis.",
                hint="Start one without Docker: langcache redis start --backend binary (or embedded)",
                log_lines=tail_of(spec.mask(ended.stderr)),
            )
        return ServerRecord(
            backend=Backend.COMPOSE,
            port=spec.port,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            program=str(self.file),
        )

    async def stop(self, spec: ServerSpec) -> None:
        """Stop the container of this project, and only that; its volume and log stay.

        Raises:
            StopFailedError: The engine refused or is not running.
        """
        ended = await run(self.argv(spec, "stop", SERVICE), environment(spec), seconds=_DOWN_SECONDS)
        if ended.code != 0:
            last = "\n".join(tail_of(spec.mask(ended.stderr)))
            raise StopFailedError(
                f"{' '.join(self.command)} could not stop Redis.\n{last}", hint="Is Docker running?"
            )


async def find_compose() -> Compose | None:
    """The compose command of this machine, whether or not an engine runs."""
    file = compose_file()
    if file and shutil.which("docker"):
        ended = await run(["docker", "compose", "version"], dict(os.environ), seconds=_ASK_SECONDS)
        if ended.code == 0:
            return Compose(command=("docker", "compose"), file=file)
    if file and shutil.which("docker-compose"):
        return Compose(command=("docker-compose",), file=file)
    return None


async def engine_runs() -> bool:
    """Does a Docker engine answer within five seconds?"""
    if not shutil.which("docker"):
        return False
    ended = await run(
        ["docker", "info", "--format", "{{.ServerVersion}}"], dict(os.environ), seconds=_ASK_SECONDS
    )
    # Old clients report a missing engine on stderr only, and succeed.
    return ended.code == 0 and bool(ended.stdout.strip())


def reachable_in_container(spec: ServerSpec) -> bool:
    """Is this an address the compose file publishes?"""
    return spec.host in {"localhost", "127.0.0.1"}


def environment(spec: ServerSpec) -> dict[str, str]:
    """What the compose file reads. Here the password travels: an argument could be read in `ps`."""
    return {
        **os.environ,
        "REDIS_PORT": str(spec.port),
        "REDIS_USERNAME": spec.username or "default",
        "REDIS_PASSWORD": spec.password or "",
        "REDIS_MAXMEMORY": spec.maxmemory,
    }


def compose_file() -> Path | None:
    """The copy inside an installed package, else the one at the top of a checkout."""
    here = Path(__file__).resolve()
    candidates = (here.with_name(COMPOSE_FILE), here.parents[2] / COMPOSE_FILE)
    return next((file for file in candidates if file.is_file()), None)
