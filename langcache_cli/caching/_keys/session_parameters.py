"""Parameters that are database sessions: they are not part of keys.

Only classes of SQLAlchemy and their subclasses count. An application's own class named ``Session`` is an
ordinary argument: without it in the key, different sessions would share entries.
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


def database_sessions(function: Callable[..., Any], parameters: Mapping[str, Parameter]) -> set[str]:
    """The names of the parameters annotated as a SQLAlchemy session, session factory or connection."""
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    return {name for name, parameter in parameters.items() if _is_session(parameter.annotation, scope)}


def _is_session(annotation: Any, scope: dict[str, Any]) -> bool:
    annotation = getattr(annotation, "__value__", annotation)  # the value of `type Database = ...`
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, scope)  # noqa: S307 - the source text of the decorated function
        except (NameError, TypeError, AttributeError):
            return bool(_UNAMBIGUOUS.search(annotation))
        return _is_session(annotation, scope)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_session(arguments[0], scope)
    if origin in (Union, UnionType):
        # A parameter that also accepts other types may identify what is read: it stays in the key.
        return all(_is_session(member, scope) for member in arguments if member is not NoneType)
    return _is_session_class(origin or annotation)


def _is_session_class(member: Any) -> bool:
    return isinstance(member, type) and any(
        base.__name__ in _CLASS_NAMES and base.__module__.startswith("sqlalchemy.") for base in member.__mro__
    )
