"""Values of which it is certain that they come back from JSON the same, without trying it out.

That is so for plain values of exactly the annotated types, in lists and in dataclasses which say nothing
about how they are built, checked or written. It is what most functions return, and trying it out takes far
longer than writing it. Whatever is not recognised here is tried out by the codec.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

_SHORT_INT = 2**63
_INFINITY = float("inf")

_PLAIN = {
    str: "type({0}) is str",
    bool: "type({0}) is bool",
    int: f"type({{0}}) is int and {-_SHORT_INT} < {{0}} < {_SHORT_INT}",
    float: "type({0}) is float and -infinity < {0} < infinity",
    NoneType: "{0} is None",
}
_OWN_WAYS = (
    *("__post_init__", "__get_pydantic_core_schema__", "__pydantic_config__", "__pydantic_validator__"),
    *("__pydantic_serializer__", "__getattr__"),
)


def certain_survivors(annotation: Any) -> Callable[[Any], bool] | None:
    """A test that is true of values which certainly come back the same; None if there are no such."""
    scope: dict[str, Any] = {"infinity": _INFINITY}
    try:
        condition = _condition(annotation, "value", scope, ())
    except (_UnknownError, NameError, TypeError):  # the last two of annotations that cannot be resolved here
        return None
    source = f"def survives(value):\n    return {condition}\n"
    exec(source, scope)  # noqa: S102 - made of the conditions above and names of fields
    survives: Callable[[Any], bool] = scope["survives"]
    return survives


class _UnknownError(Exception):
    """Nothing is certain about this type."""


def _condition(annotation: Any, value: str, scope: dict[str, Any], around: tuple[type, ...]) -> str:
    """Source text that is true of ``value``, a piece of source text itself, if it survives."""
    if annotation is None:
        annotation = NoneType
    if isinstance(annotation, type) and annotation in _PLAIN:
        return f"({_PLAIN[annotation].format(value)})"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        others = [member for member in arguments if member is not NoneType]
        if len(others) != 1:  # which of several it becomes is pydantic's choice
            raise _UnknownError
        return f"({value} is None or {_condition(others[0], value, scope, around)})"
    if origin is list:
        item = f"item{len(scope)}"
        scope[item] = None  # keeps its name from being used again further inside
        inside = _condition(arguments[0], item, scope, around)
        return f"(type({value}) is list and all([{inside} for {item} in {value}]))"
    if isinstance(annotation, type) and _is_plain_dataclass(annotation) and annotation not in around:
        name = f"class{len(scope)}"
        scope[name] = annotation
        hints = get_type_hints(annotation, include_extras=True)
        fields = [
            _condition(hints[field.name], f"{value}.{field.name}", scope, (*around, annotation))
            for field in dataclasses.fields(annotation)
        ]
        return f"({' and '.join([f'type({value}) is {name}', *fields])})"
    raise _UnknownError


def _is_plain_dataclass(kind: type) -> bool:
    return (
        dataclasses.is_dataclass(kind)
        and not any(hasattr(kind, name) for name in _OWN_WAYS)
        and kind.__getattribute__ is object.__getattribute__
        and kind.__new__ is object.__new__
        and all(
            field.init and not field.name.startswith("_") and not isinstance(field.default, FieldInfo)
            for field in dataclasses.fields(kind)
        )
    )
