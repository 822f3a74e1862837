"""The cached functions of this process. Two that would share their keys are refused."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import CellType
from typing import Any

from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._functions.warmer import Warmer

_CELL = re.compile(r"^<|[/\\]ipykernel_\d+[/\\]")
"""File names that interpreters make up, such as ``<python-input-3>`` and ``/tmp/ipykernel_7/123.py``."""

_KNOWN: dict[str, bool] = {}


def known_keys() -> dict[str, bool]:
    """How the keys of all cached functions of this process begin: ``prefix:function``.

    The values are True if arguments follow in every key.
    """
    return _KNOWN


class Registry:
    """The specs of cached functions, by ``prefix:function``."""

    def __init__(self) -> None:
        self._specs: dict[str, FunctionSpec] = {}

    def add(self, spec: FunctionSpec) -> None:
        """Register a function; the same one again (a reloaded module) replaces the first.

        Raises:
            TypeError: Another function has the same prefix and name: written elsewhere, or made
                by the same ``def`` with other enclosing variables.
        """
        known = self._specs.get(spec.keys.stem)
        if known is not None and not _interchangeable(known.function, spec.function):
            raise TypeError(
                f"{spec.name} and {known.name} would share the keys '{spec.keys.stem}:...'; "
                "give one of them another key_prefix"
            )
        self._specs[spec.keys.stem] = spec
        _KNOWN[spec.keys.stem] = bool(spec.keys.fields) and spec.keys.compute is None

    def specs(self) -> list[FunctionSpec]:
        """The functions, in the order in which they were decorated."""
        return [*self._specs.values()]

    def warmers(self) -> list[Warmer[Any]]:
        """The warmers of the functions, in the order in which these were decorated."""
        return [spec.warmer for spec in self._specs.values() if spec.warmer is not None]


def _interchangeable(known: Callable[..., Any], new: Callable[..., Any]) -> bool:
    known, new = inspect.unwrap(known), inspect.unwrap(new)
    if known.__code__ is new.__code__:  # not a reload, which would compile it anew
        return _captured(known) == _captured(new)
    return _source(known) == _source(new) or _is_edited_cell(known, new)


def _captured(function: Callable[..., Any]) -> list[int]:
    """The enclosing variables of a function, by identity: they may decide what it returns."""
    return [id(_contents(cell)) for cell in function.__closure__ or ()]


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet: the function's own name, while it is being decorated
        return None


def _source(function: Callable[..., Any]) -> tuple[str, str]:
    """Where a function is written: equal for one module imported twice, as ``__main__`` and by name."""
    return function.__code__.co_filename, function.__qualname__


def _is_edited_cell(known: Callable[..., Any], new: Callable[..., Any]) -> bool:
    """True for one name in two cells of a notebook, each of which is a file of its own."""
    names = {(function.__module__, function.__qualname__) for function in (known, new)}
    return len(names) == 1 and all(_CELL.search(function.__code__.co_filename) for function in (known, new))
