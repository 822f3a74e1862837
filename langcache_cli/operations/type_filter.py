"""Which functions a warm takes: all, or those of some cache types."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from langcache_cli.caching import CachedFunction, CacheSettings, UnknownCacheTypeError


def of_types(
    settings: CacheSettings, functions: Iterable[CachedFunction[Any, Any]], names: Collection[str]
) -> set[str]:
    """The stems, ``prefix:name``, of the functions of the types ``names``; of all functions if it is empty.

    Raises:
        UnknownCacheTypeError: One of the names is no type, neither in the settings nor of a function.
    """
    type_of = {
        function.spec.keys.stem: settings.types.of_prefix(function.spec.keys.prefix).name
        for function in functions
    }
    known = {*settings.types, *type_of.values()}
    for name in names:
        if name not in known:
            raise UnknownCacheTypeError(name, known=tuple(sorted(known)))
    return {stem for stem, name in type_of.items() if not names or name in names}
