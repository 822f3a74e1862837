"""The class in whose body a function is written, and what of it is part of a key.

Keys of methods do not contain the class that defines them. A subclass inherits the function but may answer
otherwise, so calls through a subclass have its name in their keys.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from langcache_cli.caching._keys.argument_text import escape

_LOCALS = "<locals>"


def defining_class(function: Callable[..., Any]) -> str | None:
    """Module and qualified name of the class whose body defines ``function``; None for a plain function."""
    around, _, _ = function.__qualname__.rpartition(".")
    return f"{function.__module__}.{around}" if around and not around.endswith(_LOCALS) else None


def class_name(owner: type[Any]) -> str:
    """Module and qualified name of a class."""
    return f"{owner.__module__}.{owner.__qualname__}"


def class_text(owner: type[Any]) -> str:
    """A class as part of a key. No argument has such a text: names of dataclasses contain a dot."""
    return f"~class({escape(class_name(owner))})"


def is_kind_of(owner: type[Any], home: str | None) -> bool:
    """True for the class named ``home`` and its subclasses."""
    return any(class_name(one) == home for one in owner.__mro__)


def loaded_class(home: str, module: str) -> type[Any] | None:
    """The class of this name; None if it was defined inside a function."""
    found: Any = sys.modules.get(module)
    for name in home.removeprefix(f"{module}.").split("."):
        found = getattr(found, name, None)
    return found if isinstance(found, type) else None
