"""Values that consist of the types of JSON itself, which JSON keeps exactly."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain
from math import isfinite
from typing import Any

SHORT_INT = 2**63
"""Ints outside +-2**63 are not known to survive every reader of JSON."""

_MAX_DEPTH = 200
"""Deeper values, and those that contain themselves, are for the codec to judge."""

_MANY, _MAX_COLUMNS = 16, 64

_EXACT = {str, bool, type(None)}
_PLAIN = {*_EXACT, int, float, list, dict}


def is_plain_json(value: Any) -> bool:
    """True for None, bools, strings, finite floats, short ints, and lists and dicts of these.

    All items of one depth are examined at once: the time is that of a few list comprehensions. Many dicts
    with the same keys, such as rows, are examined key by key: the values of one key are mostly of one type.
    """
    if type(value) in _EXACT:
        return True
    level: list[Any] = [value]
    rows: list[dict[Any, Any]] = []
    for _ in range(_MAX_DEPTH):
        lists: list[list[Any]] = []
        dicts: list[dict[Any, Any]] = []
        for column in (level, *_columns(rows)) if rows else (level,):
            kinds = {*map(type, column)}
            if not kinds <= _PLAIN or not numbers_are_kept(column, kinds):
                return False
            if list in kinds:
                lists += column if len(kinds) == 1 else [item for item in column if type(item) is list]
            if dict in kinds:
                dicts += column if len(kinds) == 1 else [item for item in column if type(item) is dict]
        if not lists and not dicts:
            return True
        if dicts and not {*map(type, chain.from_iterable(dicts))} <= {str}:
            return False
        rows = dicts if len(dicts) >= _MANY else []
        level = [*chain.from_iterable(lists)]
        if dicts and not rows:
            level += chain.from_iterable(map(dict.values, dicts))
    return False


def _columns(rows: list[dict[Any, Any]]) -> Iterable[list[Any]]:
    """The values of dicts, those of each key together if all have the same."""
    first = rows[0]
    if len({*map(len, rows)}) == 1 and len(first) <= _MAX_COLUMNS:
        try:
            return [[row[key] for row in rows] for key in first]
        except KeyError:
            pass
    return [[*chain.from_iterable(map(dict.values, rows))]]


def numbers_are_kept(column: Collection[Any], kinds: set[type[Any]]) -> bool:
    """True if JSON keeps the numbers among some values of some types."""
    if int in kinds:
        ints = column if len(kinds) == 1 else [item for item in column if type(item) is int]
        if min(ints) <= -SHORT_INT or max(ints) >= SHORT_INT:
            return False
    if float not in kinds:
        return True
    return all(map(isfinite, column if len(kinds) == 1 else [x for x in column if type(x) is float]))
