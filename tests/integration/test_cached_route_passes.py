"""What a cached route passes through and never stores; where it cannot use the cache."""

from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import JSONResponse, StreamingResponse

from langcache_cli.caching.tooling import parse_entry
from langcache_cli.fastapi import cached_route
from tests.integration.route_support import client_of


def unstorable(kind: str, response: Response) -> Any:
    if kind == "response":
        return JSONResponse({"made": "here"})
    if kind == "stream":
        return StreamingResponse(iter([b"made ", b"here"]))
    if kind == "status":
        response.status_code = 206
    if kind == "cookie":
        response.set_cookie("session", "of one user")
    return {"made": "here"}


@pytest.mark.parametrize("kind", ["response", "stream", "status", "cookie"])
async def test_what_is_no_plain_answer_is_passed_through_and_never_stored(cache, kind):
    app, runs = FastAPI(), []

    @app.get("/cached")
    @cached_route(key_prefix="vocabulary", cache=cache)
    async def read(response: Response) -> Any:
        runs.append(1)
        return unstorable(kind, response)

    @app.get("/plain")
    async def plain(response: Response) -> Any:
        return unstorable(kind, response)

    async with client_of(app) as client:
        expected = await client.get("/plain")
        for _ in range(2):
            answer = await client.get("/cached")
            assert (answer.status_code, answer.content) == (expected.status_code, expected.content)
            assert answer.headers.get("set-cookie") == expected.headers.get("set-cookie")
    assert runs == [1, 1]
    assert parse_entry(await cache.client().get(read.key_for()) or b"") is None


async def test_a_route_with_another_status_and_errors_are_not_stored(cache):
    app, runs = FastAPI(), []

    @app.get("/created", status_code=201)
    @cached_route(key_prefix="vocabulary", cache=cache)
    async def created() -> int:
        runs.append(1)
        return len(runs)

    @app.get("/missing")
    @cached_route(key_prefix="vocabulary", cache=cache)
    async def missing() -> int:
        runs.append(1)
        raise HTTPException(404, "no such word")

    async with client_of(app) as client:
        assert [(await client.get("/created")).status_code for _ in range(2)] == [201, 201]
        answers = [await client.get("/missing") for _ in range(2)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (404, {"detail": "no such word"})
    ] * 2
    assert len(runs) == 4


async def test_called_as_a_function_it_is_the_function(cache):
    @cached_route(key_prefix="vocabulary", cache=cache)
    async def read_words(level: str, first: int = 0) -> list[str]:
        return [level, str(first)]

    assert await read_words("A1") == ["A1", "0"]
    assert await read_words(level="A1", first=2) == ["A1", "2"]
    assert not await cache.holds(read_words.key_for(level="A1"))
