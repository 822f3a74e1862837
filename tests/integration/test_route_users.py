"""No answer reaches another user than the one it was made for, however a route learns who asks."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Header, Query, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from langcache_cli.fastapi import cached_route
from tests.integration.route_support import User, client_of, current_user, with_router

USERS = ("anna", "ben")
BEARER = HTTPBearer()
API_KEY = APIKeyHeader(name="x-key")


class Profile(BaseModel):
    x_user: str


def by_depends(cached):
    @cached(key="user:{user.name}")
    async def read(user: Annotated[User, Depends(current_user)]):
        return user.name

    return read


def by_default_depends(cached):
    @cached(key=lambda user: user.name)
    async def read(user: User = Depends(current_user)):  # noqa: B008 - as many applications have it
        return user.name

    return read


def by_header(cached):
    @cached()
    async def read(x_user: Annotated[str, Header()]):
        return x_user

    return read


def by_header_model(cached):
    @cached()
    async def read(profile: Annotated[Profile, Header()]):
        return profile.x_user

    return read


def by_cookie(cached):
    @cached()
    async def read(user: Annotated[str, Cookie()]):
        return user

    return read


def by_query(cached):
    @cached()
    async def read(user: Annotated[str, Query()]):
        return user

    return read


def by_path(cached):
    @cached()
    async def read(path_user: str):
        return path_user

    return read


def by_security(cached):
    @cached(key="{credentials.credentials}")
    async def read(credentials: Annotated[HTTPAuthorizationCredentials, Security(BEARER)]):
        return credentials.credentials

    return read


def by_request(cached):
    @cached(key=lambda request: request.headers["x-user"])
    async def read(request: Request):
        return request.headers["x-user"]

    return read


@pytest.mark.parametrize(
    "make",
    [
        by_depends,
        by_default_depends,
        by_header,
        by_header_model,
        by_cookie,
        by_query,
        by_path,
        by_security,
        by_request,
    ],
)
async def test_each_user_gets_their_own_answer(cache, make):
    def cached(**options: Any):
        return cached_route(key_prefix="user_stats", cache=cache, **options)

    router = APIRouter()
    router.add_api_route("/{path_user}", make(cached))
    async with client_of(with_router(router)) as client:
        for outcome in ("miss", "hit"):
            for user in USERS:
                answer = await client.get(
                    f"/{user}?user={user}",
                    headers={"authorization": f"Bearer {user}", "x-user": user, "cookie": f"user={user}"},
                )
                assert (answer.json(), answer.headers["x-cache"]) == (user, outcome)


@pytest.mark.parametrize(
    ("make", "vary"),
    [
        (by_depends, "authorization"),
        (by_security, "Authorization"),
        (by_header, "x-user"),
        (by_header_model, "x-user"),
        (by_cookie, "Cookie"),
        (by_query, None),
    ],
)
async def test_caches_on_the_way_are_told_what_an_answer_depends_on(cache, make, vary):
    app = FastAPI()
    app.get("/")(make(lambda **options: cached_route(key_prefix="user_stats", cache=cache, **options)))
    async with client_of(app) as client:
        headers = {"authorization": "Bearer anna", "x-user": "anna", "cookie": "user=anna"}
        answer = await client.get("/?user=anna", headers=headers)
    assert answer.headers.get("vary") == vary
