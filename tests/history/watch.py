"""What a worker writes down about the runs of its functions, and about what takes leases away from them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from langcache_cli.caching import Cache, CacheEvent
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._invalidation.outbox import Outbox
from langcache_cli.caching._protocol.scripts import script
from tests.history.journal import Journal, now
from tests.history.records import Subject

BEAT_SECONDS = 0.05
STALL_SECONDS = 0.2
"""An event loop that is late by so much may lose its leases: as in a stopped process, or without a CPU."""

ON_THE_WIRE_NS = 250_000_000
"""What was cancelled may still take effect for so long: a request is not given more time."""

_called: ContextVar[int] = ContextVar("called", default=0)
_since: ContextVar[int] = ContextVar("since", default=0)
_has_tags: ContextVar[bool] = ContextVar("has_tags", default=False)
_bypassed: ContextVar[bool] = ContextVar("bypassed", default=False)


class Watch:
    """Writes down one worker's runs, invalidations and stalls."""

    def __init__(self, cache: Cache, journal: Journal) -> None:
        self._cache = cache
        self._journal = journal
        self._undelivered: list[int] = []

    # -- runs --

    @contextmanager
    def running(self, subject: Subject) -> Iterator[None]:
        """Around a run of a function."""
        bypassed = _bypassed.get()
        since = now() if bypassed else _since.get() or now()
        _bypassed.set(False)
        number = self._journal.runs(subject, since, bypassed=bypassed)
        try:
            yield
        finally:
            self._journal.ended(number)

    def note(self, event: CacheEvent, subject: Subject) -> None:
        """Take over an event of the cache; it comes from the task whose load it is about."""
        if event.name == "bypassed":
            _bypassed.set(True)
        elif event.name == "refused":
            self._journal.refused(subject)

    def follow(self, *servers: Server) -> None:
        """Note when loads begin: with the versions of their tags, a lease, or the entry they replace."""
        for server in servers:
            server.call_many = _noting(server.call_many)  # type: ignore[method-assign]
            if server.is_cluster:  # one server has only that
                server.call_each = _noting(server.call_each)  # type: ignore[method-assign]

    def call_begins(self) -> None:
        """Forget what other calls of this task have noted."""
        _called.set(now())
        _since.set(0)
        _has_tags.set(False)

    # -- what takes leases away --

    def asks(self, subjects: Iterable[Subject], way: str) -> int:
        """Something that takes leases away is about to be sent."""
        return self._journal.asks(subjects, way)

    @contextmanager
    def claiming(self, subjects: Sequence[Subject], way: str) -> Iterator[None]:
        """Around a call that takes the leases of subjects away from other loads."""
        number = self.asks(subjects, way)
        try:
            yield
        except BaseException:  # cancelled, too: whether it took effect is unknown
            self.was_interrupted(number)
            raise
        self.was_done(number)

    def took_effect(self, number: int) -> None:
        """It was confirmed, or is in the outbox and ends with that."""
        if self._cache.pending_invalidations:
            self._undelivered.append(number)
        else:
            self._journal.ended(number)

    def was_done(self, number: int) -> None:
        """It was confirmed."""
        self._journal.ended(number)

    def was_interrupted(self, number: int) -> None:
        """It was cancelled, or has failed: perhaps it is under way."""
        self._journal.ended(number, later_ns=ON_THE_WIRE_NS)

    def settle(self) -> None:
        """To be called now and then: write down that the outbox was delivered."""
        if self._undelivered and not self._cache.pending_invalidations:
            for number in self._undelivered:
                self.was_interrupted(number)
            self._undelivered.clear()

    def spawned(self, ask: Callable[[], object], number: int) -> None:
        """What ``ask`` begins in the background takes effect until that has ended."""
        background = self._cache.runtime().background
        before = set(background.tasks())
        ask()
        for task in set(background.tasks()) - before:
            task.add_done_callback(lambda _: self.took_effect(number))

    def follow_outbox(self, outbox: Outbox, names: Mapping[Subject, Sequence[str]]) -> None:
        """Note what another server, or the new owner of a slot, is sent again of the last minute.

        Args:
            outbox: Where it is put back.
            names: The keys of each subject: that of its entry, and those of its tags.
        """

        def noting(put_back: Callable[..., int]) -> Callable[..., int]:
            def noted(*args: Any, **options: Any) -> int:
                if number := put_back(*args, **options):
                    concerned = [subject for subject, keys in names.items() if outbox.concerns(keys)]
                    self._undelivered.append(self.asks(concerned, "resent"))
                return number

            return noted

        outbox.defer_recent = noting(outbox.defer_recent)  # type: ignore[method-assign]
        outbox.defer_moved = noting(outbox.defer_moved)  # type: ignore[method-assign]

    # -- stalls --

    async def beat(self) -> None:
        """Write down when the event loop does not run for a while."""
        while True:
            began = now()
            await asyncio.sleep(BEAT_SECONDS)  # a loop that runs is back after that time
            if now() - began > (BEAT_SECONDS + STALL_SECONDS) * 1e9:
                self._journal.stalled(began)


TAG = script("tag").digest
TAKING = {script(step).digest for step in ("acquire", "claim")}
ELECT = script("elect").digest


def _noting(call_many: Callable[..., Awaitable[list[Any]]]) -> Callable[..., Awaitable[list[Any]]]:
    async def noted(commands: Sequence[tuple[Any, ...]], **options: Any) -> list[Any]:
        digests = {command[1] for command in commands if command[0] == "EVALSHA"}
        if TAG in digests or (digests & TAKING and not _has_tags.get()):
            if not (_since.get() and _is_run_again()):
                _since.set(now())
            _has_tags.set(TAG in digests)
        elif ELECT in digests:  # of an entry that this call has seen before it read the versions of its tags
            _since.set(_called.get())
        return await call_many(commands, **options)

    return noted


def _is_run_again() -> bool:
    """True in the task of a load that has none of a caller; it knows when the first run of it began."""
    task = asyncio.current_task()
    return task is not None and task.get_name().startswith("langcache-load-")
