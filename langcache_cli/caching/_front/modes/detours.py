"""Calls that are not answered as usual: the cache is disabled, or a block or an observer is there.

All of this is off the path of a usual call, which looks at `FunctionCache.direct` alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from langcache_cli.caching._blocks import Mode
from langcache_cli.caching._front.function_cache import FunctionCache
from langcache_cli.caching._front.modes.recorder import Outcome, RecordedCall
from langcache_cli.caching._functions.spec import EntryKeys, FunctionSpec
from langcache_cli.caching._loading.call_many import CallMany

_KNOWN_OUTCOMES: dict[Mode | None, Outcome] = {Mode.BYPASSED: "bypassed", Mode.REFRESHING: "refreshed"}


class Ways(NamedTuple):
    """The ways to answer one call.

    Attributes:
        run: Runs the function.
        usual: Answers it as usual.
        address: Where its value is stored; raises TypeError if an argument cannot be part of a key.
    """

    run: Callable[[], Awaitable[Any]]
    usual: Callable[[], Awaitable[Any]]
    address: Callable[[], EntryKeys]


async def detoured(cache: FunctionCache, spec: FunctionSpec, ways: Ways) -> Any:
    """The value of one call, as the blocks around it say."""
    mode = Mode.BYPASSED if not cache.enabled else cache.modes.mode()
    with _recorded(cache, spec, mode, lambda: [ways.address().key]):
        if mode is Mode.BYPASSED:
            return await ways.run()
        if mode is Mode.REFRESHING:
            return await cache.reader(spec).call(ways.address(), ways.run).refresh(must_store=False)
        return await ways.usual()


async def detoured_many(
    cache: FunctionCache, spec: FunctionSpec, keys: Sequence[str], call: CallMany
) -> list[Any]:
    """The values of one call for many items, as the blocks around it say."""
    mode = Mode.BYPASSED if not cache.enabled else cache.modes.mode()
    with _recorded(cache, spec, mode, lambda: keys):
        reader = None if mode is Mode.BYPASSED else cache.reader(spec)
        return await call.answer(reader, anew=mode is Mode.REFRESHING)


def _recorded(
    cache: FunctionCache, spec: FunctionSpec, mode: Mode | None, keys: Callable[[], Sequence[str]]
) -> AbstractContextManager[None]:
    """Records a call, if anybody is to be told."""
    recorders = cache.modes.recorders()
    if not recorders:
        return nullcontext()
    try:
        found = keys()
    except TypeError:
        return nullcontext()  # raised by the call itself, unless it is bypassed and needs no key
    return RecordedCall(cache.label(spec), found, recorders, _KNOWN_OUTCOMES.get(mode))
