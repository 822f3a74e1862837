"""A run: servers and workers are started, faults happen, and then the journals are judged."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.harness.postgres import PostgresServer
from tests.harness.proxy import FaultProxy
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.history.cluster_faults import CLUSTER_KINDS, ClusterFaults
from tests.history.counters import create_counters, newest_versions
from tests.history.faults import KINDS, Faults
from tests.history.fleet import Fleet
from tests.history.journal import History
from tests.history.options import WRITERS, Options
from tests.history.overlaps import calm_runs, overlaps
from tests.history.verdict import Violation, violations

DATABASE = "history"
TOPOLOGIES = ("one", "cluster")


def kinds_of(topology: str) -> Iterable[str]:
    """The names of the faults there are."""
    return CLUSTER_KINDS if topology == "cluster" else KINDS


@dataclass(frozen=True)
class Outcome:
    """What a run has shown.

    Attributes:
        seconds: How long the workers ran.
        processes: How many of them there were, those that were killed included.
        reads: Calls of cached functions.
        near: How many of them were answered from the memory of their process.
        invalidations: Acknowledged ones, by the way.
        versions: Changes that were committed in the database.
        faults: What was done, and how often.
        exceptions: Reads during which Redis could not be used.
        runs: Runs of the functions.
        calm: How many of them could not have been excused if another had begun meanwhile.
        overlaps: Pairs of runs that overlapped, by what explains it.
        violations: What must not be there.
    """

    seconds: float
    processes: int
    reads: int
    near: int
    invalidations: Counter[str]
    versions: int
    faults: Counter[str]
    exceptions: int
    runs: int
    calm: int
    overlaps: Counter[str]
    violations: list[Violation]


class Run:
    """Servers and a fleet; `judge` may be called at any time, `finish` ends the workers first."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 4,
        seed: int = 0,
        faults: list[str] | None = None,
        seconds_between_faults: float = 1.0,
        defect: str = "",
        topology: str = "one",
    ) -> None:
        """Prepare.

        Args:
            folder: For the journals.
            workers: Processes at a time; every other one reaches Redis through a proxy.
            seed: For all dice. Processes and networks have dice of their own, so no run is like another.
            faults: Names of `KINDS`; None for all.
            seconds_between_faults: On average.
            defect: One of `DEFECTS`, which the workers have: the checker must find that.
            topology: What Redis is: ``one`` server, or a ``cluster``.
        """
        self._stack = ExitStack()
        self._folder = folder
        self._workers = workers
        self._seed = seed
        self._is_cluster = topology == "cluster"
        self._names = list(kinds_of(topology)) if faults is None else faults
        self._calm_seconds = seconds_between_faults
        self._defect = defect
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._database = stack.enter_context(PostgresServer())
            url = self._database.create_database(DATABASE)
            create_counters(self._database, DATABASE)
            self._fleet, self._faults = (
                self._on_cluster(stack, url) if self._is_cluster else self._on_one_server(stack, url)
            )
            self._started = time.monotonic()
            self._stack = stack.pop_all()
        return self

    def _on_one_server(self, stack: ExitStack, database_url: str) -> tuple[Fleet, Faults]:
        """Every other worker reaches the server through a proxy."""
        server = stack.enter_context(RedisServer(appendonly=True))
        proxy = stack.enter_context(FaultProxy(server.port))
        urls = (server.url, f"redis://127.0.0.1:{proxy.port}/0")
        workers = [
            self._worker(number, urls[number % 2], [server.port], database_url, behind_proxy=number % 2 > 0)
            for number in range(self._workers)
        ]
        fleet = stack.enter_context(Fleet(workers, self._folder))
        chance = random.Random(self._seed)
        faults = Faults(fleet, server, proxy, chance, names=self._names, calm_seconds=self._calm_seconds)
        return fleet, faults

    def _on_cluster(self, stack: ExitStack, database_url: str) -> tuple[Fleet, Faults]:
        cluster = stack.enter_context(RedisCluster(primaries=3, replicas=1, node_timeout=1500))
        ports = [node.port for node in cluster.nodes]
        workers = [self._worker(number, cluster.url, ports, database_url) for number in range(self._workers)]
        fleet = stack.enter_context(Fleet(workers, self._folder))
        chance = random.Random(self._seed)
        return fleet, ClusterFaults(
            fleet, cluster, chance, names=self._names, calm_seconds=self._calm_seconds
        )

    def _worker(
        self, number: int, url: str, ports: list[int], database_url: str, *, behind_proxy: bool = False
    ) -> Options:
        # one that only reads keeps longest in its memory what the others change
        writers = WRITERS if number else 0
        return Options(
            url,
            ports,
            database_url,
            "",
            self._seed + number,
            writers=writers,
            behind_proxy=behind_proxy,
            defect=self._defect,
        )

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def go(self, seconds: float, *, tell: Callable[[str], object] = lambda _: None) -> None:
        """Let it run, with faults; ``tell`` hears now and then how far it is."""
        done = threading.Event()
        telling = threading.Thread(target=self._tell, args=(tell, done), daemon=True)
        telling.start()
        try:
            self._faults.run(seconds)
        finally:
            done.set()
            telling.join()

    def finish(self) -> Outcome:
        """End the workers and judge.

        Raises:
            RuntimeError: A worker failed.
        """
        seconds = time.monotonic() - self._started
        self._fleet.end()
        return self.judge(seconds)

    def judge(self, seconds: float = 0.0) -> Outcome:
        """What the journals say so far."""
        history = History.load(self._fleet.journals)
        history.faults = list(self._faults.history)
        newest = newest_versions(self._database, DATABASE)
        return Outcome(
            seconds=seconds,
            processes=len(self._fleet.journals),
            reads=len(history),
            near=history.near,
            invalidations=history.ways,
            versions=sum(newest.values()) - len(newest),
            faults=self._faults.counts,
            exceptions=sum(map(len, history.exceptions.values())),
            runs=sum(map(len, history.runs.values())),
            calm=calm_runs(history),
            overlaps=Counter(str(explanation) for *_, explanation in overlaps(history)),
            violations=list(violations(history, newest)),
        )

    def _tell(self, tell: Callable[[str], object], done: threading.Event) -> None:
        while not done.wait(30):
            faults = self._faults.counts.total()
            seconds = time.monotonic() - self._started
            tell(f"{seconds:5.0f} s: {faults} faults, {self._size_mb()} MB of journals")

    def _size_mb(self) -> int:
        return sum(journal.stat().st_size for journal in self._fleet.journals if journal.exists()) >> 20
