"""The cache in a FastAPI application: started and ended with it, watched, cleared by admins, measured."""

import asyncio
import logging
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.parser import text_string_to_metric_families

from langcache_cli.caching import Cache, CacheUnavailableError, set_default_cache
from langcache_cli.fastapi import cache_lifespan, cache_router
from tests.harness.polling import aeventually
from tests.integration.cache_support import Database

BUDGET = 0.25
MARGIN = 3.0


def require_admin(authorization: str = Header(default="")) -> None:
    if not authorization:
        raise HTTPException(401, "log in first")
    if authorization != "admin":
        raise HTTPException(403, "admins only")


ADMIN = {"authorization": "admin"}


def application(cache: Cache, **options) -> FastAPI:
    app = FastAPI(lifespan=cache_lifespan(cache=cache))
    app.include_router(cache_router(cache=cache, **{"admin": [Depends(require_admin)], **options}))
    return app


@asynccontextmanager
async def running(app: FastAPI):
    """A client of the application, between its start and its end."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client,
    ):
        yield client


async def test_a_healthy_cache_says_so_with_its_numbers(cache):
    database = Database(cache)
    async with running(application(cache)) as client:
        await database.read(1)
        await database.read(1)
        answer = await client.get("/health/cache")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "healthy"
    assert body["stats"]["reachable"]
    assert (body["stats"]["hits"], body["stats"]["misses"]) == (1, 1)
    assert body["stats"]["types"]["vocabulary"]["hit_rate"] == 0.5


async def test_a_cache_of_which_only_the_numbers_are_too_slow_is_healthy_without_numbers(cache, monkeypatch):
    async def too_slow(*arguments, **options):
        raise CacheUnavailableError("no answer in time", target="redis")

    async with running(application(cache, degraded_status=503)) as client:
        await Database(cache).read(1)
        monkeypatch.setattr(cache.runtime().fleet.reader, "read", too_slow)
        answer = await client.get("/health/cache")
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
    stats = answer.json()["stats"]
    assert (stats["reachable"], stats["usable"], stats["numbers"], stats["hits"]) == (True, True, False, 0)
    assert "no answer in time" in stats["error"]


@pytest.mark.parametrize("degraded_status", [200, 503])
@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_while_redis_is_away_health_is_degraded_and_no_slower_than_one_operation(
    open_cache, own_redis, fault, degraded_status
):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=BUDGET)
    async with running(application(cache, degraded_status=degraded_status)) as client:
        assert (await client.get("/health/cache")).json()["status"] == "healthy"
        getattr(server, fault)()
        for _ in range(5):
            async with asyncio.timeout(BUDGET + MARGIN):
                answer = await client.get("/health/cache")
            assert answer.status_code == degraded_status
            assert answer.json()["status"] == "degraded"
            assert not answer.json()["stats"]["reachable"]
        server.resume() if fault == "pause" else server.start()

        async def is_healthy() -> bool:
            return (await client.get("/health/cache")).json()["status"] == "healthy"

        await aeventually(is_healthy)


async def test_health_is_degraded_while_invalidations_wait(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=BUDGET)
    async with running(application(cache)) as client:
        server.command("ACL", "SETUSER", "default", "-unlink")
        await cache.delete("vocabulary:1")
        answer = (await client.get("/health/cache")).json()
        assert (answer["status"], answer["stats"]["outbox"]) == ("degraded", 1)
        server.command("ACL", "SETUSER", "default", "+unlink")


async def test_a_cache_that_is_switched_off_is_healthy(open_cache):
    async with running(application(open_cache(redis_enabled=False))) as client:
        answer = (await client.get("/health/cache")).json()
    assert (answer["status"], answer["stats"]["enabled"]) == ("healthy", False)


# -- clearing --


@pytest.mark.parametrize(("headers", "code"), [({}, 401), ({"authorization": "user"}, 403)])
async def test_only_admins_clear(cache, headers, code):
    database = Database(cache)
    await database.read(1)
    async with running(application(cache)) as client:
        assert (await client.post("/admin/cache/clear", headers=headers)).status_code == code
    await database.read(1)
    assert database.reads == {1: 1}


async def test_without_a_dependency_for_admins_nothing_can_be_cleared(cache):
    app = application(cache, admin=())
    async with running(app) as client:
        assert (await client.post("/admin/cache/clear", headers=ADMIN)).status_code == 404
    assert "/admin/cache/clear" not in app.openapi()["paths"]


async def test_a_type_is_cleared_and_no_other(cache):
    words, episodes = Database(cache), Database(cache, prefix="episodes")
    for database in (words, episodes):
        await database.read(1)
    async with running(application(cache)) as client:
        answer = await client.post("/admin/cache/clear?cache_type=vocabulary", headers=ADMIN)
        assert (answer.status_code, answer.json()) == (
            200,
            {"cache_type": "vocabulary", "removed": 1, "deferred": False},
        )
        await words.read(1)
        await episodes.read(1)
        assert (words.reads[1], episodes.reads[1]) == (2, 1)
        answer = await client.post("/admin/cache/clear", headers=ADMIN)
        assert answer.json() == {"cache_type": "all", "removed": 2, "deferred": False}
        await episodes.read(1)
        assert episodes.reads[1] == 2


async def test_an_unknown_type_is_refused_with_those_that_there_are(cache):
    async with running(application(cache)) as client:
        answer = await client.post("/admin/cache/clear?cache_type=vocabluary", headers=ADMIN)
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["loc"] == ["query", "cache_type"]
    assert "all, vocabulary, translation, progress, video, subtitles" in problem["msg"]


async def test_what_redis_does_not_confirm_is_accepted_and_done_later(open_cache, own_redis):
    server = own_redis(appendonly=True)
    cache = open_cache(server.url, operation_timeout=BUDGET)
    database = Database(cache)
    async with running(application(cache)) as client:
        await database.read(1)
        server.kill()
        answer = await client.post("/admin/cache/clear?cache_type=vocabulary", headers=ADMIN)
        assert (answer.status_code, answer.json()["deferred"]) == (202, True)
        server.start()
        await aeventually(lambda: cache.pending_invalidations == 0)
        assert server.command("EXISTS", database.read.key_for(1)) == 0


def test_the_api_is_described():
    app = application(Cache())
    paths = app.openapi()["paths"]
    assert set(paths) == {"/health/cache", "/metrics", "/admin/cache/clear"}
    assert set(paths["/admin/cache/clear"]["post"]["responses"]) == {"200", "202", "422"}
    schemas = app.openapi()["components"]["schemas"]
    assert {"Health", "Cleared", "CacheStats"} <= set(schemas)


# -- its life --


async def test_it_starts_without_redis_and_says_so(open_cache, own_redis, caplog):
    server = own_redis()
    server.kill()
    cache = open_cache(server.url, operation_timeout=BUDGET)
    with caplog.at_level(logging.WARNING):
        async with running(application(cache)) as client:
            assert (await client.get("/health/cache")).json()["status"] == "degraded"
    assert "starting without a cache" in caplog.text


async def test_it_goes_around_the_applications_own_lifespan(cache, redis_server):
    database = Database(cache)
    events = []

    @asynccontextmanager
    async def own(_: FastAPI):
        events.append("start")
        yield {"answer": 42}
        await database.read(1)  # the cache is still there
        events.append("end")

    app = FastAPI(lifespan=cache_lifespan(own, cache=cache))
    async with app.router.lifespan_context(app) as state:
        assert state == {"answer": 42}
    assert events == ["start", "end"]
    assert database.reads == {1: 1}
    assert redis_server.command("KEYS", "cache@stats:*")  # delivered at the end


async def test_it_uses_the_default_cache(cache):
    before = set_default_cache(cache)
    try:
        app = FastAPI(lifespan=cache_lifespan())
        app.include_router(cache_router())
        async with running(app) as client:
            assert (await client.get("/health/cache")).json()["stats"]["reachable"]
    finally:
        set_default_cache(before)


# -- metrics --


def samples(text: str) -> dict[str, float]:
    return {
        f"{sample.name}[{sample.labels.get('function', '')}{sample.labels.get('le', '')}]": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics_are_what_prometheus_reads(cache):
    database = Database(cache)
    async with running(application(cache)) as client:
        for item in (1, 2, 1, 1):
            await database.read(item)
        await cache.report()  # delivering the counters does not take them away from here
        await database.read(1)
        answer = await client.get("/metrics")
    assert answer.headers["content-type"] == CONTENT_TYPE_LATEST
    found = samples(answer.text)
    assert found["langcache_hits_total[read]"] == 3
    assert found["langcache_misses_total[read]"] == 2
    assert found["langcache_read_bytes_total[read]"] == 3 * len("[1,0]")
    assert found["langcache_hit_seconds_count[read]"] == 3
    assert found["langcache_load_seconds_bucket[read+Inf]"] == 2
    assert found["langcache_enabled[]"] == 1
    buckets = [value for name, value in found.items() if name.startswith("langcache_hit_seconds_bucket")]
    assert buckets == sorted(buckets)


async def test_counters_that_could_not_be_delivered_are_counted_once(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=BUDGET)
    database = Database(cache)
    await database.read(1)
    await database.read(1)
    server.kill()
    async with running(application(cache)) as client:
        for _ in range(3):
            with pytest.raises(Exception, match="Redis"):
                await cache.report()
            assert samples((await client.get("/metrics")).text)["langcache_hits_total[read]"] == 1


async def test_metrics_are_those_of_the_default_cache_at_each_request(cache):
    database = Database(cache)
    await database.read(1)
    app = FastAPI()
    app.include_router(cache_router())
    async with running(app) as client:
        before = set_default_cache(cache)
        try:
            answer = await client.get("/metrics")
        finally:
            set_default_cache(before)
    assert samples(answer.text)["langcache_loads_total[read]"] == 1


async def test_the_metrics_of_two_routers_do_not_meet(open_cache):
    caches = [open_cache(), open_cache(redis_enabled=False)]
    app = FastAPI()
    for number, used in enumerate(caches):
        app.include_router(cache_router(cache=used), prefix=f"/{number}")
    async with running(app) as client:
        texts = [(await client.get(f"/{number}/metrics")).text for number in range(2)]
    assert [samples(text)["langcache_enabled[]"] for text in texts] == [1, 0]
