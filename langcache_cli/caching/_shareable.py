"""Which values several callers may be given the same object of: those that nobody can change."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from sys import getsizeof
from types import NoneType
from typing import Any, cast
from uuid import UUID

_ATOMS = frozenset(
    {
        *(NoneType, bool, int, float, complex, str, bytes, Decimal, UUID),
        *(dt.date, dt.time, dt.datetime, dt.timedelta),
    }
)


def shareable_bytes(value: Any) -> int | None:
    """How much memory a value takes that cannot be changed, all the way down; None if it can be.

    Those are plain values, and tuples, named tuples, frozen sets and frozen dataclasses of such, if there is
    no ``__dict__`` that something could be hung on, as a ``cached_property`` does.
    """
    kind = type(value)
    if kind in _ATOMS:
        return getsizeof(value)
    if isinstance(value, Enum):
        return 0  # there is one of it anyway
    parts = _parts(value, kind)
    return None if parts is None else _with_all(getsizeof(value), parts)


def _parts(value: Any, kind: Any) -> Iterable[Any] | None:
    """What a value consists of, if nothing can be added to it or replaced."""
    if kind in (tuple, frozenset):
        return cast("Iterable[Any]", value)
    if hasattr(value, "__dict__"):
        return None
    if issubclass(kind, tuple):
        return cast("Iterable[Any]", value)
    own = vars(kind).get("__dataclass_params__")  # a subclass inherits them, and may add what can be changed
    if own is None or not own.frozen:
        return None
    return [getattr(value, field.name, None) for field in dataclasses.fields(kind)]


def _with_all(n_bytes: int, parts: Iterable[Any]) -> int | None:
    for part in parts:
        part_bytes = shareable_bytes(part)
        if part_bytes is None:
            return None
        n_bytes += part_bytes
    return n_bytes
