"""A run: servers and workers are started, faults happen, and then the journals are judged."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.harness.postgres import PostgresServer
from tests.harness.proxy import FaultProxy
from tests.harness.redis_cluster import RedisCluster
from tests.harness.redis_server import RedisServer
from tests.harness.sentinels import SentinelSet
from tests.history.cluster_faults import ClusterFaults
from tests.history.counters import create_counters, newest_versions
from tests.history.faults import Faults
from tests.history.fleet import Fleet
from tests.history.journal import History
from tests.history.options import WRITERS, Options
from tests.history.overlaps import calm_runs, overlaps
from tests.history.replication import split
from tests.history.sentinel_faults import SentinelFaults
from tests.history.server_faults import ServerFaults
from tests.history.subjects import names_of_subjects
from tests.history.verdict import REPLICATION, Violation, violations

DATABASE = "history"
TOPOLOGIES: dict[str, type[Faults]] = {
    "one": ServerFaults,
    "cluster": ClusterFaults,
    "sentinel": SentinelFaults,
}
"""What Redis may be, and the faults there are then."""


def kinds_of(topology: str) -> list[str]:
    """The names of the faults there are."""
    return list(TOPOLOGIES[topology].kinds())


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
        lost: How many acknowledged invalidations may have been lost with their primary.
        older: How many reads were older than one of these, which the cache does not rule out.
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
    lost: int
    older: int
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
            workers: Processes at a time; every other one reaches Redis through a proxy. Beyond one server
                there is an idle one more.
            seed: For all dice. Processes and networks have dice of their own, so no run is like another.
            faults: Names of `KINDS`; None for all.
            seconds_between_faults: On average.
            defect: One of `DEFECTS`, which the workers have: the checker must find that.
            topology: What Redis is, of `TOPOLOGIES`.
        """
        self._stack = ExitStack()
        self._folder = folder
        self._workers = workers
        self._seed = seed
        self._topology = topology
        self._names = kinds_of(topology) if faults is None else faults
        self._calm_seconds = seconds_between_faults
        self._defect = defect
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._database = stack.enter_context(PostgresServer())
            url = self._database.create_database(DATABASE)
            create_counters(self._database, DATABASE)
            on = {"one": self._on_one_server, "cluster": self._on_cluster, "sentinel": self._on_sentinel}
            self._fleet, self._faults = on[self._topology](stack, url)
            self._started = time.monotonic()
            self._stack = stack.pop_all()
        return self

    def _on_one_server(self, stack: ExitStack, database_url: str) -> tuple[Fleet, Faults]:
        """Every other worker reaches the server through a proxy."""
        server = stack.enter_context(RedisServer(appendonly=True))
        proxy = stack.enter_context(FaultProxy(server.port))
        urls = (server.url, f"redis://127.0.0.1:{proxy.port}/0")
        workers = [
            self._worker(number, urls[number % 2], database_url, bare_ports=[server.port])
            for number in range(self._workers)
        ]
        fleet = stack.enter_context(Fleet(workers, self._folder))
        return fleet, ServerFaults(fleet, server, proxy, **self._options_of_faults())

    def _on_cluster(self, stack: ExitStack, database_url: str) -> tuple[Fleet, Faults]:
        cluster = stack.enter_context(RedisCluster(primaries=3, replicas=1, node_timeout=1500))
        bare_ports = [node.port for node in cluster.nodes]
        fleet, proxies = self._fleet_of(
            stack, cluster.nodes, cluster.url, database_url, bare_ports=bare_ports
        )
        return fleet, ClusterFaults(fleet, cluster, proxies, **self._options_of_faults())

    def _on_sentinel(self, stack: ExitStack, database_url: str) -> tuple[Fleet, Faults]:
        servers = stack.enter_context(SentinelSet(down_after=1000))
        sentinel_ports = [sentinel.port for sentinel in servers.sentinels]
        fleet, proxies = self._fleet_of(
            stack, servers.nodes, servers.url, database_url, sentinel_ports=sentinel_ports
        )
        return fleet, SentinelFaults(fleet, servers, proxies, **self._options_of_faults())

    def _fleet_of(
        self, stack: ExitStack, nodes: Sequence[RedisServer], url: str, database_url: str, **bare: list[int]
    ) -> tuple[Fleet, dict[int, FaultProxy]]:
        """Every other worker reaches each node through a proxy; one more is idle."""
        proxies = {node.port: stack.enter_context(FaultProxy(node.port)) for node in nodes}
        detours = [(port, proxy.port) for port, proxy in proxies.items()]
        workers = [
            self._worker(number, url, database_url, detours=detours if number % 2 else [], **bare)
            for number in range(self._workers)
        ]
        idle = self._worker(self._workers + self._workers % 2, url, database_url, **bare)
        workers.append(dataclasses.replace(idle, writers=0, idle=True))
        return stack.enter_context(Fleet(workers, self._folder)), proxies

    def _options_of_faults(self) -> dict[str, Any]:
        chance = random.Random(self._seed)
        return {"chance": chance, "names": self._names, "calm_seconds": self._calm_seconds}

    def _worker(self, number: int, url: str, database_url: str, **others: Any) -> Options:
        # one that only reads keeps longest in its memory what the others change
        writers = WRITERS if number else 0
        seed = self._seed + number
        return Options(
            url,
            database_url,
            "",
            seed,
            writers=writers,
            behind_proxy=number % 2 > 0,
            defect=self._defect,
            **others,
        )

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def go(self, seconds: float, *, tell: Callable[[str], object] = lambda _: None) -> None:
        """Let it run, with faults; ``tell`` is called now and then with how far it is."""
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
        (self._folder / "faults").write_text("".join(f"{fault}\n" for fault in self._faults.history))
        self._fleet.end()
        return self.judge(seconds)

    def judge(self, seconds: float = 0.0) -> Outcome:
        """What the journals say so far."""
        history = History.load(self._fleet.journals)
        history.faults, history.lost = list(self._faults.history), list(self._faults.lost)
        history.names = names_of_subjects()
        newest = newest_versions(self._database, DATABASE)
        found = list(violations(history, newest))
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
            lost=sum(len(lost) for subject in history.names for _, lost in [split(history, subject)]),
            older=sum(one.rule == REPLICATION for one in found),
            violations=[one for one in found if one.rule != REPLICATION],
        )

    def _tell(self, tell: Callable[[str], object], done: threading.Event) -> None:
        while not done.wait(30):
            faults = self._faults.counts.total()
            seconds = time.monotonic() - self._started
            tell(f"{seconds:5.0f} s: {faults} faults, {self._size_mb()} MB of journals")

    def _size_mb(self) -> int:
        return sum(journal.stat().st_size for journal in self._fleet.journals if journal.exists()) >> 20
