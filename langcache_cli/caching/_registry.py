"""The cached functions of this process: two that would share their keys are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langcache_cli.caching._spec import FunctionSpec


class Registry:
    """Every cached function by ``prefix:function``."""

    def __init__(self) -> None:
        self._specs: dict[str, FunctionSpec] = {}

    def add(self, spec: FunctionSpec) -> None:
        """Register a function; the same one again (a reloaded module) replaces the first.

        Raises:
            TypeError: Another function has the same prefix and name.
        """
        known = self._specs.get(spec.keys.stem)
        if known is not None and _source(known.function) != _source(spec.function):
            raise TypeError(
                f"{spec.name} and {known.name} would share the keys '{spec.keys.stem}:...'; "
                "give one of them another key_prefix"
            )
        self._specs[spec.keys.stem] = spec


def _source(function: Callable[..., Any]) -> tuple[str, str]:
    """Where a function is written: equal for one module imported twice, as ``__main__`` and by name."""
    return function.__code__.co_filename, function.__qualname__
