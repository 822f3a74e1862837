"""What the endpoints say: numbers, keys whatever their bytes, entries; and without Redis."""

import asyncio
import json
import time
import zlib
from urllib.parse import quote

import pytest

from langcache_cli.caching._values.compression import compress
from langcache_cli.operations.overview.source import SharedOverview
from tests.harness.polling import aeventually
from tests.web.web_support import (
    ATTACK,
    FOREIGN,
    FROM_PAGE,
    HOSTILE_KEYS,
    dashboard,
    fill,
    held,
    use,
)


async def all_keys(client, **asked):
    """All rows of a search, page by page."""
    rows, cursor = [], ""
    while True:
        page = (await client.get("/api/keys", params={**asked, "cursor": cursor})).json()
        rows += page["keys"]
        cursor = page["cursor"]
        if not cursor:
            return rows


async def test_the_overview_has_the_numbers_of_the_cache(cache, one_redis):
    await use(cache)
    one_redis.command("SET", FOREIGN, "x")
    async with dashboard(cache) as client:
        document = (await client.get("/api/overview?window=1h")).json()
    assert document["schema"] == "langcache.overview/1"
    assert document["status"] == "healthy"
    total, words = document["total"], document["types"]["vocabulary"]
    assert (total["hits"], total["misses"], total["calls"], total["load_errors"]) == (3, 3, 6, 1)
    assert words["calls"] == 6
    assert words["keys"] in {2, 3}  # for a second there is the sign of the load that failed
    assert words["bytes"] > 0
    assert [one["name"] for one in words["functions"]] == ["vocabulary:get_word"]
    assert document["keyspace"]["exact"]
    assert document["keyspace"]["own"]["keys"] >= 1
    assert "" not in document["types"]
    assert sum(document["series"]["types"]["vocabulary"]["hits"]) == 3
    assert any("failed" in finding["title"] for finding in document["findings"])


@pytest.mark.parametrize("query", ["window=5m", "window=", "window=1h%00"])
async def test_a_window_that_does_not_exist_is_422(cache, query):
    async with dashboard(cache) as client:
        assert (await client.get(f"/api/overview?{query}")).status_code == 422


async def test_any_key_is_found_shown_and_can_be_removed(cache, one_redis):
    fill(one_redis)
    async with dashboard(cache) as client:
        answer = await client.get("/api/keys")
        assert answer.text.isascii()
        rows = await all_keys(client)
        assert {row["address"] for row in rows} == {quote(key, safe="") for key in HOSTILE_KEYS}
        for row in rows:
            assert row["ttl_ms"] > 0
            assert row["bytes"] > 0
            entry = (await client.get(f"/api/key?key={row['address']}")).json()
            assert entry["key"] == row["key"]
            assert entry["kind"] == "entry"
            assert json.loads(entry["value"]) == ATTACK
            assert (entry["load_ms"], entry["schema"]) == (150.337, "b3e60412")
            body = json.dumps({"address": row["address"]})
            removed = await client.post("/api/clear", content=body, headers=FROM_PAGE)
            assert removed.json()["removed"] == 1
            assert (await client.get(f"/api/key?key={row['address']}")).status_code == 404
    assert held(one_redis) == {FOREIGN}


SEARCHES = {
    "whole key": (HOSTILE_KEYS[0].decode(), 1),
    "namespace": ("cache:", len(HOSTILE_KEYS)),
    "middle": ("get_word", 4),
    "special characters": ("*[a]?\\%41+&#", 1),
    "a star is a star": ("get_*", 0),
    "attack": ("<script>", 1),
    "foreign": ("others", 0),
}


@pytest.mark.parametrize(("text", "count"), SEARCHES.values(), ids=SEARCHES)
async def test_a_search_takes_its_text_as_it_is(cache, one_redis, text, count):
    fill(one_redis)
    async with dashboard(cache) as client:
        assert len(await all_keys(client, find=text)) == count
        of_type = await all_keys(client, find=text, type="translation")
    assert all(row["type"] == "translation" for row in of_type)


async def test_pages_have_each_key_once(cache, one_redis):
    script = "for i = 1, 1000 do redis.call('SET', 'cache:vocabulary:w:' .. i, 'v') end"
    one_redis.command("EVAL", script, 0)
    async with dashboard(cache) as client:
        first = (await client.get("/api/keys")).json()
        assert len(first["keys"]) == 50
        rows = await all_keys(client)
        assert (await client.get("/api/keys?cursor=nonsense")).status_code == 422
        rare = await all_keys(client, find="w:777")
    assert sorted(row["key"] for row in rows) == sorted(f"cache:vocabulary:w:{i}" for i in range(1, 1001))
    assert [row["key"] for row in rare] == ["cache:vocabulary:w:777"]


