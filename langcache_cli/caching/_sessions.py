"""Which parameters are database sessions: they say where to read, not what, and stay out of keys.

Only SQLAlchemy's own classes (and subclasses) count. An application's class that happens to be
called ``Session`` is an argument like any other: leaving it out would mix up its entries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, get_args

_CLASS_NAMES = frozenset(
    {"AsyncSession", "Session", "async_scoped_session", "scoped_session", "AsyncConnection", "Connection"}
)
_UNMISTAKABLE = re.compile(r"\b(AsyncSession|AsyncConnection|async_scoped_session)\b")
"""For annotations that exist for type checkers only: names nobody else uses."""


def database_sessions(function: Callable[..., Any], parameters: Mapping[str, Parameter]) -> set[str]:
    """The names of the parameters that are annotated as a SQLAlchemy session or connection."""
    scope = getattr(function, "__globals__", {})
    return {name for name, parameter in parameters.items() if _is_session(parameter.annotation, scope)}


def _is_session(annotation: Any, scope: dict[str, Any]) -> bool:
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, scope)  # noqa: S307 - the source text of the decorated function
        except (NameError, TypeError, AttributeError):
            return bool(_UNMISTAKABLE.search(annotation))
    members = get_args(annotation) or (annotation,)
    return any(_is_session_class(member) for member in members)


def _is_session_class(member: Any) -> bool:
    return isinstance(member, type) and any(
        base.__name__ in _CLASS_NAMES and base.__module__.startswith("sqlalchemy.") for base in member.__mro__
    )
