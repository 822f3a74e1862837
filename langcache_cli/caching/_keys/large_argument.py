"""The digest of an argument whose text would be long: nothing in it is escaped, and most of it is read in C.

Equal arguments have equal digests, as they have equal texts, and different ones different digests: also a
list and a tuple, ``1`` and ``"1"``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import chain
from operator import itemgetter
from pathlib import PurePath, PureWindowsPath
from types import NoneType
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from langcache_cli.caching._keys.shortening import DIGEST_MARK, digest

LARGE = 16_384
"""Characters and items in all; what has more is represented by a digest: the text of a megabyte takes up to
a second."""

LONG_TEXT = 4096
"""Longer strings are represented by their head and a digest, wherever they stand: they make nothing large."""

_LEVELS = 100
"""An argument that nests deeper is taken apart in Python, which finds out whether it contains itself."""

_SCALARS = {str, int, float, bool, NoneType}
_JSON_TYPES = (str, int, float, list, dict)
_LEAVES = {bytes, UUID, Decimal, datetime, date, time, timedelta}
_CONTAINERS = (list, tuple, dict, set, frozenset)

Leaf = Callable[[object], str]
"""Makes the text of a value that contains no others."""


def is_large(value: object) -> bool:
    """True if the text of ``value`` would be long. It looks no further than it must."""
    left, parts = LARGE, [value]
    while parts:
        part = parts.pop()
        if isinstance(part, str):
            left -= len(part) if len(part) <= LONG_TEXT else 0
        elif type(part) not in _SCALARS:
            inside = _inside(part)
            left -= len(inside)
            if left >= 0:
                parts += inside
        if left < 0:
            return True
    return False


def digest_of_large(value: object, leaf: Leaf) -> str | None:
    """What stands for a large argument in a key; None if it has an int that Python does not write in decimal.

    Raises:
        TypeError: See `argument_text`.
        RecursionError: It contains itself.
    """
    try:
        text = _text(value, leaf)
    except ValueError:
        return None
    kind = next((one.__name__ for one in _CONTAINERS if isinstance(value, one)), "object")
    # '~': differs from the digest of the JSON of many plain values
    return f"~{kind}{DIGEST_MARK}{digest(f'~{text}'.encode('utf-8', 'surrogatepass'))}"


def _inside(value: object) -> Collection[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, _CONTAINERS):
        return value
    if isinstance(value, PurePath):
        return (str(value),)
    if _has_fields(value):
        return [item for _, item in _fields(value)]
    return ()


def _text(value: object, leaf: Leaf) -> str:
    kinds = _kinds_inside(value)
    if kinds is None:
        return ascii(_plain(value, leaf))
    if _all_of(kinds, _JSON_TYPES):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return ascii(value if kinds <= {list, tuple} else _plain(value, leaf))


def _kinds_inside(value: object) -> set[type[Any]] | None:
    """The types in ``value`` but the plain ones; None if it does not consist of values of JSON and tuples.

    It is found out level by level, without a step of Python for each item.
    """
    found: set[type[Any]] = set()
    level: Collection[Any] = (value,)
    for _ in range(_LEVELS):
        kinds = {*map(type, level)} - _SCALARS
        found |= kinds
        if not _all_of(kinds, (*_JSON_TYPES, tuple)):
            return None
        nested = tuple(kind for kind in kinds if issubclass(kind, (list, dict, tuple)))
        if not nested:
            return found
        parts = {id(part): part for part in level if isinstance(part, nested)}.values()  # each of them once
        dicts = [part for part in parts if isinstance(part, dict)]
        if not _all_of({*map(type, chain.from_iterable(dicts))}, str):
            return None
        rows = [part for part in parts if not isinstance(part, dict)] if dicts else parts
        level = [*chain.from_iterable(rows), *chain.from_iterable(map(dict.values, dicts))]
    return None


def _all_of(kinds: Collection[type[Any]], bases: type[Any] | tuple[type[Any], ...]) -> bool:
    return all(issubclass(kind, bases) and not issubclass(kind, Enum) for kind in kinds)


def _plain(value: Any, leaf: Leaf) -> Any:
    """Lists, tuples and plain values that stand for ``value``.

    A dict of one item marks any other kind that contains values, bytes the text of one that does not.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind not in _LEAVES:
        for kinds, form in _FORMS:
            if isinstance(value, kinds):
                return form(value, leaf)
        if not isinstance(value, tuple(_LEAVES)) and _has_fields(value):
            return {_class_name(value): [(name, _plain(item, leaf)) for name, item in _fields(value)]}
    return leaf(value).encode()


def _items(values: Collection[Any], leaf: Leaf) -> list[Any]:
    if {*map(type, values)} <= _SCALARS:
        return [*values]
    return [_plain(value, leaf) for value in values]


def _tuple(value: tuple[Any, ...], leaf: Leaf) -> Any:
    items = _items(value, leaf)
    return tuple(items) if type(value) is tuple else {_class_name(value): items}


def _dict(value: dict[Any, Any], leaf: Leaf) -> Any:
    pairs = [(ascii(_plain(key, leaf)), _plain(item, leaf)) for key, item in value.items()]
    return {"dict": sorted(pairs, key=itemgetter(0))}


def _set(value: set[Any] | frozenset[Any], leaf: Leaf) -> Any:
    if len({*map(type, value)}) > 1:
        raise TypeError("a set of mixed types has no stable form")
    items = _items(value, leaf)
    is_quick = {*map(type, items)} in ({str}, {int})
    # a tuple of texts: a set of other values must not look like one of strings
    content = sorted(items) if is_quick else tuple(sorted(map(ascii, items)))
    return {"frozenset" if isinstance(value, frozenset) else "set": content}


def _path(value: PurePath, _: Leaf) -> Any:
    return {"winpath" if isinstance(value, PureWindowsPath) else "path": str(value)}


def _has_fields(value: object) -> bool:
    return isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def _fields(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        own = [(name, getattr(value, name)) for name in type(value).model_fields]
        return [*own, *sorted((value.model_extra or {}).items())]
    return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]


def _class_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


_FORMS: tuple[tuple[type[Any] | tuple[type[Any], ...], Callable[[Any, Leaf], Any]], ...] = (
    (Enum, lambda value, leaf: leaf(value).encode()),
    (str, lambda value, _: str.__str__(value)),
    (int, lambda value, _: int.__int__(value)),
    (float, lambda value, _: float.__float__(value)),
    (list, _items),
    (tuple, _tuple),
    (dict, _dict),
    ((set, frozenset), _set),
    (PurePath, _path),
)
"""Order matters: an Enum may be a str."""
