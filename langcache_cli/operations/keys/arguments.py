"""Arguments of a call as people type them: JSON or plain text, as the parameter's annotation decides."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Mapping, Sequence
from inspect import Parameter
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from langcache_cli.caching import CachedFunction


class ArgumentsError(Exception):
    """The arguments do not fit the function; ``str()`` says which."""


def arguments_of(
    function: CachedFunction[Any, Any], texts: Sequence[str]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call: in their order, without sessions, or as ``name=value``.

    Raises:
        ArgumentsError: There are too many, or one does not fit its parameter.
    """
    keys = function.spec.keys
    annotations = _annotations(function.uncached)
    parameters = {
        name: parameter for name, parameter in keys.signature.parameters.items() if name not in keys.sessions
    }
    in_order = [name for name, one in parameters.items() if one.kind in _POSITIONAL]
    rest = next((name for name, one in parameters.items() if one.kind is Parameter.VAR_POSITIONAL), None)
    any_name = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if equals and (name in parameters or (any_name and name.isidentifier())):
            kwargs[name] = _value(name, value, annotations)
        elif len(args) < len(in_order):
            args.append(_value(in_order[len(args)], text, annotations))
        elif rest is not None:
            args.append(_value(rest, text, annotations))
        else:
            raise ArgumentsError(f"{text!r} is one argument too many; the key needs {_listed(keys.in_key)}")
    return _placed(args, kwargs, in_order, parameters)


_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def _placed(
    args: Sequence[Any], kwargs: dict[str, Any], in_order: Sequence[str], parameters: Mapping[str, Parameter]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """By name where that is possible: a session that was left out may stand between them."""
    if len(args) > len(in_order) or any(
        parameters[name].kind is Parameter.POSITIONAL_ONLY for name in in_order
    ):
        return tuple(args), kwargs
    named = dict(zip(in_order, args, strict=False))
    for name in named:
        if name in kwargs:
            raise ArgumentsError(f"{name} is given twice")
    return (), {**named, **kwargs}


def _value(name: str, text: str, annotations: Mapping[str, Any]) -> Any:
    """The value that a text means for a parameter.

    Raises:
        ArgumentsError: It means none.
    """
    adapter = _adapter(annotations.get(name, Any))
    if adapter is None:
        return _json_or_text(text)
    try:
        return adapter.validate_json(text)
    except ValidationError:
        pass
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]["msg"]
        raise ArgumentsError(f"{name}={text}: {problem[:1].lower()}{problem[1:]}") from None


def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    """What reads values of an annotation; None if any value will do."""
    if annotation in (Any, object, Parameter.empty):
        return None
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a class of pydantic, which has a configuration of its own
        pass
    try:
        return TypeAdapter(annotation)
    except Exception:  # noqa: BLE001 - whatever the application annotates with
        return None


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _annotations(function: Any) -> dict[str, Any]:
    """The annotations that can be resolved."""
    plain = inspect.unwrap(function)
    plain = getattr(plain, "__func__", plain)
    try:
        return typing.get_type_hints(plain, include_extras=True)
    except Exception:  # noqa: BLE001 - names that only type checkers import, for example
        return _one_by_one(plain)


def _one_by_one(function: Any) -> dict[str, Any]:
    found = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        value = annotation
        if isinstance(value, str):
            try:
                value = eval(value, getattr(function, "__globals__", {}))  # noqa: S307 - the application's source
            except Exception:  # noqa: BLE001, S112 - as above
                continue
        found[name] = value
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no arguments"
