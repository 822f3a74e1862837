"""The leases of many entries of one function: taken, renewed and given back together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, compress
from typing import Any

from langcache_cli.caching._clock import new_ids
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._loading.entry_writer import EntryWriter
from langcache_cli.caching._protocol.entry import MAX_HEADER_BYTES, Entry, Placeholder
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._protocol.store import Lease, Seen, Store, raise_errors
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._single_flight.lease_renewal import LeaseRenewal
from langcache_cli.caching._single_flight.shared_errors import describe
from langcache_cli.caching._wire.budget import Budget


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
        self._runtime = runtime
        self._spec = spec
        self._lifetime = lifetime
        self._store = store
        self._budget = budget

    async def prepare(self, keys: Sequence[KeyAndTags]) -> list[Lease]:
        """Leases, not taken yet, with the versions that their tags have before anything is loaded."""
        tags = list(dict.fromkeys(chain.from_iterable([one[1:] for one in keys])))
        tokens = new_ids(len(keys))
        if not tags:
            return [Lease(key, token) for (key,), token in zip(keys, tokens, strict=True)]
        ttl_ms = self._lifetime.longest_ms + self._runtime.longest_load_ms
        versions = dict(zip(tags, await self._store.tag_versions(tags, ttl_ms, self._budget), strict=True))
        return [
            Lease(one[0], token, tuple([versions[tag] for tag in one[1:]]))
            for one, token in zip(keys, tokens, strict=True)
        ]

    async def claim(self, leases: Sequence[Lease]) -> None:
        """Take every lease, from any load that has it; entries are served meanwhile."""
        raise_errors(await self._store.claim(leases, self._budget))

    async def acquire(self, leases: Sequence[Lease]) -> list[bool]:
        """Take the leases of keys without a usable value; True for each that was taken."""
        header = MAX_HEADER_BYTES
        found = raise_errors(await self._store.acquire(leases, self._budget, n_bytes=header))
        unusable = [
            index
            for index, stored in enumerate(found)
            if stored is not None and not self._usable(Seen(stored, leases[index].tags))
        ]
        again, rejected = [leases[index] for index in unusable], [found[index] for index in unusable]
        replies = await self._store.acquire(again, self._budget, rejected=rejected, n_bytes=header)
        for index, reply in zip(unusable, raise_errors(replies), strict=True):
            found[index] = reply
        return [stored is None for stored in found]

    def renewing(self, leases: Sequence[Lease]) -> LeaseRenewal:
        """A context manager that prolongs leases, for as long as a load may take."""
        return self._runtime.renewing(self._store, leases)

    async def commit(self, pairs: Sequence[tuple[Lease, Entry]]) -> list[Any]:
        """Store entries: 1 for each that was, 0 for one that was invalidated meanwhile, or an error."""
        leases, entries = [lease for lease, _ in pairs], [entry for _, entry in pairs]
        encoded, kept_ms = [entry.to_bytes() for entry in entries], list(map(self._lifetime.kept_ms, entries))
        try:
            return await self._store.commit(leases, encoded, kept_ms, self._budget)
        finally:
            # a caller that has these values must not find older ones afterwards
            self._runtime.forget([lease.key for lease in leases])

    async def store(self, leases: Sequence[Lease], values: Sequence[Any], load_seconds: float) -> list[Any]:
        """`commit` values that were just loaded; None for one that would not come back the same."""
        writer = EntryWriter(self._spec, self._lifetime, self._runtime, load_seconds=load_seconds)
        replies: list[Any] = []
        async for entries, kept_ms in writer.encoded(values, [lease.tags for lease in leases]):
            portion = leases[len(replies) : len(replies) + len(entries)]
            survives = [entry is not None for entry in entries]
            storable, stored_ms = list(compress(portion, survives)), list(compress(kept_ms, survives))
            stored = [entry for entry in entries if entry is not None]
            found = iter(await self._store.commit(storable, stored, stored_ms, self._budget))
            replies += [next(found) if survived else None for survived in survives]
        return replies

    async def withdraw(self, leases: Sequence[Lease]) -> None:
        """Stop serving old entries after their leases were lost; the loads that have them keep them."""
        raise_errors(await self._store.withdraw(leases, self._budget))
        self._runtime.forget([lease.key for lease in leases])

    def release_soon(self, leases: Sequence[Lease], *, entries_too: bool = True) -> None:
        """Give leases back in the background; see `Store.release`."""
        self._runtime.release_soon(self._store, leases, entries_too=entries_too)

    async def fail(self, leases: Sequence[Lease], errors: Sequence[Exception | None]) -> None:
        """Give the leases of failed loads back; see `Store.fail`. None stands for an unusable value."""
        if leases:
            described = [describe(error) if error is not None else b"" for error in errors]
            await self._store.fail(leases, described, self._budget)

    async def entry(self, lease: Lease, value: Any, *, load_seconds: float) -> Entry | None:
        """The entry of a loaded value; None for one that would not come back the same."""
        writer = EntryWriter(self._spec, self._lifetime, self._runtime, load_seconds=load_seconds)
        return await writer.entry(value, lease.tags)

    def _usable(self, seen: Seen) -> bool:
        found = seen.parse()
        return isinstance(found, Placeholder) or (
            isinstance(found, Entry) and found.schema == self._spec.codec.fingerprint
        )
