"""What annotations say, before the first call, about the parts of keys: which types can never be one."""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import sys
from abc import ABCMeta
from collections.abc import Callable
from inspect import Parameter
from types import BuiltinFunctionType, FunctionType, NoneType, UnionType
from typing import Annotated, Any, ForwardRef, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from langcache_cli.caching._keys.argument_text import STABLE_TYPES
from langcache_cli.caching._keys.template_field import TemplateField

_UNKNOWN: Any = Any


def require_key_part(field: TemplateField, parameter: Parameter, scope: dict[str, Any]) -> None:
    """Refuse a field of a key whose values have no stable form, as far as annotations tell.

    Args:
        field: A parameter, or an attribute or item of it.
        parameter: That parameter.
        scope: The globals of the decorated function.

    Raises:
        TypeError: It has no such attribute, or is of a type that can never be part of a key.
    """
    annotation = _resolved(parameter.annotation, scope)
    for is_attribute, name in field.steps:
        annotation = _attribute(annotation, str(name), field, scope) if is_attribute else _UNKNOWN
    if parameter.default is None and not field.steps:
        return  # called without it, perhaps always
    if _has_no_stable_form(annotation, scope):
        raise TypeError(
            f"the parameter {field.text!r} can never be part of a key: a value of type "
            f"{_name(annotation)} has no stable form; name what the value depends on with key=, "
            f'such as key="{field.text}:{{{field.text}.id}}"'
        )


def _resolved(annotation: Any, scope: dict[str, Any]) -> Any:
    """The annotation as an object; unknown if it names what only type checkers import."""
    if annotation is Parameter.empty:
        return _UNKNOWN
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        try:
            return _resolved(eval(annotation, scope), scope)  # noqa: S307 - source text of the function
        except Exception:  # noqa: BLE001 - whatever it raises, nothing is known
            return _UNKNOWN
    annotation = getattr(annotation, "__value__", annotation)  # of `type User = ...`
    return _resolved(get_args(annotation)[0], scope) if get_origin(annotation) is Annotated else annotation


def _attribute(annotation: Any, name: str, field: TemplateField, scope: dict[str, Any]) -> Any:
    """The type of an attribute.

    Raises:
        TypeError: No value of ``annotation`` has it.
    """
    members = [item for item in _members(annotation, scope) if item is not NoneType]
    if len(members) != 1 or not isinstance(members[0], type):
        return _UNKNOWN
    kind = members[0]
    fields = _fields(kind)
    if name in fields:
        return _resolved(fields[name], scope)
    closed = issubclass(kind, STABLE_TYPES) or dataclasses.is_dataclass(kind)
    if closed and not hasattr(kind, name) and not hasattr(kind, "__getattr__") and not _has_extra(kind):
        raise TypeError(f"{field.text!r}: a {kind.__qualname__} has no attribute {name!r}")
    return _UNKNOWN


def _fields(kind: type[Any]) -> dict[str, Any]:
    if issubclass(kind, BaseModel):
        return {name: item.annotation for name, item in kind.model_fields.items()}
    try:
        return get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - an annotation that cannot be resolved yet
        return dict.fromkeys(inspect.get_annotations(kind), _UNKNOWN)


def _has_extra(kind: type[Any]) -> bool:
    return issubclass(kind, BaseModel)  # private attributes, extra fields, a __getattr__ of pydantic


def _has_no_stable_form(annotation: Any, scope: dict[str, Any]) -> bool:
    members = [item for item in _members(annotation, scope) if item is not NoneType]
    return bool(members) and all(_is_unstable(item) for item in members)


def _members(annotation: Any, scope: dict[str, Any]) -> list[Any]:
    annotation = _resolved(annotation, scope)
    if get_origin(annotation) in (Union, UnionType):
        return [inner for item in get_args(annotation) for inner in _members(item, scope)]
    return [annotation]


def _is_unstable(annotation: Any) -> bool:
    """True for functions, and for classes with a state of their own that are none of the stable types."""
    kind = get_origin(annotation) or annotation
    if kind in (collections.abc.Callable, FunctionType, BuiltinFunctionType):
        return True
    if not isinstance(kind, type) or isinstance(kind, ABCMeta) or kind is object:
        return False  # anything may implement it
    if issubclass(kind, STABLE_TYPES) or dataclasses.is_dataclass(kind):
        return False
    if issubclass(kind, type):
        return True
    has_state = any("__init__" in vars(one) for one in kind.__mro__[:-1]) or hasattr(kind, "__mapper__")
    return has_state and not any(map(_is_or_has_stable, kind.__subclasses__()))


def _is_or_has_stable(kind: type[Any]) -> bool:
    stable = issubclass(kind, STABLE_TYPES) or dataclasses.is_dataclass(kind)
    return stable or any(map(_is_or_has_stable, kind.__subclasses__()))


def _name(annotation: Any) -> str:
    return getattr(annotation, "__qualname__", None) or str(annotation)


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function, with whatever its annotations may name."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - new in 3.14, where annotations may name what only type checkers import

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)
