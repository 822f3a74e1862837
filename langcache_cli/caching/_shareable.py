"""Which values several callers may be given the same object of: those that nobody can change."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from sys import getsizeof
from types import NoneType
from typing import Any
from uuid import UUID

_ATOMS = frozenset(
    {
        *(NoneType, bool, int, float, complex, str, bytes, Decimal, UUID),
        *(dt.date, dt.time, dt.datetime, dt.timedelta),
    }
)


def shareable_bytes(value: Any) -> int | None:
    """How much memory a value takes that cannot be changed, all the way down; None if it can be.

    Those are plain values, and tuples, named tuples, frozen sets and frozen dataclasses of such.
    """
    kind = type(value)
    if kind in _ATOMS:
        return getsizeof(value)
    if isinstance(value, Enum):
        return 0  # there is one of it anyway
    if kind in (tuple, frozenset) or (issubclass(kind, tuple) and not hasattr(value, "__dict__")):
        return _with_all(getsizeof(value), value)
    if dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        names = [field.name for field in dataclasses.fields(kind)]
        attributes = getattr(value, "__dict__", {})
        if attributes.keys() <= set(names):
            return _with_all(
                getsizeof(value) + getsizeof(attributes), [getattr(value, name) for name in names]
            )
    return None


def _with_all(n_bytes: int, parts: Iterable[Any]) -> int | None:
    for part in parts:
        part_bytes = shareable_bytes(part)
        if part_bytes is None:
            return None
        n_bytes += part_bytes
    return n_bytes
