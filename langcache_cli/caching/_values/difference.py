"""Where two values differ, in words that show types and places but nothing of the values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from langcache_cli.caching._values.strict_equality import strictly_equal


def difference(value: Any, restored: Any, *, path: str = "", first: int = 0) -> str:
    """Why a value is not the same after a round trip: the first place that differs, and how.

    Args:
        value: A value, or a part of a larger one.
        restored: What came back.
        path: Where in the larger one it is.
        first: The index that its first item has there.
    """
    left, right = value, restored
    while type(left) is type(right):
        parts, first = _parts(left, right, first), 0
        for name, one, other in parts:
            if not strictly_equal(one, other):
                path, left, right = path + name, one, other
                break
        else:
            return f"a {_name(left)}{_at(path)} would not come back the same"
    return f"it would come back as a {_name(right)}, not as a {_name(left)}{_at(path)}"


def _at(path: str) -> str:
    return f", at {path.lstrip('.')}" if path else ""


def _name(value: Any) -> str:
    return type(value).__qualname__


def _parts(left: Any, right: Any, first: int) -> Iterator[tuple[str, Any, Any]]:
    """The parts of two values of one type; names of fields are shown, keys of dicts are not."""
    if isinstance(left, list | tuple) and len(left) == len(right):
        for index, pair in enumerate(zip(left, right, strict=True), first):
            yield f"[{index}]", *pair
    elif isinstance(left, dict) and left.keys() == right.keys():
        for key, item in left.items():
            yield "[...]", item, right[key]
    elif isinstance(left, BaseModel):
        for name in type(left).model_fields:
            yield f".{name}", getattr(left, name, None), getattr(right, name, None)
    elif dataclasses.is_dataclass(left):
        for field in dataclasses.fields(left):
            yield f".{field.name}", getattr(left, field.name, None), getattr(right, field.name, None)
