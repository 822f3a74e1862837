"""Unions whose members look alike in JSON: ``UUID | str``, ``tuple | list``, ``bytes | str``.

JSON alone cannot say which member a value was, so these are written with their member's name:
``{"is": "UUID", "value": "..."}``. Unions that JSON can tell apart (``int | str | None``) stay plain.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import types
import uuid
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, GetCoreSchemaHandler, RootModel, TypeAdapter, ValidationError
from pydantic_core import CoreConfig, PydanticSerializationError, core_schema, from_json

from langcache_cli.caching._values.strict_equality import same

_BYTES_AS_BASE64 = CoreConfig(val_json_bytes="base64")  # typed dicts do not inherit it

_STRINGS = (str, bytes, uuid.UUID, Decimal, dt.date, dt.time, dt.timedelta, PurePath)
_SCALARS = {type(None): "null", bool: "bool", int: "int", float: "float"}  # pydantic keeps 1 and 1.0 apart
_UNKNOWN = "unknown"


def name_members(annotation: Any, adapter_for: Any) -> Any:
    """The annotation with every ambiguous union in it replaced by one that names its members.

    Args:
        annotation: A return annotation.
        adapter_for: Builds the `TypeAdapter` of one member.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None or origin is Literal:
        return annotation
    if origin is Annotated:
        return _inside_annotated(annotation, adapter_for)
    inner = [item if item is Ellipsis else name_members(item, adapter_for) for item in arguments]
    if origin in (Union, types.UnionType):
        if _told_apart_by_json(arguments):
            return Union[tuple(inner)]  # noqa: UP007 - built from a tuple
        return Annotated[Any, _NamedUnion(arguments, adapter_for)]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner[0] = arguments[0]  # a key of a JSON object has no room for a name
    return origin[tuple(inner)] if inner else annotation


def _inside_annotated(annotation: Any, adapter_for: Any) -> Any:
    meant, *metadata = get_args(annotation)
    if any(getattr(item, "discriminator", None) for item in metadata):
        return annotation  # a field of the members already tells them apart
    named = name_members(meant, adapter_for)
    return annotation if named is meant else Annotated[named, *metadata]


def _told_apart_by_json(members: tuple[Any, ...]) -> bool:
    kinds = [_json_kind(member) for member in members]
    return len(set(kinds)) == len(kinds) and (_UNKNOWN not in kinds or {*kinds} <= {_UNKNOWN, "null"})


def _json_kind(member: Any) -> str:
    """What a member looks like in JSON."""
    if get_origin(member) is Annotated:
        return _json_kind(get_args(member)[0])
    kind = get_origin(member) or member
    if kind is Literal:
        return _common_kind(get_args(member))
    if not isinstance(kind, type):
        return "null" if kind is None else _UNKNOWN
    if issubclass(kind, Enum):
        return _common_kind([choice.value for choice in kind])
    return _SCALARS.get(kind) or _class_kind(kind)


def _class_kind(kind: type[Any]) -> str:
    if issubclass(kind, RootModel):
        return _UNKNOWN
    if issubclass(kind, _STRINGS):
        return "string"
    if issubclass(kind, (BaseModel, Mapping)) or dataclasses.is_dataclass(kind):
        return "object"
    return "array" if issubclass(kind, Collection) else _UNKNOWN


def _common_kind(choices: Iterable[Any]) -> str:
    kinds = {_json_kind(type(choice)) for choice in choices}
    return kinds.pop() if len(kinds) == 1 else _UNKNOWN


@dataclasses.dataclass(frozen=True)
class _NamedUnion:
    """Annotation that makes pydantic write and read a union with the names of its members."""

    members: tuple[Any, ...]
    adapter_for: Any

    def __get_pydantic_core_schema__(
        self, _source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        adapters: dict[str, TypeAdapter[Any]] = {}
        choices: dict[Any, core_schema.CoreSchema] = {}
        for index, member in enumerate(self.members):
            name = _name(member)
            name = f"{name}#{index}" if name in adapters else name
            adapters[name] = self.adapter_for(member)
            choices[name] = _named_member(handler.generate_schema(name_members(member, self.adapter_for)))
        return core_schema.tagged_union_schema(
            choices,
            discriminator="is",
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: _write(value, adapters)
            ),
        )


def _name(member: Any) -> str:
    """Short, and the same in every process and Python: the repr of an annotation is neither."""
    if get_origin(member) is Annotated:
        return _name(get_args(member)[0])
    return str(getattr(get_origin(member) or member, "__name__", "value"))


def _named_member(schema: core_schema.CoreSchema) -> core_schema.CoreSchema:
    fields = {
        "is": core_schema.typed_dict_field(core_schema.str_schema()),
        "value": core_schema.typed_dict_field(schema),
    }
    return core_schema.no_info_after_validator_function(
        lambda found: found["value"], core_schema.typed_dict_schema(fields, config=_BYTES_AS_BASE64)
    )


def _write(value: Any, adapters: Mapping[str, TypeAdapter[Any]]) -> dict[str, Any]:
    for name, adapter in adapters.items():
        try:
            payload = adapter.dump_json(value, round_trip=True, by_alias=False, warnings="error")
            if same(adapter.validate_json(payload, by_alias=False, by_name=True), value):
                return {"is": name, "value": from_json(payload)}
        except (ValidationError, PydanticSerializationError, ValueError):
            continue
    raise ValueError(f"a {type(value).__qualname__} is no member of the union")
