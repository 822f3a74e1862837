"""A cached function: called like the one it wraps, with the means to invalidate and refresh its entries."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from langcache_cli.caching._front.functions.binding import (
    Binding,
    EqualIfBoundAlike,
    bound_class,
    home_and_subclasses,
    is_static,
    receiver,
)
from langcache_cli.caching._front.functions.coroutine_mark import mark_as_coroutine_function
from langcache_cli.caching._front.functions.function_cache import FunctionCache
from langcache_cli.caching._front.modes.detours import Work, detoured
from langcache_cli.caching._front.modes.modes import PAST, Around
from langcache_cli.caching._front.sync.blocking import SyncCalls
from langcache_cli.caching._front.writes.where import Where
from langcache_cli.caching._functions.spec import EntryKeys, FunctionSpec
from langcache_cli.caching._functions.warmer import BatchLoader, CallBatches, Warmer, one_by_one
from langcache_cli.caching._loading.near_reads import SLOW_PATH

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
S = TypeVar("S")


class CachedFunction(EqualIfBoundAlike, Generic[P, T]):
    """What `cached` makes of an ``async def`` function or method.

    Cancelling a call is safe at any moment. While Redis cannot be used, calls run the function.
    """

    def __init__(
        self,
        function: Callable[P, Coroutine[Any, Any, T]],
        spec: FunctionSpec,
        cache: Callable[[], FunctionCache],
        *,
        binding: Binding = Binding.INSTANCE,
    ) -> None:
        functools.update_wrapper(self, function)
        mark_as_coroutine_function(self, function)
        if binding is Binding.NOTHING:
            spec = spec.as_plain_function()
        self._function = function
        self._spec = self._root = spec
        self._cache = cache
        self._binding = binding
        self._owner: type[Any] | None = None
        self._may_lack_instance = spec.keys.instance is not None
        """True for a method that is not bound: its first argument is the instance."""
        self.instance_in_key: tuple[Any, ...] = ()
        """The instance of a bound method, if its key has something of it."""

    @property
    def uncached(self) -> Callable[P, Coroutine[Any, Any, T]]:
        """The function itself: what a miss runs."""
        return self._function

    @property
    def spec(self) -> FunctionSpec:
        """How this function is cached."""
        return self._spec

    @property
    def cache(self) -> FunctionCache:
        """Where its entries are."""
        return self._cache()

    @property
    def sync(self) -> SyncCalls[P, T]:
        """The same function for threads without an event loop: ``get_word.sync(7)``."""
        return SyncCalls(self, self._spec.keys.function_name)

    async def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The value, from the cache if it can be.

        Raises:
            TypeError: An argument cannot be part of a key.
            Exception: Whatever the function raises; nothing is stored then.
        """
        cache = self._cache()
        if not cache.direct and (around := cache.modes.around()) is not None:
            if around is PAST:
                return await self._function(*args, **kwargs)
            return cast("T", await self._detoured(around, cache, args, kwargs))
        if self._may_lack_instance:
            bound, args, kwargs = self._received(args, kwargs)  # type: ignore[assignment]
            return await bound(*args, **kwargs)
        key_args = (*self.instance_in_key, *args) if self.instance_in_key else args
        reader = cache.reader(self._spec)
        if reader.near is not None:
            found = reader.near_answer(reader.near, key_args, kwargs)
            if found is not SLOW_PATH:
                return cast("T", found)
        value: T = await reader.answer(self._function, args, kwargs, key_args=key_args)
        return value

    def _detoured(
        self, around: Around, cache: FunctionCache, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """A call while the cache is disabled, or a block or an observer concerns it."""
        if self._may_lack_instance and (cache.enabled or around.recorders):
            bound, args, kwargs = self._received(args, kwargs)
            return bound(*args, **kwargs)
        key_args = (*self.instance_in_key, *args)
        return detoured(Work(cache, self._spec, self._function, args, kwargs, key_args), around)

    async def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function now and store its value, even if an entry is fresh.

        Until then the old entry is served. Loads that began earlier are not stored any more.

        Raises:
            CacheUnavailableError: Redis did not confirm; the old entry may still be there.
            Exception: Whatever the function raises; the old entry stays.
        """
        cache = self._cache()
        if not cache.enabled:
            return await self._function(*args, **kwargs)
        bound: CachedFunction[Any, T] = self
        if self._may_lack_instance:
            bound, args, kwargs = self._received(args, kwargs)  # type: ignore[assignment]
        address = bound.spec.address(cache.settings.namespace, (*bound.instance_in_key, *args), kwargs)
        origin = functools.partial(bound.uncached, *args, **kwargs)
        value: T = await cache.reader(bound.spec).call(address, origin).refresh()
        return value

    def warmer(self, calls: CallBatches, *, load: BatchLoader | None = None) -> CallBatches:
        """Say what `langcache warm --app` is to load ahead of its readers; a decorator.

        ```python
        @get_word.warmer
        async def frequent_words():
            async with sessions() as db:
                for ids in batches:
                    yield [{"word_id": word_id, "db": db} for word_id in ids]
        ```

        Args:
            calls: An async generator function that yields batches of arguments. It yields no values: those
                must be read after the leases were taken, or an invalidation in between would be lost.
            load: Reads the values of a batch at once; without it the function is called for each.
        """
        self._root.warmer = Warmer(self, calls, load or one_by_one(self._function))
        return calls

    @overload
    async def invalidate(self, /, *args: P.args, **kwargs: P.kwargs) -> bool: ...
    @overload
    async def invalidate(self, /, **kwargs: Any) -> bool: ...
    async def invalidate(self, /, *args: Any, **kwargs: Any) -> bool:
        """Remove the entry of these arguments, and the right to store any load of it under way.

        Takes the arguments of the function; those that are not part of the key (``self``,
        sessions, ignored ones) may be left out. Of a method that is named through the class that defines it,
        and without an instance, the entries of all subclasses are removed that this process has imported.

        Returns:
            True if there was anything to remove. If Redis does not confirm, this process bypasses the cache
            until it does; other processes may serve the entry until then.

        Raises:
            CacheUnavailableError: Redis did not confirm, and the cache does not defer.
            TypeError: An argument that the key needs is missing or unknown.
        """
        cache = self._cache()
        if not cache.enabled:
            return False
        keys = [address.key for address in self.addresses(cache, args, kwargs)]
        return await cache.invalidate_keys(keys, self._spec) > 0

    @overload
    def key_for(self, /, *args: P.args, **kwargs: P.kwargs) -> str: ...
    @overload
    def key_for(self, /, **kwargs: Any) -> str: ...
    def key_for(self, /, *args: Any, **kwargs: Any) -> str:
        """The Redis key of these arguments; takes the same ones as `invalidate`.

        A method that is called through a subclass has the subclass in its keys: name it through an instance
        or the class that it is called on.

        Raises:
            TypeError: An argument that the key needs is missing or unknown, or the class is: from Python 3.13
                on ``@classmethod`` above ``@cached`` does not tell it.
        """
        address, *of_subclasses = self.addresses(self._cache(), args, kwargs)
        if of_subclasses and self._owner is None:
            raise TypeError(
                f"{self._spec.name}() is a class method with other keys for each subclass; this Python does "
                "not tell which class is meant; write @cached(...) above @classmethod"
            )
        return address.key

    def addresses(
        self, cache: FunctionCache, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> list[EntryKeys]:
        """Where the value is stored: first the key of these arguments, then those of subclasses."""
        namespace = cache.settings.namespace
        if not self._may_lack_instance:
            return [self._spec.address(namespace, (*self.instance_in_key, *args), kwargs)]
        keys = self._root.keys
        if (found := receiver(keys, self._owner, args, kwargs, must_be_kind=True)) is not None:
            instance, args, kwargs = found
            return self.bound_to(instance).addresses(cache, args, kwargs)
        if is_static(keys, self._owner):
            return self._static.addresses(cache, args, kwargs)
        specs = self._root.of_all_classes(*home_and_subclasses(keys, self._owner))
        return [spec.address(namespace, args, kwargs) for spec in specs]

    def all_keys(self, /, **kwargs: Any) -> list[str]:
        """The Redis keys that `invalidate` removes for these arguments."""
        return [address.key for address in self.addresses(self._cache(), (), kwargs)]

    @property
    def key_parameters(self) -> Mapping[str, inspect.Parameter]:
        """The parameters that the key needs, by name."""
        keys = self._spec.keys
        given = {keys.first} if self.instance_in_key else set[str]()
        return {name: keys.signature.parameters[name] for name in keys.in_key if name not in given}

    def where(self, /, **values: object) -> Where:
        """Say where `invalidates` finds parameters of the key that the writer has no parameter for.

        ```python
        @invalidates(get_word.where(word_id="{word.id}", language="de"))
        async def save_word(word: WordRow, db: AsyncSession) -> None: ...
        ```

        Args:
            values: By parameter of this function a field of the writer's arguments, or of the ``{result}``
                that it returns; or any other value. The other parameters are those of the same names.
        """
        return Where(self, values)

    def address(self, /, **kwargs: Any) -> EntryKeys:
        """The Redis keys of the entry of these arguments, and of its tags."""
        return self.addresses(self._cache(), (), kwargs)[0]

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> CachedFunction[P, T]: ...
    @overload
    def __get__(
        self: CachedFunction[Concatenate[S, Q], T], instance: S, owner: type[Any]
    ) -> CachedFunction[Q, T]: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> CachedFunction[Any, T]:
        """Bind to an instance, as a method is."""
        if self._binding is Binding.CLASS:
            instance = owner if owner is not None else type(instance)
        elif instance is None or self._binding is Binding.NOTHING:
            return self
        return self.bound_to(instance)

    def bound_to(self, instance: Any) -> CachedFunction[Any, T]:
        """The method of an instance, or of a class if it is a class method."""
        kind = type(instance)
        owner = kind if kind is self._owner else bound_class(instance, self._root.keys.home)
        function, spec = self._function.__get__(instance, owner), self._root.of_class(owner)
        bound: CachedFunction[Any, T] = object.__new__(CachedFunction)
        state = vars(bound)  # made at every access to a method: cheaper than another update_wrapper
        state.update(vars(self))
        state.update(_function=function, __wrapped__=function, __func__=self, __self__=instance, _spec=spec)
        state["_may_lack_instance"] = False
        if spec.keys.uses_instance:
            state["instance_in_key"] = (instance,)
        return bound

    def __set_name__(self, owner: type[Any], name: str) -> None:
        if self._owner is None and self._binding is Binding.INSTANCE:
            self._owner = self._root.owner = owner
            self._may_lack_instance = True

    def __repr__(self) -> str:
        return f"<cached {self._spec.name}>"

    def _received(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[CachedFunction[Any, T], tuple[Any, ...], Mapping[str, Any]]:
        """The bound method and its arguments, of a call through the class; TypeError if they lack one."""
        found = receiver(self._root.keys, self._owner, args, kwargs)
        if found is None:
            return self._static, args, kwargs
        instance, args, kwargs = found
        return self.bound_to(instance), args, kwargs

    @functools.cached_property
    def _static(self) -> CachedFunction[Any, T]:
        """The function as a static method, of which every parameter is an argument."""
        static: CachedFunction[Any, T] = object.__new__(CachedFunction)
        vars(static).update(vars(self), _spec=self._root.as_plain_function(), _may_lack_instance=False)
        return static
