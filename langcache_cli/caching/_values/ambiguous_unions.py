"""Unions with members that JSON cannot distinguish: ``UUID | str``, ``tuple | list``, ``bytes | str``.

Their values are encoded with the name of the member: ``{"is": "UUID", "value": "..."}``. Unions with members
that JSON can distinguish (``int | str | None``) are encoded plainly.
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

from langcache_cli.caching._values.fields_set import fields_sets, restore_fields_sets
from langcache_cli.caching._values.strict_equality import strictly_equal

_BYTES_AS_BASE64 = CoreConfig(val_json_bytes="base64")  # typed dicts do not inherit the config

_STRINGS = (str, bytes, uuid.UUID, Decimal, dt.date, dt.time, dt.timedelta, PurePath)
_SCALARS = {type(None): "null", bool: "bool", int: "int", float: "float"}  # pydantic distinguishes 1 and 1.0
_UNKNOWN = "unknown"


def disambiguate_unions(annotation: Any, adapter_for: Any) -> Any:
    """The annotation with each ambiguous union replaced by one whose values are encoded with a member name.

    Args:
        annotation: A return annotation.
        adapter_for: Builds the `TypeAdapter` of one member.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None or origin is Literal or not arguments:
        return annotation
    if origin is Annotated:
        return _inside_annotated(annotation, adapter_for)
    inner = [item if item is Ellipsis else disambiguate_unions(item, adapter_for) for item in arguments]
    if origin in (Union, types.UnionType):
        if distinguished_by_json(arguments):
            return Union[tuple(inner)]  # noqa: UP007 - built from a tuple
        return Annotated[Any, _NamedUnion(arguments, adapter_for)]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner[0] = arguments[0]  # keys of a JSON object are strings: they cannot carry a member name
    return origin[tuple(inner)] if inner else annotation


def _inside_annotated(annotation: Any, adapter_for: Any) -> Any:
    inner, *metadata = get_args(annotation)
    if any(getattr(item, "discriminator", None) for item in metadata):
        return annotation  # a field of the members already distinguishes them
    unambiguous = disambiguate_unions(inner, adapter_for)
    return annotation if unambiguous is inner else Annotated[unambiguous, *metadata]


def distinguished_by_json(members: tuple[Any, ...]) -> bool:
    """True if the JSON of a value shows which member of a union it belongs to."""
    kinds = [_json_kind(member) for member in members]
    return len(set(kinds)) == len(kinds) and (_UNKNOWN not in kinds or {*kinds} <= {_UNKNOWN, "null"})


def _json_kind(member: Any) -> str:
    """The JSON type that values of a member become; unknown if it may be several."""
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
    """Annotation that makes pydantic encode and decode a union with the names of its members."""

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
            choices[name] = _named_member(
                handler.generate_schema(disambiguate_unions(member, self.adapter_for))
            )
        return core_schema.tagged_union_schema(
            choices,
            discriminator="is",
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: _encode(value, adapters)
            ),
        )


def _name(member: Any) -> str:
    """A name for a member, equal in all processes and Python versions, unlike the repr of an annotation."""
    if get_origin(member) is Annotated:
        return _name(get_args(member)[0])
    return str(getattr(get_origin(member) or member, "__name__", "value"))


def _named_member(schema: core_schema.CoreSchema) -> core_schema.CoreSchema:
    fields = {
        "is": core_schema.typed_dict_field(core_schema.str_schema()),
        "value": core_schema.typed_dict_field(schema),
    }
    return core_schema.no_info_after_validator_function(
        lambda tagged: tagged["value"], core_schema.typed_dict_schema(fields, config=_BYTES_AS_BASE64)
    )


def _encode(value: Any, adapters: Mapping[str, TypeAdapter[Any]]) -> dict[str, Any]:
    for name, adapter in adapters.items():
        for exclude_unset in (True, False):
            try:
                payload = adapter.dump_json(
                    value, round_trip=True, by_alias=False, warnings="error", exclude_unset=exclude_unset
                )
                restored = adapter.validate_json(payload, by_alias=False, by_name=True)
                if not exclude_unset:
                    restore_fields_sets(restored, fields_sets(value))  # the codec stores them
                if strictly_equal(restored, value):
                    return {"is": name, "value": from_json(payload)}
            except (ValidationError, PydanticSerializationError, ValueError):
                continue
    raise ValueError(f"a {type(value).__qualname__} is not a member of the union")
