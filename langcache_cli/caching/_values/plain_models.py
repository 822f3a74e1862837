"""Classes that do not customise how their objects are built, validated or encoded."""

from __future__ import annotations

import dataclasses
from enum import Enum, Flag
from typing import Any

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

_CUSTOMISATIONS = (
    *("__post_init__", "__get_pydantic_core_schema__", "__pydantic_config__", "__pydantic_validator__"),
    *("__pydantic_serializer__", "__getattr__"),
)
_HARMLESS_CONFIG = frozenset(
    {
        *("title", "from_attributes", "frozen", "populate_by_name", "validate_by_name", "validate_by_alias"),
        *("validate_assignment", "validate_default", "arbitrary_types_allowed", "json_schema_extra"),
        *("use_attribute_docstrings", "protected_namespaces", "defer_build"),
    }
)
_DECORATORS = (
    *("validators", "field_validators", "root_validators", "model_validators"),
    *("field_serializers", "model_serializers"),
)
_OF_BASE_MODEL = ("__getattr__", "__getattribute__", "__init__", "__new__", "model_post_init", "__setattr__")


def is_plain_dataclass(kind: type[Any]) -> bool:
    """True for a dataclass of the standard library whose objects consist of the fields it was built from."""
    return (
        dataclasses.is_dataclass(kind)
        and not any(hasattr(kind, name) for name in _CUSTOMISATIONS)
        and kind.__getattribute__ is object.__getattribute__
        and kind.__new__ is object.__new__
        and all(
            field.init and not field.name.startswith("_") and not isinstance(field.default, FieldInfo)
            for field in dataclasses.fields(kind)
        )
    )


def is_plain_model(kind: type[Any]) -> bool:
    """True for a pydantic model without validators, serializers, private attributes and constraints."""
    if not issubclass(kind, BaseModel) or issubclass(kind, RootModel) or kind is BaseModel:
        return False
    decorators = kind.__pydantic_decorators__
    customised = any(getattr(decorators, name) for name in _DECORATORS)
    return (
        not customised
        and not kind.__private_attributes__
        and kind.model_config.keys() <= _HARMLESS_CONFIG
        and all(getattr(kind, name) is getattr(BaseModel, name) for name in _OF_BASE_MODEL)
        and _inherits(kind, "__get_pydantic_core_schema__")
        and all(map(_is_plain_field, kind.model_fields.values()))
    )


def _inherits(kind: type[Any], name: str) -> bool:
    return all(name not in vars(one) for one in kind.__mro__ if one is not BaseModel and one is not object)


def _is_plain_field(field: FieldInfo) -> bool:
    return not field.exclude and field.discriminator is None and not field.init_var


def is_plain_enum(kind: type[Any]) -> bool:
    """True for an enum whose members JSON distinguishes: their values are all strings, or all ints."""
    if not issubclass(kind, Enum) or issubclass(kind, Flag) or "__get_pydantic_core_schema__" in dir(kind):
        return False
    kinds = {type(member._value_) for member in kind}
    return kinds in ({str}, {int})
