"""What is done to one Redis server while the workers use it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.harness.proxy import FaultProxy
from tests.harness.redis_server import RedisServer
from tests.harness.resp import RespError
from tests.history.faults import Faults
from tests.history.fleet import Fleet

FILLER_KEYS = 3000
FILLER_BYTES = 1000


class ServerFaults(Faults):
    """Faults of workers, the network and one server."""

    def __init__(
        self,
        fleet: Fleet,
        server: RedisServer,
        proxy: FaultProxy,
        chance: random.Random,
        *,
        names: Sequence[str],
        calm_seconds: float,
    ) -> None:
        """Prepare, see `Faults`."""
        super().__init__(fleet, [proxy], chance, names=names, calm_seconds=calm_seconds)
        self._server = server

    @classmethod
    def kinds(cls) -> Mapping[str, Callable[[Any], None]]:
        """All faults by name."""
        return {**super().kinds(), **OF_SERVER}

    def kill_redis(self) -> None:
        """kill -9; it comes back with everything that it had confirmed."""
        self._server.kill()
        self.hold()
        self._server.start()

    def restart_redis_empty(self) -> None:
        """It comes back with nothing."""
        self._server.stop()
        self.hold()
        self._server.restart(keep_data=False)

    def restart_redis(self) -> None:
        """In good order, with its data."""
        self._server.restart(keep_data=True)

    def stop_redis(self) -> None:
        """SIGSTOP: connections stay, nothing is answered; what was sent takes effect when it wakes."""
        self._server.pause()
        self.hold()
        self._server.resume()

    def flush(self) -> None:
        """FLUSHALL by another client."""
        self._server.command("FLUSHALL")

    def forget_scripts(self) -> None:
        """SCRIPT FLUSH."""
        self._server.command("SCRIPT", "FLUSH")

    def evict(self) -> None:
        """2 MB for everything, most of it wanted by other keys."""
        with self._server.connect() as redis:
            redis.call("CONFIG", "SET", "maxmemory", "2mb")
            redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            for number in range(FILLER_KEYS):
                try:
                    redis.call("SET", f"filler:{number}", "x" * FILLER_BYTES, "EX", 5)
                except RespError as error:
                    if not str(error).startswith("OOM"):
                        raise
            self.hold()
            redis.call("CONFIG", "SET", "maxmemory", "0")


OF_SERVER: Mapping[str, Callable[[Any], None]] = {
    "kill Redis": ServerFaults.kill_redis,
    "restart Redis": ServerFaults.restart_redis,
    "restart Redis empty": ServerFaults.restart_redis_empty,
    "stop Redis": ServerFaults.stop_redis,
    "FLUSHALL": ServerFaults.flush,
    "SCRIPT FLUSH": ServerFaults.forget_scripts,
    "evict": ServerFaults.evict,
}
