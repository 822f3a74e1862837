"""Values whose JSON is known to decode to an equal value, so that the codec need not decode it to find out.

These are values of exactly the annotated types: plain ones, in lists, tuples, dicts, and in dataclasses and
models that do not customise how they are built, validated or encoded: what most functions return. All other
values are decoded again and compared when they are encoded, which takes a hundred times as long as encoding.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from pydantic.fields import FieldInfo

from langcache_cli.caching._values.plain_json import SHORT_INT, is_plain_json
from langcache_cli.caching._values.plain_models import is_plain_dataclass, is_plain_enum, is_plain_model

PLAIN = {
    str: "type({0}) is str",
    bool: "type({0}) is bool",
    int: f"type({{0}}) is int and {-SHORT_INT} < {{0}} < {SHORT_INT}",
    float: "type({0}) is float and -infinity < {0} < infinity",
    NoneType: "{0} is None",
}
"""Types that JSON tells apart."""

AS_STRINGS = {
    UUID: "type({0}) is UUID",
    dt.date: "type({0}) is date",
    dt.datetime: "type({0}) is datetime and ({0}.tzinfo is None or {0}.tzinfo is utc) and not {0}.fold",
    Decimal: "type({0}) is Decimal and {0}.is_finite()",
}
"""Types that JSON has as strings: the annotation alone says which of them it is."""

_CONTAINERS = (list, tuple, dict)


def proven_round_trip(annotation: Any) -> Callable[[Any], bool] | None:
    """Compile a predicate that is true only for values whose round trip is proven.

    Their JSON must be written without the fields of models that were not set.

    Returns:
        None if no value of this type has a proven round trip.
    """
    conditions = _Conditions()
    try:
        condition = conditions.of(annotation, "value", ())
    except (_UnprovenError, NameError, TypeError):  # the last two if an annotation cannot be resolved
        return None
    source = f"def is_proven(value):\n    return {condition}\n"
    exec(source, conditions.scope)  # noqa: S102 - consists of the conditions above and names of fields
    is_proven: Callable[[Any], bool] = conditions.scope["is_proven"]
    return is_proven


class _UnprovenError(Exception):
    """No value of this type has a proven round trip."""


class _Conditions:
    """Generates conditions that are true if the round trip of a value is proven.

    Each method takes the type of the value, the source text of the value, and the classes that contain it,
    and raises `_UnprovenError` if no value of the type has a proven round trip.
    """

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {
            "infinity": float("inf"),
            "is_plain_json": is_plain_json,
            "utc": dt.UTC,
            **{one.__name__: one for one in AS_STRINGS},
        }

    def _name(self, value: Any = None) -> str:
        """A new name in the scope: of a constant, or reserved for a variable."""
        name = f"name{len(self.scope)}"
        self.scope[name] = value
        return name

    def of(self, annotation: Any, value: str, around: tuple[Any, ...]) -> str:
        """The condition for any annotation."""
        if annotation is None:
            annotation = NoneType
        if annotation is Any:
            return f"is_plain_json({value})"
        if annotation in (list, dict):
            return f"(type({value}) is {annotation.__name__} and is_plain_json({value}))"
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin in (Union, UnionType):
            return self._union(arguments, value, around)
        if origin is Literal:
            return self._literal(arguments, value)
        if origin in _CONTAINERS:
            return self._container(origin, arguments, value, around)
        if not isinstance(annotation, type) or origin is not None:
            raise _UnprovenError
        return self._class(annotation, value, around)

    def _union(self, members: tuple[Any, ...], value: str, around: tuple[Any, ...]) -> str:
        others = [member for member in members if member not in PLAIN and member is not None]
        exact = [member for member in members if member in PLAIN and member is not NoneType]
        if len(others) > 1 or (others and exact and not _is_array_or_object(others[0])):
            raise _UnprovenError  # pydantic chooses the member that a value decodes to
        return f"({' or '.join(self.of(member, value, around) for member in members)})"

    def _literal(self, choices: tuple[Any, ...], value: str) -> str:
        if {type(choice) for choice in choices} != {str}:
            raise _UnprovenError
        return f"(type({value}) is str and {value} in {self._name(frozenset(choices))})"

    def _container(
        self, kind: type[Any], arguments: tuple[Any, ...], value: str, around: tuple[Any, ...]
    ) -> str:
        condition = f"type({value}) is {kind.__name__}"
        if kind is tuple and arguments[-1:] != (Ellipsis,):
            parts = [self.of(item, f"{value}[{index}]", around) for index, item in enumerate(arguments)]
            return f"({' and '.join([condition, f'len({value}) == {len(parts)}', *parts])})"
        item = self._name()
        if kind is dict:
            if arguments[0] is not str:
                raise _UnprovenError
            condition += f" and {{*map(type, {value})}} <= {self._name({str})}"
        inside = self.of(arguments[-1 if kind is dict else 0], item, around)
        items = f"{value}.values()" if kind is dict else value
        return f"({condition} and all([{inside} for {item} in {items}]))"

    def _class(self, kind: type[Any], value: str, around: tuple[Any, ...]) -> str:
        known = PLAIN.get(kind) or AS_STRINGS.get(kind)
        if known is not None:
            return f"({known.format(value)})"
        if kind in around:
            raise _UnprovenError  # a recursive type is not supported
        if is_plain_enum(kind):
            return f"(type({value}) is {self._name(kind)})"
        around = (*around, kind)
        if is_plain_model(kind):
            return self._model(kind, value, around)
        if is_plain_dataclass(kind):
            return self._dataclass(kind, value, around)
        raise _UnprovenError

    def _dataclass(self, kind: type[Any], value: str, around: tuple[Any, ...]) -> str:
        hints = get_type_hints(kind, include_extras=True)
        names = [field.name for field in dataclasses.fields(kind)]
        own, fields = self._attributes(kind, value, names)
        parts = [self.of(hints[name], fields[name], around) for name in names]
        return f"({' and '.join([f'type({value}) is {self._name(kind)}', *own, *parts])})"

    def _attributes(self, kind: type[Any], value: str, names: list[str]) -> tuple[list[str], dict[str, str]]:
        """A condition that an object has no attributes but its fields, and source text of each field."""
        if not kind.__dictoffset__:
            return [], {name: f"{value}.{name}" for name in names}
        attributes = self._name()
        condition = f"len({attributes} := {value}.__dict__) == {len(names)}"
        return [condition], {name: f"{attributes}[{name!r}]" for name in names}

    def _model(self, kind: type[Any], value: str, around: tuple[Any, ...]) -> str:
        names, set_names = list(kind.model_fields), self._name()
        own, fields = self._attributes(kind, value, names)
        required = {name for name, field in kind.model_fields.items() if field.is_required()}
        parts = [
            f"type({value}) is {self._name(kind)}",
            *own,
            f"{value}.__pydantic_extra__ is None",
            f"{self._name(required)} <= ({set_names} := {value}.__pydantic_fields_set__)",
            f"{set_names} <= {self._name(set(names))}",
        ]
        for name, field in kind.model_fields.items():
            condition = self.of(field.annotation, fields[name], around)
            if name not in required:
                condition = (
                    f"({condition} if {name!r} in {set_names} else {self._default(field, fields[name])})"
                )
            parts.append(condition)
        return f"({' and '.join(parts)})"

    def _default(self, field: FieldInfo, value: str) -> str:
        """The condition that a field that was not set will have an equal default again."""
        for kind in (list, dict):
            if field.default_factory is kind or (type(field.default) is kind and not field.default):
                return f"(type({value}) is {kind.__name__} and not {value})"
        if type(field.default) in PLAIN or isinstance(field.default, Enum):
            return f"{value} is {self._name(field.default)}"
        return "False"  # it may be new each time


def _is_array_or_object(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    return kind in _CONTAINERS or (
        isinstance(kind, type) and (is_plain_model(kind) or is_plain_dataclass(kind))
    )
