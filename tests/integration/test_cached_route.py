"""Routes whose hits send the stored bytes: what is sent, what is stored, what is passed through."""

import asyncio

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from langcache_cli.caching._values import compression
from langcache_cli.caching._values.compression import decompress
from langcache_cli.caching.tooling import parse_entry
from langcache_cli.fastapi import cached_route
from tests.harness.polling import aeventually
from tests.integration.route_support import client_of, with_router


class Word(BaseModel):
    number: int = Field(alias="id")
    text: str
    note: str | None = None


class Words:
    """A route that returns words, and how often its function has run."""

    def __init__(self, cache, **options) -> None:
        self.runs = 0
        self.size = 3
        self.router = router = APIRouter()

        def count(response: Response) -> None:
            response.headers["x-requests"] = "1"

        @router.get("/words/{level}", response_model_exclude_none=True, dependencies=[Depends(count)])
        @cached_route(**{"key_prefix": "vocabulary", "ttl": 300, "cache": cache, **options})
        async def read_words(level: str, response: Response, first: int = 0) -> list[Word]:
            """Words of a level."""
            self.runs += 1
            response.headers["x-total"] = str(self.size)
            return [Word(id=first + item, text=f"{level} {self.runs}") for item in range(self.size)]

        self.route = read_words
        self.app = with_router(router, prefix="/api")


async def stored(cache, key: str):
    entry = parse_entry(await cache.client().get(key))
    assert entry is not None
    return entry


async def test_a_hit_is_the_answer_of_the_miss_with_what_its_dependencies_set(cache):
    words = Words(cache)
    async with client_of(words.app) as client:
        miss = await client.get("/api/words/A1?first=5")
        hit = await client.get("/api/words/A1?first=5")
    assert words.runs == 1
    assert (miss.headers["x-cache"], hit.headers["x-cache"]) == ("miss", "hit")
    assert miss.json() == hit.json() == [{"id": item, "text": "A1 1"} for item in (5, 6, 7)]
    for answer in (miss, hit):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["content-length"] == str(len(answer.content))
        assert (answer.headers["x-total"], answer.headers["x-requests"]) == ("3", "1")
        assert answer.headers["cache-control"] == "private, no-cache"
    assert miss.headers["etag"] == hit.headers["etag"]
    assert hit.headers["age"] == "0"
    entry = await stored(cache, words.route.key_for(level="A1", first=5))
    assert entry.payload == hit.content


async def test_a_client_that_has_the_body_is_sent_none(cache):
    words = Words(cache)
    async with client_of(words.app) as client:
        tag = (await client.get("/api/words/A1")).headers["etag"]
        answer = await client.get("/api/words/A1", headers={"if-none-match": tag})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
        assert answer.headers["x-total"] == "3"
        assert "content-length" not in answer.headers
        assert "content-type" not in answer.headers
        await words.route.invalidate(level="A1")
        after = await client.get("/api/words/A1", headers={"if-none-match": tag})
    assert (after.status_code, after.headers["x-cache"]) == (200, "miss")
    assert after.json()[0]["text"] == "A1 2"


async def test_an_invalidated_tag_is_seen_by_the_next_request(cache):
    words = Words(cache, tags=("level:{level}",))
    async with client_of(words.app) as client:
        await client.get("/api/words/A1")
        assert (await client.get("/api/words/A1")).headers["x-cache"] == "hit"
        await cache.invalidate_tags("level:A1")
        assert (await client.get("/api/words/A1")).json()[0]["text"] == "A1 2"


async def test_one_run_answers_all_who_ask_at_once(cache):
    words = Words(cache)
    async with client_of(words.app) as client:
        answers = await asyncio.gather(*[client.get("/api/words/A1") for _ in range(20)])
    assert words.runs == 1
    assert {answer.content for answer in answers} == {answers[0].content}
    assert {answer.headers["etag"] for answer in answers} == {answers[0].headers["etag"]}


@pytest.mark.parametrize(
    ("stored_as", "accepted", "sent_as"),
    [
        ("zstd", "gzip, br, zstd;q=0.9", "zstd"),
        ("zlib", "deflate", "deflate"),
        ("zstd", "gzip, deflate, br", None),
        ("zlib", "zstd", None),
    ],
)
async def test_a_body_is_sent_as_it_is_stored_to_clients_that_accept_it(
    cache, monkeypatch, stored_as, accepted, sent_as
):
    monkeypatch.setattr(compression, "PREFERRED", stored_as)
    words = Words(cache)
    words.size = 2000
    async with client_of(words.app) as client:
        plain = await client.get("/api/words/A1")
        async with client.stream("GET", "/api/words/A1", headers={"accept-encoding": accepted}) as sent:
            raw = b"".join([part async for part in sent.aiter_raw()])
        entry = await stored(cache, words.route.key_for(level="A1"))
        assert entry.compression == stored_as
        assert sent.headers.get("content-encoding") == sent_as
        assert raw == (plain.content if sent_as is None else entry.payload)
        assert decompress(entry.payload, stored_as) == plain.content
        assert sent.headers["content-length"] == str(len(raw))
        assert sent.headers["etag"] == plain.headers["etag"]
        assert {sent.headers["vary"], (await client.get("/api/words/A1")).headers["vary"]} == {
            "Accept-Encoding"
        }
    assert words.runs == 1


