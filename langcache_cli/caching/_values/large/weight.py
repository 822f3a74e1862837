"""How much work a value is, found out for less than a part of that work."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Callable, Collection, Iterable
from itertools import chain
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from langcache_cli.caching._values.plain_models import is_plain_dataclass, is_plain_enum, is_plain_model
from langcache_cli.caching._values.proven_round_trip import AS_STRINGS, PLAIN

HEAVY = 4096
"""Values with more parts are large: the parts of one take half a millisecond, some of them five."""

LONG_TEXT = 1024 * 1024
"""Strings of more characters are large: a megabyte of them takes two milliseconds."""

_LIGHT = {*PLAIN, *AS_STRINGS, bytes}
_LIGHT_OR_JSON = {*_LIGHT, list, dict}


def weight(values: Collection[Any], limit: int = HEAVY) -> int:
    """The number of objects that some values consist of; more than ``limit`` if there are more."""
    found, level = 0, values
    while True:
        found += len(level)
        if found > limit or {*map(type, level)} <= _LIGHT:
            return found
        dicts = [item for item in level if type(item) is dict]
        lists = [item for item in level if type(item) is list]
        others = [item for item in level if type(item) not in _LIGHT_OR_JSON]
        parts = [*lists, *map(dict.values, dicts), *map(_parts, others)]
        if found + sum(map(len, parts)) > limit:
            return limit + 1
        inner = [*chain.from_iterable(parts)]
        if not inner:
            return found
        level = inner


def _parts(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return value
    attributes = getattr(value, "__dict__", None)
    if type(attributes) is dict:
        return attributes.values()
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return ()


def heavy_test(annotation: Any) -> Callable[[Any], bool] | None:
    """A quick test whether a value of this type is large; None if none is."""
    kind, arguments = get_origin(annotation), get_args(annotation)
    if kind in (Union, UnionType) and len(present := [one for one in arguments if one is not NoneType]) == 1:
        return heavy_test(present[0])
    if annotation is str:
        return _is_long
    if _bound(annotation, ()) is not None:
        return None
    each = _bound(arguments[-1 if kind is dict else 0], ()) if arguments and kind in (list, dict) else None
    if each is None:
        return _is_heavy
    most = HEAVY // each

    def is_heavy(value: Any) -> bool:
        return type(value) is kind and len(value) > most

    return is_heavy


def _is_long(value: Any) -> bool:
    return type(value) is str and len(value) > LONG_TEXT


def _is_heavy(value: Any) -> bool:
    if type(value) in _LIGHT:
        return _is_long(value)
    parts = value.values() if type(value) is dict else _parts(value)
    if len(parts) <= HEAVY and {*map(type, parts)} <= _LIGHT:
        return False  # most values
    return weight(parts) > HEAVY


def is_bounded(annotation: Any) -> bool:
    """True if values of this type consist of few objects, however long their strings are."""
    return _bound(annotation, ()) is not None


def _bound(annotation: Any, around: tuple[Any, ...]) -> int | None:
    """The number of objects that a value of a type consists of at most; None if that has no bound."""
    kind = get_origin(annotation)
    if kind is Annotated:
        return _bound(get_args(annotation)[0], around)
    if (
        kind is Literal or annotation is None or (kind is None and annotation in _LIGHT)
    ):  # others may have no hash
        return 1
    if kind in (Union, UnionType):
        return _sum(get_args(annotation), around)
    if kind is not None or not isinstance(annotation, type) or annotation in around:
        return None
    return 1 if is_plain_enum(annotation) else _sum(_field_types(annotation), (*around, annotation))


def _field_types(kind: type[Any]) -> Iterable[Any] | None:
    """The types of the fields of a plain class; None for other classes."""
    if is_plain_dataclass(kind):
        with contextlib.suppress(NameError):
            return get_type_hints(kind, include_extras=True).values()
    if issubclass(kind, BaseModel) and is_plain_model(kind):
        return [field.annotation for field in kind.model_fields.values()]
    return None


def _sum(annotations: Iterable[Any] | None, around: tuple[Any, ...]) -> int | None:
    if annotations is None:
        return None
    bounds = [_bound(one, around) for one in annotations]
    known = [bound for bound in bounds if bound is not None]
    return 1 + sum(known) if len(known) == len(bounds) else None
