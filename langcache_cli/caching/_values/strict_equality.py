"""Equality of values and of their types, at every level.

``==`` is not enough: ``1 == True == 1.0``, a tuple equals a named tuple, and a datetime in Europe/Berlin
equals the same instant at +01:00, although only one of them follows daylight saving time.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from types import NoneType
from typing import Any
from uuid import UUID

from pydantic import BaseModel

_SIMPLE = {str, int, bool, NoneType, bytes, UUID, dt.date, dt.timedelta}
"""Types of which ``==`` compares all that there is."""


def strictly_equal(left: Any, right: Any) -> bool:
    """True if two values are equal and of the same types, at every level."""
    kind = type(left)
    if kind is not type(right):
        return False
    if kind in _SIMPLE:
        return bool(left == right)
    return _comparison(kind)(left, right)  # type: ignore[arg-type] # a class is hashable


@lru_cache(maxsize=512)
def _comparison(kind: type[Any]) -> Callable[[Any, Any], bool]:
    """What compares two values of a type."""
    for known, compare in _COMPARISONS:
        if issubclass(kind, known):
            return compare
    if not dataclasses.is_dataclass(kind):
        return _equal_by_operator
    names = [field.name for field in dataclasses.fields(kind)]
    return lambda left, right: _equal_fields(left, right, names) and _equal_others(left, right, names)


def _equal_by_operator(left: Any, right: Any) -> bool:
    return bool(left == right)


def _equal_fields(left: Any, right: Any, names: Iterable[str]) -> bool:
    for name in names:
        one, other = getattr(left, name, None), getattr(right, name, None)
        if type(one) is not type(other):
            return False
        if one != other if type(one) in _SIMPLE else not strictly_equal(one, other):
            return False
    return True


def _equal_others(left: Any, right: Any, names: Collection[str]) -> bool:
    """Compare attributes that are not fields. Values of cached properties are no state."""
    left_dict, right_dict = getattr(left, "__dict__", {}), getattr(right, "__dict__", {})
    if len(left_dict) <= len(names) and len(right_dict) <= len(names):
        return True
    others = [
        name
        for name in {*left_dict, *right_dict}
        if name not in names and not hasattr(getattr(type(left), name, None), "__get__")
    ]
    return all(
        name in left_dict and name in right_dict and strictly_equal(left_dict[name], right_dict[name])
        for name in others
    )


def _equal_model(left: BaseModel, right: BaseModel) -> bool:
    # Field by field: __dict__ also contains the values of cached properties.
    return (
        _equal_fields(left, right, type(left).model_fields)
        and left.model_fields_set == right.model_fields_set
        and strictly_equal(left.model_extra, right.model_extra)
        and _equal_others(left, right, type(left).model_fields)
        and strictly_equal(left.__pydantic_private__, right.__pydantic_private__)
    )


def _equal_float(left: float, right: float) -> bool:
    if math.isnan(left):
        return math.isnan(right)
    return left == right and math.copysign(1, left) == math.copysign(1, right)


def _equal_decimal(left: Decimal, right: Decimal) -> bool:
    return left.as_tuple() == right.as_tuple()  # 1.0 differs from 1.00; comparing a signalling NaN raises


def _equal_times(left: Any, right: Any) -> bool:
    equal_fold = left.tzinfo is not None or left.fold == right.fold
    return bool(left == right) and equal_fold and _equal_zone(left.tzinfo, right.tzinfo)


def _equal_items(left: Sequence[Any], right: Sequence[Any]) -> bool:
    kinds = [*map(type, left)]
    if kinds != [*map(type, right)]:
        return False
    if {*kinds} <= _SIMPLE:
        return [*left] == [*right]
    return all(map(strictly_equal, left, right))


def _equal_deque(left: deque[Any], right: deque[Any]) -> bool:
    return left.maxlen == right.maxlen and _equal_items(left, right)


def _equal_mapping(left: dict[Any, Any], right: dict[Any, Any]) -> bool:
    if getattr(left, "default_factory", None) != getattr(right, "default_factory", None):
        return False
    # In order: the caller may depend on the order of iteration.
    return _equal_items([*left], [*right]) and _equal_items([*left.values()], [*right.values()])


def _equal_set(left: Any, right: Any) -> bool:
    partners = {item: item for item in right}
    return left == right and all(strictly_equal(item, partners[item]) for item in left)


def _equal_zone(left: dt.tzinfo | None, right: dt.tzinfo | None) -> bool:
    """True for equal fixed offsets, and without zones. JSON keeps only the offset of other zones."""
    if left is None or right is None:
        return left is right
    offset = left.utcoffset(None)
    return offset is not None and offset == right.utcoffset(None) and _zone_name(left) == _zone_name(right)


def _zone_name(zone: dt.tzinfo) -> str:
    """The name of a fixed offset; nothing for the offset itself, which classes write differently."""
    name, offset = zone.tzname(None) or "", zone.utcoffset(None) or dt.timedelta()
    return "" if name in (dt.timezone(offset).tzname(None), dt.timezone(offset).tzname(None)[3:]) else name


_COMPARISONS: tuple[tuple[type | tuple[type, ...], Callable[[Any, Any], bool]], ...] = (
    (BaseModel, _equal_model),
    (float, _equal_float),
    (Decimal, _equal_decimal),
    ((dt.datetime, dt.time), _equal_times),
    ((list, tuple), _equal_items),
    (deque, _equal_deque),
    (dict, _equal_mapping),
    ((set, frozenset), _equal_set),
)
