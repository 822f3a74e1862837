"""Cached functions and cached routes as FastAPI sees them: all that it hands to one, and OpenAPI."""

from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, Header, Query, Request, Response

from langcache_cli.fastapi import cached_route
from tests.integration.route_support import client_of


async def test_a_cached_function_is_a_route_with_all_that_fastapi_hands_it(cache):
    app, runs, done = FastAPI(), [], []

    def user(name: str = Header(alias="x-user")) -> str:
        return name

    @app.get("/words/{level}")
    @cache.cached(key_prefix="vocabulary", ignore=("request",))
    async def read_words(  # noqa: PLR0917 - as FastAPI passes them by name
        level: str,
        who: Annotated[str, Depends(user)],
        request: Request,
        response: Response,
        tasks: BackgroundTasks,
        first: Annotated[int, Query(ge=0)] = 0,
    ) -> dict[str, str | int]:
        runs.append(request.url.path)
        response.headers["x-first"] = "1"
        tasks.add_task(done.append, level)
        return {"level": level, "who": who, "first": first}

    async with client_of(app) as client:
        for name in ("anna", "anna", "ben"):
            answer = await client.get("/words/A1?first=2", headers={"x-user": name})
            assert answer.json() == {"level": "A1", "who": name, "first": 2}
        assert (await client.get("/words/A1?first=-1", headers={"x-user": "anna"})).status_code == 422
    assert (len(runs), done) == (2, ["A1", "A1"])


async def test_openapi_is_that_of_the_route_without_the_decorator(cache):
    def application(decorate):
        app = FastAPI()

        @app.get("/words/{level}", response_model_by_alias=False, tags=["words"])
        @decorate
        async def read_words(
            level: str, request: Request, response: Response, tasks: BackgroundTasks, first: int = 0
        ) -> list[dict[str, str]]:
            """Words of a level."""
            return []

        return app.openapi()

    cached = cached_route(key_prefix="vocabulary", cache=cache, ignore=("request",))
    assert application(cached) == application(lambda function: function)
