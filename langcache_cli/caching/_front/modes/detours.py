"""Calls that are not answered as usual: the cache is disabled, or a block or an observer concerns them.

All of this is off the path of a usual call, which looks at `FunctionCache.direct` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

from langcache_cli.caching._blocks import Mode
from langcache_cli.caching._front.functions.function_cache import FunctionCache
from langcache_cli.caching._front.modes.modes import Around
from langcache_cli.caching._front.modes.recorder import Outcome, RecordedCall
from langcache_cli.caching._functions.spec import FunctionSpec
from langcache_cli.caching._loading.many.call_many import CallMany
from langcache_cli.caching._loading.near_reads import SLOW_PATH
from langcache_cli.caching._loading.reader import Reader

_KNOWN_OUTCOMES: dict[Mode | None, Outcome] = {Mode.BYPASSED: "bypassed", Mode.REFRESHING: "refreshed"}


_replaced: ContextVar[frozenset[str]] = ContextVar("langcache_replaced", default=frozenset())
"""The keys that calls around the running code are about to replace."""


class Work(NamedTuple):
    """One call.

    Attributes:
        cache: Of the function.
        spec: Of the function.
        function: What a miss runs, with ``args`` and ``kwargs``.
        args: Its positional arguments.
        kwargs: Its other arguments.
        key_args: ``args`` as the key takes them.
    """

    cache: FunctionCache
    spec: FunctionSpec
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    key_args: tuple[Any, ...]

    def key(self) -> str:
        """Where its value is stored; raises TypeError if an argument cannot be part of a key."""
        return self.spec.address(self.cache.settings.namespace, self.key_args, self.kwargs).key


async def detoured(work: Work, around: Around) -> Any:
    """The value of a call, as the blocks around it say; it is recorded if anybody is to be told."""
    mode, recorders = around
    if not recorders:
        return await _answer(work, mode)
    keys: Sequence[str] = ()
    if mode is not None:
        try:
            keys = (work.key(),)
        except TypeError:
            return await _answer(work, mode)  # raises it, or needs no key
    call = RecordedCall(work.cache.modes, keys, _KNOWN_OUTCOMES.get(mode))
    call.begin()
    raised = True
    try:
        value = await _answer(work, mode)
        raised = False
        return value
    finally:
        call.end(work.cache.label(work.spec), recorders, work.key, raised=raised)


async def _answer(work: Work, mode: Mode | None) -> Any:
    cache, spec, function, args, kwargs, key_args = work
    if mode is Mode.BYPASSED:
        return await function(*args, **kwargs)
    reader = cache.reader(spec)
    if mode is Mode.REFRESHING:
        return await _refreshed(work, reader)
    if reader.near is not None:
        found = reader.near_answer(reader.near, key_args, kwargs)
        if found is not SLOW_PATH:
            return found
    return await reader.answer(function, args, kwargs, key_args=key_args)


async def _refreshed(work: Work, reader: Reader) -> Any:
    """Load a value, and replace what is stored; the function may call itself with the same arguments."""
    address = work.spec.address(work.cache.settings.namespace, work.key_args, work.kwargs)
    run = partial(work.function, *work.args, **work.kwargs)
    outer = _replaced.get()
    if address.key in outer:
        return await run()  # part of the load that will replace it
    _replaced.set(outer | {address.key})
    try:
        return await reader.call(address, run).refresh(must_store=False)
    finally:
        _replaced.set(outer)


async def detoured_many(
    cache: FunctionCache, spec: FunctionSpec, keys: Sequence[str], call: CallMany
) -> list[Any]:
    """The values of one call for many items, as the blocks around it say."""
    mode, recorders = cache.modes.around() or Around(None, ())
    reader = None if mode is Mode.BYPASSED else cache.reader(spec)
    answer = call.answer(reader, anew=mode is Mode.REFRESHING)
    if not recorders:
        return await answer
    recorded = RecordedCall(cache.modes, keys, _KNOWN_OUTCOMES.get(mode))
    recorded.begin()
    raised = True
    try:
        values = await answer
        raised = False
        return values
    finally:
        recorded.end(cache.label(spec), recorders, raised=raised)
