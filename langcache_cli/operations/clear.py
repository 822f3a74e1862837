"""Count or remove keys of the namespace."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from langcache_cli.caching import Cache, CacheSettings, PatternError
from langcache_cli.caching.tooling import Namespace, Selection, scan, unlink
from langcache_cli.operations.keys.names import keys_meant, typeable
from langcache_cli.operations.opening import require_answer
from langcache_cli.operations.overview.keyspace import type_of
from langcache_cli.operations.overview.removing import KEYS, TAGS, count_removed, remove_entry


@dataclass(frozen=True, slots=True)
class Target:
    """What to clear. Exactly one of the fields is given.

    Attributes:
        types: Cache types.
        pattern: A Redis pattern inside the namespace.
        keys: Full keys.
        tags: Tags, as the application names them: ``user:42``.
        everything: All keys of the namespace.
    """

    types: tuple[str, ...] = ()
    pattern: str | None = None
    keys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    everything: bool = False

    def __str__(self) -> str:
        if self.types:
            return f"type {', '.join(self.types)}"
        if self.keys:
            return ", ".join(self.keys)
        if self.tags:
            return f"tag {', '.join(self.tags)}"
        return self.pattern if self.pattern is not None else "every key of the namespace"


@dataclass(frozen=True, slots=True)
class ClearReport:
    """What was cleared, or with ``dry_run`` would be.

    Attributes:
        target: In words.
        count: How many keys, or how many tags that are in use.
        unit: What was counted: ``key`` or ``tag``.
        dry_run: Whether nothing was removed.
        samples: Some of the keys or tags, at most `SAMPLES`, as `names.typeable` shows them.
        by_type: How many keys of each cache type.
    """

    target: str
    count: int
    unit: str
    dry_run: bool
    samples: tuple[str, ...] = ()
    by_type: Mapping[str, int] = field(default_factory=dict)


SAMPLES = 10
"""Keys that a report names."""

OnProgress = Callable[[int, int], None]
"""Takes how many keys were removed or found, and 0: how many there are is not known before the end."""


class _Tally:
    """Keys that were removed or found, by type."""

    def __init__(self, cache: Cache, on_progress: OnProgress) -> None:
        self.count = 0
        self.by_type: Counter[str] = Counter()
        self.samples: list[str] = []
        self._cache = cache
        self._on_progress = on_progress

    def add(self, count: int, keys: Sequence[bytes]) -> None:
        """Add ``count`` of some keys: the others had ended meanwhile."""
        self.count += count
        if count:
            self.by_type += Counter([type_of(self._cache, key) for key in keys[:count]])
            self.samples += [typeable(key) for key in keys[: min(count, SAMPLES - len(self.samples))]]
        self._on_progress(self.count, 0)


def require_valid(settings: CacheSettings, target: Target) -> None:
    """Refuse what cannot be cleared before anything is: an unknown type must not leave the others cleared.

    Raises:
        UnknownCacheTypeError: There is no such type.
        PatternError: The pattern or a key is outside the namespace; the pattern, or a tag, is no text.
    """
    for name in target.types:
        settings.types[name]
    for key in target.keys:
        keys_meant(key, settings.namespace)
    patterns = [] if target.pattern is None else [target.pattern]
    for text in (*patterns, *target.tags):
        if not _is_text(text):
            raise PatternError(f"{text!r} is not UTF-8, as every key of langcache is")
    Namespace(settings.namespace, settings.types).require_inside(*patterns)


class Clearing:
    """One clear, which can be asked for its report at any time: after an interruption, too."""

    def __init__(
        self,
        cache: Cache,
        target: Target,
        rate: float | None = None,
        *,
        on_progress: OnProgress = lambda _done, _total: None,
    ) -> None:
        """Remove nothing yet.

        Args:
            cache: Where the keys are.
            target: Which.
            rate: How many to remove in a second at most, where they have to be searched for.
            on_progress: See `OnProgress`.
        """
        self._cache = cache
        self._target = target
        self._rate = rate
        self._tally = _Tally(cache, on_progress)

    async def run(self) -> ClearReport:
        """Remove the keys, and the right to store any load of them that is under way.

        Raises:
            CacheError: Redis could not be used; a pattern outside the namespace; an unknown type.
        """
        await require_answer(self._cache)
        started = time.monotonic()
        try:
            await self._remove()
        finally:
            if self._tally.count and not (self._target.keys or self._target.tags):
                count_removed(self._cache, KEYS, self._tally.count)
                self._cache.runtime().fleet.events.write_soon(
                    "clear",
                    str(self._target),
                    count=self._tally.count,
                    seconds=time.monotonic() - started,
                )
        return self.report()

    async def _remove(self) -> None:
        target = self._target
        if target.keys:
            for key in await _keys(self._cache, target.keys):
                removed = await remove_entry(self._cache, key)
                self._tally.add(removed.removed, [key])
        elif target.tags:
            self._tally.count += await self._cache.invalidate_tags(*target.tags)
            count_removed(self._cache, TAGS, self._tally.count)
        else:
            for selection in _selections(self._cache, target):
                await self._remove_all(selection)

    def report(self) -> ClearReport:
        """What has been removed so far."""
        return _report(self._target, self._tally, dry_run=False)

    async def _remove_all(self, selection: Selection) -> None:
        """Search for keys and remove them, counting what Redis confirms."""
        server = self._cache.runtime().bulk_store.server
        with server.errors_as_unavailable():
            await unlink(server, selection, keys_per_second=self._rate, on_removed=self._tally.add)


async def count(
    cache: Cache, target: Target, *, on_progress: OnProgress = lambda _done, _total: None
) -> ClearReport:
    """Count what a `Clearing` would remove; raises like it."""
    await require_answer(cache)
    tally = _Tally(cache, on_progress)
    if target.keys:
        for key in await _keys(cache, target.keys):
            tally.add(await _exists(cache, key), [key])
    elif target.tags:
        found = sorted([tag for tag in dict.fromkeys(target.tags) if await cache.holds_tag(tag)])
        return ClearReport(str(target), len(found), "tag", dry_run=True, samples=tuple(found[:SAMPLES]))
    else:
        server, seen = cache.runtime().bulk_server, set[bytes]()  # a search may find a key twice
        for selection in _selections(cache, target):
            async for keys in scan(server, selection):
                new = set(keys) - seen
                seen |= new
                tally.add(len(new), [*new])
    return _report(target, tally, dry_run=True)


def _selections(cache: Cache, target: Target) -> list[Selection]:
    """What to search for."""
    namespace = Namespace(cache.settings.namespace, cache.settings.types)
    if target.types:
        return [namespace.of_type(name) for name in target.types]
    return [namespace.everything if target.pattern is None else namespace.matching(target.pattern)]


def _report(target: Target, tally: _Tally, *, dry_run: bool) -> ClearReport:
    return ClearReport(
        str(target),
        tally.count,
        _unit(target),
        dry_run=dry_run,
        samples=tuple(sorted(tally.samples)),
        by_type=dict(sorted(tally.by_type.items())),
    )


async def _keys(cache: Cache, texts: Sequence[str]) -> list[bytes]:
    """The keys that arguments mean, each once: of two that one may mean, the one that is there."""
    found = []
    for text in texts:
        first, *others = keys_meant(text, cache.settings.namespace)
        for key in others:
            if not await _exists(cache, first) and await _exists(cache, key):
                first = key
        found.append(first)
    return [*dict.fromkeys(found)]


async def _exists(cache: Cache, key: bytes) -> int:
    found: int = await cache.runtime().server.call("EXISTS", key)
    return found


def _is_text(argument: str) -> bool:
    """Whether an argument of the command line was UTF-8; bytes that were not arrive as lone surrogates."""
    return argument.isascii() or argument.encode("utf-8", "replace").decode("utf-8") == argument


def _unit(target: Target) -> str:
    return "tag" if target.tags else "key"