async def test_head_has_the_headers_of_get_and_no_body(cache):
    runs = []
    app = FastAPI()

    @app.api_route("/words", methods=["GET", "HEAD"])
    @cached_route(key_prefix="vocabulary", cache=cache)
    async def read_words() -> list[str]:
        runs.append(1)
        return ["Haus"]

    async with client_of(app) as client:
        head = await client.head("/words")
        get = await client.get("/words")
    assert (head.content, get.content) == (b"", b'["Haus"]')
    assert head.headers["content-length"] == get.headers["content-length"] == "8"
    assert head.headers["etag"] == get.headers["etag"]
    assert runs == [1]


async def test_other_methods_are_passed_through(cache):
    runs = []
    app = FastAPI()

    @app.api_route("/words", methods=["GET", "POST"])
    @cached_route(key_prefix="vocabulary", cache=cache)
    async def read_words() -> int:
        runs.append(1)
        return len(runs)

    async with client_of(app) as client:
        assert [(await client.post("/words")).json() for _ in range(2)] == [1, 2]
        assert [(await client.get("/words")).json() for _ in range(2)] == [3, 3]
        assert "etag" not in (await client.post("/words")).headers


async def test_background_tasks_run_with_the_function_only(cache):
    app, done = FastAPI(), []

    @app.get("/words")
    @cached_route(key_prefix="vocabulary", cache=cache)
    async def read_words(tasks: BackgroundTasks) -> int:
        tasks.add_task(done.append, "after the answer")
        return 1

    async with client_of(app) as client:
        assert [(await client.get("/words")).json() for _ in range(2)] == [1, 1]
    assert done == ["after the answer"]


async def test_a_function_that_is_not_async_runs_in_a_thread(cache):
    app, runs = FastAPI(), []

    @app.get("/words/{level}")
    @cached_route(key_prefix="vocabulary", cache=cache)
    def read_words(level: str) -> list[str]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            runs.append(level)
        return [level]

    async with client_of(app) as client:
        assert [(await client.get("/words/A1")).json() for _ in range(2)] == [["A1"], ["A1"]]
    assert runs == ["A1"]


async def test_another_shape_of_the_answer_does_not_read_what_is_stored(cache):
    def application(**options):
        app = FastAPI()

        @app.get("/word", **options)
        @cached_route(key_prefix="vocabulary", cache=cache)
        async def read_word() -> Word:
            return Word(id=1, text="Haus")

        return app

    async with client_of(application()) as client:
        assert (await client.get("/word")).json() == {"id": 1, "text": "Haus", "note": None}
    async with client_of(application(response_model_exclude_none=True)) as client:
        answer = await client.get("/word")
    assert (answer.json(), answer.headers["x-cache"]) == ({"id": 1, "text": "Haus"}, "miss")


async def test_a_router_that_is_included_twice_keeps_its_options(cache):
    router = APIRouter()

    @router.get("/page")
    @cached_route(key_prefix="vocabulary", cache=cache)
    async def page() -> str:
        return "<p>Haus</p>"

    app = FastAPI()
    app.include_router(router, prefix="/html", default_response_class=HTMLResponse)
    async with client_of(app) as client:
        for outcome in ("miss", "hit"):
            answer = await client.get("/html/page")
            assert (answer.text, answer.headers["x-cache"]) == ("<p>Haus</p>", outcome)
            assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_browser_may_keep_an_answer_for_as_long_as_the_route_says(cache):
    words = Words(cache, browser_ttl=60, public=True)
    async with client_of(words.app) as client:
        for _ in range(2):
            answer = await client.get("/api/words/A1")
            assert answer.headers["cache-control"] == "public, max-age=60"
            assert "age" not in answer.headers


async def test_the_near_cache_answers(open_cache):
    cache = open_cache(near_cache_bytes=1_000_000)
    words = Words(cache, local_ttl=60)
    async with client_of(words.app) as client:
        await client.get("/api/words/A1")

        async def is_near() -> bool:
            return (await client.get("/api/words/A1")).headers["x-cache"] == "near"

        await aeventually(is_near)
        assert (await client.get("/api/words/A1")).json()[0]["text"] == "A1 1"
        await words.route.invalidate(level="A1")
        assert (await client.get("/api/words/A1")).json()[0]["text"] == "A1 2"


async def test_a_disabled_cache_answers_as_the_function_does(open_cache):
    words = Words(open_cache(redis_enabled=False))
    async with client_of(words.app) as client:
        texts = [(await client.get("/api/words/A1")).json()[0]["text"] for _ in range(2)]
    assert texts == ["A1 1", "A1 2"]


async def test_without_redis_each_request_runs_the_function(open_cache, own_redis):
    server = own_redis()
    words = Words(open_cache(server.url, operation_timeout=0.25))
    async with client_of(words.app) as client:
        await client.get("/api/words/A1")
        server.kill()
        answers = [await client.get("/api/words/A1") for _ in range(2)]
    assert [answer.json()[0]["text"] for answer in answers] == ["A1 2", "A1 3"]


async def test_what_is_damaged_in_redis_is_not_sent(cache):
    words = Words(cache)
    words.size = 2000
    async with client_of(words.app) as client:
        await client.get("/api/words/A1")
        key = words.route.key_for(level="A1")
        bytes_stored = await cache.client().get(key)
        header, _, payload = bytes_stored.partition(b"\n")
        await cache.client().set(key, header + b"\n" + payload[:20] + b"damaged" + payload[27:])
        answer = await client.get("/api/words/A1")
    assert answer.status_code == 200
    assert answer.json()[0]["text"] == "A1 2"
