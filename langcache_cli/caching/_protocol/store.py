"""The protocol that keeps stale values out, step by step, for any number of keys.

A load may store its value only while the key still shows the token that the load took before it began.
Invalidation removes the key, and the token with it: a load under way can no longer be stored.

A tag is a key that holds a random version. An entry records the versions of its tags from before its load
began, and is valid while they are unchanged: removing the tag invalidates all its entries at once. An evicted
tag does the same, so losing one costs misses and never correctness.

Every step is one script run (`scripts`); one key is a list of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from langcache_cli.caching._clock import new_ids, now_ms
from langcache_cli.caching._deployment.confirmation import Removal
from langcache_cli.caching._deployment.server import Server
from langcache_cli.caching._errors import CacheError, CacheUnavailableError
from langcache_cli.caching._protocol.entry import (
    Entry,
    Placeholder,
    optional_fields,
    parse,
    placeholder_format,
)
from langcache_cli.caching._protocol.failure import FAILURE_MS, Failure
from langcache_cli.caching._protocol.known_tags import KnownTags
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._protocol.results import raise_errors, raise_refusals
from langcache_cli.caching._protocol.scripts import Column, Step, run_script, run_scripts
from langcache_cli.caching._protocol.values_of import values_of
from langcache_cli.caching._wire.budget import Budget

REJECTED_BYTES = 256
"""How much of an unusable value identifies it: the random id in a header ends well before."""


class Seen(NamedTuple):
    """The result of a look-up.

    Attributes:
        stored: The bytes under the key; None for nothing.
        tag_versions: Those that its tags had at that moment; None for a tag without one.
    """

    stored: bytes | None
    tag_versions: tuple[str | None, ...] = ()

    def parse(self) -> Entry | Placeholder | None:
        """The valid entry or placeholder; None for nothing, foreign bytes, or changed tags."""
        found = parse(self.stored) if self.stored else None
        return found if found is not None and found.tag_versions == self.tag_versions else None

    @property
    def outdated(self) -> bool:
        """True for an entry or placeholder that lost its validity when a tag was invalidated."""
        found = parse(self.stored) if self.stored else None
        return found is not None and found.tag_versions != self.tag_versions


class Store:
    """Reads and writes entries on one server.

    Steps return one result for each lease, or an error in its place (see `raise_errors`): one of Redis, or
    `CacheUnavailableError` if the node of the key is away. They raise that only if no node was reached. A
    budget of None allows each step `Server.timeout`.
    """

    def __init__(self, server: Server, *, lease_seconds: float, now_ms: Callable[[], int] = now_ms) -> None:
        """Use ``server``; leases last ``lease_seconds`` from their last renewal."""
        self.server = server
        self.lease_ms = max(1, round(lease_seconds * 1000))
        self._now_ms = now_ms
        self.known_tags = KnownTags()

    async def look_up(self, key: str, budget: Budget, *, tag_keys: Sequence[str] = ()) -> Seen:
        """The bytes under ``key`` and the versions of its tags, all at the same moment."""
        return seen_in(await self.server.lookup((key, *tag_keys), budget=budget), tagged=bool(tag_keys))

    async def values_of(self, keys: Sequence[str], budget: Budget) -> list[bytes | CacheError | None]:
        """The bytes under many keys, each of which is given once; an error where the node is away.

        Those of `KEYS_PER_LOOKUP` keys are from the same moment. Entries and tags need not be: a version that
        was current at any moment of the look-up, and that an entry records, makes the entry valid.

        Raises:
            CacheError: No node was reached.
        """
        return await values_of(self.server, keys, budget)

    async def tag_versions(
        self, tag_keys: Sequence[str], ttl_ms: int, budget: Budget | None = None
    ) -> tuple[str, ...]:
        """The versions of tags; a tag without one gets a new one.

        Args:
            tag_keys: Of the tags.
            ttl_ms: How long they must live at least: the TTL of the entries, plus the longest load.
            budget: Upper bound for the time.

        Raises:
            ServerReplyError: The server refuses to write.
        """
        if not tag_keys:
            return ()
        columns = new_ids(len(tag_keys)), [ttl_ms] * len(tag_keys)
        return self.versions_in(
            raise_errors(await run_script(self.server, "tag", tag_keys, *columns, budget=budget))
        )

    async def versions_of(
        self, tag_keys: Sequence[str], ttl_ms: int, budget: Budget | None = None
    ) -> dict[str, str | CacheUnavailableError]:
        """`tag_versions` by key; an error for each whose node is away.

        Raises:
            CacheUnavailableError: No node was reached.
            ServerReplyError: The server refuses to write.
        """
        if not tag_keys:
            return {}
        columns = new_ids(len(tag_keys)), [ttl_ms] * len(tag_keys)
        found = await run_script(self.server, "tag", tag_keys, *columns, budget=budget, partly=True)
        return {
            tag: reply if isinstance(reply, CacheUnavailableError) else _text(reply)
            for tag, reply in zip(tag_keys, raise_refusals(found), strict=True)
        }

    @staticmethod
    def versions_in(replies: Sequence[bytes]) -> tuple[str, ...]:
        """The versions in the replies to the step `tag`."""
        return tuple(map(_text, replies))

    async def acquire(
        self,
        leases: Sequence[Lease],
        budget: Budget | None = None,
        *,
        rejected: Sequence[bytes] | None = None,
        n_bytes: int | None = None,
    ) -> list[Any]:
        """Take leases of keys that are empty or still hold a value that the caller found unusable.

        Args:
            leases: The leases.
            budget: Upper bound for the time.
            rejected: The unusable value of each key, or its beginning; ``b""`` for none.
            n_bytes: How much of a stored value to return; None for all of it.

        Returns:
            For each key None when its lease was taken, else the stored bytes.
        """
        columns = self.acquiring(leases, rejected, n_bytes)
        return await self._run("acquire", leases, *columns, budget=budget)

    def acquiring(
        self, leases: Sequence[Lease], rejected: Sequence[bytes] | None, n_bytes: int | None
    ) -> tuple[Column, ...]:
        """The arguments of the step `acquire`."""
        unusable = [value[:REJECTED_BYTES] for value in rejected or [b""] * len(leases)]
        last = [-1 if n_bytes is None else n_bytes - 1] * len(leases)
        return (*self._taking(leases), unusable, last)

    async def claim(self, leases: Sequence[Lease], budget: Budget | None = None) -> list[Any]:
        """Take leases from any load that has them; 1 for each entry that is served until it is replaced."""
        return await self._run("claim", leases, *self._taking(leases), _tokens(leases), budget=budget)

    async def elect(self, leases: Sequence[Lease], entry_ids: Sequence[str], budget: Budget) -> list[Any]:
        """Take leases of entries that are served meanwhile; 0 for each that another load has."""
        columns = entry_ids, _tokens(leases), self._lease_times(leases)
        return await self._run("elect", leases, *columns, budget=budget)

    async def renew(self, leases: Sequence[Lease], budget: Budget | None = None) -> list[Any]:
        """Prolong leases; 0 for each that was lost."""
        return await self._run("renew", leases, _tokens(leases), self._lease_times(leases), budget=budget)

    async def commit(
        self,
        leases: Sequence[Lease],
        entries: Sequence[bytes],
        ttls_ms: Sequence[int],
        budget: Budget | None = None,
    ) -> list[Any]:
        """Store entries under keys that still show their tokens; 0 for each that was invalidated."""
        return await self._run("commit", leases, _tokens(leases), entries, ttls_ms, budget=budget)

    async def commit_long(
        self,
        leases: Sequence[Lease],
        entries: Sequence[bytes],
        ttls_ms: Sequence[int],
        budget: Budget | None = None,
        *,
        tag_ttls: Mapping[str, int],
    ) -> list[Any]:
        """`commit`, and let tags live as long as their entries (``tag_ttls``, in ms), in one round trip.

        A tag that cannot be prolonged, as its node is away, ends earlier, and its entries with it.
        """
        tags, keys = [*tag_ttls], [lease.key for lease in leases]
        steps = [
            Step("tag", tags, (new_ids(len(tags)), [*tag_ttls.values()])),
            Step("commit", keys, (_tokens(leases), entries, ttls_ms)),
        ]
        _, stored = await run_scripts(self.server, steps, budget=budget, partly=True)
        return stored

    async def release(
        self,
        leases: Sequence[Lease],
        budget: Budget | None = None,
        *,
        entries_too: bool = True,
        left_ms: Sequence[int] | None = None,
    ) -> list[Any]:
        """Give leases back where the keys still show them; 1 for each key that was removed.

        Args:
            leases: The leases.
            budget: Upper bound for the time.
            entries_too: Remove entries that were claimed, too; False leaves them to be served.
            left_ms: For how many milliseconds each of these entries is kept at most, instead; 0 removes it.
        """
        columns = _tokens(leases), left_ms or [0 if entries_too else -1] * len(leases)
        return await self._run("release", leases, *columns, budget=budget)

    async def fail(
        self, leases: Sequence[Lease], errors: Sequence[bytes], budget: Budget | None = None
    ) -> list[Any]:
        """Give leases back, and leave for a moment what those who wait for their loads are to raise.

        Args:
            leases: The leases; entries that were claimed are removed.
            errors: For each what `Failure.error` says.
            budget: Upper bound for the time.
        """
        now_ms = self._now_ms()
        failures = [
            Failure(lease.token, error).to_bytes(now_ms) for lease, error in zip(leases, errors, strict=True)
        ]
        replies = await self.commit(leases, failures, [FAILURE_MS] * len(leases), budget)
        kept = [lease for lease, reply in zip(leases, replies, strict=True) if reply not in (0, 1)]
        await self.release(kept, budget)  # a full server still removes
        return replies

    async def withdraw(self, leases: Sequence[Lease], budget: Budget | None = None) -> list[Any]:
        """Stop serving old entries whose leases were lost to another load; that load keeps its leases."""
        return await self._run("withdraw", leases, *self._taking(leases), budget=budget)

    async def invalidate(self, keys: Sequence[str], budget: Budget) -> Removal:
        """Remove keys: entries with the right to store loads of them under way, and versions of tags.

        Raises:
            ServerReplyError: Redis refuses.
        """
        self.known_tags.forget(keys)
        return await self.server.removal(keys, budget=budget)

    async def _run(
        self, step: str, leases: Sequence[Lease], *columns: Column, budget: Budget | None
    ) -> list[Any]:
        if not leases:
            return []
        keys = [lease.key for lease in leases]
        return await run_script(self.server, step, keys, *columns, budget=budget, partly=True)

    def _taking(self, leases: Sequence[Lease]) -> tuple[list[bytes], list[int]]:
        """The placeholders of leases, and how long the leases last."""
        shared = placeholder_format(self._now_ms())
        placeholders = [
            shared % (token.encode("ascii"), optional_fields(tag_versions) if tag_versions else b"")
            for _, token, tag_versions in leases
        ]
        return placeholders, self._lease_times(leases)

    def _lease_times(self, leases: Sequence[Lease]) -> list[int]:
        return [self.lease_ms] * len(leases)


def seen_in(found: Any, *, tagged: bool) -> Seen:
    """The result of the look-up of a key, or of a key and its tags."""
    return Seen(found[0], tuple(map(version, found[1:]))) if tagged else Seen(found)


def _tokens(leases: Sequence[Lease]) -> list[str]:
    return [lease.token for lease in leases]


def version(stored: bytes | None) -> str | None:
    return None if stored is None else _text(stored)


def _text(version: bytes) -> str:
    return version.decode("ascii", "replace")
