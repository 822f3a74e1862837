"""What the cache knows about one decorated function: fixed when its module is imported."""

from __future__ import annotations

import contextlib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple, get_type_hints

from langcache_cli.caching._config.settings import TEN_YEARS_SECONDS
from langcache_cli.caching._errors import UndecodableEntryError
from langcache_cli.caching._functions.warmer import Warmer
from langcache_cli.caching._keys.builder import KeyBuilder, listed
from langcache_cli.caching._keys.compiled import compile_keys
from langcache_cli.caching._keys.tags import KeyAndTags, TagTemplates
from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._values.codec import Codec
from langcache_cli.caching._values.compression import decompress

logger = logging.getLogger("langcache_cli.caching")

MAX_EARLY_REFRESH = 100
"""More would load at almost every call."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the decorator was told about a function; seconds, and see `cached`."""

    ttl: float | None = None
    stale_ttl: float = 0.0
    early_refresh: float = 0.0
    tags: Sequence[str] = ()
    local_ttl: float = 0.0


class EntryKeys(NamedTuple):
    """Where the value of one call is stored.

    Attributes:
        key: The Redis key of the entry.
        tags: The Redis keys of its tags.
    """

    key: str
    tags: tuple[str, ...] = ()


class FunctionSpec:
    """Keys, tags, codec and times of one function."""

    def __init__(self, function: Callable[..., Any], keys: KeyBuilder, options: Options) -> None:
        """Check the return type now if it can be resolved now, at the first call otherwise.

        Raises:
            TypeError: Not an ``async def`` function, its values can never be cached, or an option means
                nothing.
        """
        self.name = f"{function.__module__}.{function.__qualname__}"
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{self.name} must be an 'async def' function that returns its value")
        self.function = function
        self.keys = keys
        self._tags = self._checked_tags(options.tags)
        self._options = _checked(self.name, options)
        self.warmer: Warmer | None = None
        self._compiled_names: dict[str, Callable[..., KeyAndTags]] = {}
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

    @property
    def takes_session(self) -> bool:
        """Whether it works on its caller's database session, which ends with the call."""
        return bool(self.keys.sessions)

    @property
    def is_tagged(self) -> bool:
        """Whether its entries have tags."""
        return bool(self._tags)

    @property
    def local_seconds(self) -> float:
        """How long an entry may be kept in the memory of the process; 0 for not at all."""
        return self._options.local_ttl

    def lifetime(self, *, ttl_seconds: float, jitter: float) -> Lifetime:
        """How long its entries live; ``ttl_seconds`` if it does not say so itself."""
        options = self._options
        return Lifetime(options.ttl or ttl_seconds, options.stale_ttl, options.early_refresh, jitter)

    def address(self, namespace: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> EntryKeys:
        """Where the value of a call is stored.

        Raises:
            TypeError: The arguments do not fit the signature, or one has no stable form.
        """
        arguments = self.keys.bind(args, kwargs)
        key = self.keys.key_of(namespace, arguments)
        return EntryKeys(key, self._tags.keys(namespace, arguments) if self._tags else ())

    def compiled_names(self, namespace: str) -> Callable[..., KeyAndTags]:
        """What makes of the arguments of a call the Redis keys of its entry and its tags.

        It raises `TypeError` if it cannot, as `names` does, but its message may say nothing.
        """
        names = self._compiled_names.get(namespace)
        if names is None:
            names = compile_keys(self.keys, self._tags, namespace) or partial(self.names, namespace)
            self._compiled_names[namespace] = names
        return names

    def names(self, namespace: str, /, *args: Any, **kwargs: Any) -> KeyAndTags:
        """The Redis keys of the entry of a call and of its tags; raises like `address`."""
        key, tags = self.address(namespace, args, kwargs)
        return (key, *tags)

    def decode(self, entry: Entry) -> tuple[Any] | None:
        """The value of an entry, in a tuple of one; None when another schema wrote it or it is damaged."""
        if entry.schema != self.codec.fingerprint:
            return None
        try:
            return (self.codec.decode(decompress(entry.payload, entry.compression)),)
        except UndecodableEntryError:
            return None

    def warn_uncacheable(self, reason: BaseException) -> None:
        """Say once per process that this function's values are not stored, and why."""
        if not self._warned:
            self._warned = True
            logger.warning("%s returned a value that is not cached: %s", self.name, reason)

    def _checked_tags(self, templates: Sequence[str]) -> TagTemplates:
        try:
            tags = TagTemplates(templates)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None
        unknown = tags.names - set(self.keys.in_key)
        if unknown:
            raise TypeError(
                f"{self.name}: its tags name {listed(unknown)}, which is not part of its key: "
                "calls that differ in it would share an entry"
            )
        return tags


def _checked(name: str, options: Options) -> Options:
    if options.ttl is not None and not options.ttl > 0:
        raise TypeError(f"{name}: ttl must be more than 0 seconds, not {options.ttl!r}")
    if not 0 <= options.stale_ttl <= TEN_YEARS_SECONDS:
        raise TypeError(f"{name}: stale_ttl must be 0 seconds or more, not {options.stale_ttl!r}")
    if not 0 <= options.local_ttl <= TEN_YEARS_SECONDS:
        raise TypeError(f"{name}: local_ttl must be 0 seconds or more, not {options.local_ttl!r}")
    if not 0 <= options.early_refresh <= MAX_EARLY_REFRESH:
        raise TypeError(
            f"{name}: early_refresh must be between 0 (never) and {MAX_EARLY_REFRESH}, "
            f"not {options.early_refresh!r}"
        )
    return options


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
