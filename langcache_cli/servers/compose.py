"""Run the server in a container, with `docker compose` or the older `docker-compose`."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from langcache_cli.server_options import Backend
from langcache_cli.servers.errors import StartFailedError, StopFailedError
from langcache_cli.servers.external_commands import run, stream, tail_of
from langcache_cli.servers.reports import ShellCommand
from langcache_cli.servers.spec import ServerSpec
from langcache_cli.servers.state import ServerRecord

COMPOSE_FILE: Final = "docker-compose.redis.yml"
_SERVICE: Final = "redis"

_VERSION_SECONDS: Final = 5.0  # an engine that needs longer for its version does not start a container either
_UP_SECONDS: Final = 600.0  # the first start downloads the image
_DOWN_SECONDS: Final = 60.0  # twice the grace period in the compose file
_LOG_SECONDS: Final = 10.0

# The password is in the container's environment already.
_SHELL_IN_CONTAINER: Final = 'REDISCLI_AUTH="$REDIS_PASSWORD" exec redis-cli --user "$REDIS_USERNAME" -n "$0"'


@dataclass(frozen=True, kw_only=True)
class Compose:
    """The compose command of this machine and the compose file."""

    command: tuple[str, ...]
    file: Path

    async def up(self, spec: ServerSpec) -> ServerRecord:
        """Create and start the container; does not wait until it answers.

        Takes minutes if the image must be downloaded.

        Raises:
            StartFailedError: The engine refused, or took more than ten minutes.
        """
        # Without --wait, which docker-compose 1.x does not know.
        ended = await run(self._argv(spec, "up", "-d", _SERVICE), _environment(spec), seconds=_UP_SECONDS)
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
        """Stop the container of this port and no other; its volume and log stay.

        Raises:
            StopFailedError: The engine refused or is not running.
        """
        ended = await run(self._argv(spec, "stop", _SERVICE), _environment(spec), seconds=_DOWN_SECONDS)
        if ended.code != 0:
            last = "\n".join(tail_of(spec.mask(ended.stderr)))
            raise StopFailedError(
                f"{' '.join(self.command)} could not stop Redis.\n{last}", hint="Is Docker running?"
            )

    async def log_lines(self, spec: ServerSpec, *, tail: int) -> list[str]:
        """The last lines of the container's log; the error output of compose if there is no container."""
        ended = await run(self._logs(spec, tail), _environment(spec), seconds=_LOG_SECONDS)
        return [spec.mask(line) for line in (ended.stdout or ended.stderr).splitlines()]

    def follow(self, spec: ServerSpec, *, tail: int) -> AsyncGenerator[str]:
        """The last lines of the container's log, then each new one until the container stops."""
        return stream(self._logs(spec, tail, "--follow"), _environment(spec))

    def shell(self, spec: ServerSpec) -> ShellCommand:
        """The redis-cli inside the container."""
        words = ("exec", _SERVICE, "sh", "-c", _SHELL_IN_CONTAINER, str(spec.db))
        return ShellCommand(argv=tuple(self._argv(spec, *words)), env=_environment(spec))

    def _argv(self, spec: ServerSpec, *words: str) -> list[str]:
        # One project, and so one container and one volume, for each port.
        return [*self.command, "-p", f"langcache-{spec.port}", "-f", str(self.file), *words]

    def _logs(self, spec: ServerSpec, tail: int, *options: str) -> list[str]:
        plain = ("--no-color", "--no-log-prefix")
        return self._argv(spec, "logs", *plain, "--tail", str(tail), *options, _SERVICE)


async def find_compose() -> Compose | None:
    """The compose command of this machine, whether or not an engine runs."""
    file = compose_file()
    if file and shutil.which("docker"):
        ended = await run(["docker", "compose", "version"], dict(os.environ), seconds=_VERSION_SECONDS)
        if ended.code == 0:
            return Compose(command=("docker", "compose"), file=file)
    if file and shutil.which("docker-compose"):
        return Compose(command=("docker-compose",), file=file)
    return None


async def compose_of(record: ServerRecord | None) -> Compose | None:
    """The compose command, if the recorded server runs in a container."""
    return await find_compose() if record and record.backend is Backend.COMPOSE else None


async def engine_runs() -> bool:
    """True if a Docker engine answers within five seconds."""
    if not shutil.which("docker"):
        return False
    argv = ["docker", "info", "--format", "{{.ServerVersion}}"]
    ended = await run(argv, dict(os.environ), seconds=_VERSION_SECONDS)
    # Old clients report a missing engine on stderr only and exit with 0.
    return ended.code == 0 and bool(ended.stdout.strip())


def reachable_in_container(spec: ServerSpec) -> bool:
    """True if the compose file publishes the port on this address."""
    return spec.host in {"localhost", "127.0.0.1"}


def compose_file() -> Path | None:
    """The copy inside an installed package, else the one at the top of a checkout."""
    here = Path(__file__).resolve()
    candidates = (here.with_name(COMPOSE_FILE), here.parents[2] / COMPOSE_FILE)
    return next((file for file in candidates if file.is_file()), None)


def _environment(spec: ServerSpec) -> dict[str, str]:
    """The variables of the compose file. The password is among them: `ps` would show an argument."""
    return {
        **os.environ,
        "REDIS_PORT": str(spec.port),
        "REDIS_USERNAME": spec.username or "default",
        "REDIS_PASSWORD": spec.password or "",
        "REDIS_MAXMEMORY": spec.maxmemory,
        "REDIS_DATABASES": str(spec.databases),
    }
