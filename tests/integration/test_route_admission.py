"""Careless decorators are refused at import; what only admits needs no place in a key."""

from typing import Annotated

import pytest
from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.fastapi import cached_route
from tests.integration.route_support import User, client_of, current_user

USERS = ("anna", "ben")
BEARER = HTTPBearer()
API_KEY = APIKeyHeader(name="x-key")


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
