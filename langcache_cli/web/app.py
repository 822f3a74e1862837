"""The application of ``langcache dashboard``: for one person, on this machine, behind a token."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from langcache_cli.caching import Cache
from langcache_cli.caching.tooling import current_actor
from langcache_cli.operations.overview.source import OverviewSource
from langcache_cli.web import files
from langcache_cli.web.endpoints import Endpoint, Endpoints, json_response
from langcache_cli.web.security import is_own_host

TOKEN_BYTES = 32


def new_token() -> str:
    """A token of 256 random bits, for one run of the command."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def dashboard_app(
    cache: Cache,
    *,
    token: str,
    port: int,
    source: OverviewSource | None = None,
    read_only: bool = False,
    hide_arguments: bool = False,
) -> ASGIApp:
    """Make it.

    Args:
        cache: What it shows; stays open as long as the application runs.
        token: What every request for data must bring.
        port: Where it listens; a request for another host or port is refused.
        source: See `Endpoints`.
        read_only: See `Endpoints`.
        hide_arguments: See `Endpoints`.
    """
    who, _ = current_actor()
    endpoints = Endpoints(
        lambda: cache,
        source=source,
        actor=lambda _: who,
        read_only=read_only,
        hide_arguments=hide_arguments,
    )
    routes = [Route(f"/{'' if name == files.INDEX else name}", _file(name)) for name in files.FILES]
    routes += [
        Route(f"/api/{path}", _with_token(endpoint, token), methods=[method])
        for (method, path), endpoint in endpoints.routes.items()
    ]
    return _OwnHost(Starlette(routes=routes), port)


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return files.answer(request, name)

    return answer


def _with_token(endpoint: Endpoint, token: str) -> Endpoint:
    expected = f"Bearer {token}".encode()

    async def answer(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode("utf-8", "replace"), expected):
            return json_response({"error": "a token is needed"}, 401, {"WWW-Authenticate": "Bearer"})
        return await endpoint(request)

    return answer


class _OwnHost:
    """Refuses requests for other hosts: a name of another site may have been pointed at this machine."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers: Mapping[str, str] = Request(scope).headers
            if not is_own_host(headers.get("host", ""), self._port):
                refusal = json_response({"error": "this is not the host that was asked for"}, 421)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
