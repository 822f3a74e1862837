"""Which fields of a pydantic model were set: part of its value, since ``exclude_unset`` depends on it.

JSON without the fields that were not set decodes to the same value, unless a default has changed or is new
each time. For these the names of the set fields are stored in front of the complete JSON, which is no JSON to
versions that do not know of it: a miss.
"""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Iterable, Iterator
from types import NoneType
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json

from langcache_cli.caching._values.large.portions import Steps, at_once

PREFIX = b"~"
"""Begins a payload with the names of set fields. No JSON value begins with it."""

_SCALARS = {str, int, float, bool, NoneType}
_MODELS_A_STEP = 500


def fields_sets(value: Any) -> list[list[str]]:
    """The names of the set fields of every model in a value, in the order in which `models` finds them."""
    return [sorted(model.model_fields_set) for model in models(value)]


def finding_fields_sets(value: Any) -> Steps[list[list[str]]]:
    """`fields_sets` in steps."""
    sets: list[list[str]] = []
    for model in models(value):
        sets.append(sorted(model.model_fields_set))
        if not len(sets) % _MODELS_A_STEP:
            yield
    return sets


def with_fields_sets(payload: bytes, sets: list[list[str]]) -> bytes:
    """The payload that stores the JSON of a value and its `fields_sets`."""
    return PREFIX + json.dumps(sets, separators=(",", ":")).encode() + b"\n" + payload


def split_fields_sets(payload: bytes) -> tuple[list[list[str]], bytes]:
    """What `with_fields_sets` has joined.

    Raises:
        ValueError: The payload is damaged.
    """
    head, _, rest = payload.removeprefix(PREFIX).partition(b"\n")
    return from_json(head), rest


def restore_fields_sets(value: Any, sets: list[list[str]]) -> None:
    """Make the set fields of the models in a value those of ``sets``.

    Raises:
        ValueError: There are more or fewer models.
    """
    at_once(restoring_fields_sets(value, sets))


def restoring_fields_sets(value: Any, sets: list[list[str]]) -> Steps[None]:
    """`restore_fields_sets` in steps."""
    for index, (model, names) in enumerate(zip(models(value), sets, strict=True)):
        object.__setattr__(model, "__pydantic_fields_set__", set(names))
        if not index % _MODELS_A_STEP:
            yield


def models(value: Any) -> Iterator[BaseModel]:
    """Every model in a value."""
    if isinstance(value, BaseModel):
        yield value
        fields = [getattr(value, name, None) for name in type(value).model_fields]
        yield from _models_among([*fields, *(value.model_extra or {}).values()])
    elif isinstance(value, dict):
        yield from _models_among(value.values())
    elif isinstance(value, list | tuple | deque):
        yield from _models_among(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _models_among([getattr(value, field.name, None) for field in dataclasses.fields(value)])


def _models_among(items: Iterable[Any]) -> Iterator[BaseModel]:
    for item in items:
        if type(item) not in _SCALARS:
            yield from models(item)
