"""Count or remove keys of the namespace."""

from __future__ import annotations

import time
from dataclasses import dataclass

from langcache_cli.caching import Cache, CacheSettings, PatternError
from langcache_cli.caching.tooling import Namespace, Selection, unlink
from langcache_cli.operations.opening import require_answer


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
        examples: Some of the keys; only of a dry run.
    """

    target: str
    count: int
    unit: str
    dry_run: bool
    examples: tuple[str, ...] = ()


EXAMPLES = 5


def require_valid(settings: CacheSettings, target: Target) -> None:
    """Refuse what cannot be cleared before anything is: an unknown type must not leave the others cleared.

    Raises:
        UnknownCacheTypeError: There is no such type.
        PatternError: The pattern or a key is outside the namespace; it, or a tag, is no text.
    """
    for name in target.types:
        settings.types[name]
    patterns = (*target.keys, *([target.pattern] if target.pattern is not None else []))
    for text in (*patterns, *target.tags):
        if not _is_text(text):
            raise PatternError(f"{text!r} is not UTF-8, as every key of langcache is")
    Namespace(settings.namespace, settings.types).require_inside(*patterns)


@dataclass(slots=True)
class Clearing:
    """One clear, which can be asked for its report at any time: after an interruption, too.

    Attributes:
        cache: Where the keys are.
        target: Which.
        rate: How many to remove in a second at most, where they have to be searched for.
    """

    cache: Cache
    target: Target
    rate: float | None = None
    _removed: int = 0

    async def run(self) -> ClearReport:
        """Remove the keys, and the right to store any load of them that is under way.

        Raises:
            CacheError: Redis could not be used; a pattern outside the namespace; an unknown type.
        """
        await require_answer(self.cache)
        started = time.monotonic()
        try:
            await self._remove()
        finally:
            if self._removed and not (self.target.keys or self.target.tags):
                self.cache.runtime().fleet.events.write_soon(
                    "clear", str(self.target), count=self._removed, seconds=time.monotonic() - started
                )
        return self.report()

    async def _remove(self) -> None:
        if self.target.types:
            for name in self.target.types:
                await self._remove_all(self._namespace.of_type(name))
        elif self.target.keys:
            self._removed += await self.cache.invalidate_keys(self.target.keys)
        elif self.target.tags:
            self._removed += await self.cache.invalidate_tags(*self.target.tags)
        else:
            await self._remove_all(self._namespace.matching(_pattern(self.cache, self.target)))

    @property
    def _namespace(self) -> Namespace:
        return Namespace(self.cache.settings.namespace, self.cache.settings.types)

    def report(self) -> ClearReport:
        """What has been removed so far."""
        return ClearReport(str(self.target), self._removed, _unit(self.target), dry_run=False)

    async def _remove_all(self, selection: Selection) -> None:
        """Search for keys and remove them, counting what Redis confirms."""
        server = self.cache.runtime().bulk_store.server
        with server.errors_as_unavailable():
            await unlink(server, selection, keys_per_second=self.rate, on_removed=self.add)

    def add(self, removed: int) -> None:
        """Count keys that were removed."""
        self._removed += removed


async def count(cache: Cache, target: Target) -> ClearReport:
    """Count what a `Clearing` would remove; raises like it."""
    await require_answer(cache)
    found: set[str] = set()
    if target.types:
        for name in target.types:
            async for keys in cache.scan(type_name=name):
                found.update(keys)
    elif target.keys:
        found = {key for key in target.keys if await cache.holds(key)}
    elif target.tags:
        found = {tag for tag in target.tags if await cache.holds_tag(tag)}
    else:
        async for keys in cache.scan(_pattern(cache, target)):
            found.update(keys)
    examples = tuple(sorted(found)[:EXAMPLES])
    return ClearReport(str(target), len(found), _unit(target), dry_run=True, examples=examples)


def _is_text(argument: str) -> bool:
    """Whether an argument of the command line was UTF-8; bytes that were not arrive as lone surrogates."""
    return argument.isascii() or argument.encode("utf-8", "replace").decode("utf-8") == argument


def _unit(target: Target) -> str:
    return "tag" if target.tags else "key"


def _pattern(cache: Cache, target: Target) -> str:
    return target.pattern if target.pattern is not None else f"{cache.settings.namespace}:*"
