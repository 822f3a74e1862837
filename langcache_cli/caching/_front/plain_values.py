"""Plain keys and values, for code that used to call ``get`` and ``set`` on a client.

The same entries, codec and failure rules as cached functions: while Redis cannot be used, reading
finds nothing and writing says that it did not happen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from langcache_cli.caching._clock import new_id, now_ms
from langcache_cli.caching._errors import CacheError, ServerReplyError, UndecodableEntryError
from langcache_cli.caching._protocol.entry import Entry, parse
from langcache_cli.caching._values.codec import Codec
from langcache_cli.caching._values.compression import compress, decompress
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching._wire.node import Node


class Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()
"""No entry. `None` is a value like any other."""


async def read_values(node: Node, keys: Sequence[str]) -> list[Any]:
    """The values of ``keys``, `MISSING` where there is none that can be used."""
    try:
        replies = await node.call("MGET", *keys, budget=Budget(node.timeout)) if keys else []
    except CacheError:
        return [MISSING] * len(keys)
    return [_value(stored) for stored in replies]


async def write_values(
    node: Node, values: Mapping[str, Any], *, ttl_ms: Mapping[str, int], compress_bytes: int
) -> bool:
    """Store plain JSON values; False when Redis did not take all of them.

    Raises:
        UncacheableValueError: A value is not plain JSON; nothing was stored.
    """
    commands: list[tuple[str | bytes | int, ...]] = [
        ("SET", key, _entry(value, ttl_ms[key], compress_bytes).to_bytes(), "PX", ttl_ms[key])
        for key, value in values.items()
    ]
    try:
        replies = await node.call_many(commands, budget=Budget(node.timeout))
    except CacheError:
        return False
    return not any(isinstance(reply, ServerReplyError) for reply in replies)


def _value(stored: bytes | None) -> Any:
    entry = parse(stored) if stored is not None else None
    if not isinstance(entry, Entry) or entry.schema != _json().fingerprint:
        return MISSING
    try:
        return _json().decode(decompress(entry.payload, entry.compression))
    except UndecodableEntryError:
        return MISSING


def _entry(value: Any, ttl_ms: int, compress_bytes: int) -> Entry:
    now = now_ms()
    payload, compression = compress(_json().encode(value), min_bytes=compress_bytes)
    return Entry(new_id(), now, now + ttl_ms, 0, _json().fingerprint, payload, compression=compression)


@cache
def _json() -> Codec:
    return Codec(Any)
