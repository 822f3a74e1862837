"""The fast path of `Reader` for many keys: the values of entries that can be served as they are.

Every other item, from a miss to an entry that must be refreshed, continues in `CallMany`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple, cast

from langcache_cli.caching._errors import CacheError, UndecodableEntryError
from langcache_cli.caching._loading.near_reads import SLOW_PATH
from langcache_cli.caching._loading.reader import Reader
from langcache_cli.caching._protocol.entry import (
    COMPRESSION_GROUP,
    MAX_HEADER_BYTES,
    PLAIN_MIDDLE,
    TAGS_GROUP,
    Entry,
    parse,
    plain_header,
    servable_header,
)
from langcache_cli.caching._protocol.store import Seen, seen_in, version
from langcache_cli.caching._runtime.loop_runtime import Runtime
from langcache_cli.caching._values.compression import decompress_short
from langcache_cli.caching._values.large.portions import LARGE_BYTES
from langcache_cli.caching._wire.budget import Budget

NO_VERSION = b"\n"
"""Equals no versions in a header: a tag of the item has none."""

Match = Callable[[bytes, int, int], re.Match[bytes] | None]
"""What `servable_header` returns."""


class Read(NamedTuple):
    """The result of one look-up of many keys.

    Attributes:
        keys: The keys.
        stored: The bytes under each, then those under the tags.
        versions: The versions of the tags.
        values: Their values; `SLOW_PATH` for each that is not a servable entry.
        rest: The places of those.
        away: The places of those that cannot or may not be read; part of ``rest``.
        due: The places of servable entries whose successors this call should load; part of ``rest``.
        large: The places of other servable entries, which are not decoded at once; part of ``rest``.
        seconds: How long the look-up took.
    """

    keys: Sequence[str]
    stored: Sequence[bytes | None]
    versions: dict[str, bytes | None]
    values: list[Any]
    rest: list[int]
    away: set[int]
    due: set[int]
    large: set[int]
    seconds: float

    def tag_versions(self) -> dict[str, str | None]:
        """The versions of the tags, as text."""
        return {tag: version(stored) for tag, stored in self.versions.items()}

    def seen(self, place: int, tag_keys: Sequence[str]) -> Seen:
        """One of the keys, as the look-up of that key alone would have shown it."""
        if not tag_keys:
            return Seen(self.stored[place])
        return seen_in([self.stored[place], *(self.versions[tag] for tag in tag_keys)], tagged=True)


async def read_many(
    reader: Reader, keys: Sequence[str], tag_keys: Sequence[tuple[str, ...]] | None, budget: Budget
) -> Read | None:
    """Look up keys, and take the values of entries that can be served, counted as hits.

    Args:
        reader: Of the function.
        keys: The keys, each once.
        tag_keys: Of the tags of each; None for a function without tags.
        budget: Upper bound for the time.

    Returns:
        None if Redis cannot be used, or may not be read yet.
    """
    runtime = reader.runtime
    started = runtime.loop.time()
    distinct = list(dict.fromkeys(chain.from_iterable(tag_keys))) if tag_keys is not None else []
    wanted = [*keys, *distinct] if distinct else keys
    away = _unconfirmed(runtime, keys, tag_keys)
    if len(away) == len(keys):
        return None
    try:
        found = await runtime.store.values_of(wanted, budget)
    except CacheError:
        return None
    # again: a new connection may lead to a server that lost invalidations
    away |= _unconfirmed(runtime, keys, tag_keys)
    if runtime.server.is_cluster:
        away |= _unreached(wanted, found, keys, tag_keys)
    stored = cast("list[bytes | None]", found)
    if away:
        stored = [None if isinstance(value, CacheError) else value for value in found]
        for place in away:
            stored[place] = None
    versions = dict(zip(distinct, stored[len(keys) :], strict=True))
    read = Read(keys, stored, versions, [], [], away, set(), set(), runtime.loop.time() - started)
    _take_values(reader, read, tag_keys)
    return read


def _unconfirmed(
    runtime: Runtime, keys: Sequence[str], tag_keys: Sequence[tuple[str, ...]] | None
) -> set[int]:
    """The places of items that an unconfirmed invalidation concerns."""
    if runtime.may_read(()) and not runtime.outbox:
        return set()
    concerns = runtime.outbox.concerns
    of_items = tag_keys if tag_keys is not None else repeat(())
    return {
        place for place, (key, tags) in enumerate(zip(keys, of_items, strict=False)) if concerns((key, *tags))
    }


def _unreached(
    wanted: Sequence[str],
    found: Sequence[object],
    keys: Sequence[str],
    tag_keys: Sequence[tuple[str, ...]] | None,
) -> set[int]:
    """The places of items that are on nodes which are away, or have a tag there."""
    lost = {key for key, value in zip(wanted, found, strict=True) if isinstance(value, CacheError)}
    if not lost:
        return set()
    of_items = tag_keys if tag_keys is not None else repeat(())
    return {
        place
        for place, (key, tags) in enumerate(zip(keys, of_items, strict=False))
        if key in lost or not lost.isdisjoint(tags)
    }


def _take_values(reader: Reader, read: Read, tag_keys: Sequence[tuple[str, ...]] | None) -> None:
    codec, refreshes = reader.spec.codec, reader.lifetime.refreshes
    match, decode = servable_header(codec.fingerprint), codec.decode
    start, middle, end, n_fields = plain_header(codec.fingerprint, tagged=tag_keys is not None)
    schema_and_tags, latest = end, b""
    values, rest, sizes = read.values, read.rest, list[int]()
    for _, stored, versions in zip(read.keys, read.stored, _wanted(tag_keys, read.versions), strict=False):
        # runs for every item of every call: no call that can be avoided
        value: Any = SLOW_PATH
        if stored:
            if versions is not latest and versions is not None:
                latest, end = versions, schema_and_tags + versions
            header, _, payload = stored.partition(b"\n")
            n_bytes = len(payload)
            try:
                if not (
                    header.endswith(end)
                    and header.startswith(start)
                    and header[PLAIN_MIDDLE] == middle
                    and header.count(b"=") == n_fields
                ):
                    payload = _payload(match, stored, versions)
                may_wait = refreshes or len(payload) > LARGE_BYTES
                if not (may_wait and _waits(reader, read, stored, payload)):
                    value = decode(payload)
                    sizes.append(n_bytes)
            except UndecodableEntryError:
                pass
        if value is SLOW_PATH:
            rest.append(len(values))
        values.append(value)
    if sizes:
        hits = read.keys
        if rest:
            hits = [key for key, value in zip(read.keys, values, strict=True) if value is not SLOW_PATH]
        reader.hits.count_many(hits, sizes, read.seconds)


def _payload(match: Match, stored: bytes, versions: bytes | None) -> bytes:
    """The payload of a servable entry, decompressed.

    Raises:
        UndecodableEntryError: It is not servable as it is, or large.
    """
    header = match(stored, 0, MAX_HEADER_BYTES)
    if header is None or header[TAGS_GROUP] != versions:
        raise UndecodableEntryError("not servable")
    payload = stored[header.end() :]
    if header.lastindex == COMPRESSION_GROUP:
        short = decompress_short(payload, header[COMPRESSION_GROUP].decode("ascii"))
        if short is None:
            raise UndecodableEntryError("large: not decoded at once")
        return short
    return payload


def _waits(reader: Reader, read: Read, stored: bytes, payload: bytes) -> bool:
    """True for a servable entry that is due or large, which is noted and left to the slow path."""
    place, lifetime = len(read.values), reader.lifetime
    entry = parse(stored) if lifetime.refreshes else None
    if isinstance(entry, Entry) and lifetime.draw_refresh(entry, reader.runtime.now_ms()):
        read.due.add(place)
    elif len(payload) > LARGE_BYTES:
        read.large.add(place)
    else:
        return False
    return True


def _wanted(
    tag_keys: Sequence[tuple[str, ...]] | None, versions: dict[str, bytes | None]
) -> Iterator[bytes | None]:
    """What each entry must have as the versions of its tags; None for no tags."""
    if tag_keys is None:
        yield from repeat(None)
        return
    latest: tuple[str, ...] | None = None
    joined = NO_VERSION
    for of_item in tag_keys:
        if of_item is not latest:  # one object for all items if no tag depends on the item
            latest, found = of_item, [versions[tag] for tag in of_item]
            joined = NO_VERSION if None in found else b",".join(found)  # type: ignore[arg-type] # no None in it
        yield joined
