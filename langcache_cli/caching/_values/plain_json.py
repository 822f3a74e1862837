"""Values that consist of the types of JSON itself, which JSON keeps exactly."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from math import isfinite
from typing import Any

SHORT_INT = 2**63
"""Ints outside +-2**63 are not known to survive every reader of JSON."""

_MAX_DEPTH = 200
"""Deeper values, and those that contain themselves, are for the codec to judge."""

_EXACT = {str, bool, type(None)}
_PLAIN = {*_EXACT, int, float, list, dict}


def is_plain_json(value: Any) -> bool:
    """True for None, bools, strings, finite floats, short ints, and lists and dicts of these.

    All items of one depth are examined at once: the time is that of a few list comprehensions.
    """
    if type(value) in _EXACT:
        return True
    level = [value]
    for _ in range(_MAX_DEPTH):
        kinds = {*map(type, level)}
        if not kinds <= _PLAIN or not _are_kept(level, kinds):
            return False
        inner: list[Iterable[Any]] = [item for item in level if type(item) is list] if list in kinds else []
        if dict in kinds:
            dicts = [item for item in level if type(item) is dict]
            if not {*map(type, chain.from_iterable(dicts))} <= {str}:
                return False
            inner += [item.values() for item in dicts]
        if not inner:
            return True
        level = list(chain.from_iterable(inner))
    return False


def _are_kept(level: list[Any], kinds: set[type[Any]]) -> bool:
    """True if JSON keeps the numbers among some values."""
    if int in kinds:
        ints = [item for item in level if type(item) is int]
        if min(ints) <= -SHORT_INT or max(ints) >= SHORT_INT:
            return False
    return float not in kinds or all(map(isfinite, [item for item in level if type(item) is float]))
