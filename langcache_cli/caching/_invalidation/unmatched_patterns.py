"""A warning for patterns that can match no key of this process, such as one that leaves out the prefix."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable, Mapping

from langcache_cli.caching._config.settings import CacheSettings
from langcache_cli.caching._keys.pattern_reach import could_match

logger = logging.getLogger("langcache_cli.caching")

MAX_PLAIN_BEGINNINGS = 1000
MAX_WARNINGS = 100
SHOWN = 3


class UnmatchedPatterns:
    """Knows the keys that this process makes: of its cached functions, and those it was given as plain keys.

    A pattern is warned about only after it has removed nothing: another process may make other keys.
    """

    def __init__(self, settings: CacheSettings, functions: Callable[[], Mapping[str, bool]]) -> None:
        """Prepare.

        Args:
            settings: Of the cache.
            functions: Returns ``prefix:function`` of all cached functions, and whether every key goes on.
        """
        self._namespace = settings.namespace
        self._type_prefixes = {prefix for item in settings.types.values() for prefix in item.prefixes}
        self._show_patterns = settings.log_values
        self._functions = functions
        self._plain: set[str] = set()
        self._warned: set[str] = set()

    def plain_keys(self, keys: Iterable[str]) -> None:
        """Remember how these plain keys begin."""
        if len(self._plain) < MAX_PLAIN_BEGINNINGS:
            self._plain.update(key.partition(":")[0] for key in keys)

    def removed_nothing(self, patterns: Iterable[str]) -> None:
        """Log, once for each, which of these patterns can match no key of this process."""
        for pattern in patterns:
            if pattern in self._warned or len(self._warned) >= MAX_WARNINGS or self._fits(pattern):
                continue
            self._warned.add(pattern)
            logger.warning(
                "invalidating the pattern %r removed nothing, and no cached function of this process has "
                "keys that it can match: they begin with namespace, key_prefix and function, such as %s. "
                "If the pattern is meant for the keys of another process, nothing is wrong",
                pattern if self._show_patterns else _without_arguments(pattern),
                ", ".join(map(repr, self._similar(pattern))),
            )

    def _fits(self, pattern: str) -> bool:
        """True if the pattern can match a key of this process, or nothing is known of its keys."""
        functions = self._functions()
        if not functions or len(self._plain) >= MAX_PLAIN_BEGINNINGS:
            return True
        # functions of a cache type that has none here are those of another process
        elsewhere = self._type_prefixes - {stem.partition(":")[0] for stem in functions}
        goes_on = {**functions, **dict.fromkeys(elsewhere, True), **dict.fromkeys(self._plain, False)}
        return any(
            could_match(pattern, f"{self._namespace}:{beginning}:")
            or (not always and could_match(pattern, f"{self._namespace}:{beginning}", whole=True))
            for beginning, always in goes_on.items()
        )

    def _similar(self, pattern: str) -> list[str]:
        beginnings = [f"{self._namespace}:{stem}:" for stem in self._functions()]
        return difflib.get_close_matches(pattern, beginnings, n=SHOWN, cutoff=0.0)


def _without_arguments(pattern: str) -> str:
    """Namespace and prefix of a pattern: what follows may be an argument."""
    namespace, prefix, *rest = (*pattern.split(":", 2), "")
    return f"{namespace}:{prefix}:..." if any(rest) else pattern
