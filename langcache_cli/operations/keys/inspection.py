"""One key: what is under it, what a call would make of it, and its whole value."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from langcache_cli.caching import Cache, ServerReplyError
from langcache_cli.caching.tooling import (
    BLOCK_BYTES,
    UndecodableEntryError,
    first_bytes,
    parse_entry,
    parse_failure,
)
from langcache_cli.caching.tooling import Entry as StoredEntry
from langcache_cli.operations.keys.tags import TagLine, found_tags, named_tags
from langcache_cli.operations.overview.entry import EntryView, entry

State = Literal["fresh", "stale", "leased", "invalidated", "loading", "failed", "foreign"]

INDENTED_BYTES = 1_000_000
"""JSON of more is shown as it is stored."""

HEADER_BYTES = 65_536
"""Read beside the longest value."""


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key that is there.

    Attributes:
        key: Its bytes.
        entry: What is under it.
        state: What a call finds: ``fresh``, ``stale`` (past its TTL; served while one call loads), ``leased``
            (served while its successor is loaded), ``invalidated`` (a tag was; a miss), ``loading`` (no value
            yet), ``failed`` (the sign of a load that failed; a miss), ``foreign`` (not written by langcache).
        tags: Those of the entry.
        ttl_seconds: Until Redis removes the key; None for no end.
        fresh_seconds: What is left of the TTL of the entry; None for what is none, negative after its end.
        lease_seconds: What is left of the lease of a load; None without one.
        age_seconds: Since it was stored; None for what is no entry.
    """

    key: bytes
    entry: EntryView
    state: State
    tags: tuple[TagLine, ...]
    ttl_seconds: float | None
    fresh_seconds: float | None
    lease_seconds: float | None
    age_seconds: float | None


class ValueTooLongError(Exception):
    """The value is longer than langcache would ever read."""


async def look_at(
    cache: Cache, meant: Sequence[bytes], *, tag_keys: Sequence[str] | None = None, with_tags: bool = True
) -> KeyView | None:
    """Look at the first of some keys that is there; None if there is none.

    Args:
        cache: Where.
        meant: What an argument may mean; see `names.keys_meant`.
        tag_keys: Those of the call, if it is known.
        with_tags: Find out which tags it has.

    Raises:
        PatternError: A key is outside the namespace.
        CacheError: Redis did not answer, or refused.
    """
    for key in meant:
        found = await entry(cache, key)
        if found is not None:
            tags = await _tags(cache, found, tag_keys) if with_tags else []
            return _view(key, found, tags, time.time())
    return None


async def _tags(cache: Cache, found: EntryView, tag_keys: Sequence[str] | None) -> list[TagLine]:
    if found["kind"] not in {"entry", "loading"}:
        return []
    if tag_keys is not None:
        return await named_tags(cache, found["tag_versions"], tag_keys)
    return await found_tags(cache, found["tag_versions"])


def _view(key: bytes, found: EntryView, tags: Sequence[TagLine], now: float) -> KeyView:
    is_entry = found["kind"] == "entry"
    ttl = found["ttl_ms"] / 1000 if found["ttl_ms"] >= 0 else None
    lease = found["leased_until"] - now if found["leased_until"] > now else None
    return KeyView(
        key=key,
        entry=found,
        state=_state(found, tags, now),
        tags=tuple(tags),
        ttl_seconds=ttl,
        fresh_seconds=found["fresh_until"] - now if is_entry else None,
        lease_seconds=ttl if found["kind"] == "loading" else lease,
        age_seconds=max(0.0, now - found["created"]) if is_entry else None,
    )


def _state(found: EntryView, tags: Sequence[TagLine], now: float) -> State:
    if found["kind"] != "entry":
        return found["kind"]
    if any(tag.holds is False for tag in tags):
        return "invalidated"
    if found["leased_until"] > now:
        return "leased"
    return "fresh" if found["fresh_until"] > now else "stale"


async def whole_value(cache: Cache, key: bytes, *, max_bytes: int | None = None) -> str | None:
    """The value under a key as text, uncompressed; None if there is nothing.

    Args:
        cache: Where.
        key: The key.
        max_bytes: How long the value may be; as long as langcache would read, by default.

    Raises:
        ValueTooLongError: It is longer.
        UndecodableEntryError: It is damaged, or a later version compressed it.
        ServerReplyError: Redis refused; the key holds no string, for example.
        CacheError: Redis did not answer.
    """
    limit = cache.settings.max_decompressed_bytes if max_bytes is None else max_bytes
    server = cache.runtime().bulk_store.server
    (stored,) = await server.call_many([("GETRANGE", key, 0, limit + HEADER_BYTES + BLOCK_BYTES)])
    if isinstance(stored, ServerReplyError):
        raise stored
    if not stored:
        return None
    parsed = parse_entry(stored)
    if isinstance(parsed, StoredEntry):
        value = first_bytes(parsed.payload, parsed.compression, limit + 1)
    else:
        failure = parse_failure(stored)
        value = b"" if parsed is not None else stored if failure is None else failure.error
    if len(value) > limit:
        raise ValueTooLongError
    return value.decode("utf-8", "backslashreplace")


async def readable_value(cache: Cache, view: KeyView) -> tuple[str, bool]:
    """The value, and whether that is all of it; indented if it is JSON of at most `INDENTED_BYTES`.

    Raises:
        CacheError: Redis did not answer, or refused.
    """
    text, complete = view.entry["value"], not view.entry["truncated"]
    if not complete:
        try:
            text, complete = await whole_value(cache, view.key, max_bytes=INDENTED_BYTES) or text, True
        except (ValueTooLongError, UndecodableEntryError):
            return text, False
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False), complete
    except (ValueError, RecursionError):
        return text, complete
