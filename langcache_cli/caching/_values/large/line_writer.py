"""Large values as JSON in lines: each line is one portion of work.

The text is one JSON document, which any reader of JSON takes as a whole. Line breaks stand only where it can
be taken apart, and tabs say how deep: compact JSON has neither. A list of words and a model with such a list:

```text
[                                     {
<tab>{"id":1,...},{"id":2,...},       <tab>"total":3,
<tab>{"id":3,...},{"id":4,...}        <tab>"words":[
]                                     <tab><tab>{"id":1,...},{"id":2,...}
                                      <tab>]
                                      }
```
"""

from __future__ import annotations

import dataclasses
from itertools import islice
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

from langcache_cli.caching._values.fields_set import PREFIX
from langcache_cli.caching._values.large.portions import PORTION_BYTES, Steps
from langcache_cli.caching._values.large.shapes import ArrayShape, FieldsShape, ObjectShape, Shape
from langcache_cli.caching._values.large.weight import HEAVY, weight

_FIRST_COUNT = 16
"""So many items are written first, to see how long they are."""

_MAX_DEPTH = 30
"""Deeper values are encoded in one step: they may contain themselves."""


class UnsetFieldsError(Exception):
    """A part does not decode to an equal value without the fields that were not set."""


class LineWriter:
    """Writes one value."""

    def __init__(self, *, complete: bool) -> None:
        """Start.

        Args:
            complete: Write the fields of models that were not set, too.
        """
        self.pieces: list[bytes] = []
        self._complete = complete

    def write(self, shape: Shape | None, value: Any, path: str = "", depth: int = 0) -> Steps[None]:
        """Write a value by its shape; None for one that cannot be taken apart.

        Raises:
            UncacheableValueError: A part of it would not decode to an equal value.
        """
        if isinstance(shape, ArrayShape):
            yield from self._array(shape, value, path, depth)
        elif isinstance(shape, ObjectShape):
            yield from self._object(shape, value, path, depth)
        elif isinstance(shape, FieldsShape):
            yield from self._fields(shape, value, path, depth)

    def _encode(self, shape: Shape, value: Any, path: str, first: int = 0) -> bytes:
        encode = shape.part.encode_complete if self._complete else shape.part.encode
        text = encode(value, path=path, first=first)
        if text[:1] == PREFIX:
            raise UnsetFieldsError
        return text

    def _array(self, shape: ArrayShape, value: Any, path: str, depth: int) -> Steps[None]:
        items = value if isinstance(value, (list, tuple)) else [*value]
        self.pieces.append(b"[")
        separator, first, count = _new_line(depth + 1), 0, _FIRST_COUNT
        while first < len(items):
            chunk = items[first : first + count]
            inner = None
            if not shape.is_light and weight(chunk) > HEAVY:
                if len(chunk) > 1:
                    count = max(1, len(chunk) // 4)
                    continue
                inner = shape.item.of(chunk[0]) if depth < _MAX_DEPTH else None
            self.pieces.append(separator)
            if inner is not None:
                yield from self.write(inner, chunk[0], f"{path}[{first}]", depth + 1)
            else:
                text = self._encode(shape, shape.kind(chunk), path, first)
                self.pieces.append(text[1:-1])
                count = _next_count(len(chunk), len(text))
            first += len(chunk)
            separator = b"," + _new_line(depth + 1)
            yield
        self.pieces.append(_new_line(depth) + b"]")

    def _object(self, shape: ObjectShape, value: Any, path: str, depth: int) -> Steps[None]:
        self.pieces.append(b"{")
        separator, count, entries = _new_line(depth + 1), _FIRST_COUNT, iter(value.items())
        left: dict[Any, Any] = {}
        while chunk := left or dict(islice(entries, count)):
            inner, left = None, {}
            if not shape.is_light and weight(chunk.values()) > HEAVY:
                chunk, left = _divided(chunk)
                key, item = next(iter(chunk.items()))
                if len(chunk) == 1 and weight((item,)) > HEAVY and depth < _MAX_DEPTH and type(key) is str:
                    inner = shape.item.of(item)
            self.pieces.append(separator)
            if inner is not None:
                self.pieces.append(to_json(key) + b":")
                yield from self.write(inner, item, f"{path}[...]", depth + 1)
            else:
                text = self._encode(shape, chunk, path)
                self.pieces.append(text[1:-1])
                count = _next_count(len(chunk), len(text))
            separator = b"," + _new_line(depth + 1)
            yield
        self.pieces.append(_new_line(depth) + b"}")

    def _fields(self, shape: FieldsShape, value: Any, path: str, depth: int) -> Steps[None]:
        large = _large_fields(shape, value, complete=self._complete) if depth < _MAX_DEPTH else {}
        whole = self._encode(shape, _emptied(shape, value, large), path)
        if not large:
            self.pieces.append(whole)
            return
        rest = shape.part.to_json(value, exclude={*large}, complete=self._complete)
        self.pieces += [b"{", _new_line(depth + 1), rest[1:-1]]
        separator = b"," + _new_line(depth + 1) if rest != b"{}" else b""
        for name, inner in large.items():
            self.pieces += [separator, to_json(name), b":"]
            yield
            yield from self.write(inner, getattr(value, name), f"{path}.{name}", depth + 1)
            separator = b"," + _new_line(depth + 1)
        self.pieces.append(_new_line(depth) + b"}")


def _divided(chunk: dict[Any, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """As many of some entries as are one portion, at least one; and the others."""
    entries, count = [*chunk.items()], len(chunk)
    while count > 1 and weight([item for _, item in entries[:count]]) > HEAVY:
        count = max(1, count // 4)
    return dict(entries[:count]), dict(entries[count:])


def _new_line(depth: int) -> bytes:
    return b"\n" + b"\t" * depth


def _next_count(count: int, n_bytes: int) -> int:
    """How many items to write next, if ``count`` of them were ``n_bytes`` long."""
    return max(1, min(2 * count, count * PORTION_BYTES // n_bytes))


def _large_fields(shape: FieldsShape, value: Any, *, complete: bool) -> dict[str, Shape]:
    """The fields that must be taken apart, and how."""
    found: dict[str, Shape] = {}
    for name, inner in shape.fields.items():
        item = getattr(value, name, None)
        by = inner.of(item) if complete or _is_set(value, name) else None
        if by is not None and weight((item,)) > HEAVY:
            found[name] = by
    return found


def _is_set(value: Any, name: str) -> bool:
    """False for a field of a model that was not set."""
    return not isinstance(value, BaseModel) or name in value.model_fields_set


def _emptied(shape: FieldsShape, value: Any, large: dict[str, Shape]) -> Any:
    """A copy of a model or dataclass with nothing in its large fields."""
    if not large:
        return value
    if isinstance(value, BaseModel):
        emptied: Any = BaseModel.__copy__(value)
    else:
        emptied = object.__new__(shape.kind)
        names = [field.name for field in dataclasses.fields(value)]
        for name in dict.fromkeys([*names, *getattr(value, "__dict__", {})]):
            object.__setattr__(emptied, name, getattr(value, name))
    for name, inner in large.items():
        item = getattr(value, name)
        if isinstance(inner, FieldsShape):
            item = _emptied(inner, item, _large_fields(inner, item, complete=True))
        else:
            item = type(item)()
        object.__setattr__(emptied, name, item)
    return emptied
