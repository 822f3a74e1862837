"""Count or remove keys of the namespace."""

from __future__ import annotations

from dataclasses import dataclass

from langcache_cli.caching import Cache, CacheSettings, PatternError
from langcache_cli.caching.tooling import Namespace
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


async def clear(cache: Cache, target: Target, *, rate: float | None = None) -> ClearReport:
    """Remove the keys, and the right to store any load of them that is under way.

    Args:
        cache: Where they are.
        target: Which.
        rate: How many to remove in a second at most, where they have to be searched for.

    Raises:
        CacheError: Redis could not be used; a pattern outside the namespace; an unknown type.
    """
    await require_answer(cache)
    if target.types:
        removed = sum([await cache.invalidate_type(name, keys_per_second=rate) for name in target.types])
    elif target.keys:
        removed = await cache.invalidate_keys(target.keys)
    elif target.tags:
        removed = await cache.invalidate_tags(*target.tags)
    else:
        removed = await cache.invalidate(_pattern(cache, target), keys_per_second=rate)
    return ClearReport(str(target), removed, _unit(target), dry_run=False)


async def count(cache: Cache, target: Target) -> ClearReport:
    """Count what `clear` would remove; raises like it."""
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
