"""Plain keys and values, for code that called ``get`` and ``set`` on a client.

They have the same entries, codec and failure rules as cached functions: while Redis cannot be used, a read
finds nothing, and a write reports that it did not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from langcache_cli.caching._blocks import Mode
from langcache_cli.caching._clock import new_id, now_ms
from langcache_cli.caching._config.settings import TEN_YEARS_SECONDS, CacheSettings
from langcache_cli.caching._errors import CacheError, UndecodableEntryError
from langcache_cli.caching._front.context import Context
from langcache_cli.caching._front.plain_writer import PlainWriter, SetCommand
from langcache_cli.caching._functions.duration import Duration, seconds_of
from langcache_cli.caching._functions.options import TTL_RANGE
from langcache_cli.caching._protocol.entry import Entry, parse
from langcache_cli.caching._protocol.lifetime import milliseconds
from langcache_cli.caching._protocol.store import Store
from langcache_cli.caching._values.codec import Codec
from langcache_cli.caching._values.compression import compressing
from langcache_cli.caching._values.large.portions import in_portions
from langcache_cli.caching._wire.budget import Budget


class Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()
"""No entry. `None` is a value like any other."""


class PlainValues:
    """The key-value store of one cache. See `Cache`."""

    def __init__(
        self, context: Context, remember: Callable[[Iterable[str]], object], mode: Callable[[], Mode | None]
    ) -> None:
        """Pass every key to ``remember``, and do what ``mode`` says."""
        self._context = context
        self._mode = mode
        self._remember = remember
        self._writer = PlainWriter(show_keys=context.settings.log_values)

    async def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """See `Cache.get_many`."""
        if not self._context.enabled or self._mode() is not None:
            return dict.fromkeys(keys, MISSING)
        self._remember(keys)
        runtime, full_keys = self._context.runtime(), [self._context.namespace.key(key) for key in keys]
        max_bytes = self._context.settings.max_decompressed_bytes
        may_read = runtime.may_read
        allowed = [full_key for full_key in dict.fromkeys(full_keys) if may_read([full_key])]
        found = await runtime.read_if_allowed((), lambda: _read(runtime.store, allowed, max_bytes))
        if found is None or not allowed:
            await runtime.admission.admitted()
            return dict.fromkeys(keys, MISSING)
        # asked again: a new connection may lead to a server that has lost invalidations
        return {
            key: found[full_key] if full_key in found and may_read([full_key]) else MISSING
            for key, full_key in zip(keys, full_keys, strict=True)
        }

    async def set_many(self, values: Mapping[str, Any], ttl: Duration | None) -> bool:
        """See `Cache.set_many`."""
        ttl_seconds = None if ttl is None else seconds_of(ttl)
        if ttl_seconds is not None and not 0 < ttl_seconds <= TEN_YEARS_SECONDS:
            raise ValueError(f"ttl must be {TTL_RANGE}, not {ttl!r}")
        if not self._context.enabled or not values or self._mode() is Mode.BYPASSED:
            return not values
        self._remember(values)
        commands: list[SetCommand] = []
        for key, value in values.items():
            ttl_ms = milliseconds(ttl_seconds or self._ttl_of(key))
            entry = await _entry(value, ttl_ms, self._context.settings)
            commands.append(("SET", self._context.namespace.key(key), entry.to_bytes(), "PX", ttl_ms))
        runtime = self._context.runtime()
        try:
            replies = await self._writer.send(runtime, [*values], commands)
        except CacheError:
            await runtime.admission.admitted()
            return False
        return not any(isinstance(reply, CacheError) for reply in replies)

    def _ttl_of(self, key: str) -> float:
        """The TTL of the cache type that the first part of a plain key belongs to."""
        return self._context.settings.types.of_prefix(key.partition(":")[0]).ttl_seconds


async def _read(store: Store, keys: Sequence[str], max_bytes: int) -> dict[str, Any]:
    """The values of full keys, each given once; `MISSING` where there is none that can be used.

    Raises:
        CacheError: Redis could not be asked.
    """
    values = await store.values_of(keys, Budget(store.server.timeout)) if keys else []
    return {
        key: MISSING if isinstance(value, CacheError) else await _value(value, max_bytes)
        for key, value in zip(keys, values, strict=True)
    }


async def _value(stored: bytes | None, max_bytes: int) -> Any:
    entry = parse(stored) if stored is not None else None
    if not isinstance(entry, Entry) or entry.schema != _json().fingerprint:
        return MISSING
    try:
        return await _json().decode_stored(entry.payload, entry.compression, max_bytes=max_bytes)
    except UndecodableEntryError:
        return MISSING


async def _entry(value: Any, ttl_ms: int, settings: CacheSettings) -> Entry:
    codec = _json()
    payload = codec.encode(value) if not codec.is_large(value) else await codec.encode_large(value)
    payload, compression = await in_portions(
        compressing(payload, min_bytes=settings.compress_bytes, max_bytes=settings.max_decompressed_bytes)
    )
    now = now_ms()
    return Entry(new_id(), now, now + ttl_ms, 0, _json().fingerprint, payload, compression=compression)


@cache
def _json() -> Codec:
    return Codec(Any)
