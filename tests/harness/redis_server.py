"""A real Redis (or Valkey) process that a test may pause, kill and bring back on the same port."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psutil

from tests.harness import binaries
from tests.harness.polling import eventually
from tests.harness.ports import LOCALHOST, ReservedPort
from tests.harness.processes import end, spawn
from tests.harness.resp import Argument, Reply, RespConnection, RespError

START_ATTEMPTS = 5
READY_SECONDS = 10.0


class RedisServer:
    """One server with a temporary folder and a port it keeps from construction to `close`.

    Nothing is written to disk unless `appendonly`: after `kill` or `stop` a `start` finds an empty database,
    as with a cache in production. `restart` keeps the data either way. Synchronous: from async tests each
    call blocks the event loop for the milliseconds it takes.

    `maxmemory` is bytes or Redis' own form (`"10mb"`), `policy` the `maxmemory-policy`, `replicaof` the
    primary, `config` further lines of redis.conf, `binary` a server program instead of the default one,
    `cluster_bus` holds the port of the cluster bus as well, `keep_config` keeps what the server has written
    into its redis.conf, as one does that Sentinel has made a replica.
    """

    host = LOCALHOST
    words: tuple[str, ...] = ()
    """What follows the configuration on the command line."""
    ready_line = "Ready to accept connections"
    """What the log says once the server listens."""

    def __init__(
        self,
        *,
        password: str | None = None,
        maxmemory: int | str | None = None,
        policy: str | None = None,
        appendonly: bool = False,
        replicaof: "RedisServer | None" = None,
        unix_socket: bool = False,
        config: Sequence[str] = (),
        binary: Path | None = None,
        cluster_bus: bool = False,
        keep_config: bool = False,
    ) -> None:
        self.binary = binary or binaries.redis_server()
        self.password = password
        self.directory = Path(tempfile.mkdtemp(prefix="langcache-redis-"))
        self.socket_path = self.directory / "redis.sock" if unix_socket else None
        self._settings = {
            "maxmemory": maxmemory,
            "maxmemory-policy": policy,
            "appendonly": "yes" if appendonly else None,
        }
        self._primary = replicaof
        self.config = [*config]
        self._cluster_bus = cluster_bus
        self._keep_config = keep_config
        self._port = ReservedPort(bus=cluster_bus)
        self._process: subprocess.Popen[bytes] | None = None
        self._has_started = False

    # -- what it is --

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:PORT/0`, with the password if there is one."""
        return f"redis://{self._userinfo}{self.host}:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """`unix://PATH?db=0`; only with `unix_socket=True`."""
        if self.socket_path is None:
            raise ValueError("this server has no unix socket: construct it with unix_socket=True")
        return f"unix://{self._userinfo}{self.socket_path}?db=0"

    @property
    def running(self) -> bool:
        """Whether the process exists; a paused one does."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server has printed since its last start."""
        path = self.directory / "redis.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def cli(self) -> Path | None:
        """The path of a redis-cli, or None where no package brings one."""
        return binaries.redis_cli()

    def command(self, *arguments: Argument, timeout: float = 5.0) -> Reply:
        """Send one command as a bare redis-cli would: own connection, authenticated, database 0.

        Bulk replies are bytes. Raises RespError for an error reply, TimeoutError when the server is paused,
        ConnectionError when it is down.
        """
        with self.connect(timeout=timeout) as connection:
            return connection.call(*arguments)

    def connect(self, *, timeout: float = 5.0) -> RespConnection:
        """A raw connection, authenticated."""
        connection = RespConnection(self.port, host=self.host, timeout=timeout)
        try:
            if self.password is not None:
                connection.call("AUTH", self.password)
        except BaseException:  # interrupted, too: no socket stays open
            connection.close()
            raise
        return connection

    # -- what a test does to it --

    def start(self) -> Self:
        """Start and wait until it answers. The port of the first start is the port of all later ones."""
        if self.running:
            raise RuntimeError("the server is running already")
        for attempt in range(1, START_ATTEMPTS + 1):
            self._spawn()
            try:
                self.wait_ready()
                break
            except _PortTakenError:
                if attempt == START_ATTEMPTS:
                    raise
                self._after_lost_port()
        self._has_started = True
        return self

    def wait_ready(self, deadline: float = READY_SECONDS) -> None:
        """Wait until this very process takes commands; RuntimeError with its log if it ends instead."""
        eventually(self._answers, within=deadline)

    def stop(self, *, within: float = 10.0) -> None:
        """End it in good order (SIGTERM), paused or not."""
        self._end(signal.SIGTERM, within)

    def kill(self) -> None:
        """End it at once (SIGKILL): clients see their connections closed, then refused."""
        self._end(signal.SIGKILL, 10.0)

    def pause(self) -> None:
        """Hang it (SIGSTOP): the system still accepts connections, nothing is answered."""
        psutil.Process(self.pid).suspend()
        eventually(lambda: psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)

    def resume(self) -> None:
        """Let it go on (SIGCONT): what was sent meanwhile is answered now."""
        psutil.Process(self.pid).resume()

    def restart(self, *, keep_data: bool = True) -> None:
        """Stop, unless that has happened, and start on the same port, with the data it had or with none."""
        snapshot = self.directory / "dump.rdb"
        if keep_data and self.running:
            self.resume()
            self.command("SAVE")
        self.stop()
        if not keep_data:
            self._forget_data()
        self.start()
        snapshot.unlink(missing_ok=True)

    def reset(self) -> None:
        """End it at once and forget its data and its configuration; `start` begins anew."""
        self.kill()
        self._forget_data()
        list(map(Path.unlink, self.directory.glob("*.conf")))

    def flush(self) -> None:
        """Make it as new: drop the other clients, then all keys, scripts and statistics."""
        with self.connect() as connection:
            connection.call("CLIENT", "UNPAUSE")
            for kind in ("normal", "pubsub"):
                connection.call("CLIENT", "KILL", "TYPE", kind)
            connection.call("FLUSHALL")
            connection.call("SCRIPT", "FLUSH")
            connection.call("CONFIG", "RESETSTAT")

    def close(self) -> None:
        """Kill it, remove its folder, give up its port. Safe to call twice."""
        self.kill()
        self._port.release()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self if self.running else self.start()
        except BaseException:  # interrupted, too: `__exit__` is not called, and no server may stay behind
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- how --

    @property
    def _userinfo(self) -> str:
        return "" if self.password is None else f":{quote(self.password, safe='')}@"

    def _spawn(self) -> None:
        configuration = self.directory / "redis.conf"
        if not (self._keep_config and self._has_started and configuration.exists()):
            configuration.write_text("".join(f"{line}\n" for line in self._config_lines()))
        log = self.directory / "redis.log"
        log.unlink(missing_ok=True)
        self._process = spawn(
            [str(self.binary), str(configuration), *self.words], log=log, cwd=self.directory
        )

    def _config_lines(self) -> Iterator[str]:
        yield f"bind {self.host}"
        yield f"port {self.port}"
        yield f'dir "{self.directory}"'
        yield 'save ""'
        yield "appendfsync no"  # what write() took survives SIGKILL; only a power cut needs more
        yield "repl-diskless-sync-delay 0"
        if self.socket_path:
            yield f'unixsocket "{self.socket_path}"'
        if self.password is not None:
            yield f"requirepass {_quoted(self.password)}"
        if self._primary:
            yield f"replicaof {self._primary.host} {self._primary.port}"
            if self._primary.password is not None:
                yield f"masterauth {_quoted(self._primary.password)}"
        yield from (f"{name} {value}" for name, value in self._settings.items() if value is not None)
        yield from self.config

    def _answers(self) -> bool:
        """Its own log says it listens, so the answer to PING is not another server's that took the port."""
        if not self.running:
            kind = _PortTakenError if "Address already in use" in self.log else RuntimeError
            raise kind(f"{self.binary} ended while starting; its log:\n{self.log}")
        if self.ready_line not in self.log:
            return False
        try:
            with RespConnection(self.port, host=self.host, timeout=1.0) as connection:
                connection.call("PING")
        except RespError as refusal:  # NOAUTH and the like are an answer
            return not str(refusal).startswith("LOADING")
        except OSError:
            return False
        return True

    def _after_lost_port(self) -> None:
        """Another process listens on our port: take another at the first start, later wait for this one."""
        if self._has_started:
            time.sleep(0.1)  # between two attempts of `start`, which has the deadline
            return
        self._port.release()
        self._port = ReservedPort(bus=self._cluster_bus)

    def _end(self, how: signal.Signals, within: float) -> None:
        if self._process is None:
            return
        if self.running:
            self.resume()
        end(self._process, how, within=within)

    def _forget_data(self) -> None:
        for path in self.directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.suffix in {".rdb", ".aof"}:
                path.unlink()


class _PortTakenError(RuntimeError):
    """Another process listens on the port."""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
