"""``@invalidates``: a function that writes, and removes what it has made out of date."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

from langcache_cli.caching._errors import CacheError, is_interruption
from langcache_cli.caching._front.functions.cached_function import CachedFunction
from langcache_cli.caching._front.functions.cached_many import CachedMany
from langcache_cli.caching._front.invalidation import CacheInvalidation
from langcache_cli.caching._front.sync.cached_sync_function import CachedSyncFunction
from langcache_cli.caching._front.writes.targets import (
    RESULT,
    FunctionTarget,
    Named,
    Writers,
    name_of,
    targets,
)
from langcache_cli.caching._keys.annotations import signature_of
from langcache_cli.caching._keys.framework_parameters import database_sessions
from langcache_cli.caching._keys.selection import Invalidation
from langcache_cli.caching._keys.template_field import TemplateField

F = TypeVar("F", bound=Callable[..., Any])


class WritingCache(Protocol):
    """The part of `Cache` that a function that writes uses."""

    @property
    def enabled(self) -> bool:
        """False if there is nothing to invalidate."""
        ...

    @property
    def invalidation(self) -> CacheInvalidation:
        """Removes entries."""
        ...


def invalidating(
    cache: Callable[[], WritingCache],
    functions: Sequence[Writers],
    *,
    tags: Sequence[str],
    patterns: Sequence[str],
    types: Sequence[str],
    session: str | None,
) -> Callable[[F], F]:
    """Make the decorator behind `Cache.invalidates`, see there."""
    if len(functions) == 1 and inspect.isfunction(functions[0]) and not hasattr(functions[0], "cached"):
        raise TypeError(f"write @invalidates(...) with parentheses, above {functions[0].__qualname__}()")

    def decorate(function: F) -> F:
        if isinstance(function, classmethod | staticmethod):
            return cast("F", type(function)(decorate(function.__func__)))
        if isinstance(function, CachedFunction | CachedMany | CachedSyncFunction):
            raise TypeError(f"{function!r} is cached: @invalidates is for functions that write")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{name_of(function)} is a generator, which @invalidates cannot wait for")
        write = _Write(cache, function, functions, tags=tags, patterns=patterns, types=types, session=session)
        return cast("F", _wrapped(function, write))

    return decorate


def _wrapped(function: Callable[..., Any], write: _Write) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            call = write.begin(args, kwargs)
            if call is None:
                return await function(*args, **kwargs)
            return await call.result_of(function(*args, **kwargs))

        return awaited

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        call = write.begin(args, kwargs)
        if call is None:
            return function(*args, **kwargs)
        try:
            result = function(*args, **kwargs)
            if inspect.isawaitable(result):
                return call.result_of(result)  # a plain function that returns the coroutine of another one
            call.has_returned(result)
        except BaseException as error:
            if is_interruption(error):  # the write may have been committed
                call.was_interrupted()
            raise
        return result

    return called


class _Write:
    """A function that writes, with what it invalidates."""

    def __init__(
        self,
        cache: Callable[[], WritingCache],
        function: Callable[..., Any],
        functions: Sequence[Writers],
        *,
        tags: Sequence[str],
        patterns: Sequence[str],
        types: Sequence[str],
        session: str | None,
    ) -> None:
        self.cache = cache
        self.name = name_of(function)
        self._signature = signature_of(function)
        parameters = self._signature.parameters
        self.targets = targets(function, parameters, functions, tags=tags, patterns=patterns, types=types)
        self._sessions = [_as_field(name) for name in sorted(database_sessions(function, parameters))]
        if session is not None:
            self._sessions = [_as_field(session.removeprefix("{").removesuffix("}"))]
            if self._sessions[0].parameter not in parameters:
                raise TypeError(f"{self.name}: session={session!r} names no parameter of it")
        self._takes_result = RESULT not in parameters
        """True if ``{result}`` is what it returned; otherwise it has a parameter of that name."""

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _WriteCall | None:
        """One call, before the function runs; None if it needs nothing.

        Raises:
            TypeError: A field cannot be read, or cannot be part of a name; a function is of another cache.
            CacheError: A pattern is outside the namespace, or there is no such cache type.
        """
        cache = self.cache()
        if not cache.enabled:
            return None
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:
            return None  # the function itself raises it
        bound.apply_defaults()
        for target in self.targets:
            of_cache: object = target.function.cache if isinstance(target, FunctionTarget) else cache
            if of_cache is not cache:
                raise TypeError(f"{self.name}: {target!r} is a function of another cache")
        sessions = [one.value(bound.arguments) for one in self._sessions]
        return _WriteCall(self, cache.invalidation, bound.arguments, sessions)

    def named(self, arguments: Mapping[str, Any]) -> Named:
        """What is known before the function runs."""
        named = Named()
        for target in self.targets:
            if not self._needs_result(target.fields):
                target.add_to(named, arguments)
        return named

    def named_after(self, arguments: Mapping[str, Any], result: Any) -> tuple[Named, list[TypeError]]:
        """What is known after it has returned, and what could not be read of its result."""
        named, errors = Named(), list[TypeError]()
        everything = {**arguments, RESULT: result} if self._takes_result else arguments
        for target in self.targets:
            needs_result = self._needs_result(target.fields)
            if needs_result and result is None:
                continue  # nothing was written
            try:
                target.add_to(named, everything)
            except TypeError as error:
                if needs_result:
                    errors.append(error)  # other fields have been read before
        return named, errors

    def _needs_result(self, fields: Sequence[TemplateField]) -> bool:
        return self._takes_result and any(one.parameter == RESULT for one in fields)


class _WriteCall:
    """One call of a function that writes."""

    def __init__(
        self,
        write: _Write,
        invalidation: CacheInvalidation,
        arguments: Mapping[str, Any],
        sessions: Sequence[Any],
    ) -> None:
        self._write = write
        self._invalidation = invalidation
        self._arguments = arguments
        self._sessions = sessions
        self._before = write.named(arguments)
        self._known = self._invalidations(self._before)  # raises what is wrong before anything is written
        self._result: tuple[Any, ...] = ()
        """What the function has returned, once it has."""

    async def result_of(self, running: Awaitable[Any]) -> Any:
        """Await the function, and invalidate."""
        is_kept = False
        try:
            result = await running
            invalidations, errors = self._after(result)
            try:
                self._repeat_at_commit(invalidations)
            finally:
                try:
                    await self._invalidation.removed(invalidations)
                except asyncio.CancelledError:
                    is_kept = True
                    raise
        except BaseException as error:
            if is_interruption(error) and not is_kept:  # the write may have been committed
                self.was_interrupted()
            raise
        _raise_first(errors)
        return result

    def has_returned(self, result: Any) -> None:
        """Invalidate where nothing can be awaited."""
        invalidations, errors = self._after(result)
        try:
            self._repeat_at_commit(invalidations)
        finally:
            self._invalidation.remove_apart(invalidations)
        _raise_first(errors)

    def was_interrupted(self) -> None:
        """Invalidate what is known: whether the write was committed is unknown.

        It is kept until Redis confirms it, and this process does not read what it is about before.
        """
        self._invalidation.keep(self._known)  # first: the rest waits, and may be interrupted, too
        if self._result:
            self._after(self._result[0])
        try:
            self._repeat_at_commit(self._known)
        finally:
            self._invalidation.remove_apart(self._known)

    def _after(self, result: Any) -> tuple[Sequence[Invalidation], Sequence[Exception]]:
        """All that was known before and is known now: a write may change what it is named by."""
        self._result = (result,)
        named, errors = self._write.named_after(self._arguments, result)
        try:
            self._known = self._invalidations(self._before | named)
        except CacheError as error:  # a pattern or type with something of the result
            return self._known, [*errors, error]
        return self._known, errors

    def _invalidations(self, named: Named) -> Sequence[Invalidation]:
        names = named.keys, named.tags, named.patterns, named.types
        return self._invalidation.named(*map(list, names))

    def _repeat_at_commit(self, invalidations: Sequence[Invalidation]) -> None:
        for session in self._sessions:
            if _is_in_transaction(session):
                self._invalidation.at_commit(session, invalidations)


def _is_in_transaction(session: Any) -> bool:
    """True for a session or connection in a transaction; not for a factory, nor for a test double."""
    registry = getattr(session, "registry", None)  # of a scoped session
    asked = getattr(registry() if callable(registry) else session, "in_transaction", None)
    return callable(asked) and asked() is True


def _as_field(text: str) -> TemplateField:
    field = TemplateField.parse(text)
    if field is None:
        raise TypeError(f"{text!r} is not a parameter, or an attribute or item of one")
    return field


def _raise_first(errors: Sequence[Exception]) -> None:
    for error in errors:
        raise error