async def test_a_long_value_is_shown_from_its_beginning_compressed_or_not(cache, one_redis):
    text = json.dumps(["ä" * 100_000], ensure_ascii=False).encode()
    head = b"lc1 entry id=8d6eb6c50cbab1c5 leased=0000000000000 created=1 fresh=2 load_us=3 schema=b3e60412"
    one_redis.command("SET", "cache:v:plain", head + b"\n" + text)
    one_redis.command("SET", "cache:v:zlib", head + b" zip=zlib\n" + zlib.compress(text))
    one_redis.command("SET", "cache:v:zstd", head + b" zip=zstd\n" + compress(text, min_bytes=1)[0])
    one_redis.command("SET", "cache:v:damaged", head + b" zip=zlib\n" + b"not zlib")
    one_redis.command("SET", "cache:v:foreign", b"\xff\x00 <b>")
    one_redis.command("RPUSH", "cache:v:list", "x")
    async with dashboard(cache) as client:
        for name in ("plain", "zlib", "zstd"):
            entry = (await client.get(f"/api/key?key=cache:v:{name}")).json()
            assert entry["truncated"]
            assert entry["value"] == text[:5000].decode(errors="ignore")
            assert entry["ttl_ms"] == -1
        damaged = (await client.get("/api/key?key=cache:v:damaged")).json()
        assert damaged["problem"]
        foreign = (await client.get("/api/key?key=cache:v:foreign")).json()
        assert (foreign["kind"], foreign["value"]) == ("foreign", "\\xff\x00 <b>")
        other = (await client.get("/api/key?key=cache:v:list")).json()
        assert "WRONGTYPE" in other["problem"]
        assert (await client.get("/api/key?key=others:key")).status_code == 422


async def test_arguments_can_be_hidden(cache, one_redis):
    await cache.invalidate("cache:translation:translate_text:xxx*")
    await aeventually(lambda: one_redis.command("EXISTS", "cache@stats:events"))
    fill(one_redis)
    async with dashboard(cache, hide_arguments=True) as client:
        answers = [await client.get(path) for path in ("/api/overview", "/api/keys")]
        assert answers[0].json()["events"][0]["target"] == "cache:translation:translate_text:…"
        assert not any("onerror" in answer.text or "xxx" in answer.text for answer in answers)
        assert {row["key"] for row in answers[1].json()["keys"]} == {
            "cache:translation:translate_text:…",
            "cache:vocabulary:get_word:…",
        }
        assert (await client.get("/api/keys?find=onerror")).json()["keys"] == []
        address = quote(HOSTILE_KEYS[0], safe="")
        assert (await client.get(f"/api/key?key={address}")).status_code == 404
        body = json.dumps({"address": address})
        assert (await client.post("/api/clear", content=body, headers=FROM_PAGE)).status_code == 422


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_without_redis_the_overview_says_so_within_the_time_of_an_operation(
    open_cache, own_redis, fault
):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=0.25)
    async with dashboard(cache) as client:
        assert (await client.get("/api/overview")).json()["status"] == "healthy"
        getattr(server, fault)()
        for window in ("6h", "24h"):
            started = time.monotonic()
            answer = await client.get(f"/api/overview?window={window}")
            assert time.monotonic() - started < 0.25 + 3.0
            document = answer.json()
            assert answer.status_code == 200
            assert document["status"] == "unreachable"
            assert document["error"]
            assert "total" not in document
            assert (await client.get("/api/keys")).status_code == 503
        if fault == "pause":
            server.resume()


async def test_a_cache_that_is_switched_off_says_so(open_cache):
    async with dashboard(open_cache(redis_enabled=False)) as client:
        document = (await client.get("/api/overview")).json()
    assert document["status"] == "disabled"
    assert "REDIS_ENABLED" in document["error"]


async def test_all_pages_share_one_collection():
    clock, begun, go_on = [0.0], [], asyncio.Event()

    class Source:
        async def collect(self, window):
            begun.append(window)
            await go_on.wait()
            return {"types": {"vocabulary": {}}}

        def forget(self):
            pass

    shared = SharedOverview(Source(), clock=lambda: clock[0])
    waiting = [asyncio.create_task(shared.collect("1h")) for _ in range(10)]
    gone = asyncio.create_task(shared.collect("1h"))
    await asyncio.sleep(0)
    gone.cancel()
    go_on.set()
    await asyncio.gather(*waiting)
    assert begun == ["1h"]
    await shared.collect("1h")
    clock[0] = 1.9
    await shared.collect("1h")
    assert begun == ["1h"]
    await shared.collect("6h")
    clock[0] = 2.0
    await shared.collect("1h")
    assert begun == ["1h", "6h", "1h"]
    assert shared.knows_type("vocabulary")
    assert not shared.knows_type("other")
    shared.forget()
    await shared.collect("1h")
    assert begun == ["1h", "6h", "1h", "1h"]
