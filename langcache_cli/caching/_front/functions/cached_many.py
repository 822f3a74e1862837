"""One call for many items, cached item by item under the keys of the function for a single one."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

from langcache_cli.caching._front.functions.binding import EqualIfBoundAlike, bound_class
from langcache_cli.caching._front.functions.cached_function import CachedFunction
from langcache_cli.caching._front.functions.coroutine_mark import mark_as_coroutine_function
from langcache_cli.caching._front.functions.function_cache import FunctionCache
from langcache_cli.caching._front.functions.values_of_items import unshared, values_of_items
from langcache_cli.caching._front.modes.detours import detoured_many
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._keys.builder import listed, without_instance
from langcache_cli.caching._keys.framework_parameters import database_sessions
from langcache_cli.caching._keys.owning_class import defining_class, is_kind_of
from langcache_cli.caching._loading.many.call_many import CallMany

P = ParamSpec("P")
T = TypeVar("T")

Returned = Sequence[T | Exception] | Mapping[Any, T | Exception]
"""What a function for many items returns: values in the order of the items, or by item."""

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def cached_many(
    single: CachedFunction[Any, T], *, each: str
) -> Callable[[Callable[P, Coroutine[Any, Any, Returned[T]]]], CachedMany[P, T]]:
    """Cache what an ``async def`` function returns for a list of items, each under the key of ``single``.

    ```python
    @cached(key_prefix="translation")
    async def translate_text(text: str, source_lang: str, target_lang: str) -> str: ...


    @cached_many(translate_text, each="texts")
    async def translate_batch(texts: Sequence[str], source_lang: str, target_lang: str) -> list[str]: ...
    ```

    The function is called with the items that are missing, each once, and returns their values in the same
    order, or a dictionary of the values by item. Lifetime, tags, statistics and the type of a value are those
    of ``single``, and a load of one is shared with the other. An exception in the place of a value is raised
    after the other values were stored.

    Args:
        single: The cached function for one item.
        each: The parameter with the items. The parameter of ``single`` that it stands for is the one without
            a default that this function does not have.

    Raises:
        TypeError: When the module is imported: the parameters of the two functions do not match.
    """
    if not isinstance(single, CachedFunction):
        raise TypeError(f"cached_many() takes an 'async def' function with @cached, not {single!r}")

    def decorate(function: Callable[P, Coroutine[Any, Any, Returned[T]]]) -> CachedMany[P, T]:
        return CachedMany(function, single, each)

    return decorate


class CachedMany(EqualIfBoundAlike, Generic[P, T]):
    """What `cached_many` makes of an ``async def`` function or method."""

    def __init__(
        self,
        function: Callable[P, Coroutine[Any, Any, Returned[T]]],
        single: CachedFunction[Any, T],
        each: str,
    ) -> None:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(
                f"{function.__qualname__} must be an 'async def' function that returns its values"
            )
        self._function = function
        self._single = single
        self._each = each
        self._signature = inspect.signature(function)
        self._home = defining_class(function)
        functools.update_wrapper(self, function)
        mark_as_coroutine_function(self, function)
        self._item = _item_parameter(self._signature, single, each, function.__qualname__)
        sessions = database_sessions(function, self._signature.parameters)
        self._takes_session = bool(sessions) or single.spec.takes_session

    @property
    def uncached(self) -> Callable[P, Coroutine[Any, Any, Returned[T]]]:
        """The function itself."""
        return self._function

    @property
    def single(self) -> CachedFunction[Any, T]:
        """The cached function for one item."""
        return self._single

    async def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> list[T]:
        """The values of all items, in their order.

        Raises:
            TypeError: An item or another argument cannot be part of a key.
            TypeError: The function returned neither a sequence nor a dictionary.
            ValueError: The function returned more or fewer values than it was asked for, or lacks an item.
            Exception: Whatever the function raises, or has returned in the place of a value; several of the
                latter come as an `ExceptionGroup`.
        """
        if args and self._home and is_kind_of(bound_class(args[0], self._home), self._home):
            return await self.__get__(args[0])(*args[1:], **kwargs)
        cache = self._single.cache
        bound = self._signature.bind(*args, **kwargs)
        items, shared = self._arguments(bound)
        spec, first = self._single.spec, self._single.instance_in_key
        keys, tags = spec.addresses_of_items(cache.settings.namespace, items, first, shared, item=self._item)
        load = functools.partial(self._load, bound)
        call = CallMany(load, keys, tags, items, takes_session=self._takes_session)
        if cache.direct:
            values = await call.answer(cache.reader(spec))
        else:
            values = await detoured_many(cache, spec, keys, call)
        return unshared(values, keys)

    async def invalidate(self, /, **kwargs: Any) -> int:
        """Remove the entries of all items; returns how many there were. See `CachedFunction.invalidate`."""
        cache = self._single.cache
        if not cache.enabled:
            return 0
        return await cache.invalidate_keys(self.all_keys(**kwargs), self._single.spec)

    def all_keys(self, /, **kwargs: Any) -> list[str]:
        """The Redis keys that `invalidate` removes for these arguments.

        Raises:
            TypeError: An argument that the keys need is missing, or the items can be read only once.
        """
        if isinstance(kwargs.get(self._each), Iterator):
            raise TypeError(f"{self!r}: its {self._each!r} is an iterator, which can be read only once")
        items, shared = self._arguments(self._signature.bind_partial(**kwargs))
        return [key for item in items for key in self._single.all_keys(**shared, **{self._item: item})]

    @property
    def key_parameters(self) -> Mapping[str, inspect.Parameter]:
        """The parameters that the keys need, by name."""
        shared = {**self._single.key_parameters}
        del shared[self._item]
        return {**shared, self._each: self._signature.parameters[self._each]}

    @property
    def spec(self) -> FunctionSpec:
        """How the values of single items are cached."""
        return self._single.spec

    @property
    def cache(self) -> FunctionCache:
        """Where the entries are."""
        return self._single.cache

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> CachedMany[Any, T]:
        """Bind to an instance, as a method is."""
        if instance is None:
            return self
        kind = bound_class(instance, self._single.spec.keys.home)
        function: Any = self._function.__get__(instance, kind)
        single = self._single.bound_to(instance) if self._is_of_kind(kind) else self._single
        bound: CachedMany[Any, T] = copy.copy(self)  # cheaper than a new object with its checks
        vars(bound).update(
            _function=function,
            __wrapped__=function,
            __func__=self,
            __self__=instance,
            _single=single,
            _home=None,
        )
        vars(bound)["_signature"] = self._signature_of_methods
        return bound

    def _is_of_kind(self, kind: type[Any]) -> bool:
        """True if the function for a single item is a method of ``kind``, too."""
        keys = self._single.spec.keys
        return keys.instance is not None and is_kind_of(kind, keys.home)

    @functools.cached_property
    def _signature_of_methods(self) -> inspect.Signature:
        return without_instance(self._signature)

    def __repr__(self) -> str:
        return f"<cached_many {self._function.__module__}.{self._function.__qualname__}>"

    def _arguments(self, bound: inspect.BoundArguments) -> tuple[list[Any], dict[str, Any]]:
        """The items of a call, and the arguments that the keys of all of them share."""
        names = bound.arguments.keys() & set(self._single.spec.keys.in_key)
        shared = {name: bound.arguments[name] for name in names}
        return _items(bound.arguments[self._each], self._each), shared

    async def _load(self, bound: inspect.BoundArguments, items: Sequence[Any]) -> list[T | Exception]:
        """The values of some of the items, straight from the function."""
        arguments = inspect.BoundArguments(self._signature, bound.arguments.copy())
        arguments.arguments[self._each] = list(items)
        returned = await self._function(*arguments.args, **arguments.kwargs)
        return values_of_items(returned, items, repr(self))


def _items(items: Iterable[Any], name: str) -> list[Any]:
    if isinstance(items, str | bytes):
        raise TypeError(f"{name} must be a list of items, not {items!r}")
    return list(items)


def _item_parameter(
    signature: inspect.Signature, single: CachedFunction[Any, Any], each: str, name: str
) -> str:
    """The parameter of ``single`` that takes one item.

    Raises:
        TypeError: There is none, or several could be it.
    """
    parameters = signature.parameters
    if each not in parameters or parameters[each].kind in _VARIADIC:
        raise TypeError(f"{name}() has no parameter {each!r} for its items")
    missing = single.spec.keys.required - set(parameters)
    if len(missing) != 1:
        raise TypeError(
            f"{name}() must have all required parameters that are part of the key of {single!r} but one, "
            f"which its {each!r} stands for; it lacks {listed(missing) or 'none'}"
        )
    return missing.pop()
