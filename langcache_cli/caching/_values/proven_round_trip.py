"""Values whose JSON is known to decode to an equal value, so that the codec need not decode it to find out.

These are values of exactly the annotated types: plain ones, in lists, tuples, dicts, and in dataclasses and
models that do not customise how they are built, validated or encoded: what most functions return. All other
values are decoded again and compared when they are encoded, which takes a hundred times as long as encoding.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from pydantic.fields import FieldInfo

from langcache_cli.caching._values.bounds import bound
from langcache_cli.caching._values.plain_json import SHORT_INT, is_plain_json, numbers_are_kept
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
    bytes: "type({0}) is bytes",
}
"""Types that JSON has as strings: the annotation alone says which of them it is."""

_KEYS = {
    str: "",
    int: f"all([{-SHORT_INT} < key < {SHORT_INT} for key in {{0}}])",
    UUID: "",
    dt.date: "",
}
"""Types of keys whose text in JSON says which key it was, and what else must hold for all of them."""

_CONTAINERS = (list, tuple, dict, set, frozenset)


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
    functions = {**conditions.functions, "is_proven": condition}
    source = "".join(f"def {name}(value):\n    return {text}\n" for name, text in functions.items())
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
        self.functions: dict[str, str] = {}
        """Source text of conditions of their own, by name."""
        self._partly_set: dict[type[Any], str] = {}
        """Names of the functions for models of which only some fields were set."""
        self._is_examined = False
        """True inside of what `is_plain_json` has accepted."""
        self.scope: dict[str, Any] = {
            "infinity": float("inf"),
            "is_plain_json": is_plain_json,
            "numbers_are_kept": numbers_are_kept,
            "utc": dt.UTC,
            **{one.__name__: one for one in AS_STRINGS},
        }

    def _name(self, value: Any = None) -> str:
        """A new name in the scope: of a constant, or reserved for a variable."""
        name = f"name{len(self.scope)}"
        self.scope[name] = value
        return name

    def of(self, annotation: Any, value: str, around: tuple[Any, ...]) -> str:
        """The condition for any annotation; empty if there is none."""
        if annotation is Any or annotation in (list, dict):
            return self._plain_json(annotation, value)
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self._constrained(arguments[0], arguments[1:], value, around)
        if origin in (Union, UnionType):
            return self._union(arguments, value, around)
        if origin in _CONTAINERS:
            if not arguments:  # such as `typing.List`
                raise _UnprovenError
            return self._container_or_json(annotation, value, around)
        if origin is Literal:
            return self._literal(arguments, value)
        return self._class(NoneType if annotation is None else annotation, value, around)

    def _plain_json(self, annotation: Any, value: str) -> str:
        parts = [f"type({value}) is {annotation.__name__}"] if annotation is not Any else []
        if not self._is_examined:
            parts.append(f"is_plain_json({value})")
        return f"({' and '.join(parts)})" if parts else ""

    def _constrained(
        self, annotation: Any, constraints: Iterable[Any], value: str, around: tuple[Any, ...]
    ) -> str:
        """The condition of a type with bounds, which an object that was changed may no longer keep."""
        parts = [bound(one, annotation, value) for one in constraints]
        if None in parts:
            raise _UnprovenError
        return f"({' and '.join([self.of(annotation, value, around), *filter(None, parts)])})"

    def _union(self, members: tuple[Any, ...], value: str, around: tuple[Any, ...]) -> str:
        others = [member for member in members if member not in PLAIN and member is not None]
        exact = [member for member in members if member in PLAIN and member is not NoneType]
        if len(others) > 1 or (others and exact and not _is_array_or_object(others[0])):
            raise _UnprovenError  # pydantic chooses the member that a value decodes to
        conditions = [self.of(member, value, around) for member in members]
        return f"({' or '.join(conditions)})" if all(conditions) else ""

    def _literal(self, choices: tuple[Any, ...], value: str) -> str:
        if {type(choice) for choice in choices} != {str}:
            raise _UnprovenError
        return f"(type({value}) is str and {value} in {self._name(frozenset(choices))})"

    def _container_or_json(self, annotation: Any, value: str, around: tuple[Any, ...]) -> str:
        kind, arguments = get_origin(annotation), get_args(annotation)
        if self._is_examined or not _is_json(annotation) or not _holds_any(annotation):
            return self._container(kind, arguments, value, around)
        self._is_examined = True  # at once: cheaper than every small value in it by itself
        condition = self._container(kind, arguments, value, around)
        self._is_examined = False
        return f"(is_plain_json({value}) and {condition})"

    def _container(self, kind: Any, arguments: tuple[Any, ...], value: str, around: tuple[Any, ...]) -> str:
        conditions = [f"type({value}) is {kind.__name__}"]
        if kind is tuple and arguments[-1:] != (Ellipsis,):
            conditions.append(f"len({value}) == {len(arguments)}")
            conditions += [self.of(item, f"{value}[{index}]", around) for index, item in enumerate(arguments)]
        elif kind is dict:
            key, item = arguments
            if key not in _KEYS:
                raise _UnprovenError
            conditions += [f"{{*map(type, {value})}} <= {self._name({key})}", _KEYS[key].format(value)]
            conditions.append(self._items(item, f"{value}.values()", around))
        else:
            conditions.append(self._items(arguments[0], value, around))
        return f"({' and '.join(filter(None, conditions))})"

    def _items(self, annotation: Any, items: str, around: tuple[Any, ...]) -> str:
        """The condition for all items of a container."""
        kinds = {NoneType if one is None else one for one in _members(annotation)}
        if kinds <= PLAIN.keys():
            name, found = self._name(kinds), self._name()
            if self._is_examined or not kinds & {int, float}:
                return f"{{*map(type, {items})}} <= {name}"
            return f"({found} := {{*map(type, {items})}}) <= {name} and numbers_are_kept({items}, {found})"
        item = self._name()
        inside = self.of(annotation, item, around)
        return f"all([{inside} for {item} in {items}])" if inside else ""

    def _class(self, kind: Any, value: str, around: tuple[Any, ...]) -> str:
        known = PLAIN.get(kind) or AS_STRINGS.get(kind)
        if known is not None:
            return f"({known.format(value)})"
        if not isinstance(kind, type) or get_origin(kind) is not None or kind in around:
            raise _UnprovenError  # the last of these: a recursive type is not supported
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
        names = list(kind.model_fields)
        own, fields = self._attributes(kind, value, names)
        parts = [
            f"type({value}) is {self._name(kind)}",
            *own,
            f"{value}.__pydantic_extra__ is None",
        ]
        if kind not in self._partly_set:
            self._partly_set[kind] = ""
            self._partly_set[kind] = self._function(self._partly_set_model(kind, around))
        conditions = [
            self._constrained(field.annotation, field.metadata, fields[name], around)
            for name, field in kind.model_fields.items()
        ]
        every, all_set = self._name(set(names)), " and ".join(conditions) or "True"
        partly_set = f"{self._partly_set[kind]}({value})"
        parts.append(f"({all_set} if {value}.__pydantic_fields_set__ == {every} else {partly_set})")
        return f"({' and '.join(parts)})"

    def _partly_set_model(self, kind: type[Any], around: tuple[Any, ...]) -> str:
        """The condition for the fields of a model of which only some were set."""
        set_names, value = self._name(), "value"
        attributes = self._name()
        fields = {name: f"{attributes}[{name!r}]" for name in kind.model_fields}
        required = {name for name, field in kind.model_fields.items() if field.is_required()}
        parts = [
            f"({attributes} := {value}.__dict__) is not None",
            f"{self._name(required)} <= ({set_names} := {value}.__pydantic_fields_set__)",
            f"{set_names} <= {self._name(set(kind.model_fields))}",
        ]
        for name, field in kind.model_fields.items():
            condition = self._constrained(field.annotation, field.metadata, fields[name], around)
            if name not in required:
                default = self._default(field, fields[name])
                condition = f"({condition} if {name!r} in {set_names} else {default})"
            parts.append(condition)
        return " and ".join(parts)

    def _function(self, condition: str) -> str:
        """The name of a function of ``value`` that returns a condition."""
        name = self._name()
        self.functions[name] = condition
        return name

    def _default(self, field: FieldInfo, value: str) -> str:
        """The condition that a field that was not set will have an equal default again."""
        for kind in (list, dict):
            if field.default_factory is kind or (type(field.default) is kind and not field.default):
                return f"(type({value}) is {kind.__name__} and not {value})"
        if type(field.default) in (*PLAIN, *AS_STRINGS) or isinstance(field.default, Enum):
            return f"{value} is {self._name(field.default)}"
        return "False"  # it may be new each time


def _members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; any other type itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _holds_any(annotation: Any) -> bool:
    """True if any plain JSON may be in values of a type."""
    return annotation in (Any, list, dict) or any(map(_holds_any, get_args(annotation)))


def _is_json(annotation: Any) -> bool:
    """True if values of a type consist of the types of JSON only."""
    if annotation is Any or annotation is None or annotation in PLAIN or annotation in (list, dict):
        return True
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType, list) or (origin is dict and arguments[:1] == (str,)):
        return all(map(_is_json, arguments))
    return False


def _is_array_or_object(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    return kind in _CONTAINERS or (
        isinstance(kind, type) and (is_plain_model(kind) or is_plain_dataclass(kind))
    )
