"""One load of many entries: under the leases that no other load has, in one call of the function."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple

from langcache_cli.caching._errors import CacheError, CacheUnavailableError, SizeRefusedError
from langcache_cli.caching._loading.leases import Leases
from langcache_cli.caching._loading.load import Load
from langcache_cli.caching._loading.replacing import let_end_soon, let_seen_end_soon, warn_still_served
from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.tagged_leases import outdated_places
from langcache_cli.caching._single_flight.flight import LoadResult

Values = Callable[[Sequence[str]], Awaitable[list[Any]]]
"""Runs the function for some keys; an exception in the place of a value that could not be loaded."""

Outcomes = list[LoadResult | Exception]
"""One for each lease; ``found`` is set where another load has it."""


class Absent(NamedTuple):
    """What a look-up has shown of keys without a usable value.

    Attributes:
        rejected: The unusable value under each, or its beginning; ``b""`` for none.
        tag_keys: Of the tags of each; None for a function without tags.
        tag_versions: By key of the tag.
    """

    rejected: Sequence[bytes]
    tag_keys: Sequence[tuple[str, ...]] | None
    tag_versions: Mapping[str, str | None]


class LoadMany:
    """Loads and stores the values of many keys."""

    def __init__(
        self, leases: Leases, load_of: Callable[[str], Load], values: Values, count: Callable[..., None]
    ) -> None:
        """Prepare.

        Args:
            leases: Takes and gives back leases.
            load_of: The load of a single key: what to do with a refused or a failed value.
            values: Runs the function.
            count: `count_for_each` for the function.
        """
        self.leases = leases
        self.count = count
        self._load_of = load_of
        self._values = values
        self._kept_ms: dict[str, int] = {}
        """How long the entry of each key is to be kept."""
        self.has_claimed = False
        """True for an explicit refresh: then a value that was refused gives way to that of a newer one."""
        self.beside: dict[str, Any] = {}
        """By key the values that were loaded without a lease, or an exception; see `run_if_absent`."""

    async def run_if_absent(
        self, leases: Sequence[Lease], absent: Absent, away: Sequence[str] = ()
    ) -> Outcomes:
        """Take the leases of keys that hold nothing usable; load and store under those that were taken.

        The values of keys whose nodes are away are loaded in the same call of the function, and not stored.

        Args:
            leases: The leases.
            absent: What the look-up has shown of each key.
            away: Further keys, for which no lease can be taken; see `beside`.
        """
        taken: Sequence[bool | None]
        try:
            if absent.tag_keys is None:
                taken = await self.leases.acquire(leases, absent.rejected)
            else:
                leases, taken = await self.leases.acquire_tagged(
                    leases, absent.tag_keys, seen=absent.tag_versions, rejected=absent.rejected
                )
        except CacheError:
            self.leases.release_soon(leases)  # Outcome unknown: Redis may have given them.
            await self.leases.admission.admitted()  # as in `Load.bypass`
            self.count("bypassed", [*_keys(leases), *away])
            return await self._values_of(leases, away)
        except asyncio.CancelledError:
            self.leases.release_soon(leases)
            raise
        ours = list(compress(leases, taken))
        lost = [lease for lease, is_ours in zip(leases, taken, strict=True) if is_ours is None]
        self.leases.release_soon(lost)  # Outcome unknown: see above.
        self.count("misses", _keys(ours))
        if absent.tag_keys is not None:
            outdated = outdated_places(absent.rejected, absent.tag_keys, absent.tag_versions)
            self.count("outdated", [leases[place].key for place in sorted(outdated) if taken[place]])
        self.count("bypassed", [*_keys(lost), *away])
        results = await self.load_and_store(ours, serving=False, unstored=lost, away=away)
        return _in_places([is_ours is not False for is_ours in taken], as_taken(taken, results, len(ours)))

    async def run_if_elected(
        self, leases: Sequence[Lease], tag_keys: Sequence[tuple[str, ...]], entries: Sequence[Entry]
    ) -> Outcomes:
        """Take the leases of entries that are served meanwhile; see `load_if_elected`.

        Args:
            leases: The leases.
            tag_keys: Of the tags of each.
            entries: The entry that was found under each key.
        """
        elected: Sequence[bool | None] = [None] * len(leases)
        try:
            tagged = await self.leases.with_tags(leases, tag_keys)
        except CacheError:
            return _in_places(elected, [])
        leases = [one if isinstance(one, Lease) else lease for one, lease in zip(tagged, leases, strict=True)]
        # no entry has the id "": one that was invalidated since it was found, or that has a tag on a node
        # that is away, is not replaced
        seen = [
            entry.id if isinstance(one, Lease) and one.tag_versions == entry.tag_versions else ""
            for one, entry in zip(tagged, entries, strict=True)
        ]
        try:
            elected = await self.leases.elect(leases, seen)
        except CacheError:
            pass  # Outcome unknown, as with None for one of them.
        finally:
            unknown = [is_ours is None for is_ours in elected]
            lost = list(compress(leases, unknown))
            loads = [self._load_of(lease.key) for lease in lost]
            let_seen_end_soon(loads, lost, list(compress(entries, unknown)))
        ours = list(compress(leases, elected))
        return _in_places(elected, await self.load_and_store(ours, serving=True))

    async def load_and_store(
        self,
        leases: Sequence[Lease],
        *,
        serving: bool,
        unstored: Sequence[Lease] = (),
        away: Sequence[str] = (),
    ) -> Outcomes:
        """Load, and store under leases that were taken.

        Args:
            leases: The leases that were taken.
            serving: Their old entries are served.
            unstored: Others, whose values are loaded with them; their results follow.
            away: See `run_if_absent`.
        """
        if not (leases or unstored or away):
            return []
        try:
            with self.leases.renewing(leases):
                loaded = await self._values_of([*leases, *unstored], away)
        except Exception as error:  # whatever the function raises is shared with those who wait
            await self._fail(leases, [error] * len(leases), serving=serving)
            raise
        except BaseException:  # cancelled: no load runs under these leases
            self.give_back(leases, serving=serving)
            raise
        results, others = loaded[: len(leases)], loaded[len(leases) :]
        try:
            return [*await self._stored(leases, results, serving=serving), *others]
        except BaseException:  # cancelled: unknown which values were stored
            self.give_back(leases, serving=serving)
            raise

    async def _fail(
        self, leases: Sequence[Lease], errors: Sequence[Exception | None], *, serving: bool
    ) -> None:
        """Give leases back before the errors are raised: a call that begins after that must load anew.

        If old entries are served, those of loads that failed are kept; None stands for an unusable value.
        """
        if serving:
            kept = [lease for lease, error in zip(leases, errors, strict=True) if error is not None]
            if kept:
                if not self.has_claimed:  # otherwise raised
                    error = next(error for error in errors if error is not None)
                    warn_still_served(self._load_of(kept[0].key), error)
                self.give_back(kept, serving=True)
            leases = [lease for lease, error in zip(leases, errors, strict=True) if error is None]
            errors = [None] * len(leases)
        await self.leases.fail(leases, errors)

    def give_back(self, leases: Sequence[Lease], *, serving: bool) -> None:
        """End leases under which no load runs; the old entries of ``serving`` ones end in their own time."""
        if not serving:
            self.leases.release_soon(leases)
            return
        for lease in leases:
            let_end_soon(self._load_of(lease.key), lease)

    async def _values_of(self, leases: Sequence[Lease], away: Sequence[str] = ()) -> Outcomes:
        """Run the function, and encode its values, also for those who have joined; see `run_if_absent`."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        keys = [*_keys(leases), *away]
        try:
            values = await self._values(keys)
        except Exception:
            await self.leases.admission.admitted(first=True)
            raise
        writer = self.leases.writer(load_seconds=(loop.time() - started) / len(keys))
        await self.leases.admission.admitted(first=True)
        self.beside = dict(zip(away, values[len(leases) :], strict=True))
        values = values[: len(leases)]
        loaded = [(place, value) for place, value in enumerate(values) if not isinstance(value, Exception)]
        results: Outcomes = list(values)
        of_entries = iter(loaded)
        tag_versions = [leases[place].tag_versions for place, _ in loaded]
        async for entries, kept_ms in writer.encoded([value for _, value in loaded], tag_versions):
            for entry, kept, (place, value) in zip(entries, kept_ms, of_entries, strict=False):
                results[place] = LoadResult(value, stored=entry)
                self._kept_ms[leases[place].key] = kept
                if entry is None or kept <= 0:
                    self._load_of(leases[place].key).count_unstorable(kept if entry is not None else None)
        return results

    async def _stored(self, leases: Sequence[Lease], results: Outcomes, *, serving: bool) -> Outcomes:
        """Store what can be stored; a value refused by an invalidation gives way to a newer one."""
        if not leases:
            return []
        entries = [
            result.stored if isinstance(result, LoadResult) and self._kept_ms[lease.key] > 0 else None
            for lease, result in zip(leases, results, strict=True)
        ]
        lost = [place for place, entry in enumerate(entries) if entry is None]
        if lost:
            errors = [error if isinstance(error := results[place], Exception) else None for place in lost]
            await self._fail([leases[place] for place in lost], errors, serving=serving)
            if self.has_claimed:  # as in `replacing`: an old entry must not outlive this call
                ended = [leases[place] for place, error in zip(lost, errors, strict=True) if error is None]
                with contextlib.suppress(CacheError):
                    await self.leases.withdraw(ended)
        kept = list(compress(leases, entries)) if lost else leases
        storable = [entry for entry in entries if entry is not None]
        replies: list[Any]
        try:
            replies = await self.leases.commit(kept, storable, [self._kept_ms[lease.key] for lease in kept])
        except CacheError:
            replies = [None] * len(kept)
            self.leases.release_soon(kept)
        unreached = [isinstance(reply, CacheUnavailableError) for reply in replies]
        self.leases.release_soon(list(compress(kept, unreached)))
        self._count_written(kept, storable, replies)
        if replies.count(1) == len(leases):
            return results
        return await self._after_commit(leases, results, kept, replies)

    async def _after_commit(
        self, leases: Sequence[Lease], results: Outcomes, kept: Sequence[Lease], replies: Sequence[Any]
    ) -> Outcomes:
        """Count what became of entries that were not stored; a refused value gives way to a newer one."""
        final = dict(zip(_keys(leases), results, strict=True))
        for lease, reply in zip(kept, replies, strict=True):
            load, result = self._load_of(lease.key), final[lease.key]
            if reply == 0 and isinstance(result, LoadResult):
                load.count("refused")
                with contextlib.suppress(CacheError):
                    if self.has_claimed:
                        await self.leases.withdraw([lease])
                    successor = load.value_of_successor(result.with_entry(), joins=self.has_claimed)
                    final[lease.key] = await successor
            elif reply != 1:
                load.count("unstored")
                if isinstance(reply, SizeRefusedError) and reply.is_new:
                    load.count("uncacheable")
        return list(final.values())

    def _count_written(
        self, leases: Sequence[Lease], entries: Sequence[bytes], replies: Sequence[Any]
    ) -> None:
        written = [reply == 1 for reply in replies]
        sizes = [len(entry) - entry.index(b"\n") - 1 for entry in compress(entries, written)]
        self.count("bytes_written", _keys(list(compress(leases, written))), sizes)


def _keys(leases: Sequence[Lease]) -> list[str]:
    return [lease.key for lease in leases]


def as_taken(taken: Sequence[bool | None], results: Outcomes, n_ours: int) -> Outcomes:
    """The results of leases that were taken, then of those that were lost, in the order of the leases."""
    ours, lost = iter(results[:n_ours]), iter(results[n_ours:])
    return [next(ours) if is_ours else next(lost) for is_ours in taken if is_ours is not False]


def _in_places(taken: Sequence[object], results: Outcomes) -> Outcomes:
    """The results of the leases that were taken, among those of all."""
    if len(results) == len(taken):
        return results
    found = iter(results)
    return [next(found) if is_ours else LoadResult(found=b"") for is_ours in taken]
