"""Cache types: named groups of key prefixes that share a TTL and are cleared together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar, overload

from langcache_cli.caching._errors import UnknownCacheTypeError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CacheType:
    """A group of key prefixes.

    Attributes:
        name: The argument of ``langcache clear --type``.
        prefixes: The ``key_prefix`` values that belong to the type.
        ttl_seconds: Default TTL of its entries, for functions without a ``ttl`` of their own.
        cleared_when: The event that makes its entries outdated; shown to operators.
    """

    name: str
    prefixes: tuple[str, ...]
    ttl_seconds: int
    cleared_when: str = ""


class CacheTypes(Mapping[str, CacheType]):
    """All cache types of an application, by name.

    A prefix that belongs to no type is a type of its own, with the default TTL.
    """

    def __init__(self, types: Iterable[CacheType], *, default_ttl_seconds: int) -> None:
        self._by_name = {cache_type.name: cache_type for cache_type in types}
        self._by_prefix = {
            prefix: cache_type for cache_type in self._by_name.values() for prefix in cache_type.prefixes
        }
        self._default_ttl_seconds = default_ttl_seconds

    def __getitem__(self, name: str) -> CacheType:
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownCacheTypeError(name, known=tuple(self._by_name)) from None

    @overload
    def get(self, name: str, /) -> CacheType | None: ...
    @overload
    def get(self, name: str, /, default: CacheType | T) -> CacheType | T: ...
    def get(self, name: str, /, default: CacheType | T | None = None) -> CacheType | T | None:
        """The type called ``name``, or ``default``."""
        return self._by_name.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def of_name_or_prefix(self, name: str) -> CacheType:
        """The type called ``name``; failing that, the type of the prefix ``name``."""
        return self._by_name.get(name) or self.of_prefix(name)

    def of_prefix(self, prefix: str) -> CacheType:
        """The type that ``prefix`` belongs to, or a type that consists of this prefix alone."""
        cache_type = self._by_prefix.get(prefix)
        return cache_type or CacheType(prefix, (prefix,), self._default_ttl_seconds)


def builtin_types(*, translation_ttl: int = 86400, vocabulary_ttl: int = 3600) -> tuple[CacheType, ...]:
    """The types of a language-learning backend; the two TTLs are in seconds."""
    return (
        CacheType(
            "vocabulary", ("vocabulary", "vocabulary_level"), vocabulary_ttl, "an administrator edits words"
        ),
        CacheType(
            "translation", ("translation", "batch_translation"), translation_ttl, "never: it is deterministic"
        ),
        CacheType(
            "progress", ("vocabulary_stats", "vocabulary_progress", "user_stats"), 300, "the user acts"
        ),
        CacheType("video", ("episodes",), 1800, "a video is uploaded or deleted"),
        CacheType("subtitles", ("subtitles",), 7200, "subtitles are generated again"),
    )
