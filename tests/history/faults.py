"""What is done to the workers, to Redis and to the network while they run."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.harness.proxy import FaultProxy
from tests.harness.redis_server import RedisServer
from tests.harness.resp import RespError
from tests.history.fleet import Fleet
from tests.history.journal import now
from tests.history.records import NEVER, Fault

SHORT_SECONDS = (0.05, 1.5)
"""Shorter and longer than the budget of a call, and than a lease."""

FILLER_KEYS = 3000
FILLER_BYTES = 1000


class Faults:
    """Picks faults at random, carries them out one after the other, and counts them."""

    def __init__(
        self,
        fleet: Fleet,
        server: RedisServer,
        proxy: FaultProxy | None,
        chance: random.Random,
        *,
        names: list[str],
        calm_seconds: float,
    ) -> None:
        """Prepare those of ``names``, with ``calm_seconds`` between them on average.

        Raises:
            KeyError: There is no fault of that name.
        """
        self._fleet = fleet
        self._server = server
        self._network = proxy
        self._chance = chance
        self._actions = {name: self.kinds()[name] for name in names}
        self._calm_seconds = calm_seconds
        self._stop = threading.Event()
        self.counts: Counter[str] = Counter()
        self.history: list[Fault] = []
        """All of them, the one under way included."""

    @classmethod
    def kinds(cls) -> dict[str, Callable[[Any], None]]:
        """All faults by name."""
        return KINDS

    @property
    def _proxy(self) -> FaultProxy:
        assert self._network is not None  # else none of the faults is one of the network
        return self._network

    def heal(self) -> None:
        """All is as before."""
        if self._network is not None:
            self._network.heal()

    def run(self, seconds: float) -> None:
        """Go on for so long; afterwards everything is as before."""
        self._stop.clear()
        timer = threading.Timer(seconds, self._stop.set)
        timer.start()
        names: list[str] = []
        try:
            while not self._stop.wait(self._chance.uniform(0.2, 1.8) * self._calm_seconds):
                if not self._actions:
                    continue
                names = names or self._chance.sample(list(self._actions), len(self._actions))
                name = names.pop()  # each once before any of them comes again
                self._carry_out(name)
                self.counts[name] += 1
        finally:
            timer.cancel()
            self.heal()

    def _carry_out(self, name: str) -> None:
        """Do it, and write down from when to when; a fault that concerns some workers says which."""
        processes = frozenset(self._fleet.behind_proxy) if name in OF_NETWORK else None
        self._fault = Fault(name, processes, now(), NEVER)
        self.history.append(self._fault)
        self._actions[name](self)
        self._fault.ended = now()

    def _pick(self) -> int:
        """The place of a worker."""
        place = self._chance.randrange(len(self._fleet))
        self._fault.processes = frozenset({self._fleet.number(place)})
        return place

    def hold(self) -> None:
        """Wait while a fault lasts, or until the run is over."""
        self._stop.wait(self._chance.uniform(*SHORT_SECONDS))

    # -- of workers --

    def kill_worker(self) -> None:
        """kill -9; another process takes its place."""
        self._fleet.replace(self._pick())

    def stop_worker(self) -> None:
        """SIGSTOP in the middle of whatever it does, often for longer than its lease."""
        worker = self._fleet[self._pick()]
        worker.process.send_signal(signal.SIGSTOP)
        self.hold()
        worker.process.send_signal(signal.SIGCONT)

    def set_clock(self) -> None:
        """A worker's time of day jumps, by up to ten days in either direction."""
        worker = self._fleet[self._pick()]
        worker.set_clock(self._chance.choice((0, self._chance.randint(-(10**9), 10**9), 700, -700)))

    # -- of Redis --

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

    # -- of the network --

    def cut(self) -> None:
        """Connections are reset."""
        self._proxy.cut()

    def delay(self) -> None:
        """Requests and replies are late."""
        with self._healed():
            self._proxy.delay(self._chance.choice((0.005, 0.05, 0.2, 0.6)))

    def delay_requests(self) -> None:
        """Requests take effect after their callers have given up."""
        with self._healed():
            self._proxy.delay(self._chance.choice((0.3, 1.0)), direction="requests")

    def swallow(self) -> None:
        """Nothing arrives, in either direction."""
        with self._healed():
            self._proxy.swallow()

    def swallow_replies(self) -> None:
        """Requests take effect, and nobody is told."""
        with self._healed():
            self._proxy.swallow_replies()

    def refuse(self) -> None:
        """No connection can be made."""
        with self._healed():
            self._proxy.refuse()
            self._proxy.cut()

    @contextmanager
    def _healed(self) -> Iterator[None]:
        yield
        self.hold()
        self._proxy.heal()


KINDS: dict[str, Callable[[Faults], None]] = {
    "kill a worker": Faults.kill_worker,
    "stop a worker": Faults.stop_worker,
    "jump of a clock": Faults.set_clock,
    "kill Redis": Faults.kill_redis,
    "restart Redis": Faults.restart_redis,
    "restart Redis empty": Faults.restart_redis_empty,
    "stop Redis": Faults.stop_redis,
    "FLUSHALL": Faults.flush,
    "SCRIPT FLUSH": Faults.forget_scripts,
    "evict": Faults.evict,
    "cut": Faults.cut,
    "delay": Faults.delay,
    "delay requests": Faults.delay_requests,
    "swallow": Faults.swallow,
    "swallow replies": Faults.swallow_replies,
    "refuse": Faults.refuse,
}

OF_NETWORK = frozenset({"cut", "delay", "delay requests", "swallow", "swallow replies", "refuse"})
"""Those that only concern workers behind the proxy."""
