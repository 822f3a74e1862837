"""What the cache knows about one decorated function: fixed when its module is imported."""

from __future__ import annotations

import contextlib
import inspect
import logging
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_type_hints

from langcache_cli.caching._codec import Codec, UndecodableEntryError
from langcache_cli.caching._entry import Entry, Placeholder, parse
from langcache_cli.caching._keys import KeyBuilder

logger = logging.getLogger("langcache_cli.caching")


class FunctionSpec:
    """Key, codec and TTL of one function."""

    def __init__(self, function: Callable[..., Any], keys: KeyBuilder, *, ttl_seconds: float | None) -> None:
        """Check the return type now if it can be resolved now, at the first call otherwise.

        Raises:
            TypeError: Not an ``async def`` function, or its values can never be cached.
        """
        self.name = f"{function.__module__}.{function.__qualname__}"
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{self.name} must be an 'async def' function that returns its value")
        if ttl_seconds is not None and not ttl_seconds > 0:
            raise TypeError(f"{self.name}: ttl must be more than 0 seconds, not {ttl_seconds!r}")
        self.function = function
        self.keys = keys
        self.ttl_seconds = ttl_seconds
        self._codec: Codec | None = None
        self._warned = False
        try:
            self._codec = Codec(_return_annotation(function))
        except NameError:
            pass  # refers to something defined further down, or imported for type checkers only
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None

    @property
    def codec(self) -> Codec:
        """Encodes and decodes the function's values."""
        return self._codec or self.resolve()

    def resolve(self) -> Codec:
        """Make sure that the codec is there.

        Raises:
            TypeError: The return annotation cannot be used. A mistake in the code, not in the cache.
        """
        if self._codec is None:
            try:
                self._codec = Codec(_return_annotation(self.function))
            except (NameError, TypeError) as error:
                raise TypeError(f"{self.name}: its return annotation cannot be used: {error}") from error
        return self._codec

    def decode(self, stored: bytes) -> tuple[Any] | Placeholder | None:
        """The value in ``stored``, in a tuple of one; the placeholder; None when it is not usable."""
        found = parse(stored)
        return self.decode_entry(found) if isinstance(found, Entry) else found

    def decode_entry(self, entry: Entry) -> tuple[Any] | None:
        """The value of an entry, in a tuple of one; None when another schema wrote it or it is damaged."""
        if entry.schema != self.codec.fingerprint:
            return None
        try:
            return (self.codec.decode(entry.payload),)
        except UndecodableEntryError:
            return None

    def warn_uncacheable(self, reason: BaseException) -> None:
        """Say once per process that this function's values are not stored, and why."""
        if not self._warned:
            self._warned = True
            logger.warning("%s returned a value that is not cached: %s", self.name, reason)


def _return_annotation(function: Callable[..., Any]) -> Any:
    """The return annotation, with every quoted name in it resolved; `Any` when there is none.

    Raises:
        NameError: A name in it does not exist yet.
    """
    written = inspect.unwrap(function)  # names mean what they mean where the function is written
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
    names = _enclosing_names(written)
    return get_type_hints(holder, written.__globals__, names, include_extras=True)["return"]


def _enclosing_names(function: Callable[..., Any]) -> dict[str, Any]:
    """What the function refers to in the functions around it, so far as it exists yet.

    A function that calls itself, or a method that names its class, refers to something that is
    only bound once the decorator has returned.
    """
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    names = {}
    for name, cell in cells:
        with contextlib.suppress(ValueError):  # an empty cell
            names[name] = cell.cell_contents
    return names
