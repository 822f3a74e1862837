"""What reviewers have tried in order to get the wrong answer out of a cached route."""

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field, PlainSerializer, field_serializer

from langcache_cli.fastapi import cached_route
from tests.integration import route_quoted
from tests.integration.route_support import client_of

API_KEY = APIKeyHeader(name="x-user")


async def test_annotations_that_only_type_checkers_resolve_take_no_dependency_away(cache):
    app = FastAPI()
    app.get("/salaries", response_model=list[str])(
        cached_route(key_prefix="user_stats", cache=cache)(route_quoted.salaries)
    )
    async with client_of(app) as client:
        assert (await client.get("/salaries", headers={"authorization": "root"})).json() == ["of all"]
        assert (await client.get("/salaries")).status_code == 403


async def test_caches_on_the_way_keep_nothing_that_a_dependency_of_the_application_may_refuse(cache):
    def admit(x_user: Annotated[str, Header()]) -> None: ...

    def roll(response: Response) -> None:
        response.set_cookie("seen", "1")

    for dependency, value in (
        (admit, "private, max-age=60"),
        (roll, "private, max-age=60"),
        (None, "public, max-age=60"),
    ):
        app = FastAPI(dependencies=[Depends(dependency)] if dependency else [])
        app.get("/")(cached_route(key_prefix="user_stats", cache=cache, public=True, browser_ttl=60)(quiet))
        async with client_of(app, headers={"x-user": "anna"}) as client:
            for _ in range(2):
                assert (await client.get("/")).headers["cache-control"] == value


async def quiet() -> str:
    return "quiet"


async def test_tokens_and_cookies_do_not_stand_in_redis(cache):
    app = FastAPI()

    @app.get("/")
    @cached_route(key_prefix="user_stats", cache=cache)
    async def read(
        authorization: Annotated[str, Header()], session: Annotated[str | None, Cookie()] = None
    ) -> str:
        return f"{authorization} {session}"

    async with client_of(app) as client:
        for token in ("Bearer anna", "Bearer ben", "Bearer anna"):
            answer = await client.get("/", headers={"authorization": token, "cookie": f"session={token}"})
            assert answer.json() == f"{token} {token}"
    assert answer.headers["x-cache"] == "hit"
    key = read.key_for(authorization="Bearer anna", session="Bearer anna")
    assert "anna" not in key
    assert await cache.holds(key)


async def test_an_error_with_a_cookie_is_not_shared(cache):
    app = FastAPI()

    @app.get("/")
    @cached_route(key_prefix="user_stats", cache=cache, ignore=("request",))
    async def read(request: Request) -> str:
        await asyncio.sleep(0.05)
        user = request.headers["x-user"]
        raise HTTPException(401, headers={"set-cookie": f"session={user}"})

    async with client_of(app) as client:
        users = ("anna", "ben")
        answers = await asyncio.gather(*[client.get("/", headers={"x-user": user}) for user in users])
    assert [answer.headers["set-cookie"] for answer in answers] == [f"session={user}" for user in users]


# -- the body of this route, not of another one --

Masked = Annotated[str, PlainSerializer(lambda _: "***", return_type=str)]


class Account(BaseModel):
    mail: str = "a@b"
    token: str = "t0p"


class Fixed(BaseModel):
    mail: str = "a@b"
    token: str = Field("t0p", exclude=True)


class Hidden(BaseModel):
    mail: str = "a@b"
    token: str = "t0p"

    @field_serializer("token")
    def hide(self, _: str) -> str:
        return "***"


for _kind in (Fixed, Hidden):
    _kind.__qualname__ = _kind.__name__ = "Account"


@pytest.mark.parametrize(
    ("models", "bodies"),
    [
        ((list[str], list[Masked]), (["a@b"], ["***"])),
        ((Account, Fixed), ({"mail": "a@b", "token": "t0p"}, {"mail": "a@b"})),
        ((Account, Hidden), ({"mail": "a@b", "token": "t0p"}, {"mail": "a@b", "token": "***"})),
    ],
)
async def test_an_entry_is_not_sent_for_a_model_that_shows_something_else(cache, models, bodies):
    @cached_route(key_prefix="user_stats", cache=cache)
    async def read() -> Any:
        return ["a@b"] if models[0] == list[str] else {}

    router, app = APIRouter(), FastAPI()
    for number, model in enumerate(models):
        router.get(f"/{number}", response_model=model)(read)
    app.include_router(router)
    async with client_of(app) as client:
        assert [(await client.get(f"/{number}")).json() for number in (0, 1)] == [*bodies]


