"""The part of the Redis keyspace that belongs to one cache. Keys and patterns outside of it are rejected."""

from __future__ import annotations

from collections.abc import Sequence

from langcache_cli.caching._config.cache_types import CacheTypes
from langcache_cli.caching._errors import PatternError
from langcache_cli.caching._keys.selection import Invalidation, Selection, select_pattern, select_prefixes
from langcache_cli.caching._keys.shortening import shorten
from langcache_cli.caching._keys.tags import tag_key


class Namespace:
    """A namespace and its cache types."""

    def __init__(self, name: str, types: CacheTypes) -> None:
        self.name = name
        self.types = types

    def key(self, plain: str) -> str:
        """The full Redis key of a plain value.

        Raises:
            PatternError: It has no UTF-8 form.
        """
        _require_utf8(plain)
        return shorten(f"{self.name}:{plain}")

    def keys_of_plain(self, plain: str) -> list[str]:
        """The full Redis keys that a caller of ``delete`` may mean: ``plain`` may be a full key already."""
        key = self.key(plain)
        return [key, plain] if plain.startswith(f"{self.name}:") else [key]

    def tag(self, tag: str) -> str:
        """The Redis key of a tag.

        Raises:
            TypeError: It is no text.
        """
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a text such as 'user:42', not {tag!r}")
        return tag_key(self.name, tag)

    def require_inside(self, *texts: str) -> None:
        """Check that full keys and patterns cannot match keys of another application.

        Raises:
            PatternError: One does not begin with the namespace, or has no UTF-8 form and could never be sent.
        """
        for text in texts:
            _require_utf8(text)
            if not text.startswith(f"{self.name}:"):
                raise PatternError(
                    f"{text!r} is outside the namespace {self.name!r}: it does not begin with '{self.name}:'"
                )

    @property
    def everything(self) -> Selection:
        """All keys of the namespace."""
        return Selection(f"{self.name}:*")

    def matching(self, pattern: str) -> Selection:
        """The keys that match a pattern.

        Raises:
            PatternError: The pattern does not begin with the namespace.
        """
        self.require_inside(pattern)
        return select_pattern(pattern)

    def of_type(self, name: str) -> Selection:
        """The keys of a cache type.

        Raises:
            UnknownCacheTypeError: There is no such type.
        """
        return select_prefixes(self.name, self.types[name].prefixes)

    def invalidations(
        self, keys: Sequence[str], tags: Sequence[str], patterns: Sequence[str], types: Sequence[str]
    ) -> list[Invalidation]:
        """Everything to invalidate, in one list.

        Args:
            keys: Full Redis keys.
            tags: Tags.
            patterns: Patterns that begin with the namespace.
            types: Names of cache types.

        Raises:
            PatternError: A key or pattern does not begin with the namespace.
            UnknownCacheTypeError: There is no such type.
            TypeError: A text stands in the place of a list.
        """
        require_lists(keys=keys, tags=tags, patterns=patterns, types=types)
        self.require_inside(*keys)
        return [*keys, *map(self.tag, tags), *map(self.matching, patterns), *map(self.of_type, types)]


def require_lists(**given: Sequence[str]) -> None:
    """Refuse a text where several belong: its characters would be taken one by one.

    Raises:
        TypeError: One is a text.
    """
    for name, texts in given.items():
        if isinstance(texts, str):
            raise TypeError(f"{name} must be a list, such as {name}=[{texts!r}], not a text")


def _require_utf8(text: str) -> None:
    """Refuse a lone surrogate: an outbox with a key that cannot be sent would never become empty."""
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        raise PatternError(f"{text!r} contains a lone surrogate, which has no UTF-8 form") from None
