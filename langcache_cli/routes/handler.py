"""Answering the requests of one cached route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from starlette.requests import Request
from starlette.responses import Response

from langcache_cli.caching import CachedFunction
from langcache_cli.caching.tooling import UndecodableEntryError, Unstorable, answered
from langcache_cli.routes.answer import AnswerPolicy, answer
from langcache_cli.routes.loading import OK, Loading

if TYPE_CHECKING:
    from langcache_cli.routes.shape import RouteShape

try:
    from langcache_cli.routes.shape import shape_of
except ImportError:  # a Starlette application without FastAPI
    shape_of = None  # type: ignore[assignment]

_OF_STARLETTE = "57a71e77"
"""The shape of responses that the application makes itself."""


class RouteHandler:
    """Answers GET and HEAD requests from the cache, and passes all others through."""

    def __init__(self, cached: CachedFunction[Any, Any], policy: AnswerPolicy) -> None:
        self.cached = cached
        self._policy = policy
        self._policies: WeakKeyDictionary[RouteShape, AnswerPolicy] = WeakKeyDictionary()

    async def handle(self, request: Request, response: Response | None, arguments: Mapping[str, Any]) -> Any:
        """The answer: a response, or what the function has returned, for the framework to make one of.

        Args:
            request: The request.
            response: FastAPI's response for headers that dependencies and the function set; None in
                Starlette.
            arguments: Of the function.
        """
        cache = self.cached.cache
        if request.method not in ("GET", "HEAD") or not cache.enabled:
            if response is not None and not cache.enabled:
                response.headers["x-cache"] = "bypass"
            return await self.cached.uncached(**arguments)
        shape = shape_of(request) if shape_of is not None else None
        if shape is not None and shape.status_code != OK:
            return await self.cached.uncached(**arguments)
        if response is not None and response.status_code not in (None, OK):  # set by a dependency
            return await self.cached.uncached(**arguments)
        headers = response.raw_headers if response is not None else []
        call = Loading(self.cached.uncached, request, response, shape, before=[*headers])
        fingerprint = shape.fingerprint if shape is not None else _OF_STARLETTE
        found = await answered(self.cached, fingerprint, call.load, arguments)
        if isinstance(found.value, Unstorable):
            if isinstance(found.value.value, Exception):
                raise found.value.value
            return found.value.value
        try:
            return await answer(
                *(found.value, found, request, self._policy_of(shape)),
                of_dependencies=call.before,
                max_bytes=cache.settings.max_decompressed_bytes,
            )
        except (UndecodableEntryError, ValueError):  # damaged in Redis
            return await self.cached.uncached(**arguments)

    def _policy_of(self, shape: RouteShape | None) -> AnswerPolicy:
        """What answers tell clients, with regard to the dependencies of the route and the application."""
        if shape is None:
            return self._policy
        policy = self._policies.get(shape)
        if policy is None:
            policy = self._policies[shape] = self._policy.beside(shape.reads.headers, shape.reads.anything)
        return policy
