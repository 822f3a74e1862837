"""Routes whose answers could reach the wrong user are refused when their module is imported."""

import inspect
from functools import wraps
from typing import Annotated, Any

import pytest
from fastapi import Cookie, Depends, Header, Request, Response, Security
from fastapi.security import APIKeyHeader, HTTPBearer, OAuth2PasswordBearer
from fastapi.security.base import SecurityBase
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from langcache_cli.fastapi import cached_route
from tests.integration.route_support import current_user

API_KEY = APIKeyHeader(name="x-user")


def tenant_session(x_user: Annotated[str, Header()]) -> AsyncSession:
    session = AsyncSession()
    session.info["tenant"] = x_user
    return session


def liar(x_user: Annotated[str, Header()]) -> None:
    return x_user  # type: ignore[return-value]


def greets(function: Any) -> Any:
    @wraps(function)
    async def around(*args: Any, **kwargs: Any) -> Any:
        return f"{await function(*args, **kwargs)} {kwargs['key']}"

    return around


# -- refused at import --


def of_a_session_of_the_caller():
    async def read(db: Annotated[AsyncSession, Depends(tenant_session)]) -> str: ...

    return read


def of_a_value_that_is_annotated_none():
    async def read(who: Annotated[str, Depends(liar)]) -> str:
        return who

    return read


def of_a_decorator_that_sees_the_key():
    @greets
    async def read(key: Annotated[str, Security(API_KEY)]) -> str:
        return "hello"

    return read


def injects(function: Any) -> Any:
    async def call(**kwargs: Any) -> Any:
        return f"{await function(**kwargs)} {kwargs['key']}"

    call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    call.__name__ = call.__qualname__ = function.__name__
    return call


def of_an_injector_that_sees_the_key():
    @injects
    async def read(key: Annotated[str, Security(API_KEY)]) -> str:
        return "hello"

    return read


class OwnScheme(SecurityBase):
    scheme_name = "own"

    async def __call__(self, request: Request) -> str:
        return request.headers["x-user"]


def session_by_login(tenant: Annotated[str, Depends(OwnScheme())]) -> AsyncSession:
    return AsyncSession(info={"tenant": tenant})


def of_a_session_by_login():
    async def read(db: Annotated[AsyncSession, Depends(session_by_login)]) -> str: ...

    return read


def of_a_dependency_that_returns_a_response():
    async def read(who: Annotated[Response, Depends(current_user)]) -> str: ...

    return read


@pytest.mark.parametrize(
    "make",
    [
        of_a_session_of_the_caller,
        of_a_value_that_is_annotated_none,
        of_a_decorator_that_sees_the_key,
        of_an_injector_that_sees_the_key,
        of_a_session_by_login,
        of_a_dependency_that_returns_a_response,
    ],
)
def test_what_may_differ_between_users_is_refused(cache, make):
    refusals = TypeError, AssertionError  # the latter of an older FastAPI
    with pytest.raises(refusals, match=r"not part of the key|Cannot specify `Depends`"):
        cached_route(key_prefix="user_stats", cache=cache)(make())


class View:
    def read(self) -> str: ...


class Callable:
    async def __call__(self) -> str: ...


@pytest.mark.parametrize("function", [View().read, View.read, Callable()])
def test_what_is_no_plain_function_is_refused(cache, function):
    with pytest.raises(TypeError, match=r"decorates functions|is a method"):
        cached_route(key_prefix="user_stats", cache=cache)(function)


def public_security():
    async def read(_: Annotated[Any, Security(HTTPBearer())]) -> str: ...

    return read, {}


def public_request():
    async def read(request: Request) -> str: ...

    return read, {"key": lambda request: request.headers["x-user"]}


def public_cookie():
    async def read(session: Annotated[str, Cookie()]) -> str: ...

    return read, {}


def public_token():
    async def read(authorization: Annotated[str, Header()]) -> str: ...

    return read, {}


class Who(BaseModel):
    authorization: str = ""


class Every(BaseModel, extra="allow"):
    level: str = "A1"


def public_token_in_a_model():
    async def read(who: Annotated[Who | None, Header()] = None) -> str: ...

    return read, {}


def public_headers():
    async def read(headers: Annotated[Every, Header()]) -> str: ...

    return read, {}


def public_session_of_a_request():
    def session(request: Request) -> AsyncSession: ...

    async def read(db: Annotated[AsyncSession, Depends(session)]) -> str: ...

    return read, {}


@pytest.mark.parametrize(
    "make",
    [
        public_security,
        public_request,
        public_cookie,
        public_token,
        public_token_in_a_model,
        public_headers,
        public_session_of_a_request,
    ],
)
def test_what_depends_on_the_caller_is_not_public(cache, make):
    function, options = make()
    with pytest.raises(TypeError, match="public=True"):
        cached_route(key_prefix="user_stats", cache=cache, public=True, **options)(function)


class Cookies(OAuth2PasswordBearer):
    async def __call__(self, request: Request) -> str | None:
        return request.cookies.get("user")


def by_a_scheme_of_the_application():
    async def read(user: Annotated[str, Depends(Cookies("token"))]) -> str: ...

    return read, {"key": "{user}"}


@pytest.mark.parametrize(
    "make", [public_request, public_session_of_a_request, by_a_scheme_of_the_application]
)
def test_a_browser_does_not_keep_what_depends_on_a_request_as_a_whole(cache, make):
    function, options = make()
    with pytest.raises(TypeError, match="browser_ttl"):
        cached_route(key_prefix="user_stats", cache=cache, browser_ttl=60, **options)(function)


def test_a_tag_does_not_show_what_users_log_in_with(cache):
    async def read(session: Annotated[str, Cookie()]) -> str: ...

    with pytest.raises(TypeError, match="would show 'session' in Redis"):
        cached_route(key_prefix="user_stats", cache=cache, tags=("session:{session}",))(read)
