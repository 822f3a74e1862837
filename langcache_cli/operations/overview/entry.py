"""One entry: what its header says, and the beginning of its value."""

from __future__ import annotations

import codecs
from typing import Literal

from typing_extensions import TypedDict

from langcache_cli.caching import Cache, PatternError, ServerReplyError
from langcache_cli.caching.tooling import (
    BLOCK_BYTES,
    Entry,
    Placeholder,
    UndecodableEntryError,
    first_bytes,
    parse_entry,
    parse_failure,
)
from langcache_cli.operations.overview.key_text import address_of, readable
from langcache_cli.operations.overview.keyspace import type_of

VALUE_BYTES = 5_000
READ_BYTES = 8_192 + BLOCK_BYTES
"""More than a header and so much of a value take, compressed or not."""

Kind = Literal["entry", "loading", "failed", "foreign"]


class EntryView(TypedDict):
    """What is under a key.

    ``kind``: an entry; a load under way, without a value yet; a load that has just failed; or bytes that
    langcache did not write. Times are in seconds since 1970, 0 if there is none. ``tag_versions`` are random;
    the names of tags are in no entry. ``value`` is JSON, cut after 5,000 bytes if ``truncated``.
    """

    key: str
    address: str
    type: str
    kind: Kind
    ttl_ms: int
    bytes: int | None
    created: float
    fresh_until: float
    is_being_replaced: bool
    leased_until: float
    load_ms: float | None
    schema: str
    compression: str
    tag_versions: list[str]
    value: str
    truncated: bool
    problem: str


async def entry(cache: Cache, key: bytes) -> EntryView | None:
    """Look at a key; None if there is nothing under it.

    Raises:
        PatternError: It is outside the namespace.
        CacheError: Redis did not answer, or refused.
    """
    require_inside(cache, key)
    asked = [("PTTL", key), ("GETRANGE", key, 0, READ_BYTES - 1), ("MEMORY", "USAGE", key)]
    ttl, stored, size = await cache.runtime().server.call_many(asked)
    if isinstance(ttl, ServerReplyError):
        raise ttl
    if ttl == -2:  # noqa: PLR2004 - Redis' way to say that there is no such key
        return None
    view = _described(b"" if isinstance(stored, ServerReplyError) else stored)
    view["key"], view["address"], view["type"] = readable(key), address_of(key), type_of(cache, key)
    view["ttl_ms"], view["bytes"] = ttl, size if isinstance(size, int) else None
    if isinstance(stored, ServerReplyError):
        view["problem"] = str(stored)
    return view


def require_inside(cache: Cache, key: bytes) -> None:
    """Refuse keys of other applications.

    Raises:
        PatternError: The key is outside the namespace.
    """
    name = cache.settings.namespace
    if not key.startswith(f"{name}:".encode()):
        raise PatternError(f"{readable(key)!r} is outside the namespace {name!r}")


def _described(stored: bytes) -> EntryView:
    parsed = parse_entry(stored)
    match parsed:
        case Entry():
            view = _empty("entry")
            view["created"] = parsed.created_ms / 1000
            view["fresh_until"] = parsed.fresh_until_ms / 1000
            view["is_being_replaced"] = parsed.leased_until_ms > 0
            view["leased_until"] = parsed.leased_until_ms / 1000
            view["load_ms"] = parsed.load_us / 1000
            view["schema"] = parsed.schema
            view["compression"] = parsed.compression
            view["tag_versions"] = list(parsed.tag_versions)
            _show(view, parsed.payload, parsed.compression)
        case Placeholder():
            view = _empty("loading")
            view["created"] = parsed.created_ms / 1000
            view["tag_versions"] = list(parsed.tag_versions)
        case None:
            failure = parse_failure(stored)
            view = _empty("foreign" if failure is None else "failed")
            _show(view, stored if failure is None else failure.error, "")
    return view


def _show(view: EntryView, payload: bytes, compression: str) -> None:
    try:
        start = first_bytes(payload, compression, VALUE_BYTES + 1)
    except UndecodableEntryError as error:
        view["problem"] = str(error)
        return
    view["truncated"] = len(start) > VALUE_BYTES
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")  # leaves out a character that was cut
    view["value"] = decoder.decode(start[:VALUE_BYTES], final=not view["truncated"])


def _empty(kind: Kind) -> EntryView:
    return EntryView(
        key="",
        address="",
        type="",
        kind=kind,
        ttl_ms=-1,
        bytes=None,
        created=0.0,
        fresh_until=0.0,
        is_being_replaced=False,
        leased_until=0.0,
        load_ms=None,
        schema="",
        compression="",
        tag_versions=[],
        value="",
        truncated=False,
        problem="",
    )
