"""The steps of a load (see `_store`) for many entries of a function together, each in one round trip."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from itertools import chain, compress
from typing import Any

from langcache_cli.caching._clock import new_ids
from langcache_cli.caching._errors import CacheError, ServerReplyError
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._keys.tags import KeyAndTags
from langcache_cli.caching._loading.entry_writer import EntryWriter
from langcache_cli.caching._protocol.entry import (
    MAX_HEADER_BYTES,
    Entry,
    Placeholder,
    header_end,
    placeholder_format,
)
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._protocol.scripts import Column
from langcache_cli.caching._protocol.store import REJECTED_BYTES, Lease, Seen, Store
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._single_flight.lease_renewal import RENEWALS_PER_LEASE
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.node import Node


class Leases:
    """Takes, keeps and gives back leases of one function's entries."""

    def __init__(
        self,
        runtime: Runtime,
        spec: FunctionSpec,
        lifetime: Lifetime,
        *,
        node: Node,
        budget: Budget | None = None,
    ) -> None:
        """Prepare.

        Args:
            runtime: Of the running event loop.
            spec: The function.
            lifetime: Of its entries.
            node: What to talk to.
            budget: For all steps together; None lets each take the server's own time.
        """
        self._runtime = runtime
        self._spec = spec
        self._lifetime = lifetime
        self._node = node
        self._budget = budget
        self._store = Store(node, lease_seconds=runtime.settings.lease_seconds, now_ms=runtime.now_ms)

    async def of(self, names: Sequence[KeyAndTags]) -> list[Lease]:
        """Leases, not taken yet, with the versions that their tags have before anything is loaded."""
        tags = list(dict.fromkeys(chain.from_iterable([one[1:] for one in names])))
        ttl_ms = self._lifetime.longest_ms + self._runtime.longest_load_ms
        budget = self._budget or Budget(self._node.timeout)
        versions = dict(zip(tags, await self._store.versions(tags, ttl_ms, budget), strict=True))
        ids = new_ids(len(names))
        if not tags:
            return [Lease(key, token) for (key,), token in zip(names, ids, strict=True)]
        return [
            Lease(one[0], token, tuple([versions[tag] for tag in one[1:]]))
            for one, token in zip(names, ids, strict=True)
        ]

    async def claim(self, leases: Sequence[Lease]) -> None:
        """Take every lease, whoever has it; entries are served meanwhile."""
        for reply in await self._run(
            "claim", leases, self._placeholders(leases), self._times_ms(leases), _tokens(leases)
        ):
            _require(reply)

    async def acquire(self, leases: Sequence[Lease]) -> list[bool]:
        """Take the leases of keys that hold nothing usable; returns for each whether it was taken."""
        placeholders, none_rejected = self._placeholders(leases), [b""] * len(leases)
        headers = [MAX_HEADER_BYTES - 1] * len(leases)
        found = await self._run(
            "acquire", leases, placeholders, self._times_ms(leases), none_rejected, headers
        )
        unusable = {
            index: bytes(_require(stored)[:REJECTED_BYTES])
            for index, stored in enumerate(found)
            if _require(stored) is not None and not self._usable(Seen(stored, leases[index].tags))
        }
        again = [leases[index] for index in unusable]
        retaking = [placeholders[index] for index in unusable]
        rejected = list(unusable.values())
        headers = headers[: len(again)]
        replies = await self._run("acquire", again, retaking, self._times_ms(again), rejected, headers)
        for index, reply in zip(unusable, replies, strict=True):
            found[index] = _require(reply)
        return [reply is None for reply in found]

    @contextlib.asynccontextmanager
    async def kept(self, leases: Sequence[Lease]) -> AsyncIterator[None]:
        """Renew the leases meanwhile, but no longer than a load may take."""
        renewals = self._runtime.loop.create_task(self._renew(leases), name="langcache-renewals")
        try:
            yield
        finally:
            renewals.cancel()
            await asyncio.wait([renewals])

    async def commit(self, pairs: Sequence[tuple[Lease, Entry]]) -> list[Any]:
        """Store entries: 1 for each that was, 0 for one that was invalidated meanwhile, or an error."""
        leases, entries = [lease for lease, _ in pairs], [entry for _, entry in pairs]
        kept_ms = list(map(self._lifetime.kept_ms, entries))
        return await self._run(
            "commit", leases, _tokens(leases), [entry.to_bytes() for entry in entries], kept_ms
        )

    async def store(self, leases: Sequence[Lease], values: Sequence[Any], load_seconds: float) -> list[Any]:
        """`commit` values that were just loaded; None for one that would not survive."""
        loaded = EntryWriter(self._spec, self._lifetime, self._runtime, load_seconds=load_seconds)
        replies: list[Any] = []
        for entries, kept_ms in loaded.stored(values, [lease.tags for lease in leases]):
            portion = leases[len(replies) : len(replies) + len(entries)]
            survives = [entry is not None for entry in entries]
            storable, stored_ms = list(compress(portion, survives)), list(compress(kept_ms, survives))
            stored = [entry for entry in entries if entry is not None]
            found = iter(await self._run("commit", storable, _tokens(storable), stored, stored_ms))
            replies += [next(found) if survived else None for survived in survives]
        return replies

    async def withdraw(self, leases: Sequence[Lease]) -> None:
        """Take old entries from their readers after the leases were lost; whoever has them now keeps them."""
        for reply in await self._run("withdraw", leases, self._placeholders(leases), self._times_ms(leases)):
            _require(reply)
        self._runtime.forget(_keys(leases))

    def release_soon(self, leases: Sequence[Lease], *, entries: bool = True) -> None:
        """Give leases back without making anybody wait for it.

        Args:
            leases: Those that are ours still; others are left alone.
            entries: Whether claimed entries go, too; False lets them be served on.
        """
        if leases:
            columns = _tokens(leases), [int(entries)] * len(leases)
            self._runtime.spawn(self._node.run_many("release", _keys(leases), *columns))

    def entry(self, lease: Lease, value: Any, *, load_seconds: float) -> Entry | None:
        """The entry of a loaded value; None for one that would not come back the same."""
        loaded = EntryWriter(self._spec, self._lifetime, self._runtime, load_seconds=load_seconds)
        return loaded.entry(value, lease.tags)

    def _usable(self, seen: Seen) -> bool:
        entry = seen.parse()
        return isinstance(entry, Placeholder) or (
            isinstance(entry, Entry) and entry.schema == self._spec.codec.fingerprint
        )

    async def _renew(self, leases: Sequence[Lease]) -> None:
        settings = self._runtime.settings
        ends = self._runtime.loop.time() + settings.load_timeout
        while self._runtime.loop.time() < ends:
            await asyncio.sleep(settings.lease_seconds / RENEWALS_PER_LEASE)
            with contextlib.suppress(CacheError):
                times_ms = self._times_ms(leases)
                await self._node.run_many("renew", _keys(leases), _tokens(leases), times_ms)

    def _placeholders(self, leases: Sequence[Lease]) -> list[bytes]:
        shared = placeholder_format(self._runtime.now_ms())
        return [
            shared % (token.encode("ascii"), header_end(tags) if tags else b"") for _, token, tags in leases
        ]

    def _times_ms(self, leases: Sequence[Lease]) -> list[int]:
        return [self._store.lease_ms] * len(leases)

    async def _run(self, name: str, leases: Sequence[Lease], *columns: Column) -> list[Any]:
        """Run a script on the keys of some leases, in one round trip."""
        if not leases:
            return []
        return await self._node.run_many(name, _keys(leases), *columns, budget=self._budget)


def _keys(leases: Sequence[Lease]) -> list[str]:
    return [lease.key for lease in leases]


def _tokens(leases: Sequence[Lease]) -> list[str]:
    return [lease.token for lease in leases]


def _require(reply: Any) -> Any:
    """The reply, unless it says that leases cannot be had at all: a read-only or full server."""
    if isinstance(reply, ServerReplyError):
        raise reply
    return reply
