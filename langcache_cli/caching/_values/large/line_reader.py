"""Decoding JSON that `LineWriter` has written, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json, to_json

from langcache_cli.caching._values.large.portions import Steps
from langcache_cli.caching._values.large.shapes import ArrayShape, FieldsShape, ObjectShape, Shape
from langcache_cli.caching._values.large.weight import HEAVY, weight

_OPENERS = (b"[", b"{")
_ITEMS_A_STEP = 500
_MANY_PARTS = 1000
_CLOSERS = {b"[": b"]", b"{": b"}"}


class UnevenError(Exception):
    """The JSON is not laid out in the lines that its type asks for. It may still decode as a whole."""


class LineReader:
    """Reads one value. A line is copied once, into the JSON that a part is decoded from."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._view = memoryview(payload)
        self._lines = _lines(payload)
        self._ends_with_comma = False
        """True if the latest line does: its block goes on."""

    def read(self, shape: Shape) -> Steps[Any]:
        """The value.

        Raises:
            UnevenError: See there.
            Exception: Whatever decoding a part raises.
        """
        start, end = self._next()
        value, _ = yield from self._block(shape, self._view[start:end], 0)
        if self._ends_with_comma or next(self._lines, None) is not None:
            raise UnevenError
        return value

    def _next(self) -> tuple[int, int]:
        """Where the next line begins and ends, without the comma at its end."""
        start, end = next(self._lines, (-1, -1))
        if end < 0:
            raise UnevenError
        self._ends_with_comma = self._payload.endswith(b",", start, end)
        return start, end - self._ends_with_comma

    def _block(self, shape: Shape, opener: memoryview, depth: int) -> Steps[tuple[Any, bytes]]:
        """The value that begins with an opener, and its JSON without what was taken out of it."""
        by = shape.opened_by(bytes(opener)) if opener in _OPENERS else None
        if isinstance(by, ArrayShape):
            return (yield from self._array(by, depth)), b"[]"
        if isinstance(by, ObjectShape):
            return (yield from self._object(by, depth)), b"{}"
        if isinstance(by, FieldsShape):
            return (yield from self._fields(by, depth))
        raise UnevenError

    def _inside(self, opener: bytes, depth: int) -> Iterator[memoryview]:
        """The lines of one block, without tabs and the comma at their end, up to its closing line."""
        closer, tabs = b"\t" * depth + _CLOSERS[opener], b"\t" * (depth + 1)
        is_first = True
        while True:
            goes_on = self._ends_with_comma  # the line before, which may close an inner block
            start, end = self._next()
            is_last = end - start == len(closer) and self._payload.startswith(closer, start)
            if goes_on == is_last and not is_first:
                raise UnevenError
            if is_last:
                return
            line = self._view[start + len(tabs) : end]
            if not self._payload.startswith(tabs, start, end) or bytes(line[:1]) in (b"\t", b""):
                raise UnevenError
            is_first = False
            yield line

    def _array(self, shape: ArrayShape, depth: int) -> Steps[Any]:
        items: list[Any] = []
        for line in self._inside(b"[", depth):
            if line in _OPENERS:
                value, _ = yield from self._block(shape.item, line, depth + 1)
                items.append(value)
            else:
                items.extend(shape.part.decode(b"".join((b"[", line, b"]"))))
            yield
        return items if shape.kind is list else shape.kind(items)

    def _object(self, shape: ObjectShape, depth: int) -> Steps[Any]:
        items: dict[Any, Any] = {}
        for line in self._inside(b"{", depth):
            if line[-1:] in _OPENERS:
                key = _key(line)
                items[key], _ = yield from self._block(shape.item, line[-1:], depth + 1)
            else:
                items.update(shape.part.decode(b"".join((b"{", line, b"}"))))
            yield
        return items

    def _fields(self, shape: FieldsShape, depth: int) -> Steps[tuple[Any, bytes]]:
        texts: list[bytes] = []
        large: dict[str, Any] = {}
        for line in self._inside(b"{", depth):
            if line[-1:] in _OPENERS:
                name = _key(line)
                if name not in shape.fields:
                    raise UnevenError
                large[name], emptied = yield from self._block(shape.fields[name], line[-1:], depth + 1)
                texts.append(bytes(line[:-1]) + emptied)
            else:
                texts.append(bytes(line))
            yield
        text = b"{%b}" % b",".join(texts)
        value = shape.part.decode(text)
        for name, item in large.items():
            object.__setattr__(value, name, item)
        return value, text


def read_whole(shape: Shape, payload: bytes) -> Steps[Any]:
    """The value of JSON without lines: what earlier versions, or others, have written.

    It is parsed in one step, and what it becomes is made part by part: JSON of another type ends at the
    first, and not in gigabytes of errors.

    Raises:
        UnevenError: It cannot be taken apart, or has too few parts.
        Exception: Whatever decoding a part raises.
    """
    by = shape.opened_by(payload[:1])
    if by is None or shape.annotation is Any or payload.count(b"{") + payload.count(b"[") < _MANY_PARTS:
        raise UnevenError
    parsed = from_json(payload)
    yield
    return (yield from _from_parsed(by, parsed))


def _from_parsed(shape: Shape, parsed: Any) -> Steps[Any]:
    if isinstance(shape, FieldsShape):
        return (yield from _fields_from_parsed(shape, parsed))
    if isinstance(shape, ArrayShape):
        items: list[Any] = []
        for first in range(0, len(parsed), _ITEMS_A_STEP):
            items.extend(shape.part.decode(_to_json(parsed[first : first + _ITEMS_A_STEP])))
            yield
        return items if shape.kind is list else shape.kind(items)
    found: dict[Any, Any] = {}
    keys = [*parsed]
    for first in range(0, len(keys), _ITEMS_A_STEP):
        some = {key: parsed[key] for key in keys[first : first + _ITEMS_A_STEP]}
        found.update(shape.part.decode(_to_json(some)))
        yield
    return found


def _fields_from_parsed(shape: FieldsShape, parsed: dict[str, Any]) -> Steps[Any]:
    """The model or dataclass of some JSON. What is taken out of that is replaced by nothing."""
    large: dict[str, Any] = {}
    for name, inner in shape.fields.items():
        part = parsed.get(name)
        by = inner.opened_by(_opener(part)) if weight((part,)) > HEAVY else None
        if by is not None:
            large[name] = yield from _from_parsed(by, part)
            if not isinstance(by, FieldsShape):
                parsed[name] = [] if isinstance(part, list) else {}
    value = shape.part.decode(_to_json(parsed))
    for name, item in large.items():
        object.__setattr__(value, name, item)
    return value


def _opener(parsed: Any) -> bytes:
    if isinstance(parsed, list):
        return b"["
    return b"{" if isinstance(parsed, dict) else b""


def _to_json(parsed: Any) -> bytes:
    return to_json(parsed, inf_nan_mode="constants")


def _lines(payload: bytes) -> Iterator[tuple[int, int]]:
    """Where each line begins and ends."""
    start = 0
    while (end := payload.find(b"\n", start)) >= 0:
        yield start, end
        start = end + 1
    yield start, len(payload)


def _key(line: memoryview) -> str:
    """The key in ``"key":[``."""
    try:
        key = from_json(bytes(line[:-1]).removesuffix(b":"))
    except ValueError:
        raise UnevenError from None
    if type(key) is not str:
        raise UnevenError
    return key
