"""A short name for the shape of a type, so that entries of an older shape are not read as the new one.

It is made from the annotation itself, not from pydantic's schemas: a backend and a command with
different versions of pydantic or Python must agree on it.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from hashlib import blake2b
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel

FINGERPRINT_BYTES = 4


def fingerprint(annotation: Any) -> str:
    """Eight hex digits that change when the fields, types or enum values behind ``annotation`` do."""
    text = _describe(annotation, ())
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=FINGERPRINT_BYTES).hexdigest()


def _describe(annotation: Any, seen: tuple[Any, ...]) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _describe(arguments[0], seen)
    if origin is not None:
        name = "Union" if origin in (Union, types.UnionType) else _name(origin)
        return f"{name}[{','.join(_describe(argument, seen) for argument in arguments)}]"
    if not isinstance(annotation, type):
        return repr(annotation) if not isinstance(annotation, TypeVar) else annotation.__name__
    if annotation in seen:
        return _name(annotation)  # a class that contains itself: its fields are being described already
    return _name(annotation) + _members(annotation, (*seen, annotation))


def _members(kind: type[Any], seen: tuple[Any, ...]) -> str:
    if issubclass(kind, enum.Enum):
        return "{" + ",".join(f"{name}={member.value!r}" for name, member in kind.__members__.items()) + "}"
    fields: dict[str, Any] = {}
    if issubclass(kind, BaseModel):
        fields = {name: field.annotation for name, field in kind.model_fields.items()}
    elif dataclasses.is_dataclass(kind) or is_typeddict(kind) or hasattr(kind, "_fields"):
        fields = get_type_hints(kind)
    return (
        "{" + ",".join(f"{name}:{_describe(item, seen)}" for name, item in fields.items()) + "}"
        if fields
        else ""
    )


def _name(kind: Any) -> str:
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', repr(kind))}"
