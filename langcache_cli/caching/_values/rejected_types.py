"""Types and values that can never be cached: iterators, and objects tied to a database session."""

from __future__ import annotations

import collections.abc
import dataclasses
from collections import deque
from collections.abc import Iterable
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from langcache_cli.caching._values.fingerprint import field_types

_CONSUMED_BY_ITERATION = (
    collections.abc.Iterator,
    collections.abc.Iterable,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
    collections.abc.Awaitable,
    collections.abc.Coroutine,
)


def reject_type(annotation: Any, seen: tuple[Any, ...] = ()) -> None:
    """Reject an annotation whose values can never be cached.

    Args:
        annotation: A return annotation.
        seen: The annotations around it, which it may refer to.

    Raises:
        TypeError: It is, or contains, an ORM class or an iterator. The message says what to return instead.
    """
    annotation = getattr(annotation, "__value__", annotation)  # the value of `type Words = ...`
    kind = get_origin(annotation) or annotation
    if annotation in seen:
        return
    if kind in _CONSUMED_BY_ITERATION:
        raise TypeError(
            f"{annotation_text(annotation)} is consumed by iterating over it; return a list instead"
        )
    if isinstance(kind, type) and (hasattr(kind, "__mapper__") or hasattr(kind, "__table__")):
        raise TypeError(
            f"{kind.__qualname__} is an ORM class, tied to its session and database row; return a pydantic "
            "model of it: class Cached(BaseModel, from_attributes=True), then Cached.model_validate(row)"
        )
    fields = field_types(kind).values() if isinstance(kind, type) else ()
    for inner in (*get_args(annotation), *fields):
        reject_type(inner, (*seen, annotation))


_SCALARS = {str, int, float, bool, NoneType, bytes}


class IteratorError(ValueError):
    """A value is, or contains, what encoding would consume."""


def reject_iterators(value: Any) -> None:
    """Reject a value that encoding would consume, before anything is read from it.

    Raises:
        IteratorError: The value is, or contains, an iterator such as a generator or an open file.
    """
    if hasattr(type(value), "__next__") or hasattr(type(value), "__anext__"):
        raise IteratorError(
            f"a {type(value).__qualname__} is consumed by iterating over it; return a list instead"
        )
    for item in _contents(value):
        if type(item) not in _SCALARS:
            reject_iterators(item)


def _contents(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return value
    if isinstance(value, BaseModel):
        return (*value.__dict__.values(), *(value.model_extra or {}).values())
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return ()


def annotation_text(annotation: Any) -> str:
    """An annotation in a message."""
    return getattr(annotation, "__qualname__", None) or str(annotation)
