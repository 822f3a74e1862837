"""The dashboard as a part of a FastAPI application. See `langcache_cli.fastapi.cache_dashboard`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter
from fastapi.params import Depends
from starlette.requests import Request
from starlette.responses import Response

from langcache_cli.web import files
from langcache_cli.web.endpoints import Endpoints


def dashboard_router(endpoints: Endpoints, admin: Sequence[Depends]) -> APIRouter:
    """The files for everyone, what has data behind the dependencies."""
    router = APIRouter(include_in_schema=False)
    for name in files.FILES:
        path = "/" if name == files.INDEX else f"/{name}"
        router.add_api_route(path, _file(name), methods=["GET"], name=f"cache_dashboard_{name}")
    for (method, path), endpoint in endpoints.routes.items():
        router.add_api_route(
            f"/api/{path}",
            endpoint,
            methods=[method],
            dependencies=list(admin),
            name=f"cache_dashboard_{path}",
        )
    return router


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return files.answer(request, name)

    return answer
