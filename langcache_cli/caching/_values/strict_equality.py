"""Is what comes back from the cache the same as what went in, types included?

``==`` is not enough: ``1 == True == 1.0``, a tuple equals a named tuple, and a time in Berlin
equals the same moment at +01:00 until daylight saving begins.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from pydantic import BaseModel


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same types, all the way down."""
    if type(left) is not type(right):
        return False
    for kind, compare in _COMPARISONS:
        if isinstance(left, kind):
            return compare(left, right)
    if dataclasses.is_dataclass(left):
        return _same_fields(left, right, (field.name for field in dataclasses.fields(left)))
    return bool(left == right)


def _same_fields(left: Any, right: Any, names: Iterable[str]) -> bool:
    return all(same(getattr(left, name, None), getattr(right, name, None)) for name in names)


def _same_model(left: BaseModel, right: BaseModel) -> bool:
    # by field: values that a cached_property remembered are no part of what was returned
    return (
        _same_fields(left, right, type(left).model_fields)
        and same(left.model_extra, right.model_extra)
        and same(left.__pydantic_private__, right.__pydantic_private__)
    )


def _same_float(left: float, right: float) -> bool:
    if math.isnan(left):
        return math.isnan(right)
    return left == right and math.copysign(1, left) == math.copysign(1, right)


def _same_decimal(left: Decimal, right: Decimal) -> bool:
    return left.as_tuple() == right.as_tuple()  # 1.0 is not 1.00, and comparing a signalling NaN raises


def _same_moment(left: Any, right: Any) -> bool:
    same_fold = left.tzinfo is not None or left.fold == right.fold
    return bool(left == right) and same_fold and _same_zone(left.tzinfo, right.tzinfo)


def _same_items(left: Sequence[Any], right: Sequence[Any]) -> bool:
    return len(left) == len(right) and all(map(same, left, right))


def _same_deque(left: deque[Any], right: deque[Any]) -> bool:
    return left.maxlen == right.maxlen and _same_items(left, right)


def _same_mapping(left: dict[Any, Any], right: dict[Any, Any]) -> bool:
    # in order: what iterates differently is not the same to the code that receives it
    return _same_items([*left.items()], [*right.items()])


def _same_set(left: Any, right: Any) -> bool:
    partners = {item: item for item in right}
    return left == right and all(same(item, partners[item]) for item in left)


def _same_zone(left: dt.tzinfo | None, right: dt.tzinfo | None) -> bool:
    """Two fixed offsets, or no zone on both sides. A zone with rules does not survive as an offset."""
    if left is None or right is None:
        return left is right
    offset = left.utcoffset(None)
    return offset is not None and offset == right.utcoffset(None)


_COMPARISONS: tuple[tuple[type | tuple[type, ...], Callable[[Any, Any], bool]], ...] = (
    (BaseModel, _same_model),
    (float, _same_float),
    (Decimal, _same_decimal),
    ((dt.datetime, dt.time), _same_moment),
    ((list, tuple), _same_items),
    (deque, _same_deque),
    (dict, _same_mapping),
    ((set, frozenset), _same_set),
)
