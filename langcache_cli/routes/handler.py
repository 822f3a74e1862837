"""Answering the requests of one cached route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from langcache_cli.caching import CachedFunction
from langcache_cli.caching.tooling import Body, UndecodableEntryError, Unstorable, answered
from langcache_cli.routes.answer import AnswerPolicy, RawHeaders, answer, storable_headers
from langcache_cli.routes.note import MAX_CHARACTERS, note_text
from langcache_cli.routes.validators import digest_of

try:
    from langcache_cli.routes.shape import RouteShape, shape_of
except ImportError:  # a Starlette application without FastAPI
    shape_of = None  # type: ignore[assignment]

OK = 200
"""The only status whose answers are stored."""

_OF_STARLETTE = "57a71e77"
"""The shape of responses that the application makes itself."""


class RouteHandler:
    """Answers GET and HEAD requests from the cache, and passes all others through."""

    def __init__(self, cached: CachedFunction[Any, Any], policy: AnswerPolicy) -> None:
        self.cached = cached
        self._policy = policy

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
            return await self.cached.uncached(**arguments)
        shape = shape_of(request) if shape_of is not None else None
        if shape is not None and shape.status_code != OK:
            return await self.cached.uncached(**arguments)
        if response is not None and response.status_code not in (None, OK):  # set by a dependency
            return await self.cached.uncached(**arguments)
        headers = response.raw_headers if response is not None else []
        call = _Call(self.cached.uncached, request, response, shape, before=[*headers])
        fingerprint = shape.fingerprint if shape is not None else _OF_STARLETTE
        found = await answered(self.cached, fingerprint, call.load, arguments)
        if isinstance(found.value, Unstorable):
            return found.value.value
        try:
            return await answer(
                *(found.value, found, request, self._policy),
                of_dependencies=call.before,
                max_bytes=cache.settings.max_decompressed_bytes,
            )
        except (UndecodableEntryError, ValueError):  # damaged in Redis
            return await self.cached.uncached(**arguments)


@dataclass(slots=True)
class _Call:
    """One request, and what it takes to load its body.

    Attributes:
        function: The function of the route.
        request: The request.
        response: Holds the headers that dependencies and the function set; None in Starlette.
        shape: How the route shapes its bodies; None in Starlette.
        before: The headers that dependencies have set.
    """

    function: Callable[..., Awaitable[Any]]
    request: Request
    response: Response | None
    shape: RouteShape | None
    before: RawHeaders

    async def load(self, **arguments: Any) -> Body | Unstorable:
        """Run the function, and make a body of what it returns."""
        value = await self.function(**arguments)
        if self.shape is None:
            return _body(value, value, value.raw_headers) if type(value) is JSONResponse else _passed(value)
        if isinstance(value, Response):
            return _passed(value)
        added: RawHeaders = []
        if self.response is not None:
            if self.response.status_code not in (None, OK):
                return Unstorable(value, f"its status is {self.response.status_code}")
            n_before = len(self.before)
            if self.response.raw_headers[:n_before] != self.before:
                return Unstorable(value, "it has changed headers that a dependency had set")
            added = self.response.raw_headers[n_before:]
        rendered = await self.shape.render(self.request, value)
        return _body(value, rendered, [*rendered.raw_headers, *added])


def _body(value: Any, rendered: Response, headers: RawHeaders) -> Body | Unstorable:
    """The body of a response, if it can be stored."""
    is_plain = type(rendered).__call__ is Response.__call__ and rendered.background is None
    if not is_plain or not isinstance(rendered.body, bytes):
        return Unstorable(value, f"a {type(rendered).__qualname__} is not stored")
    if rendered.status_code != OK:
        return Unstorable(value, f"its status is {rendered.status_code}")
    if any(name.lower() == b"set-cookie" for name, _ in headers):
        return Unstorable(value, "it sets a cookie")
    note = note_text(digest_of(rendered.body), storable_headers(headers))
    if len(note) > MAX_CHARACTERS:
        return Unstorable(value, "its headers are too long to be stored")
    return Body(rendered.body, note)


def _passed(value: Any) -> Unstorable:
    return Unstorable(value, f"a {type(value).__qualname__} is passed through as it is")
