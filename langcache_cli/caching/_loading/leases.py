"""The leases of many entries of one function: taken, renewed and given back together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, compress
from typing import Any

from langcache_cli.caching._errors import CacheUnavailableError, SizeRefusedError
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._loading.entry_writer import EntryWriter
from langcache_cli.caching._loading.failed_leases import fail_leases
from langcache_cli.caching._loading.size_refusals import sent_by_size
from langcache_cli.caching._protocol.entry import MAX_HEADER_BYTES, Entry, Placeholder, parse
from langcache_cli.caching._protocol.lease import Lease, new_leases
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._protocol.results import raise_errors, raise_refusals
from langcache_cli.caching._protocol.store import Seen, Store
from langcache_cli.caching._protocol.tagged_leases import acquire_again, acquire_tagged, with_versions
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._single_flight.lease_renewal import LeaseRenewal
from langcache_cli.caching._wire.budget import Budget

NOT_KEPT = object()
"""In the place of a reply: the value must not be stored."""


class Leases:
    """The steps of a load of many entries; each step is one round trip. Raises like `Store`."""

    def __init__(
        self,
        runtime: Runtime,
        spec: FunctionSpec,
        lifetime: Lifetime,
        *,
        store: Store,
        budget: Budget | None = None,
    ) -> None:
        """Prepare.

        Args:
            runtime: Of the running event loop.
            spec: The function.
            lifetime: Of its entries.
            store: Where they are.
            budget: For all steps together; None allows each step the node's own time.
        """
        self.admission = runtime.admission
        """Lets few loads of the event loop begin or end in each turn."""
        self._runtime = runtime
        self._spec = spec
        self._lifetime = lifetime
        self._store = store
        self._budget = budget
        self._renewal: LeaseRenewal | None = None
        self._tag_ttl_ms = lifetime.tag_ttl_ms(runtime.longest_load_ms)
        self._tag_keys: dict[str, tuple[str, ...]] = {}
        """By key the tags of entries whose TTL is their own."""

    async def prepare(self, keys: Sequence[KeyAndTags]) -> list[Lease | None]:
        """Leases, not taken yet, with the versions that their tags have before anything is loaded.

        There is none for an entry that has a tag whose node is away.

        Raises:
            CacheUnavailableError: There are none at all.
        """
        leases = new_leases([one[0] for one in keys])
        if max(map(len, keys), default=1) == 1:  # ten thousands of keys in a warm
            return [*leases]
        prepared = await self.with_tags(leases, [one[1:] for one in keys])
        away = [one for one in prepared if not isinstance(one, Lease)]
        if away and len(away) == len(prepared):
            raise away[0]
        return [one if isinstance(one, Lease) else None for one in prepared]

    async def with_tags(
        self, leases: Sequence[Lease], tag_keys: Sequence[tuple[str, ...]]
    ) -> list[Lease | CacheUnavailableError]:
        """Leases with the versions of their tags, as they are before anything is loaded.

        Args:
            leases: The leases.
            tag_keys: Of the tags of each lease.

        Returns:
            An error for each lease that has a tag whose node is away.

        Raises:
            CacheUnavailableError: No node was reached.
        """
        self._note_tags(leases, tag_keys)
        distinct = list(dict.fromkeys(chain.from_iterable(tag_keys)))
        if not distinct:
            return list(leases)
        found = await self._store.versions_of(distinct, self._tag_ttl_ms, self._budget)
        return with_versions(leases, tag_keys, found)

    async def claim(self, leases: Sequence[Lease]) -> list[bool]:
        """Take every lease, from any load that has it; entries are served meanwhile.

        Returns:
            False for each whose node is away.
        """
        replies = raise_refusals(await self._store.claim(leases, self._budget))
        return [not isinstance(reply, CacheUnavailableError) for reply in replies]

    async def acquire(
        self, leases: Sequence[Lease], rejected: Sequence[bytes] | None = None
    ) -> list[bool | None]:
        """Take the leases of keys without a usable value; True for each that was taken, None if unknown.

        Args:
            leases: The leases.
            rejected: The unusable value of each key, as far as it was seen before; ``b""`` for none.
        """
        header = MAX_HEADER_BYTES
        replies = await self._store.acquire(leases, self._budget, rejected=rejected, n_bytes=header)
        return await self._taken(leases, raise_refusals(replies))

    async def acquire_tagged(
        self,
        leases: Sequence[Lease],
        tag_keys: Sequence[tuple[str, ...]],
        *,
        seen: Mapping[str, str | None],
        rejected: Sequence[bytes],
    ) -> tuple[list[Lease], list[bool | None]]:
        """`with_tags` and `acquire`, see `tagged_leases`; ``seen`` has the versions at the look-up."""
        self._note_tags(leases, tag_keys)
        ours, found = await acquire_tagged(
            *(self._store, leases, tag_keys, self._budget or Budget(self._store.server.timeout)),
            ttl_ms=self._tag_ttl_ms,
            seen=seen,
            rejected=rejected,
            n_bytes=MAX_HEADER_BYTES,
        )
        if self._store.server.is_cluster:
            await self._read_tags_again(ours, tag_keys, raise_refusals(found))
        return ours, await self._taken(ours, raise_refusals(found))

    async def _read_tags_again(
        self, leases: list[Lease], tag_keys: Sequence[tuple[str, ...]], found: list[Any]
    ) -> None:
        """Renew the versions of leases where an entry seems to be outdated: it may be newer than they are.

        What has a tag that cannot be read again gets an error in the place of what was found.
        """
        doubtful = [
            place
            for place, stored in enumerate(found)
            if isinstance(stored, bytes) and Seen(stored, leases[place].tag_versions).outdated
        ]
        again: Sequence[Lease | CacheUnavailableError]
        try:
            again = await self.with_tags(
                [leases[place] for place in doubtful], [tag_keys[place] for place in doubtful]
            )
        except CacheUnavailableError as error:
            again = [error] * len(doubtful)
        for place, lease in zip(doubtful, again, strict=True):
            if isinstance(lease, Lease):
                leases[place] = lease
            else:
                found[place] = lease

    async def _taken(self, leases: Sequence[Lease], found: list[Any]) -> list[bool | None]:
        """True for each lease that was taken, now or in the place of what was found and cannot be used.

        None for each whose node, or the node of one of its tags, is away.
        """
        unusable = {
            place: stored
            for place, stored in enumerate(found)
            if isinstance(stored, bytes) and not self._usable(Seen(stored, leases[place].tag_versions))
        }
        await acquire_again(
            *(self._store, leases, self._budget), rejected=unusable, found=found, n_bytes=MAX_HEADER_BYTES
        )
        return [
            None if isinstance(stored, CacheUnavailableError) else stored is None
            for stored in raise_refusals(found)
        ]

    async def elect(self, leases: Sequence[Lease], entry_ids: Sequence[str]) -> list[bool | None]:
        """Take the leases of entries that are served meanwhile.

        Returns:
            False for each that another load has, None if it is unknown.
        """
        budget = self._budget or Budget(self._store.server.timeout)
        replies = raise_refusals(await self._store.elect(leases, entry_ids, budget))
        return [None if isinstance(reply, CacheUnavailableError) else bool(reply) for reply in replies]

    def renewing(self, leases: Sequence[Lease]) -> LeaseRenewal:
        """A context manager that prolongs leases, for as long as a load may take."""
        self._renewal = self._runtime.renewing(self._store, leases)
        return self._renewal

    async def commit(
        self, leases: Sequence[Lease], entries: Sequence[bytes], kept_ms: Sequence[int]
    ) -> list[Any]:
        """Store entries: 1 for each that was, 0 for one that was invalidated meanwhile, or an error.

        That is a `SizeRefusedError` for one that the server does not take; see `sent_by_size`.
        """
        try:
            replies = await self._commit(leases, entries, kept_ms)
            if 0 in replies and self._renewal is not None and (why := self._renewal.why_ended()):
                self._spec.warn_lease_ended(why)
            return replies
        finally:
            self._forget(leases)

    async def store(self, leases: Sequence[Lease], values: Sequence[Any], load_seconds: float) -> list[Any]:
        """`commit` values that were just loaded.

        Returns:
            None for each that would not come back the same, or that is larger than the server takes;
            `NOT_KEPT` for one that must not be stored.
        """
        writer = self.writer(load_seconds=load_seconds)
        replies: list[Any] = []
        async for entries, kept_ms in writer.encoded(values, [lease.tag_versions for lease in leases]):
            portion = leases[len(replies) : len(replies) + len(entries)]
            survives = [entry is not None and kept > 0 for entry, kept in zip(entries, kept_ms, strict=True)]
            stored = [entry for entry in compress(entries, survives) if entry is not None]
            commit = self._commit(
                list(compress(portion, survives)), stored, list(compress(kept_ms, survives))
            )
            try:
                found = iter([None if isinstance(one, SizeRefusedError) else one for one in await commit])
            finally:
                self._forget(portion)
            replies += [
                next(found) if survived else None if entry is None else NOT_KEPT
                for survived, entry in zip(survives, entries, strict=True)
            ]
        return replies

    async def _commit(
        self, leases: Sequence[Lease], entries: Sequence[bytes], kept_ms: Sequence[int]
    ) -> list[Any]:
        async def send(places: Sequence[int]) -> list[Any]:
            if len(places) == len(leases):
                return await self._send(leases, entries, kept_ms)
            chosen = [(leases[place], entries[place], kept_ms[place]) for place in places]
            return await self._send(*zip(*chosen, strict=True))

        keys, sizes = [lease.key for lease in leases], [*map(len, entries)]
        warn = self._spec.warn_uncacheable
        return await sent_by_size(self._runtime, keys, sizes, send, warn=lambda _, error: warn(error))

    async def _send(
        self, leases: Sequence[Lease], entries: Sequence[bytes], kept_ms: Sequence[int]
    ) -> list[Any]:
        what = leases, entries, kept_ms, self._budget
        if not self._tag_keys or max(kept_ms, default=0) <= self._lifetime.longest_ms:
            return await self._store.commit(*what)
        tags = chain.from_iterable(self._tag_keys.get(lease.key, ()) for lease in leases)
        return await self._store.commit_long(*what, tag_ttls=dict.fromkeys(tags, max(kept_ms)))

    def _note_tags(self, leases: Sequence[Lease], tag_keys: Sequence[tuple[str, ...]]) -> None:
        if self._lifetime.ttl_of is not None and self._spec.is_tagged:
            self._tag_keys.update(zip((lease.key for lease in leases), tag_keys, strict=True))

    async def withdraw(self, leases: Sequence[Lease]) -> None:
        """Stop serving old entries after their leases were lost; the loads that have them keep them."""
        raise_errors(await self._store.withdraw(leases, self._budget))
        self._forget(leases)

    def release_soon(self, leases: Sequence[Lease], *, entries_too: bool = True) -> None:
        """Give leases back in the background; see `Store.release`."""
        self._runtime.release_soon(self._store, leases, entries_too=entries_too)

    async def fail(self, leases: Sequence[Lease], errors: Sequence[Exception | None]) -> None:
        """`fail_leases` with the store and the budget of these steps."""
        try:
            await fail_leases(self._runtime, self._store, leases, errors, self._budget)
        finally:
            self._forget(leases)

    def _forget(self, leases: Sequence[Lease]) -> None:
        """Drop from memory what was replaced: a caller that has newer values must not find it afterwards."""
        self._runtime.forget([lease.key for lease in leases])

    def writer(self, *, load_seconds: float) -> EntryWriter:
        """Makes the entries of values that were just loaded; ``load_seconds`` is the time for each."""
        return EntryWriter(self._spec, self._lifetime, self._runtime, load_seconds=load_seconds)

    def _usable(self, seen: Seen) -> bool:
        if seen.stored and isinstance(parse(seen.stored), Placeholder):
            return True  # perhaps of a load that knows newer tags than these leases: only a look-up can tell
        found = seen.parse()
        return isinstance(found, Entry) and found.schema == self._spec.codec.fingerprint
