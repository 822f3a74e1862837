"""Making a body of what the function of a route returns, or finding out that it is not stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from langcache_cli.caching.tooling import Body, Unstorable
from langcache_cli.routes.answer import RawHeaders, storable_headers
from langcache_cli.routes.note import MAX_CHARACTERS, note_text
from langcache_cli.routes.validators import digest_of

if TYPE_CHECKING:
    from langcache_cli.routes.shape import RouteShape

OK = 200
"""The only status whose answers are stored."""

SETS_COOKIE = "it sets a cookie"


@dataclass(slots=True)
class Loading:
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
        """Run the function, and make a body of what it returns.

        Raises:
            Exception: Whatever the function raises, unless it is for one client only: with a cookie.
        """
        try:
            value = await self.function(**arguments)
        except HTTPException as error:
            if error.headers and "set-cookie" in map(str.lower, error.headers):
                return Unstorable(error, "it raised an error that sets a cookie")
            raise
        if self.shape is None and type(value) is JSONResponse:
            return _body(value, value.raw_headers, value)
        if self.shape is None or isinstance(value, Response):
            return Unstorable(value, f"a {type(value).__qualname__} is passed through as it is")
        if reason := self._refusal():
            return Unstorable(value, reason)
        added = self._added()
        rendered = await self.shape.render(self.request, value)
        found = _body(rendered, [*rendered.raw_headers, *added], value)
        if isinstance(found, Unstorable):  # and rendered already: a generator cannot be rendered again
            rendered.raw_headers += [*self.before, *added]
        return found

    def _refusal(self) -> str:
        """Why an answer with what the function has set is not stored; empty if it may be."""
        if self.response is None:
            return ""
        if self.response.status_code not in (None, OK):
            return f"its status is {self.response.status_code}"
        if self.response.raw_headers[: len(self.before)] != self.before:
            return "it has changed headers that a dependency had set"
        return SETS_COOKIE if _sets_cookie(self._added()) else ""

    def _added(self) -> RawHeaders:
        """The headers that the function has set."""
        return self.response.raw_headers[len(self.before) :] if self.response is not None else []


def _body(rendered: Response, headers: RawHeaders, returned: Any) -> Body | Unstorable:
    """The body of a response, if it can be stored."""
    is_plain = type(rendered).__call__ is Response.__call__ and rendered.background is None
    note = ""
    if not is_plain or not isinstance(rendered.body, bytes):
        reason = f"a {type(rendered).__qualname__} is not stored"
    elif rendered.status_code != OK:
        reason = f"its status is {rendered.status_code}"
    elif _sets_cookie(headers):
        reason = SETS_COOKIE
    else:
        note = note_text(digest_of(rendered.body), storable_headers(headers))
        reason = "its headers are too long to be stored" if len(note) > MAX_CHARACTERS else ""
    return Unstorable(rendered, reason) if reason else Body(bytes(rendered.body), note, returned=returned)


def _sets_cookie(headers: RawHeaders) -> bool:
    return any(name.lower() == b"set-cookie" for name, _ in headers)
