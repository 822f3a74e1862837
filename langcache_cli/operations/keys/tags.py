"""Which tags an entry has, and whether their versions still hold: its header has the versions only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from langcache_cli.caching import Cache, CacheError, escape_pattern
from langcache_cli.caching.tooling import Entry, parse_entry

LONGEST_SECONDS = 1.0
"""How long to search among the tags of an application, which may be millions."""

TAGS_PER_STEP = 1000

HEADER_BYTES = 4096
"""The most that is read of an entry to see its tags: they are in its header."""


@dataclass(frozen=True, slots=True)
class TagLine:
    """One tag of an entry.

    Attributes:
        version: As it stands in the entry.
        tag: The name; None if it is not known.
        holds: False if the tag was invalidated after the entry was loaded: a call takes the entry for a
            miss then. None if that could not be found out in time.
    """

    version: str
    tag: str | None
    holds: bool | None


async def named_tags(cache: Cache, versions: Sequence[str], tag_keys: Sequence[str]) -> list[TagLine]:
    """The tags of an entry whose function is known, in the order of the versions.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    if not tag_keys:
        return []
    current = await cache.runtime().server.call_many([("GET", key) for key in tag_keys])
    for reply in current:
        if isinstance(reply, CacheError):
            raise reply
    start = len(_start(cache))
    stored = [*versions, *[""] * (len(tag_keys) - len(versions))]
    return [
        TagLine(version, key[start:], _text(reply) == version)
        for version, key, reply in zip(stored, tag_keys, current, strict=False)
    ]


async def found_tags(
    cache: Cache, versions: Sequence[str], *, seconds: float = LONGEST_SECONDS
) -> list[TagLine]:
    """The tags of an entry, searched for among the current versions of all tags.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    if not versions:
        return []
    names, complete = await _search(cache, frozenset(versions), seconds)
    return [TagLine(one, names.get(one), True if one in names else _gone(complete)) for one in versions]


async def invalidated(cache: Cache, keys: Sequence[bytes]) -> set[bytes]:
    """Those of some keys whose entries are no longer used, as a tag was invalidated since.

    An entry is left out if its tags were not all found in `LONGEST_SECONDS`.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    commands = [("GETRANGE", key, 0, HEADER_BYTES - 1) for key in keys]
    heads = await cache.runtime().bulk_store.server.call_many(commands) if commands else []
    versions = {
        key: found.tag_versions
        for key, head in zip(keys, heads, strict=True)
        if isinstance(head, bytes) and isinstance(found := parse_entry(head), Entry) and found.tag_versions
    }
    if not versions:
        return set()
    every = frozenset(version for of_one in versions.values() for version in of_one)
    current, complete = await _search(cache, every, LONGEST_SECONDS)
    return {key for key, of_one in versions.items() if complete and not current.keys() >= {*of_one}}


def _gone(complete: bool) -> bool | None:
    return False if complete else None


async def _search(cache: Cache, versions: frozenset[str], seconds: float) -> tuple[dict[str, str], bool]:
    """Tags by version, and whether all tags were looked at, or all versions were found."""
    start, found = _start(cache), dict[str, str]()
    ends = time.monotonic() + seconds
    for node in await cache.runtime().server.nodes():
        cursor = b""
        while cursor != b"0" and len(found) < len(versions):
            if time.monotonic() > ends:
                return found, False
            pattern = f"{escape_pattern(start)}*"
            cursor, keys = await node.call("SCAN", cursor or b"0", "MATCH", pattern, "COUNT", TAGS_PER_STEP)
            values = await node.call_many([("GET", key) for key in keys])
            for key, value in zip(keys, values, strict=True):
                if (version := _text(value)) in versions:
                    found[version] = key[len(start.encode()) :].decode("utf-8", "backslashreplace")
    return found, True


def _start(cache: Cache) -> str:
    return f"{cache.settings.namespace}@tag:"


def _text(reply: object) -> str:
    return reply.decode("ascii", "replace") if isinstance(reply, bytes) else ""
