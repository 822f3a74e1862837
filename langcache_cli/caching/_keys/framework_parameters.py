"""Parameters that a framework provides: database sessions, responses and background tasks, requests.

Sessions are not part of keys, nor are responses and background tasks, which a function only writes to. Only
classes of SQLAlchemy and Starlette and their subclasses count. An application's own class named ``Session``
is an ordinary argument: without it in the key, different sessions would share entries.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from inspect import Parameter
from types import NoneType, UnionType
from typing import Annotated, Any, ForwardRef, Union, get_args, get_origin

_CLASS_NAMES = frozenset(
    {
        *("AsyncSession", "async_scoped_session", "async_sessionmaker", "AsyncConnection"),
        *("Session", "scoped_session", "sessionmaker", "Connection"),
    }
)
_UNAMBIGUOUS = re.compile(r"\b(AsyncSession|AsyncConnection|async_scoped_session|async_sessionmaker)\b")
"""Names that only SQLAlchemy uses; for annotations that only type checkers can resolve."""


IsKind = Callable[[Any], bool]
"""Decides about one class."""


def database_sessions(function: Callable[..., Any], parameters: Mapping[str, Parameter]) -> set[str]:
    """The names of the parameters annotated as a SQLAlchemy session, session factory or connection."""
    return _of_kind(function, parameters, _is_session_class, unambiguous=_UNAMBIGUOUS)


def written_to(function: Callable[..., Any], parameters: Mapping[str, Parameter]) -> set[str]:
    """The names of the parameters that take a response or background tasks of Starlette or FastAPI."""
    return _of_kind(function, parameters, _is_written_class)


def requests(function: Callable[..., Any], parameters: Mapping[str, Parameter]) -> set[str]:
    """The names of the parameters that take a request of Starlette or FastAPI."""
    return _of_kind(function, parameters, _is_request_class)


def _of_kind(
    function: Callable[..., Any],
    parameters: Mapping[str, Parameter],
    is_kind: IsKind,
    *,
    unambiguous: re.Pattern[str] | None = None,
) -> set[str]:
    scope = getattr(inspect.unwrap(function), "__globals__", {})

    def is_one(annotation: Any) -> bool:
        annotation = getattr(annotation, "__value__", annotation)  # the value of `type Database = ...`
        if isinstance(annotation, ForwardRef):
            annotation = annotation.__forward_arg__
        if isinstance(annotation, str):
            try:
                annotation = eval(annotation, scope)  # noqa: S307 - source text of the decorated function
            except (NameError, TypeError, AttributeError):
                return unambiguous is not None and bool(unambiguous.search(annotation))
            return is_one(annotation)
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return is_one(arguments[0])
        if origin in (Union, UnionType):
            # A parameter that also accepts other types may identify what is read: it stays in the key.
            return all(is_one(member) for member in arguments if member is not NoneType)
        return is_kind(origin or annotation)

    return {name for name, parameter in parameters.items() if is_one(parameter.annotation)}


def _is_session_class(member: Any) -> bool:
    return _has_base(member, _CLASS_NAMES, "sqlalchemy.")


def _is_written_class(member: Any) -> bool:
    return _has_base(member, frozenset({"Response", "BackgroundTasks"}), "starlette.")


def _is_request_class(member: Any) -> bool:
    return _has_base(member, frozenset({"HTTPConnection"}), "starlette.")


def _has_base(member: Any, names: frozenset[str], package: str) -> bool:
    return isinstance(member, type) and any(
        base.__name__ in names and base.__module__.startswith(package) for base in member.__mro__
    )
