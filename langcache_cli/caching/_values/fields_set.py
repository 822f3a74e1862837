"""Which fields of a pydantic model were set: part of its value, since ``exclude_unset`` depends on it.

JSON without the fields that were not set decodes to the same value, unless a default has changed or is new
each time. For these the names of the set fields are stored in front of the complete JSON, which is no JSON to
versions that do not know of it: a miss.
"""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

PREFIX = b"~"
"""Begins a payload with the names of set fields. No JSON value begins with it."""


def fields_sets(value: Any) -> list[list[str]]:
    """The names of the set fields of every model in a value, in the order in which `models` finds them."""
    return [sorted(model.model_fields_set) for model in models(value)]


def with_fields_sets(payload: bytes, sets: list[list[str]]) -> bytes:
    """The payload that stores the JSON of a value and its `fields_sets`."""
    return PREFIX + json.dumps(sets, separators=(",", ":")).encode() + b"\n" + payload


def split_fields_sets(payload: bytes) -> tuple[list[list[str]], bytes]:
    """What `with_fields_sets` has joined.

    Raises:
        ValueError: The payload is damaged.
    """
    head, _, rest = payload.removeprefix(PREFIX).partition(b"\n")
    return json.loads(head), rest


def restore_fields_sets(value: Any, sets: list[list[str]]) -> None:
    """Make the set fields of the models in a value those of ``sets``.

    Raises:
        ValueError: There are more or fewer models.
    """
    for model, names in zip(list(models(value)), sets, strict=True):
        object.__setattr__(model, "__pydantic_fields_set__", set(names))


def models(value: Any) -> Iterator[BaseModel]:
    """Every model in a value."""
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from models(getattr(value, name, None))
        for item in (value.model_extra or {}).values():
            yield from models(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from models(item)
    elif isinstance(value, list | tuple | deque):
        for item in value:
            yield from models(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from models(getattr(value, field.name, None))
