"""The application: imported, and with what it opens for its functions."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from langcache_cli.caching import ConfigurationError

NO_MODULE_HINT: Final = (
    "Run it in the folder in which 'python -c \"import MODULE\"' works, with the name of your own module."
)


def import_module(name: str) -> ModuleType:
    """Import a module of the application, from the working folder if it is not installed: as uvicorn does.

    Raises:
        BaseException: Whatever the module raises.
    """
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


class NoSuchModuleError(ConfigurationError):
    """There is no module of that name; `hint` says how to find out why."""

    hint = NO_MODULE_HINT


@asynccontextmanager
async def opened_application(name: str) -> AsyncIterator[None]:
    """Import ``module`` or ``module:attribute``; the attribute opens what its warmers need, and closes it.

    Raises:
        ConfigurationError: It cannot be imported, the attribute opens nothing, or the application ends the
            process.
    """
    try:
        async with _imported_application(name):
            yield
    except SystemExit as stop:  # the application's own; with 0 or without a code it would look like success
        code = "" if stop.code is None else f" with {stop.code!r}"
        message = f"--app {name}: the application called sys.exit{code}"
        raise ConfigurationError(message, variable="--app") from stop


@asynccontextmanager
async def _imported_application(name: str) -> AsyncIterator[None]:
    """As `opened_application`, but the process can end."""
    module_name, _, attribute = name.partition(":")
    try:
        module = import_module(module_name)
        opening: Callable[[], AbstractAsyncContextManager[Any]] | None = (
            getattr(module, attribute) if attribute else None
        )
    except ModuleNotFoundError as error:
        if not _is_part_of(error.name, module_name):
            raise ConfigurationError(f"--app {name}: {error}", variable="--app") from error
        message = f"--app {name}: there is no module {error.name!r} here"
        raise NoSuchModuleError(message, variable="--app") from error
    except Exception as error:  # the application's own, whatever it does while it is imported
        kind = "" if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: "
        raise ConfigurationError(f"--app {name}: {kind}{error}", variable="--app") from error
    if opening is None:
        yield
        return
    context = _opened(opening)
    if context is None:
        raise ConfigurationError(
            f"--app {name}: {attribute!r} must be an @asynccontextmanager function without arguments, "
            "which opens what the warmers need",
            variable="--app",
        )
    async with context:
        yield


def _is_part_of(missing: str | None, name: str) -> bool:
    """True if a missing module is the one that was named, or a package that it would be in."""
    return missing is not None and (name == missing or name.startswith(f"{missing}."))


def _opened(opening: Any) -> AbstractAsyncContextManager[Any] | None:
    """What an attribute of the application opens; None if it opens nothing, or wants to be told something."""
    if not takes_nothing(opening):
        return None
    context = opening()
    return context if isinstance(context, AbstractAsyncContextManager) else None


def takes_nothing(function: Callable[..., Any]) -> bool:
    """True if a function can be called without arguments."""
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True
