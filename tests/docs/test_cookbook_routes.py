"""docs/cookbook.md: routes and requests are as the recipes say."""

import re
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends

from langcache_cli.caching import invalidate_tags
from langcache_cli.fastapi import cached_route
from tests.docs.surroundings import UserRow, UserStats, current_user
from tests.docs.test_python_blocks import cache
from tests.integration.route_support import client_of, with_router

__all__ = ["cache"]  # the fixture

pytestmark = pytest.mark.usefixtures("cache")


async def test_each_user_gets_their_own_answer(recipe, names):
    found = await recipe("How do I cache per user without leaking?")
    async with client_of(with_router(found.router)) as client:

        async def read(user: int) -> httpx.Response:
            return await client.get("/me/stats", headers={"x-user": str(user)})

        for outcome in ("miss", "hit"):
            for user in (1, 2):
                answer = await read(user)
                assert answer.json() == {"words": 2 * user}
                assert (answer.headers["x-cache"], answer.headers["cache-control"]) == (
                    outcome,
                    "private, no-cache",
                )
        await invalidate_tags("user:1")
        assert [(await read(user)).headers["x-cache"] for user in (1, 2)] == ["miss", "hit"]


def test_a_user_who_is_left_out_is_refused():
    router = APIRouter()
    with pytest.raises(TypeError, match=r"'user' is a dependency that is not part of the key"):

        @router.get("/me/stats")
        @cached_route(key_prefix="user_stats")
        async def read_stats(user: Annotated[UserRow, Depends(current_user)]) -> UserStats:
            return UserStats(words=user.id)

    with pytest.raises(TypeError, match=r"'level' is a parameter that is not part of the key"):

        @router.get("/me/stats/{level}")
        @cached_route(key_prefix="user_stats", key="{user.id}")
        async def read_level(level: str, user: Annotated[UserRow, Depends(current_user)]) -> UserStats:
            return UserStats(words=user.id)


@pytest.mark.parametrize("is_below", [True, False])
async def test_a_route_that_writes_invalidates_if_it_is_decorated_below_the_router(recipe, names, is_below):
    found = await recipe("How do I invalidate after a write?")
    db, router = names["db"], APIRouter()

    async def write(word_id: int) -> None: ...

    route, decorated = router.put("/words/{word_id}"), found.invalidates(found.get_word)
    _ = route(decorated(write)) if is_below else decorated(route(write))
    await found.get_word(7, db)
    async with client_of(with_router(router)) as client:
        assert (await client.put("/words/7")).status_code == 200
    assert await found.get_word.cache.holds(found.get_word.key_for(word_id=7)) is not is_below


async def test_a_request_skips_or_refreshes_the_cache(recipe, names):
    found = await recipe("How do I skip or refresh the cache for one request?")
    service = names["translation_service"]
    async with client_of(with_router(found.router)) as client:

        async def read(mode: str | None = None) -> str:
            headers = {} if mode is None else {"x-cache-mode": mode}
            return (await client.get("/translations/Haus", headers=headers)).json()

        assert [await read(), await read()] == ["Haus (en)"] * 2
        service.answer = lambda text: "house"
        assert [await read("bypass"), await read()] == ["house", "Haus (en)"]
        assert [await read("refresh"), await read()] == ["house", "house"]
        assert len(service.asked) == 3
        assert (await client.get("/translations/Haus", headers={"x-cache-mode": "other"})).status_code == 422


async def test_the_block_of_a_dependency_without_async_does_not_reach_the_route(recipe, names):
    found = await recipe("How do I skip or refresh the cache for one request?")

    def cache_mode() -> Iterator[None]:
        with found.get_default_cache().bypassed():
            yield

    app = with_router(found.router, dependencies=[Depends(cache_mode)])
    async with client_of(app) as client:
        for _ in range(2):
            await client.get("/translations/Haus")
    assert names["translation_service"].asked == ["Haus"]


async def test_a_browser_gets_304_until_the_answer_changes(recipe, names):
    found = await recipe("How do I send an ETag and answer 304?")
    async with client_of(with_router(found.router)) as client:
        first = await client.get("/levels/A1")
        known = {"if-none-match": first.headers["etag"]}
        again = await client.get("/levels/A1", headers=known)
        assert (again.status_code, again.content) == (304, b"")
        names["words_of"].answer = lambda level: ["new"]
        await invalidate_tags("level:A1")
        changed = await client.get("/levels/A1", headers=known)
        assert (changed.status_code, changed.json()) == (200, ["new"])
        languages = await client.get("/languages")
        assert languages.headers["cache-control"] == "public, max-age=300"


async def test_filters_are_the_key(recipe, names):
    found = await recipe("How do I cache a search with filters and pages?")
    asked = names["find_words"].asked
    async with client_of(with_router(found.router)) as client:

        async def read(query: str) -> str:
            answer = await client.get(f"/search?{query}")
            assert answer.status_code == 200, answer.text
            return answer.headers["x-cache"]

        assert [await read("level=A1"), await read("level=A1&page=1")] == ["miss", "hit"]
        assert [await read("topics=a&topics=b"), await read("topics=b&topics=a")] == ["miss", "hit"]
        assert [await read("level=A1&page=2"), await read("level=A2")] == ["miss", "miss"]
        assert len(asked) == 4
        await invalidate_tags("words")
        assert [await read("level=A1"), await read("")] == ["miss", "miss"]
        assert (await client.get("/search?page=101")).status_code == 422


async def test_a_request_shows_what_the_cache_did(recipe, capsys):
    found = await recipe("How do I see what the cache did for a request?")
    assert re.match(
        r"translate_title cache:translation:translate_title:Haus miss 0\.\d+\n", capsys.readouterr().out
    )
    async with client_of(found.app) as client:

        async def timing() -> Any:
            return (await client.get("/titles/Haus")).headers.get("server-timing")

        assert re.fullmatch(r'cache;desc="translate_title hit";dur=[\d.]+', await timing())
        found.app.debug = False
        assert await timing() is None
