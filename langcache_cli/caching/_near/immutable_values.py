"""Detection of values that are immutable at every level, and so can be shared by all callers."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from sys import getsizeof
from types import BuiltinFunctionType, FunctionType, NoneType
from typing import Any, cast
from uuid import UUID

_ATOMS = frozenset(
    {
        *(NoneType, bool, int, float, complex, str, bytes, Decimal, UUID),
        *(dt.date, dt.time, dt.datetime, dt.timedelta),
    }
)
_STATELESS_DESCRIPTORS = (FunctionType, BuiltinFunctionType, staticmethod, classmethod)


def size_if_immutable(value: Any) -> int | None:
    """The memory that an immutable value takes, in bytes; None for a value that can be modified.

    Plain values are immutable, and so are tuples, named tuples, frozen sets and frozen dataclasses of
    immutable values. Objects that can be modified only by circumventing their class count as immutable.
    """
    kind = type(value)
    if kind in _ATOMS:
        return getsizeof(value)
    if isinstance(value, Enum):
        return 0  # a singleton, which exists anyway
    parts = _parts(value, kind)
    n_bytes = getsizeof(value) + getsizeof(getattr(value, "__dict__", None))
    return None if parts is None else _with_parts(n_bytes, parts)


def _parts(value: Any, kind: Any) -> Iterable[Any] | None:
    """The values that a value consists of; None if parts can be added or replaced."""
    if kind in (tuple, frozenset) or (issubclass(kind, tuple) and not hasattr(value, "__dict__")):
        return cast("Iterable[Any]", value)
    if not _is_frozen(kind):
        return None
    names = [field.name for field in dataclasses.fields(kind)]
    has_other_attributes = not getattr(value, "__dict__", {}).keys() <= set(names)
    return None if has_other_attributes else [getattr(value, name, None) for name in names]


@lru_cache(maxsize=1024)
def _is_frozen(kind: type) -> bool:
    """True for a dataclass whose objects cannot be modified by ordinary means."""
    own = vars(kind).get(
        "__dataclass_params__"
    )  # of this class: a subclass may add attributes that are mutable
    return own is not None and own.frozen and not any(map(_may_write_to_dict, _attributes(kind)))


def _attributes(kind: type) -> Iterable[Any]:
    return [attribute for one in kind.__mro__[:-1] for attribute in vars(one).values()]


def _may_write_to_dict(attribute: Any) -> bool:
    """True for a ``cached_property`` of any library, whose computed value may be mutable."""
    kind = type(attribute)
    return hasattr(kind, "__get__") and not hasattr(kind, "__set__") and kind not in _STATELESS_DESCRIPTORS


def _with_parts(n_bytes: int, parts: Iterable[Any]) -> int | None:
    for part in parts:
        part_bytes = size_if_immutable(part)
        if part_bytes is None:
            return None
        n_bytes += part_bytes
    return n_bytes
