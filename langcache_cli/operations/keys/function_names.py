"""Cached functions by the names that people type: ``module:function``, or a name inside an application."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from langcache_cli.caching import CachedFunction, CachedMany, CachedSyncFunction, ConfigurationError
from langcache_cli.caching.tooling import default_functions
from langcache_cli.operations.application import NO_MODULE_HINT, import_module

Function = CachedFunction[Any, Any]

MOST_NAMED = 5
"""Functions in a hint."""


class UnknownFunctionError(Exception):
    """There is no such cached function; ``str()`` says so, and `hint` what to type."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class ModuleRunsError(ConfigurationError):
    """A module cannot be imported, because something in it fails; `hint` says what to look at."""

    hint = "If the module runs something when it is imported, put that under: if __name__ == '__main__':"


def cached_function(name: str, *, app: str | None = None) -> Function:
    """The cached function called ``name``.

    Args:
        name: ``module:function`` or ``module:Class.method``; with an application also ``function`` or
            ``prefix:function``, as `stats` shows it.
        app: ``module`` or ``module:attribute``, which is imported first.

    Raises:
        UnknownFunctionError: There is none.
        ConfigurationError: A module raises while it is imported.
    """
    if app is not None:
        _imported(app.partition(":")[0], what=f"--app {app}")
        matching = _by_name(name)
        if len(matching) == 1:
            return matching[0]
        if matching:
            names = sorted(full_name(one) for one in matching)
            raise UnknownFunctionError(f"{name!r} names several cached functions", _one_of(names))
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        hint = _nearest(name) if app is not None else "Type MODULE:FUNCTION, such as app.services:get_word."
        raise UnknownFunctionError(f"there is no cached function {name!r}", hint)
    return _inside(_imported(module_name, what=name), path)


def full_name(function: Function) -> str:
    """``module:function``."""
    return f"{function.spec.function.__module__}:{function.spec.function.__qualname__}"


def _by_name(name: str) -> list[Function]:
    """Functions of the default cache whose stem, or plain or qualified name, this is."""
    found = []
    for spec in default_functions():
        plain, qualified = spec.function.__name__, spec.function.__qualname__
        if name in {spec.keys.stem, plain, qualified, f"{spec.function.__module__}:{qualified}"}:
            function = _object(importlib.import_module(spec.function.__module__), qualified)
            if (cached := _unwrapped(function)) is not None:
                found.append(cached)
    return found


def _imported(name: str, *, what: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UnknownFunctionError(
                f"{what}: there is no module {error.name!r} here",
                NO_MODULE_HINT,
            ) from None
        raise ConfigurationError(f"{what}: {error}", variable=what) from error
    except SystemExit as stop:
        raise ModuleRunsError(f"{what}: the module ended the process", variable=what) from stop
    except ImportError as error:
        raise ConfigurationError(f"{what} cannot be imported: {error}", variable=what) from error
    except Exception as error:
        message = f"{what} cannot be imported: {type(error).__name__}: {error}"
        raise ModuleRunsError(message, variable=what) from error


def _inside(module: ModuleType, path: str) -> Function:
    found = _object(module, path)
    function = _unwrapped(found)
    if function is not None:
        return function
    problem = f"{path!r} of {module.__name__} is no cached function"
    if found is None:
        problem = f"{module.__name__} has no {path!r}"
    known = [one for one in vars(module) if _unwrapped(vars(module)[one]) is not None]
    near = difflib.get_close_matches(path, known, n=1)
    names = [f"{module.__name__}:{one}" for one in near or known[:MOST_NAMED]]
    raise UnknownFunctionError(problem, _one_of(names) or "Decorate the function with @cached(...).")


def _nearest(name: str) -> str:
    stems = {spec.function.__name__: spec.keys.stem for spec in default_functions()}
    near = difflib.get_close_matches(name.rpartition(":")[2], stems, n=1)
    names = [stems[one] for one in near] or [*stems.values()][:MOST_NAMED]
    return _one_of(names) or "The application decorates no function with @cached(...)."


def _one_of(names: Sequence[str]) -> str:
    """What to type; empty if there is nothing."""
    several = "one of " if len(names) > 1 else ""
    return f"Type {several}{', '.join(names)}." if names else ""


def _object(module: ModuleType, path: str) -> object:
    """An attribute such as ``Class.method``; None if there is none."""
    found: object = module
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def _unwrapped(found: object) -> Function | None:
    """The cached function, under what other decorators have put around it; None if there is none."""
    for _ in range(10):
        if isinstance(found, CachedFunction):
            return found
        if isinstance(found, CachedSyncFunction):
            return found.on_loop
        if isinstance(found, CachedMany):  # each of its items has the key of the single call
            return found.single
        if isinstance(cached := getattr(found, "cached", None), CachedFunction):  # of a cached route
            return cached
        found = getattr(found, "__wrapped__", None)
    return None
