"""Is what comes back from the cache the same as what went in, types included?

``==`` is not enough: ``1 == True == 1.0``, a tuple equals a named tuple, and a time in Berlin
equals the same moment at +01:00 until daylight saving begins.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same types, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, BaseModel):
        return same(left.__dict__, right.__dict__) and same(left.model_extra, right.model_extra)
    if dataclasses.is_dataclass(left):
        names = [field.name for field in dataclasses.fields(left)]
        return all(same(getattr(left, name, None), getattr(right, name, None)) for name in names)
    for kind, compare in _COMPARISONS:
        if isinstance(left, kind):
            return compare(left, right)
    return bool(left == right)


def _same_number(left: float, right: float) -> bool:
    if math.isnan(left):
        return math.isnan(right)
    return left == right and math.copysign(1, left) == math.copysign(1, right)


def _same_moment(left: Any, right: Any) -> bool:
    return bool(left == right) and _same_zone(left.tzinfo, right.tzinfo)


def _same_items(left: Sequence[Any], right: Sequence[Any]) -> bool:
    return len(left) == len(right) and all(map(same, left, right))


def _same_mapping(left: dict[Any, Any], right: dict[Any, Any]) -> bool:
    # in order: what iterates differently is not the same to the code that receives it
    return _same_items([*left.items()], [*right.items()])


def _same_set(left: Any, right: Any) -> bool:
    return bool(left == right) and _types(left) == _types(right)


def _types(values: set[Any] | frozenset[Any]) -> dict[Any, type]:
    return {value: type(value) for value in values}


def _same_zone(left: dt.tzinfo | None, right: dt.tzinfo | None) -> bool:
    """Two fixed offsets, or no zone on both sides. A zone with rules does not survive as an offset."""
    if left is None or right is None:
        return left is right
    offset = left.utcoffset(None)
    return offset is not None and offset == right.utcoffset(None)


_COMPARISONS: tuple[tuple[type | tuple[type, ...], Callable[[Any, Any], bool]], ...] = (
    (float, _same_number),
    ((dt.datetime, dt.time), _same_moment),
    ((list, tuple), _same_items),
    (dict, _same_mapping),
    ((set, frozenset), _same_set),
)
