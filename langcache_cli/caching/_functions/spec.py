"""What the cache knows about one decorated function: fixed when its module is imported."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Self
from weakref import WeakKeyDictionary

from langcache_cli.caching._errors import (
    CacheError,
    OversizedEntryError,
    UncacheableValueError,
    UndecodableEntryError,
)
from langcache_cli.caching._functions.body import BodyCodec
from langcache_cli.caching._functions.kind import is_synchronous
from langcache_cli.caching._functions.options import (
    CachedOptions,
    Times,
    chosen_seconds,
    ignored,
    require_usable_size,
)
from langcache_cli.caching._functions.return_type import return_annotation
from langcache_cli.caching._functions.warmer import Warmer
from langcache_cli.caching._keys.builder import KeyBuilder
from langcache_cli.caching._keys.compiled import KeysOfItems, compile_keys, compile_keys_of_items
from langcache_cli.caching._keys.tags import KeyAndTags, tags_of_keys
from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.lifetime import Lifetime
from langcache_cli.caching._values.codec import Codec

logger = logging.getLogger("langcache_cli.caching")


class EntryKeys(NamedTuple):
    """Where the value of one call is stored.

    Attributes:
        key: The Redis key of the entry.
        tag_keys: The Redis keys of its tags.
    """

    key: str
    tag_keys: tuple[str, ...] = ()


class FunctionSpec:
    """Keys, tags, codec and times of one function."""

    def __init__(self, function: Callable[..., Any], options: CachedOptions) -> None:
        """Check the return type now if it can be resolved now, at the first call otherwise.

        Raises:
            TypeError: Not an ``async def`` function, its values can never be cached, or an option means
                nothing.
        """
        self.keys = KeyBuilder(
            function,
            prefix=options.get("key_prefix") or str(function.__module__),
            ignore=ignored(getattr(function, "__name__", "cached"), options),
            template=options.get("key"),
        )
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.is_synchronous = is_synchronous(function, self.name)
        """True for a plain ``def``: it always runs in the thread of a caller, as part of that call."""
        self.function = function
        self._tags = tags_of_keys(options.get("tags", ()), self.keys.fields, self.name)
        self._times = Times(self.name, options)
        self.max_bytes = require_usable_size(self.name, options)
        """Larger values, as JSON, are not stored; None for no limit."""
        self._options = options
        self.warmer: Warmer[Any] | None = None
        self.owner: type[Any] | None = None
        """The class of the method, once it is known: its type parameters may be in the return annotation."""
        self._by_class: WeakKeyDictionary[type[Any], FunctionSpec] = WeakKeyDictionary()
        self._compiled_keys: dict[str, Callable[..., KeyAndTags]] = {}
        self._keys_of_items: dict[tuple[str, str], KeysOfItems | None] = {}
        self._warned_of: set[str] = set()
        self._codec = self._first_codec()

    def _first_codec(self) -> Codec | BodyCodec | None:
        """The codec; None if the annotation refers to a name that does not exist yet."""
        try:
            return Codec(return_annotation(self.function))
        except NameError:
            return None  # defined further down, or imported for type checkers only
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None

    @property
    def codec(self) -> Codec | BodyCodec:
        """Encodes and decodes the function's values; raises like `resolve`."""
        return self._codec or self.resolve()

    def resolve(self) -> Codec | BodyCodec:
        """The codec, made now if the return annotation could not be resolved earlier.

        Raises:
            TypeError: The return annotation cannot be used: a mistake in the application's code.
        """
        if self._codec is None:
            try:
                self._codec = Codec(return_annotation(self.function, self.owner))
            except (NameError, TypeError) as error:
                raise TypeError(f"{self.name}: its return annotation cannot be used: {error}") from error
        return self._codec

    def of_class(self, owner: type[Any]) -> FunctionSpec:
        """The spec of the method that instances of a class have; their keys may contain the class."""
        try:
            return self._by_class[owner]
        except KeyError:
            spec = self._with_keys(self.keys.of_class(owner))
            if self._codec is None:  # a reference to the class that would keep it alive
                spec.owner = owner
            return self._by_class.setdefault(owner, spec)

    def as_plain_function(self) -> FunctionSpec:
        """The spec of a static method; see `KeyBuilder.as_plain_function`."""
        return self._with_keys(self.keys.as_plain_function())

    def of_all_classes(self, *more: type[Any]) -> list[FunctionSpec]:
        """The specs of ``more`` and of every class that was used, once for each key; at least this one."""
        specs = [*map(self.of_class, (*more, *self._by_class))] or [self]
        return list({spec.keys.stem: spec for spec in specs}.values())

    def _with_keys(self, keys: KeyBuilder) -> Self:
        spec = copy.copy(self)
        vars(spec).update(keys=keys, _compiled_keys={}, _keys_of_items={})
        return spec

    @property
    def options(self) -> CachedOptions:
        """A copy of what `cached` was given."""
        return CachedOptions(**self._options)

    @property
    def takes_session(self) -> bool:
        """True if it uses what ends with the call: its caller's database session, or its thread."""
        return self.is_synchronous or bool(self.keys.sessions)

    @property
    def is_tagged(self) -> bool:
        """True if its entries have tags."""
        return bool(self._tags)

    @property
    def local_seconds(self) -> float:
        """How long an entry may be kept in the near cache; 0 for not at all."""
        return self._times.local_ttl

    def lifetime(self, *, ttl_seconds: float, jitter: float) -> Lifetime:
        """The times of its entries; ``ttl_seconds`` unless it has a TTL of its own."""
        times = self._times
        return Lifetime(
            ttl_seconds=times.ttl or ttl_seconds,
            stale_seconds=times.stale_ttl,
            early_refresh=times.early_refresh,
            jitter=jitter,
            ttl_of=None if times.ttl_of is None else partial(self._chosen_ttl, times.ttl_of),
        )

    def _chosen_ttl(self, ttl_of: Callable[[Any], object], value: Any) -> float:
        """The TTL that the application's function gives a value; 0 for one that must not be stored."""
        try:
            chosen = ttl_of(value)
        except Exception as error:  # noqa: BLE001 - whatever the application's function raises
            problem = f"raised {type(error).__name__}"  # its text may have something of the value
        else:
            try:
                return chosen_seconds(chosen)
            except (TypeError, ValueError) as error:
                problem = f"returned no TTL: {error}"
        self._warn_once("ttl", "%s: a value is not stored, as its ttl= function %s", problem)
        return 0

    def address(self, namespace: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> EntryKeys:
        """Where the value of a call is stored.

        Raises:
            TypeError: The arguments do not fit the signature, or one has no stable form.
        """
        try:
            key, *tag_keys = self.compiled_keys(namespace)(*args, **kwargs)
        except TypeError:
            return self.bound_address(namespace, args, kwargs)  # raises with an explanation
        return EntryKeys(key, tuple(tag_keys))

    def bound_address(self, namespace: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> EntryKeys:
        """`address` by binding the arguments to the signature, which explains what is wrong with them."""
        arguments = self.keys.bind(args, kwargs)
        key = self.keys.key_of(namespace, arguments)
        return EntryKeys(key, self._tags.keys(namespace, arguments) if self._tags else ())

    def compiled_keys(self, namespace: str) -> Callable[..., KeyAndTags]:
        """A fast function from the arguments of a call to its keys.

        It raises `TypeError` for the same arguments as `key_and_tags`, without an explanation.
        """
        compiled = self._compiled_keys.get(namespace)
        if compiled is None:
            compiled = compile_keys(self.keys, self._tags, namespace) or partial(self.key_and_tags, namespace)
            self._compiled_keys[namespace] = compiled
        return compiled

    def addresses_of_items(
        self,
        namespace: str,
        items: Sequence[Any],
        first: tuple[Any, ...],
        shared: Mapping[str, Any],
        *,
        item: str,
    ) -> tuple[list[str], list[tuple[str, ...]] | None]:
        """`address` for each of ``items``: keys of entries, and keys of their tags, None without tags.

        Args:
            namespace: Of the cache.
            items: What the calls differ in.
            first: The instance, if the keys have something of it.
            shared: The other arguments.
            item: The parameter that takes an item.

        Raises:
            TypeError: As for `address`.
        """
        if (namespace, item) not in self._keys_of_items:
            compiled = compile_keys_of_items(self.keys, self._tags, namespace, item)
            self._keys_of_items[namespace, item] = compiled
        keys_of_items = self._keys_of_items[namespace, item]
        if keys_of_items is not None:
            try:
                return keys_of_items(items, *first, **shared)
            except TypeError:
                pass  # `address` raises it with an explanation
        addresses = [self.address(namespace, first, {**shared, item: one}) for one in items]
        tag_keys = [address.tag_keys for address in addresses] if self._tags else None
        return [address.key for address in addresses], tag_keys

    def key_and_tags(self, namespace: str, /, *args: Any, **kwargs: Any) -> KeyAndTags:
        """`bound_address` as one flat tuple, which is what a look-up takes."""
        key, tag_keys = self.bound_address(namespace, args, kwargs)
        return (key, *tag_keys)

    async def decoded(self, entry: Entry, *, max_bytes: int) -> tuple[Any] | None:
        """The value of an entry, in a tuple of one; None if another schema wrote it or it is damaged.

        The event loop runs meanwhile if the value is large; otherwise this does not suspend.

        Raises:
            OversizedEntryError: It would take more than ``max_bytes`` as JSON.
        """
        if entry.schema != self.codec.fingerprint:
            return None
        try:
            return (await self.codec.decode_stored(entry.payload, entry.compression, max_bytes=max_bytes),)
        except OversizedEntryError:
            raise  # an UndecodableEntryError, too
        except UndecodableEntryError:
            return None

    def warn_uncacheable(self, reason: CacheError, *, show_values: bool = False) -> None:
        """Log, once per process, that values of this function are not stored, and why.

        Args:
            reason: Why.
            show_values: ``LANGCACHE_LOG_VALUES``: show the value, too.
        """
        text = reason.details if show_values and isinstance(reason, UncacheableValueError) else str(reason)
        self._warn_once("value", "%s returned a value that is not cached: %s", text)

    def warn_too_large(self, n_bytes: int) -> None:
        """Log, once per process, that a value of this function is larger than its ``max_bytes``."""
        text = "%s returned a value that is not stored: %s bytes as JSON are more than max_bytes=%s"
        self._warn_once("size", text, f"{n_bytes:,}", f"{self.max_bytes:,}")

    def warn_lease_ended(self, why: str) -> None:
        """Log, once per process, that a value of this function came too late to be stored, and why."""
        self._warn_once("lease", "%s: a value was not stored, as the lease of its load had ended: %s", why)

    def _warn_once(self, subject: str, text: str, *arguments: str) -> None:
        if subject not in self._warned_of:
            self._warned_of.add(subject)
            logger.warning(text, self.name, *arguments)
