"""Plain keys and values, for code that called ``get`` and ``set`` on a client.

They have the same entries, codec and failure rules as cached functions: while Redis cannot be used, a read
finds nothing, and a write reports that it did not happen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from langcache_cli.caching._blocks import Mode
from langcache_cli.caching._clock import new_id, now_ms
from langcache_cli.caching._config.settings import TEN_YEARS_SECONDS, CacheSettings
from langcache_cli.caching._errors import (
    CacheError,
    OversizedEntryError,
    SizeRefusedError,
    UndecodableEntryError,
)
from langcache_cli.caching._front.context import Context
from langcache_cli.caching._front.plain_counts import PlainCounts
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
        self._counts = PlainCounts(context)
        self._writer = PlainWriter(show_keys=context.settings.log_values)

    async def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """See `Cache.get_many`."""
        if not self._context.enabled or self._mode() is not None:
            return dict.fromkeys(keys, MISSING)
        self._remember(keys)
        runtime, namespace = self._context.runtime(), self._context.namespace
        full_keys = {key: namespace.key(key) for key in keys}
        max_bytes = self._context.settings.max_decompressed_bytes
        may_read = runtime.may_read
        allowed = [full_key for full_key in full_keys.values() if may_read([full_key])]
        found = await runtime.read_if_allowed((), lambda: _read(runtime.store, allowed, max_bytes))
        if found is None or not allowed:
            await runtime.admission.admitted()
            self._counts.count("bypassed", dict.fromkeys(full_keys, 1))
            return dict.fromkeys(keys, MISSING)
        # asked again: a new connection may lead to a server that has lost invalidations
        results = {
            key: found[full_key] if full_key in found and may_read([full_key]) else _UNASKED
            for key, full_key in full_keys.items()
        }
        self._count(results)
        return {key: results[key].value for key in keys}

    def _count(self, results: Mapping[str, _Result]) -> None:
        amounts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for key, result in results.items():
            for counter in result.counters:
                amounts[counter][key] = 1
            if result.n_bytes:
                amounts["bytes_read"][key] = result.n_bytes
        for counter, of_keys in amounts.items():
            self._counts.count(counter, of_keys)

    async def set_many(self, values: Mapping[str, Any], ttl: Duration | None) -> bool:
        """See `Cache.set_many`."""
        ttl_seconds = None if ttl is None else seconds_of(ttl)
        if ttl_seconds is not None and not 0 < ttl_seconds <= TEN_YEARS_SECONDS:
            raise ValueError(f"ttl must be {TTL_RANGE}, not {ttl!r}")
        if not self._context.enabled or not values or self._mode() is Mode.BYPASSED:
            return not values
        self._remember(values)
        commands: list[SetCommand] = []
        sizes: dict[str, int] = {}
        for key, value in values.items():
            ttl_ms = milliseconds(ttl_seconds or self._ttl_of(key))
            entry = await _entry(value, ttl_ms, self._context.settings)
            sizes[key] = len(entry.payload)
            commands.append(("SET", self._context.namespace.key(key), entry.to_bytes(), "PX", ttl_ms))
        runtime = self._context.runtime()
        try:
            replies = await self._writer.send(runtime, [*values], commands)
        except CacheError:
            await runtime.admission.admitted()
            self._counts.count("unstored", dict.fromkeys(values, 1))
            return False
        failed = {
            key: reply for key, reply in zip(values, replies, strict=True) if isinstance(reply, CacheError)
        }
        too_large = {key: 1 for key, error in failed.items() if isinstance(error, SizeRefusedError)}
        self._counts.count("uncacheable", too_large)
        self._counts.count("unstored", dict.fromkeys(failed.keys() - too_large.keys(), 1))
        self._counts.count("bytes_written", {key: sizes[key] for key in sizes.keys() - failed.keys()})
        return not failed

    def _ttl_of(self, key: str) -> float:
        """The TTL of the cache type that the first part of a plain key belongs to."""
        return self._context.settings.types.of_prefix(key.partition(":")[0]).ttl_seconds


@dataclass(frozen=True, slots=True)
class _Result:
    """What a look-up of one key found, and how it is counted."""

    value: Any
    counters: tuple[str, ...]
    n_bytes: int = 0


_UNASKED = _Result(MISSING, ("bypassed",))
_ABSENT = _Result(MISSING, ("misses",))


async def _read(store: Store, keys: Sequence[str], max_bytes: int) -> dict[str, _Result]:
    """What there is under full keys, each given once.

    Raises:
        CacheError: Redis could not be asked.
    """
    values = await store.values_of(keys, Budget(store.server.timeout)) if keys else []
    return {
        key: _UNASKED if isinstance(value, CacheError) else await _result(value, max_bytes)
        for key, value in zip(keys, values, strict=True)
    }


async def _result(stored: bytes | None, max_bytes: int) -> _Result:
    entry = parse(stored) if stored is not None else None
    if not isinstance(entry, Entry) or entry.schema != _json().fingerprint:
        return _ABSENT if stored is None else _Result(MISSING, ("misses", "undecodable"))
    try:
        value = await _json().decode_stored(entry.payload, entry.compression, max_bytes=max_bytes)
    except UndecodableEntryError as error:
        flaw = "oversized" if isinstance(error, OversizedEntryError) else "undecodable"
        return _Result(MISSING, ("misses", flaw))
    return _Result(value, ("hits",), len(entry.payload))


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
