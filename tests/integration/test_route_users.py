"""No answer reaches another user than the one it was made for, however a route learns who asks."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Header, HTTPException, Query, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.fastapi import cached_route
from tests.integration.route_support import client_of, with_router

USERS = ("anna", "ben")
BEARER = HTTPBearer()
API_KEY = APIKeyHeader(name="x-key")


@dataclass
class User:
    name: str


def current_user(authorization: Annotated[str, Header()]) -> User:
    return User(authorization.removeprefix("Bearer "))


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
        (by_depends, "Authorization, Cookie"),
        (by_security, "Authorization, Cookie"),
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


def careless_depends():
    async def read(user: Annotated[User, Depends(current_user)]): ...

    return read, {}


def careless_in_other_key():
    async def read(level: str, user: Annotated[User, Depends(current_user)]): ...

    return read, {"key": "{level}"}


def careless_class_dependency():
    async def read(user: Annotated[User, Depends()]): ...

    return read, {}


def careless_security():
    async def read(credentials: Annotated[HTTPAuthorizationCredentials, Security(BEARER)]):
        return credentials.credentials

    return read, {}


def careless_security_in_a_closure():
    async def read(credentials: Annotated[HTTPAuthorizationCredentials, Security(BEARER)]):
        def inner():
            return credentials

        return inner()

    return read, {}


def careless_security_by_locals():
    async def read(credentials: Annotated[HTTPAuthorizationCredentials, Security(BEARER)]):
        return locals()["credentials"]

    return read, {}


def careless_request():
    async def read(request: Request): ...

    return read, {}


def careless_header():
    async def read(level: str, x_user: Annotated[str, Header()]): ...

    return read, {"key": "{level}"}


def careless_cookie():
    async def read(level: str, user: Annotated[str | None, Cookie()] = None): ...

    return read, {"key": "{level}"}


@pytest.mark.parametrize(
    "make",
    [
        careless_depends,
        careless_in_other_key,
        careless_class_dependency,
        careless_security,
        careless_security_in_a_closure,
        careless_security_by_locals,
        careless_request,
        careless_header,
        careless_cookie,
    ],
)
def test_a_careless_decorator_is_refused_with_the_ways_out(cache, make):
    function, options = make()
    with pytest.raises(TypeError, match="not part of the key") as error:
        cached_route(key_prefix="user_stats", cache=cache, **options)(function)
    message = str(error.value)
    assert function.__qualname__ in message
    assert "key=" in message
    assert "ignore=" in message
    if "dependency" in message.split(";", maxsplit=1)[0]:
        assert "only admit" in message


def test_answers_that_depend_on_the_caller_are_not_public(cache):
    async def read(user: Annotated[User, Depends(current_user)]): ...

    with pytest.raises(TypeError, match="public=True"):
        cached_route(key_prefix="user_stats", cache=cache, key="{user.name}", public=True)(read)


def admit(authorization: Annotated[str, Header()] = "") -> None:
    if authorization not in ("Bearer anna", "Bearer ben"):
        raise HTTPException(401, "log in first")


async def session():
    yield AsyncSession()


def admitted_by_return():
    async def read(_: Annotated[None, Depends(admit)]) -> int: ...

    return read


def admitted_by_security():
    async def read(key: Annotated[str, Security(API_KEY)]) -> int: ...

    return read


def admitted_and_ignored():
    async def read(who: Annotated[User, Depends(current_user)]) -> int: ...

    return read


def admitted_with_session():
    async def read(db: Annotated[AsyncSession, Depends(session)]) -> int: ...

    return read


def admitted_by_route():
    async def read() -> int: ...

    return read


@pytest.mark.parametrize(
    "make",
    [
        admitted_by_return,
        admitted_by_security,
        admitted_and_ignored,
        admitted_with_session,
        admitted_by_route,
    ],
)
async def test_what_only_admits_needs_no_place_in_the_key_and_still_admits(cache, make):
    app = FastAPI()
    function = make()
    ignore = ("who",) if make is admitted_and_ignored else ()
    own = [] if make in (admitted_by_return, admitted_by_security) else [Depends(admit)]
    route = cached_route(key_prefix="vocabulary", cache=cache, ignore=ignore)(function)
    app.get("/words", dependencies=own, response_model=None)(route)
    async with client_of(app) as client:
        for user, outcome in zip(USERS, ("miss", "hit"), strict=True):
            headers = {"authorization": f"Bearer {user}", "x-key": user}
            assert (await client.get("/words", headers=headers)).headers["x-cache"] == outcome
        refused = await client.get("/words")
    assert refused.status_code in (401, 403, 422)
