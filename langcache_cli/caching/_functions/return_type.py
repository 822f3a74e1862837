"""The return annotation of a function, with every quoted name in it resolved."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_type_hints


def return_annotation(function: Callable[..., Any], owner: type[Any] | None = None) -> Any:
    """The return annotation; `Any` when there is none.

    Args:
        function: The decorated function.
        owner: The class of a method, whose type parameters the annotation may name.

    Raises:
        NameError: A name in it does not exist yet.
    """
    written = inspect.unwrap(function)  # names resolve where the function is written
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - new in 3.14, where reading annotations evaluates all of them

        annotations = annotationlib.get_annotations(written, format=annotationlib.Format.FORWARDREF)
    else:
        annotations = inspect.get_annotations(written)
    if "return" not in annotations:
        return Any
    holder = SimpleNamespace(
        __annotations__={"return": annotations["return"]},
        __type_params__=getattr(written, "__type_params__", ()),
    )
    names = _enclosing_names(written) | _class_type_parameters(owner)
    return get_type_hints(holder, written.__globals__, names, include_extras=True)["return"]


def _class_type_parameters(owner: type[Any] | None) -> dict[str, Any]:
    """The type parameters of ``class Words[T]`` and of its bases, by name."""
    bases = reversed(owner.__mro__) if owner is not None else ()
    return {item.__name__: item for one in bases for item in getattr(one, "__type_params__", ())}


def _enclosing_names(function: Callable[..., Any]) -> dict[str, Any]:
    """The names that a function refers to in the functions around it, as far as they are bound yet.

    A function that calls itself, or a method that names its class, refers to a name that is bound only after
    the decorator has returned.
    """
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    names = {}
    for name, cell in cells:
        with contextlib.suppress(ValueError):  # an empty cell
            names[name] = cell.cell_contents
    return names
