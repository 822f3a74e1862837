"""A text of how values become JSON: equal texts, equal JSON.

The bytes of an entry are sent as they are. So more counts here than the types of fields, which decide whether
an entry can be decoded: fields that are left out, aliases, serializers, computed fields, the settings of a
model. All of it stands in pydantic's schema. The text differs between versions of pydantic and Python; then
entries are loaded anew.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from pydantic import TypeAdapter

_IDENTITY = re.compile(r":\d+")
"""Schemas refer to classes by name and address."""
_REFERENCES = ("ref", "schema_ref")


def described(model: Any) -> str:
    """The text for a response model."""
    return "\n".join(_lines(TypeAdapter(model).core_schema, ""))


def described_class(kind: type[Any]) -> str:
    """The text for a response class: its name, its media type and how it renders."""
    render = getattr(kind, "render", None)
    parts = [_name(kind), str(getattr(kind, "media_type", None)), str(getattr(kind, "charset", None))]
    return "\n".join([*parts, *(_lines(render, "render") if render is not None else ())])


def _lines(item: Any, path: str) -> Iterator[str]:
    if isinstance(item, dict):
        for key in sorted(map(str, item)):
            if key in _REFERENCES:
                yield f"{path}.{key}={_IDENTITY.sub('', str(item[key]))}"
            elif key != "metadata":  # for JSON schemas
                yield from _lines(item.get(key), f"{path}.{key}")
        yield from _computed_fields(item.get("cls"), path)
    elif isinstance(item, (list, tuple)):
        for number, one in enumerate(item):
            yield from _lines(one, f"{path}[{number}]")
    else:
        yield f"{path}={_text(item)}"


def _computed_fields(kind: Any, path: str) -> Iterator[str]:
    """The code of computed fields, which the schema of a model does not refer to."""
    decorators = getattr(kind, "__pydantic_decorators__", None)
    for name, found in sorted(decorators.computed_fields.items()) if decorators is not None else ():
        yield f"{path}.{name}={_text(found.info.wrapped_property)}"


def _text(item: Any) -> str:
    if isinstance(item, enum.Enum) or item is None or type(item) in (bool, int, float, str, bytes):
        return repr(item)
    if isinstance(item, (set, frozenset)):
        return str(sorted(map(_text, item)))
    if isinstance(item, functools.partial):
        return f"partial {_text(item.func)} {item.args!r} {item.keywords!r}"
    if isinstance(item, type):
        return _name(item)
    if (code := _code_of(item)) is not None:
        return f"{_name(item)} {_code_text(code)}"
    return _name(type(item))


def _name(item: Any) -> str:
    return f"{getattr(item, '__module__', '')}.{getattr(item, '__qualname__', '')}"


def _code_of(item: Callable[..., Any]) -> CodeType | None:
    function = getattr(item, "__func__", None) or getattr(item, "fget", None) or item
    return getattr(function, "__code__", None)


def _code_text(code: CodeType) -> str:
    constants = [_code_text(one) if isinstance(one, CodeType) else _constant(one) for one in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names}"


def _constant(constant: Any) -> str:
    return str(sorted(map(repr, constant))) if isinstance(constant, frozenset) else repr(constant)
