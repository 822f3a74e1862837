"""The fast path of `Reader` for many keys: the values of entries that can be served as they are.

Every other item, from a miss to an entry that must be refreshed, continues in `CallMany`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

from langcache_cli.caching._errors import UndecodableEntryError
from langcache_cli.caching._loading.reader import SLOW_PATH, Reader
from langcache_cli.caching._protocol.entry import (
    COMPRESSION_GROUP,
    MAX_HEADER_BYTES,
    TAGS_GROUP,
    Entry,
    parse,
    servable_header,
)
from langcache_cli.caching._protocol.store import Seen, seen_in
from langcache_cli.caching._values.compression import decompress
from langcache_cli.caching._wire.budget import Budget

NO_VERSION = b""
"""Equals no versions in a header: a tag of the item has none."""


class Read(NamedTuple):
    """The result of one look-up of many keys.

    Attributes:
        keys: The keys.
        stored: The bytes under each, then those under the tags.
        versions: The versions of the tags.
        values: Their values; `SLOW_PATH` for each that is not a servable entry.
        rest: The places of those.
        due: The places of servable entries whose successors this call should load; part of ``rest``.
        seconds: How long the look-up took.
    """

    keys: Sequence[str]
    stored: Sequence[bytes | None]
    versions: dict[str, bytes | None]
    values: list[Any]
    rest: list[int]
    due: set[int]
    seconds: float

    def seen(self, place: int, tags: Sequence[str]) -> Seen:
        """One of the keys, as the look-up of that key alone would have shown it."""
        if not tags:
            return Seen(self.stored[place])
        return seen_in([self.stored[place], *(self.versions[tag] for tag in tags)], tagged=True)


async def read_many(
    reader: Reader, keys: Sequence[str], tags: Sequence[tuple[str, ...]] | None, budget: Budget
) -> Read | None:
    """Look up keys, and take the values of entries that can be served, counted as hits.

    Args:
        reader: Of the function.
        keys: The keys, each once.
        tags: The keys of the tags of each; None for a function without tags.
        budget: Upper bound for the time.

    Returns:
        None if Redis cannot be used, or may not be read yet.
    """
    runtime = reader.runtime
    started = runtime.loop.time()
    tag_keys = list(dict.fromkeys(chain.from_iterable(tags))) if tags is not None else []
    wanted = [*keys, *tag_keys] if tag_keys else keys
    found = await runtime.read_if_allowed(lambda: runtime.store.values_of(wanted, budget))
    if found is None:
        return None
    versions = dict(zip(tag_keys, found[len(keys) :], strict=True))
    read = Read(keys, found, versions, [], [], set(), runtime.loop.time() - started)
    _take_values(reader, read, tags)
    return read


def _take_values(reader: Reader, read: Read, tags: Sequence[tuple[str, ...]] | None) -> None:
    codec = reader.spec.codec
    match, decode = servable_header(codec.fingerprint), codec.decode
    refreshes, add, sizes = reader.lifetime.refreshes, read.values.append, list[int]()
    wanted: Iterator[bytes | None] = repeat(None) if tags is None else _wanted(tags, read.versions)
    for place, (_, stored, version) in enumerate(zip(read.keys, read.stored, wanted, strict=False)):
        # runs for every item of every call: no call that can be avoided
        value = SLOW_PATH
        header = match(stored, 0, MAX_HEADER_BYTES) if stored else None
        if header is not None and header[TAGS_GROUP] == version and stored is not None:
            if refreshes and _is_due(reader, stored):
                read.due.add(place)
            else:
                payload = stored[header.end() :]
                n_bytes = len(payload)
                try:
                    if header.lastindex == COMPRESSION_GROUP:
                        payload = decompress(payload, header[COMPRESSION_GROUP].decode("ascii"))
                    value = decode(payload)
                    sizes.append(n_bytes)
                except UndecodableEntryError:
                    pass
        if value is SLOW_PATH:
            read.rest.append(place)
        add(value)
    if sizes:
        hits = read.keys
        if read.rest:
            hits = [key for key, value in zip(read.keys, read.values, strict=True) if value is not SLOW_PATH]
        reader.hits.count_many(hits, sizes, read.seconds)


def _is_due(reader: Reader, stored: bytes) -> bool:
    entry = parse(stored)
    return isinstance(entry, Entry) and reader.lifetime.draw_refresh(entry, reader.runtime.now_ms())


def _wanted(tags: Sequence[tuple[str, ...]], versions: dict[str, bytes | None]) -> Iterator[bytes]:
    """What each entry must have as the versions of its tags."""
    latest: tuple[str, ...] | None = None
    joined = NO_VERSION
    for of_item in tags:
        if of_item is not latest:  # one object for all items if no tag depends on the item
            latest, found = of_item, [versions[tag] for tag in of_item]
            joined = NO_VERSION if None in found else b",".join(found)  # type: ignore[arg-type] # no None in it
        yield joined