async def test_a_generator_is_rendered_once(cache):
    app = FastAPI()

    @app.get("/")
    @cached_route(key_prefix="user_stats", cache=cache)
    async def read(response: Response, cookie: bool = False) -> list[int]:
        response.headers["x-long"] = "x" * 3000
        if cookie:
            response.set_cookie("seen", "1")
        return (number for number in range(3))  # type: ignore[return-value]

    async with client_of(app) as client:
        for query in ("", "?cookie=true"):
            answer = await client.get(f"/{query}")
            assert answer.json() == [0, 1, 2]
            assert len(answer.headers["x-long"]) == 3000


async def test_a_call_by_another_endpoint_is_a_call_of_the_function(cache, caplog):
    app = FastAPI()

    @app.get("/words/{level}")
    @cached_route(key_prefix="user_stats", cache=cache, ignore=("request",))
    async def read(request: Request, level: str) -> list[str]:
        return [level]

    @app.get("/count")
    async def count(request: Request) -> int:
        return len(await read(request, "A1"))

    async with client_of(app) as client:
        assert (await client.get("/count")).json() == 1
        assert (await client.get("/words/A1")).headers["x-cache"] == "miss"
    assert "not cached" in caplog.text


async def test_a_function_may_call_itself(cache):
    app = FastAPI()

    @app.get("/words/{level}")
    @cached_route(key_prefix="user_stats", cache=cache, ignore=("request",))
    async def read(request: Request, level: str) -> list[str]:
        return [level] if level == "A1" else [*await read(request, "A1"), level]

    async with client_of(app) as client:
        assert (await client.get("/words/B1")).json() == ["A1", "B1"]
        assert (await client.get("/words/B1")).headers["x-cache"] == "hit"


async def test_a_browser_is_told_of_what_admits(cache):
    def by_cookie(user: Annotated[str, Cookie()]) -> None: ...

    def by_request(request: Request) -> None: ...

    for dependency, vary, seconds in ((by_cookie, "Cookie", "max-age=60"), (by_request, None, "no-cache")):
        app = FastAPI(dependencies=[Depends(dependency)])
        app.get("/")(cached_route(key_prefix="user_stats", cache=cache, browser_ttl="1m")(quiet))
        async with client_of(app, headers={"cookie": "user=anna"}) as client:
            answer = await client.get("/")
        assert answer.headers.get("vary") == vary
        assert answer.headers["cache-control"] == f"private, {seconds}"


async def test_a_body_that_is_too_large_to_be_stored_is_not_kept_by_browsers(cache):
    app = FastAPI()
    decorate = cached_route(key_prefix="user_stats", cache=cache, browser_ttl=60, max_bytes=3)
    app.get("/")(decorate(quiet))
    async with client_of(app) as client:
        for _ in range(2):
            assert (await client.get("/")).headers["cache-control"] == "private, no-cache"


async def test_the_entity_tag_of_a_dependency_is_the_one(cache):
    def tag(response: Response) -> None:
        response.headers["etag"] = '"of-the-dependency"'

    app = FastAPI(dependencies=[Depends(tag)])
    app.get("/")(cached_route(key_prefix="user_stats", cache=cache)(quiet))
    async with client_of(app) as client:
        assert (await client.get("/")).headers.get_list("etag") == ['"of-the-dependency"']
        known = {"if-none-match": '"of-the-dependency"'}
        assert (await client.get("/", headers=known)).status_code == 304


async def test_headers_of_dependencies_win_and_stand_once(cache):
    def own(response: Response) -> None:
        response.headers["cache-control"] = "no-store"
        response.headers["x-cache"] = "of the application"

    app = FastAPI(dependencies=[Depends(own)])
    app.get("/")(cached_route(key_prefix="user_stats", cache=cache)(quiet))
    async with client_of(app) as client:
        for _ in range(2):
            answer = await client.get("/")
            assert answer.headers.get_list("cache-control") == ["no-store"]
            assert answer.headers.get_list("x-cache") == ["of the application"]


async def test_a_default_in_a_marker_is_the_default_of_the_key(cache):
    app = FastAPI()

    @app.get("/")
    @cached_route(key_prefix="user_stats", cache=cache)
    async def read(level: str, x_user: str | None = Header(None)) -> str:
        return level

    async with client_of(app) as client:
        await client.get("/?level=A1")
    assert await read.invalidate(level="A1")


async def test_without_redis_an_answer_says_that_it_went_past_the_cache(open_cache, own_redis):
    server = own_redis()
    app = FastAPI()
    cache = open_cache(server.url, operation_timeout=0.25)
    app.get("/")(cached_route(key_prefix="user_stats", cache=cache)(quiet))
    async with client_of(app) as client:
        assert (await client.get("/")).headers["x-cache"] == "miss"
        server.kill()
        answer = await client.get("/")
        assert (answer.headers["x-cache"], answer.json()) == ("bypass", "quiet")
        assert answer.headers["cache-control"] == "private, no-cache"
