"""Fingerprints of types. An entry is decoded only by a reader whose type has the fingerprint of the writer's.

They are computed from the annotation, not from pydantic's schema: a backend and a command with different
versions of pydantic or Python must agree on them.
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
    """Eight hex digits that change with the fields, types and enum values that ``annotation`` refers to."""
    text = _describe(annotation, ())
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=FINGERPRINT_BYTES).hexdigest()


def field_types(kind: type[Any]) -> dict[str, Any]:
    """The fields of a model, dataclass, typed dict or named tuple; none for other classes.

    Raises:
        NameError: An annotation refers to a name that is not defined yet.
    """
    if issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return {**dict.fromkeys(kind._fields, Any), **get_type_hints(kind)}
    # Not is_typeddict: it rejects those of typing_extensions, which pydantic requires before Python 3.12.
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
        return _name(annotation)  # a recursive type: its description is under construction
    seen = (*seen, annotation)
    if isinstance(annotation, type):
        return _name(annotation) + _members(annotation, seen)
    aliased = getattr(annotation, "__value__", getattr(annotation, "__supertype__", None))
    if aliased is not None:  # `type Words = ...`, NewType("WordId", int)
        return f"{_name(annotation)}={_describe(aliased, seen)}"
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
        return type(value).__qualname__  # its repr may contain a memory address


def _name(kind: Any) -> str:
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', repr(kind))}"
