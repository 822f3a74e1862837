"""Which parameters are database sessions: they say where to read, not what, and stay out of keys.

Only SQLAlchemy's own classes (and subclasses) count. An application's class that happens to be
called ``Session`` is an argument like any other: leaving it out would mix up its entries.
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
_UNMISTAKABLE = re.compile(r"\b(AsyncSession|AsyncConnection|async_scoped_session|async_sessionmaker)\b")
"""For annotations that exist for type checkers only: names nobody else uses."""


def database_sessions(function: Callable[..., Any], parameters: Mapping[str, Parameter]) -> set[str]:
    """The names of the parameters that are annotated as a SQLAlchemy session, its factory or a connection."""
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    return {name for name, parameter in parameters.items() if _is_session(parameter.annotation, scope)}


def _is_session(annotation: Any, scope: dict[str, Any]) -> bool:
    annotation = getattr(annotation, "__value__", annotation)  # what `type Database = ...` stands for
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, scope)  # noqa: S307 - the source text of the decorated function
        except (NameError, TypeError, AttributeError):
            return bool(_UNMISTAKABLE.search(annotation))
        return _is_session(annotation, scope)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_session(arguments[0], scope)
    if origin in (Union, UnionType):
        # all of them: one that can be something else as well says what is asked for
        return all(_is_session(member, scope) for member in arguments if member is not NoneType)
    return _is_session_class(origin or annotation)


def _is_session_class(member: Any) -> bool:
    return isinstance(member, type) and any(
        base.__name__ in _CLASS_NAMES and base.__module__.startswith("sqlalchemy.") for base in member.__mro__
    )
