"""A short name for the shape of a type, so that entries of an older shape are not read as the new one.

It is made from the annotation itself, not from pydantic's schemas: a backend and a command with
different versions of pydantic or Python must agree on it.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from hashlib import blake2b
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from langcache_cli.caching._keys.argument_text import argument_text

FINGERPRINT_BYTES = 4


def fingerprint(annotation: Any) -> str:
    """Eight hex digits that change when the fields, types or enum values behind ``annotation`` do."""
    text = _describe(annotation, ())
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=FINGERPRINT_BYTES).hexdigest()


def field_types(kind: type[Any]) -> dict[str, Any]:
    """The fields of a model, dataclass, typed dict or named tuple; none for other classes.

    Raises:
        NameError: An annotation refers to a name that does not exist yet.
    """
    if issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return {**dict.fromkeys(kind._fields, Any), **get_type_hints(kind)}
    # not is_typeddict, which does not know those of typing_extensions, and pydantic wants these before 3.12
    typed_dict = issubclass(kind, dict) and hasattr(kind, "__required_keys__")
    return get_type_hints(kind) if typed_dict or dataclasses.is_dataclass(kind) else {}


def _describe(annotation: Any, seen: tuple[Any, ...]) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _describe(arguments[0], seen)
    if origin is not None:
        name = "Union" if origin in (Union, types.UnionType) else _describe(origin, seen)
        return f"{name}[{','.join(_describe(argument, seen) for argument in arguments)}]"
    if annotation in seen:
        return _name(annotation)  # it contains itself: it is being described already
    seen = (*seen, annotation)
    if isinstance(annotation, type):
        return _name(annotation) + _members(annotation, seen)
    meant = getattr(annotation, "__value__", getattr(annotation, "__supertype__", None))
    if meant is not None:  # `type Words = ...`, NewType("WordId", int)
        return f"{_name(annotation)}={_describe(meant, seen)}"
    return annotation.__name__ if isinstance(annotation, TypeVar) else repr(annotation)


def _members(kind: type[Any], seen: tuple[Any, ...]) -> str:
    if issubclass(kind, enum.Enum):
        members = [f"{name}={_value(member.value)}" for name, member in kind.__members__.items()]
    else:
        members = [f"{name}:{_describe(item, seen)}" for name, item in field_types(kind).items()]
    return "{" + ",".join(members) + "}" if members else ""


def _value(value: Any) -> str:
    try:
        return argument_text(value)
    except TypeError:
        return type(value).__qualname__  # its repr may hold an address, which no other process shares


def _name(kind: Any) -> str:
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', repr(kind))}"
