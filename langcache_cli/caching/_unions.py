"""Unions whose members look alike in JSON: ``UUID | str``, ``tuple | list``, ``bytes | str``.

JSON alone cannot say which member a value was, so these are written with their member's name:
``{"is": "UUID", "value": "..."}``. Unions that JSON can tell apart (``int | str | None``) stay plain.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, is_typeddict

from pydantic import BaseModel, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreConfig, PydanticSerializationError, core_schema, from_json

from langcache_cli.caching._sameness import same

_BYTES_AS_BASE64 = CoreConfig(val_json_bytes="base64")  # typed dicts do not inherit it


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
        return annotation
    inner = tuple(
        argument if argument is Ellipsis else name_members(argument, adapter_for) for argument in arguments
    )
    if origin in (Union, types.UnionType):
        if _told_apart_by_json(arguments):
            return Union[inner]  # noqa: UP007 - built from a tuple
        return Annotated[Any, _NamedUnion(arguments, adapter_for)]
    return origin[inner] if inner else annotation


def _told_apart_by_json(members: tuple[Any, ...]) -> bool:
    kinds = [_json_kind(member) for member in members]
    return len(set(kinds)) == len(kinds)


def _json_kind(member: Any) -> str:
    kind = get_origin(member) or member
    if kind in (None, type(None)):
        return "null"
    if kind in (bool, int, float):
        return str(kind.__name__)  # pydantic keeps 1 and 1.0 apart
    if not isinstance(kind, type):
        return "unknown"
    if issubclass(kind, (BaseModel, Mapping)) or dataclasses.is_dataclass(kind) or is_typeddict(kind):
        return "object"
    if issubclass(kind, (list, tuple, set, frozenset)):
        return "array"
    return "string"


@dataclasses.dataclass(frozen=True)
class _NamedUnion:
    """Annotation that makes pydantic write and read a union with the names of its members."""

    members: tuple[Any, ...]
    adapter_for: Any

    def __get_pydantic_core_schema__(
        self, _source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        adapters: dict[str, tuple[Any, TypeAdapter[Any]]] = {}
        choices: dict[Any, core_schema.CoreSchema] = {}
        for index, member in enumerate(self.members):
            name = getattr(member, "__name__", str(member)) if get_origin(member) is None else str(member)
            name = f"{name}#{index}" if name in adapters else name
            adapters[name] = (get_origin(member) or member, self.adapter_for(member))
            choices[name] = _named_member(handler.generate_schema(name_members(member, self.adapter_for)))
        return core_schema.tagged_union_schema(
            choices,
            discriminator="is",
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: _write(value, adapters)
            ),
        )


def _named_member(schema: core_schema.CoreSchema) -> core_schema.CoreSchema:
    fields = {
        "is": core_schema.typed_dict_field(core_schema.str_schema()),
        "value": core_schema.typed_dict_field(schema),
    }
    return core_schema.no_info_after_validator_function(
        lambda found: found["value"], core_schema.typed_dict_schema(fields, config=_BYTES_AS_BASE64)
    )


def _write(value: Any, adapters: Mapping[str, tuple[Any, TypeAdapter[Any]]]) -> dict[str, Any]:
    for name, (kind, adapter) in adapters.items():
        if not (type(value) is kind or (value is None and kind is type(None))):
            continue
        try:
            payload = adapter.dump_json(value, round_trip=True, by_alias=False, warnings="error")
            if same(adapter.validate_json(payload, by_alias=False, by_name=True), value):
                return {"is": name, "value": from_json(payload)}
        except (ValidationError, PydanticSerializationError, ValueError):
            continue
    raise ValueError(f"a {type(value).__qualname__} is no member of the union")
