"""Cached routes of Starlette, whose endpoints return responses."""

import pytest
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.routing import Route

from langcache_cli.fastapi import cached_route
from tests.integration.route_support import client_of


async def test_a_starlette_route_is_cached_by_what_its_key_names(cache):
    runs = []

    @cached_route(key_prefix="vocabulary", cache=cache, key="{request.path_params[level]}")
    async def read_words(request):
        runs.append(1)
        return JSONResponse({"level": request.path_params["level"]}, headers={"x-total": "1"})

    app = Starlette(routes=[Route("/words/{level}", read_words)])
    async with client_of(app) as client:
        answers = [await client.get("/words/A1") for _ in range(2)]
        assert (await client.get("/words/B1")).json() == {"level": "B1"}
        head = await client.head("/words/A1")
        tag = answers[0].headers["etag"]
        assert (await client.get("/words/A1", headers={"if-none-match": tag})).status_code == 304
    assert [answer.headers["x-cache"] for answer in answers] == ["miss", "hit"]
    assert {answer.content for answer in answers} == {b'{"level":"A1"}'}
    assert {answer.headers["x-total"] for answer in answers} == {"1"}
    assert (head.content, head.headers["content-length"]) == (b"", "14")
    assert len(runs) == 2


def test_a_streaming_endpoint_and_a_starlette_route_without_a_key_are_refused(cache):
    with pytest.raises(TypeError, match="streams its answer"):

        @cached_route(key_prefix="vocabulary", cache=cache)
        async def stream():
            yield 1

    with pytest.raises(TypeError, match="'request' is the request"):

        @cached_route(key_prefix="vocabulary", cache=cache)
        async def read(request):
            return JSONResponse({})
