"""Applications with cached routes, and their clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
from fastapi import FastAPI, Header


@asynccontextmanager
async def client_of(app: Any, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application in this process; it asks for no compression unless told."""
    headers = {"accept-encoding": "identity", **options.pop("headers", {})}
    transport = httpx.ASGITransport(app, **options)
    async with httpx.AsyncClient(transport=transport, base_url="http://app", headers=headers) as client:
        yield client


def with_router(router: Any, **options: Any) -> FastAPI:
    """An application that includes a router."""
    app = FastAPI()
    app.include_router(router, **options)
    return app


@dataclass
class User:
    """Who asks."""

    name: str


def current_user(authorization: Annotated[str, Header()]) -> User:
    """The user that a token names."""
    return User(authorization.removeprefix("Bearer "))
