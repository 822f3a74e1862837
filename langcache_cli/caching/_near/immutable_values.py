"""Which values several callers may be given the same object of: those that nobody can change."""

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
_HARMLESS = (FunctionType, BuiltinFunctionType, staticmethod, classmethod)


def size_if_immutable(value: Any) -> int | None:
    """How much memory a value takes that cannot be changed, all the way down; None if it can be.

    Those are plain values, and tuples, named tuples, frozen sets and frozen dataclasses of such.
    """
    kind = type(value)
    if kind in _ATOMS:
        return getsizeof(value)
    if isinstance(value, Enum):
        return 0  # there is one of it anyway
    parts = _parts(value, kind)
    n_bytes = getsizeof(value) + getsizeof(getattr(value, "__dict__", None))
    return None if parts is None else _with_all(n_bytes, parts)


def _parts(value: Any, kind: Any) -> Iterable[Any] | None:
    """What a value consists of, if nothing can be added to it or replaced."""
    if kind in (tuple, frozenset) or (issubclass(kind, tuple) and not hasattr(value, "__dict__")):
        return cast("Iterable[Any]", value)
    if not _is_frozen(kind):
        return None
    names = [field.name for field in dataclasses.fields(kind)]
    has_more = not getattr(value, "__dict__", {}).keys() <= set(names)
    return None if has_more else [getattr(value, name, None) for name in names]


@lru_cache(maxsize=1024)
def _is_frozen(kind: type) -> bool:
    """Whether it is a dataclass whose objects stay as they are, unless somebody goes out of their way."""
    own = vars(kind).get("__dataclass_params__")  # a subclass inherits them, and may add what can be changed
    return own is not None and own.frozen and not any(map(_writes_to_dict, _attributes(kind)))


def _attributes(kind: type) -> Iterable[Any]:
    return [attribute for one in kind.__mro__[:-1] for attribute in vars(one).values()]


def _writes_to_dict(attribute: Any) -> bool:
    """Whether it may be a ``cached_property``, of whatever library: what it has computed can be changed."""
    kind = type(attribute)
    return hasattr(kind, "__get__") and not hasattr(kind, "__set__") and kind not in _HARMLESS


def _with_all(n_bytes: int, parts: Iterable[Any]) -> int | None:
    for part in parts:
        part_bytes = size_if_immutable(part)
        if part_bytes is None:
            return None
        n_bytes += part_bytes
    return n_bytes
