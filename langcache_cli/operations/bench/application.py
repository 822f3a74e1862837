"""The functions of an application as paths: those that have a warmer, on the arguments that it yields."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from langcache_cli.caching import Cache, CachedFunction
from langcache_cli.caching.tooling import Warmer, default_warmers, warm
from langcache_cli.operations.application import takes_nothing
from langcache_cli.operations.bench.ladder import Ladder, NotCachedError
from langcache_cli.operations.bench.path_names import names_of, stem_of

CALLS = 200
"""Different calls of a function that are measured, at most: those of the first batch of its warmer."""

Call = Mapping[str, Any]


class NothingToMeasureError(Exception):
    """No function can be measured; ``str()`` says why."""


class UnknownPathError(NothingToMeasureError):
    """A path was asked for that the application does not have."""


class ApplicationLadder(Ladder):
    """The cached call of each function, and the function itself.

    Each function is cached once more, with its options, under keys and tags of this run. So nothing changes
    in the entries of the application, nor in its hit rates.

    Attributes:
        left_out: Functions that cannot be measured, and why: one sentence each.
    """

    def __init__(self, cache: Cache, *, planned_seconds: float) -> None:
        super().__init__(cache, planned_seconds=planned_seconds)
        self.left_out: list[str] = []
        self._functions: list[_Function] = []

    @classmethod
    async def of_warmers(
        cls,
        cache: Cache,
        planned_seconds: float,
        *,
        paths: Collection[str] = (),
        overlapping: bool,
    ) -> ApplicationLadder:
        """The functions of the default cache that have a warmer.

        Args:
            cache: Where to.
            planned_seconds: How long the run is planned to take.
            paths: Only these: ``noop``, ``ping``, and functions as ``prefix:function``; none for all.
            overlapping: True if calls run at the same time. Then a function that takes a database session is
                not run uncached: its calls would share one session.

        Raises:
            UnknownPathError: There is no such path.
            NothingToMeasureError: There is no function that can be called.
            Exception: Whatever a warmer raises.
        """
        ladder = cls(cache, planned_seconds=planned_seconds)
        warmers = {one.function.spec.keys.stem: one for one in default_warmers()}
        known = (*ladder.runs, *warmers)
        for name in paths:
            if name not in known:
                raise UnknownPathError(f"unknown path {name!r}; paths: {', '.join(known)}")
        try:
            for stem, warmer in warmers.items():
                if not paths or stem in paths:
                    await ladder._add(stem, warmer, overlapping=overlapping)
            ladder._require_functions()
        except BaseException:
            await ladder.aclose()
            raise
        return ladder.only([name for name in ladder.runs if not paths or stem_of(name) in paths])

    def _require_functions(self) -> None:
        if not self._functions:
            reason = "; ".join(self.left_out) or "no function of the application has a warmer"
            raise NothingToMeasureError(reason)

    async def _add(self, stem: str, warmer: Warmer[Any], *, overlapping: bool) -> None:
        spec = warmer.function.spec
        if spec.keys.instance is not None and not inspect.ismethod(warmer.function.uncached):
            self.left_out.append(f"{stem} is a method, and is left out")
            return
        if not takes_nothing(warmer.calls):
            self.left_out.append(f"{stem} is left out: its warmer takes arguments")
            return
        batches = aiter(warmer.calls())
        calls = await _first(batches)
        if not calls:
            self.left_out.append(f"{stem} is left out: its warmer yields no calls")
            await _ended(batches)
            return
        name = f"{self.prefix}.{len(self._functions)}"
        function = _Function(self._cache, warmer, name, calls, batches, ttl_seconds=self.ttl_seconds)
        self._functions.append(function)
        hit, origin = names_of(stem)
        self.runs[hit] = function.hit
        if missing := function.missing:
            self.left_out.append(
                f"{stem} is not run uncached: its warmer yields calls without {missing}. To measure it, let "
                "the warmer yield that too, or give the parameter a default"
            )
        elif overlapping and spec.takes_session:
            self.left_out.append(f"{stem} takes a database session, so it is not run uncached at this load")
        else:
            self.runs[origin] = function.run

    async def prepare(self) -> None:
        """Cache what is to be hit."""
        for function in self._functions:
            await function.prepare()

    async def aclose(self) -> None:
        """End the warmers, which may hold database sessions, and remove the tags of this run."""
        for function in self._functions:
            await function.aclose()


class _Function:
    """One function, cached under a prefix of the run."""

    def __init__(
        self,
        cache: Cache,
        warmer: Warmer[CachedFunction[Any, Any]],
        prefix: str,
        calls: Sequence[Call],
        batches: AsyncIterator[Sequence[Call]],
        *,
        ttl_seconds: float,
    ) -> None:
        self._cache, self._warmer, self._calls, self._batches = cache, warmer, calls, batches
        self._loads = 0
        options = warmer.function.spec.options
        options |= {"key_prefix": prefix, "ttl": ttl_seconds, "stale_ttl": 0.0, "early_refresh": 0.0}
        options["tags"] = [f"{prefix}:{tag}" for tag in options.get("tags", ())]
        self._cached = cache.cached(**options)(self._counted())
        self._order = itertools.cycle(calls)

    def _counted(self) -> Any:
        uncached = self._warmer.function.uncached

        @functools.wraps(uncached)
        async def counted(*args: Any, **kwargs: Any) -> Any:
            self._loads += 1
            return await uncached(*args, **kwargs)

        return counted

    @property
    def missing(self) -> str:
        """The arguments that the calls lack, as only the ``load=`` of the warmer has them; empty for none."""
        parameters = inspect.signature(self._warmer.function.uncached).parameters.values()
        return ", ".join(
            one.name
            for one in parameters
            if one.default is one.empty
            and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
            and one.name not in self._calls[0]
        )

    async def prepare(self) -> None:
        await warm(self._cache, self._cached, self._calls, self._warmer.load)

    async def hit(self) -> None:
        loads, call = self._loads, next(self._order)
        await self._cached(**call)
        if self._loads != loads:
            await self._cache.runtime().server.lookup((self._cached.key_for(**call),))  # raises a refusal
            raise NotCachedError("a call that was to be a hit was none: its value cannot be cached")

    async def run(self) -> None:
        await self._warmer.function.uncached(**next(self._order))

    async def aclose(self) -> None:
        await _ended(self._batches)
        tags = {key for call in self._calls for key in self._cached.address(**call).tag_keys}
        if tags:
            await self._cache.runtime().bulk_store.server.remove([*tags])


async def _first(batches: AsyncIterator[Sequence[Call]]) -> list[Call]:
    """The first calls that a warmer yields; it goes on holding what they need."""
    async for batch in batches:
        if batch:
            return [*batch][:CALLS]
    return []


async def _ended(batches: AsyncIterator[Sequence[Call]]) -> None:
    close = getattr(batches, "aclose", None)
    if close is not None:
        await close()
