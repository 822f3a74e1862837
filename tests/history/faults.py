"""What is done to the workers and to the network while they run; what is done to Redis comes on top."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tests.harness.proxy import FaultProxy
from tests.history.fleet import Fleet
from tests.history.journal import now
from tests.history.records import NEVER, Fault, LostWrites

SHORT_SECONDS = (0.05, 1.5)
"""Shorter and longer than the budget of a call, and than a lease."""

WAKES = 0.5
"""How often the idle workers read before a fault."""


class Faults:
    """Picks faults at random, carries them out one after the other, and counts them."""

    def __init__(
        self,
        fleet: Fleet,
        proxies: Sequence[FaultProxy],
        chance: random.Random,
        *,
        names: Sequence[str],
        calm_seconds: float,
    ) -> None:
        """Prepare.

        Args:
            fleet: The workers.
            proxies: Between some of the workers and Redis, one for each server.
            chance: All dice.
            names: Of which faults.
            calm_seconds: The time between two faults, on average.

        Raises:
            KeyError: There is no fault of that name.
        """
        self._fleet = fleet
        self._proxies = proxies
        self._proxy = proxies[0]
        """The one that a fault of the network is done to."""
        self._chance = chance
        self._actions = {name: self.kinds()[name] for name in names}
        self._calm_seconds = calm_seconds
        self._stop = threading.Event()
        self.counts: Counter[str] = Counter()
        self.history: list[Fault] = []
        """All of them, the one under way included."""
        self.lost: list[LostWrites] = []
        """What replication may have lost."""

    @classmethod
    def kinds(cls) -> Mapping[str, Callable[[Any], None]]:
        """All faults by name."""
        return {**OF_WORKERS, **OF_NETWORK}

    def heal(self) -> None:
        """All is as before."""
        for proxy in self._proxies:
            proxy.heal()

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
                if self._chance.random() < WAKES:
                    self._fleet.wake_idle()
                name = names.pop()  # each once before any of them comes again
                self._carry_out(name)
                self.counts[name] += 1
        finally:
            timer.cancel()
            self.heal()

    def _carry_out(self, name: str) -> None:
        """Do it, and write down from when to when; a fault that concerns some workers says which."""
        of_network = name in OF_NETWORK
        processes = frozenset(self._fleet.behind_proxy) if of_network else None
        self._fault = Fault(name, processes, now(), NEVER)
        self.history.append(self._fault)
        if of_network:
            self._proxy = self._pick_proxy()
        self._actions[name](self)
        self._fault.ended = now()

    def _pick_proxy(self) -> FaultProxy:
        """The one for a fault of the network."""
        return self._chance.choice(self._proxies)

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

    # -- of the network --

    def cut(self) -> None:
        """Connections are reset."""
        self._proxy.cut()

    def delay(self) -> None:
        """Requests and replies are late."""
        with self._healed():
            self._proxy.delay(self._late((0.005, 0.05, 0.2, 0.6)))

    def delay_requests(self) -> None:
        """Requests take effect after their callers have given up."""
        with self._healed():
            self._proxy.delay(self._late((0.3, 1.0)), direction="requests")

    def _late(self, choices: Sequence[float]) -> float:
        """How late everything is, in seconds: what is under way at the end of the fault, too."""
        seconds = self._chance.choice(choices)
        self._fault.late_ns = round(seconds * 1e9)
        return seconds

    def slow(self) -> None:
        """Replies of one server are late by less than matters to a lease: those of others come first."""
        with self._healed():
            self._proxy.delay(self._chance.uniform(0.002, 0.02))

    def swallow(self) -> None:
        """Nothing arrives, in either direction."""
        with self._healed():
            self._proxy.swallow()

    def swallow_replies(self) -> None:
        """Requests take effect, and the caller does not learn it."""
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


OF_WORKERS: Mapping[str, Callable[[Any], None]] = {
    "kill a worker": Faults.kill_worker,
    "stop a worker": Faults.stop_worker,
    "jump of a clock": Faults.set_clock,
}

OF_NETWORK: Mapping[str, Callable[[Any], None]] = {
    "cut": Faults.cut,
    "delay": Faults.delay,
    "delay requests": Faults.delay_requests,
    "slow": Faults.slow,
    "swallow": Faults.swallow,
    "swallow replies": Faults.swallow_replies,
    "refuse": Faults.refuse,
}
"""Those that only concern workers behind a proxy."""
