"""The steps of a load (see `_store`) for many entries of a function together, each in one round trip."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from langcache_cli.caching._budget import Budget
from langcache_cli.caching._entry import Entry, Placeholder, new_ids
from langcache_cli.caching._errors import CacheError, ServerReplyError
from langcache_cli.caching._heartbeat import RENEWALS_PER_LEASE
from langcache_cli.caching._lifetimes import Lifetime
from langcache_cli.caching._loads import new_entries
from langcache_cli.caching._runtime import Runtime
from langcache_cli.caching._scripts import Call
from langcache_cli.caching._server import Server
from langcache_cli.caching._spec import Address, FunctionSpec
from langcache_cli.caching._store import REJECTED_BYTES, Lease, Seen, Store


class Leases:
    """Takes, keeps and gives back leases of one function's entries."""

    def __init__(
        self,
        runtime: Runtime,
        spec: FunctionSpec,
        lifetime: Lifetime,
        *,
        server: Server,
        budget: Budget | None = None,
    ) -> None:
        """Prepare.

        Args:
            runtime: Of the running event loop.
            spec: The function.
            lifetime: Of its entries.
            server: What to talk to.
            budget: For all steps together; None lets each take the server's own time.
        """
        self._runtime = runtime
        self._spec = spec
        self._lifetime = lifetime
        self._server = server
        self._budget = budget
        self._store = Store(server, lease_seconds=runtime.settings.lease_seconds, now_ms=runtime.now_ms)

    async def of(self, addresses: Sequence[Address]) -> list[Lease]:
        """Leases, not taken yet, with the versions that their tags have before anything is loaded."""
        tags = list(dict.fromkeys(tag for address in addresses for tag in address.tags))
        ttl_ms = self._lifetime.longest_ms + self._runtime.longest_load_ms
        budget = self._budget or Budget(self._server.timeout)
        versions = dict(zip(tags, await self._store.versions(tags, ttl_ms, budget), strict=True))
        return [
            Lease(key, token, tuple([versions[tag] for tag in tags]))
            for (key, tags), token in zip(addresses, new_ids(len(addresses)), strict=True)
        ]

    async def claim(self, leases: Sequence[Lease]) -> list[bool]:
        """Take every lease, whoever has it; returns for each whether an entry is served meanwhile."""
        lease_ms = self._store.lease_ms
        replies = await self._run(
            "claim",
            [
                (lease.key, placeholder, lease_ms, lease.token)
                for lease, placeholder in zip(leases, self._placeholders(leases), strict=True)
            ],
        )
        return [bool(_require(reply)) for reply in replies]

    async def acquire(self, leases: Sequence[Lease]) -> list[bool]:
        """Take the leases of keys that hold nothing usable; returns for each whether it was taken."""
        lease_ms, placeholders = self._store.lease_ms, self._placeholders(leases)
        found = await self._run(
            "acquire",
            [
                (lease.key, placeholder, lease_ms, b"")
                for lease, placeholder in zip(leases, placeholders, strict=True)
            ],
        )
        unusable = {
            index: bytes(_require(stored)[:REJECTED_BYTES])
            for index, stored in enumerate(found)
            if _require(stored) is not None and not self._usable(Seen(stored, leases[index].tags))
        }
        again = [(leases[index].key, placeholders[index], lease_ms, head) for index, head in unusable.items()]
        for index, reply in zip(unusable, await self._run("acquire", again), strict=True):
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
        kept_ms = self._lifetime.kept_ms
        return await self._run(
            "commit", [(lease.key, lease.token, entry.to_bytes(), kept_ms(entry)) for lease, entry in pairs]
        )

    def release_soon(self, leases: Sequence[Lease]) -> None:
        """Give leases back without making anybody wait for it."""
        if leases:
            calls = [(lease.key, lease.token) for lease in leases]
            self._runtime.spawn(self._server.run_many("release", calls))

    def entries(
        self, leases: Sequence[Lease], values: Sequence[Any], *, load_seconds: float
    ) -> list[Entry | None]:
        """The entries of loaded values; None for one that would not come back the same."""
        return new_entries(
            self._spec,
            values,
            lifetime=self._lifetime,
            load_seconds=load_seconds,
            now_ms=self._runtime.now_ms(),
            compress_bytes=self._runtime.settings.compress_bytes,
            tags=[lease.tags for lease in leases],
        )

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
                calls = [(lease.key, lease.token, self._store.lease_ms) for lease in leases]
                await self._server.run_many("renew", calls)

    def _placeholders(self, leases: Sequence[Lease]) -> list[bytes]:
        now_ms = self._runtime.now_ms()
        return [Placeholder(lease.token, now_ms, lease.tags).to_bytes() for lease in leases]

    async def _run(self, name: str, calls: Sequence[Call]) -> list[Any]:
        """Run a script on the keys of some leases, in one round trip."""
        return await self._server.run_many(name, calls, budget=self._budget) if calls else []


def _require(reply: Any) -> Any:
    """The reply, unless it says that leases cannot be had at all: a read-only or full server."""
    if isinstance(reply, ServerReplyError):
        raise reply
    return reply
