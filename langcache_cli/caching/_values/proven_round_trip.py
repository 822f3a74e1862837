"""Values whose JSON is known to decode to an equal value, so that the codec need not decode it to find out.

These are plain values of exactly the annotated types, in lists and in dataclasses that do not customise how
they are built, validated or encoded: what most functions return. All other values are decoded again and
compared when they are encoded, which takes far longer than encoding alone.
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
_CUSTOMISATIONS = (
    *("__post_init__", "__get_pydantic_core_schema__", "__pydantic_config__", "__pydantic_validator__"),
    *("__pydantic_serializer__", "__getattr__"),
)


def proven_round_trip(annotation: Any) -> Callable[[Any], bool] | None:
    """Compile a predicate that is true only for values whose round trip is proven.

    Returns:
        None if no value of this type has a proven round trip.
    """
    scope: dict[str, Any] = {"infinity": _INFINITY}
    try:
        condition = _condition(annotation, "value", scope, ())
    except (_UnprovenError, NameError, TypeError):  # the last two if an annotation cannot be resolved
        return None
    source = f"def is_proven(value):\n    return {condition}\n"
    exec(source, scope)  # noqa: S102 - consists of the conditions above and names of fields
    is_proven: Callable[[Any], bool] = scope["is_proven"]
    return is_proven


class _UnprovenError(Exception):
    """No value of this type has a proven round trip."""


def _condition(annotation: Any, value: str, scope: dict[str, Any], around: tuple[type, ...]) -> str:
    """Source text of a condition that is true if the round trip of a value is proven.

    Args:
        annotation: The type of the value.
        value: Source text of the value.
        scope: Globals of the condition; names are added to it.
        around: The dataclasses that contain the value. A recursive one is not supported.

    Raises:
        _UnprovenError: No value of this type has a proven round trip.
    """
    if annotation is None:
        annotation = NoneType
    if isinstance(annotation, type) and annotation in _PLAIN:
        return f"({_PLAIN[annotation].format(value)})"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        others = [member for member in arguments if member is not NoneType]
        if len(others) != 1:  # pydantic chooses the member that a value decodes to
            raise _UnprovenError
        return f"({value} is None or {_condition(others[0], value, scope, around)})"
    if origin is list:
        item = f"item{len(scope)}"
        scope[item] = None  # reserves the name: nested lists use other ones
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
        own = [f"len({value}.__dict__) == {len(fields)}"] if _has_dict(annotation) else []
        return f"({' and '.join([f'type({value}) is {name}', *own, *fields])})"
    raise _UnprovenError


def _has_dict(kind: type) -> bool:
    """True if objects of a class may have attributes besides its fields."""
    return kind.__dictoffset__ != 0


def _is_plain_dataclass(kind: type) -> bool:
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
