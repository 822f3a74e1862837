"""What the parameters of an endpoint are, and whether its answers could reach the wrong user.

Everything that an answer may depend on has to be part of the key. Paths, queries, headers, cookies and bodies
are, unless ``key=`` or ``ignore=`` says otherwise. A dependency may return whatever it likes: it has to be
named in one of them.
"""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection
from starlette.responses import Response

from langcache_cli.caching.tooling import database_sessions, key_parameters

try:
    from fastapi import params
    from fastapi.security.base import SecurityBase
except ImportError:  # a Starlette application
    params = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of an endpoint that mean something to a route.

    Attributes:
        request: The one that takes the request; None for none.
        response: The one that takes the response whose headers are sent; None for none.
        not_in_key: Those that no answer depends on.
        vary: Names of request headers that answers depend on.
        of_caller: True if answers depend on a dependency or a cookie: perhaps on who asks.
    """

    request: str | None
    response: str | None
    not_in_key: tuple[str, ...]
    vary: tuple[str, ...]
    of_caller: bool


def resolved_signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature with its annotations as objects, as far as they can be resolved."""
    try:
        return inspect.signature(function, eval_str=True)
    except Exception:  # noqa: BLE001 - whatever evaluating an annotation raises; FastAPI will say so
        return inspect.signature(function)


def examine(
    function: Callable[..., Any],
    signature: inspect.Signature,
    *,
    key: str | Callable[..., object] | None,
    ignore: tuple[str, ...],
) -> Parameters:
    """Look at the parameters of an endpoint.

    Raises:
        TypeError: An answer may depend on a parameter that neither ``key=`` nor ``ignore=`` names.
    """
    named = None if key is None else set(key_parameters(key))
    sessions = database_sessions(function, signature.parameters)
    request = response = None
    left_out, of_caller = list(ignore), False
    vary: list[str] = []
    for name, parameter in signature.parameters.items():
        kind, marker = _kind(parameter)
        if name == "request" and parameter.annotation is inspect.Parameter.empty:
            kind = HTTPConnection  # as Starlette's endpoints are written
        if kind is not None and issubclass(kind, HTTPConnection):
            request = name
            _require_named(function, name, "the request", named, ignore)
        elif kind is not None and issubclass(kind, (Response, BackgroundTasks)):
            response = name if issubclass(kind, Response) else response
            left_out.append(name)
        elif name in sessions or name in ignore:
            continue
        elif _is_dependency(marker):
            if _only_admits(function, name, marker) and name not in (named or ()):
                left_out.append(name)
                continue
            _require_named(function, name, "a dependency", named, ignore)
            vary, of_caller = [*vary, "Authorization", "Cookie"], True
        else:
            if named is not None:
                _require_named(function, name, "a parameter", named, ignore)
            vary += _request_headers(name, kind, marker)
            of_caller = of_caller or _is_marker(marker, "Cookie")
    return Parameters(request, response, tuple(left_out), tuple(dict.fromkeys(vary)), of_caller)


def _require_named(
    function: Callable[..., Any], name: str, what: str, named: set[str] | None, ignore: tuple[str, ...]
) -> None:
    if name in ignore or (named is not None and name in named):
        return
    example = f"{name}.url.path" if what == "the request" else f"{name}.id"
    ways = (
        f'name what the answer depends on in key=, such as key="...:{{{example}}}"; '
        f"list {name!r} in ignore= if no answer depends on it"
    )
    if what == "a dependency":
        ways += (
            "; or let it only admit: a dependency that is annotated '-> None', a security scheme whose value "
            "the function does not use, or one in dependencies=[...] of the route"
        )
    raise TypeError(
        f"{function.__qualname__}(): {name!r} is {what} that is not part of the key, so that one user could "
        f"be sent the answer of another; {ways}"
    )


def _kind(parameter: inspect.Parameter) -> tuple[type[Any] | None, Any]:
    """The class of a parameter, and what FastAPI is told about it: a `Depends`, a `Header`, ..."""
    annotation, marker = parameter.annotation, parameter.default
    if get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
        marker = next((item for item in metadata if _is_fastapi_marker(item)), marker)
    kinds = [annotation]
    if get_origin(annotation) in (types.UnionType, Union):
        kinds = [member for member in get_args(annotation) if member is not types.NoneType]
    return kinds[0] if len(kinds) == 1 and isinstance(kinds[0], type) else None, marker


def _is_fastapi_marker(item: Any) -> bool:
    if params is None:
        return False
    item = item if isinstance(item, type) else type(item)
    return issubclass(item, (params.Depends, params.Param, params.Body))


def _is_dependency(marker: Any) -> bool:
    return params is not None and isinstance(marker, params.Depends)


def _is_marker(marker: Any, name: str) -> bool:
    return params is not None and isinstance(marker, getattr(params, name))


def _request_headers(name: str, kind: type[Any] | None, marker: Any) -> list[str]:
    """The request headers that a parameter is read from."""
    if _is_marker(marker, "Cookie"):
        return ["Cookie"]
    if not _is_marker(marker, "Header"):
        return []
    if kind is not None and issubclass(kind, BaseModel):
        names = [field.alias or name for name, field in kind.model_fields.items()]
    else:
        names = [marker.alias or name]
    return [name.replace("_", "-") for name in names] if marker.convert_underscores else names


def _only_admits(function: Callable[..., Any], name: str, marker: Any) -> bool:
    """True for a dependency that admits a request or refuses it, and tells the function nothing."""
    dependency = marker.dependency
    if dependency is None:
        return False  # the class of the parameter is the dependency
    if isinstance(dependency, SecurityBase):
        return not _uses(inspect.unwrap(function), name)
    try:
        hints: Mapping[str, Any] = inspect.get_annotations(dependency, eval_str=True)
    except Exception:  # noqa: BLE001 - an annotation that cannot be evaluated says nothing
        return False
    return "return" in hints and hints["return"] is None


def _uses(function: Callable[..., Any], name: str) -> bool:
    """True if the code of a function may read one of its parameters."""
    code = function.__code__
    if name in code.co_cellvars or {"locals", "vars", "eval", "exec", "dir"} & {*code.co_names}:
        return True
    return any(
        name == item.argval or (isinstance(item.argval, tuple) and name in item.argval)
        for item in dis.get_instructions(code)
        if "FAST" in item.opname
    )
