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

from langcache_cli.caching._arguments import argument_text

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
    if dataclasses.is_dataclass(kind) or is_typeddict(kind):
        return get_type_hints(kind)
    return {}


def _describe(annotation: Any, seen: tuple[Any, ...]) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _describe(arguments[0], seen)
    if origin in (Union, types.UnionType):
        return _listed("Union", arguments, seen)
    if origin is not None:
        return _listed(_describe(origin, seen), arguments, seen)
    if isinstance(annotation, type):
        if annotation in seen:
            return _name(annotation)  # it contains itself: its fields are being described already
        return _name(annotation) + _members(annotation, (*seen, annotation))
    meant = getattr(annotation, "__value__", getattr(annotation, "__supertype__", None))
    if meant is not None and annotation not in seen:  # `type Words = ...`, NewType("WordId", int)
        return f"{_name(annotation)}={_describe(meant, (*seen, annotation))}"
    return annotation.__name__ if isinstance(annotation, TypeVar) else repr(annotation)


def _listed(name: str, arguments: tuple[Any, ...], seen: tuple[Any, ...]) -> str:
    return f"{name}[{','.join(_describe(argument, seen) for argument in arguments)}]"


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
