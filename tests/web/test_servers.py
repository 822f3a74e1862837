"""The dashboard on a cluster, and as a user who may not do everything."""

from tests.harness.acl import grant, url_for
from tests.web.test_data import all_keys
from tests.web.web_support import BEARER, FROM_PAGE, dashboard, fill, use


async def test_a_cluster_is_looked_at_whole(open_cache, redis_cluster):
    cache = open_cache(redis_cluster.url)
    await use(cache)
    for i in range(300):
        await cache.set(f"vocabulary:w:{i}", i)
    async with dashboard(cache) as client:
        document = (await client.get("/api/overview")).json()
        rows = await all_keys(client, find="w:")
        assert document["types"]["vocabulary"]["keys"] >= 302
        assert document["keyspace"]["exact"]
        assert sorted(row["key"] for row in rows) == sorted(f"cache:vocabulary:w:{i}" for i in range(300))
        entry = (await client.get(f"/api/key?key={rows[0]['address']}")).json()
        assert (entry["kind"], entry["bytes"]) == ("entry", rows[0]["bytes"])
        answer = await client.post("/api/clear", json={"type": "vocabulary"}, headers=FROM_PAGE)
        assert answer.json()["removed"] >= 302
        assert await all_keys(client) == []


async def test_a_missing_right_is_named_and_the_rest_is_shown(open_cache, own_redis):
    server = own_redis()
    fill(server)
    grant([server], "one")
    server.command("ACL", "SETUSER", "app", "-memory")
    async with dashboard(open_cache(url_for(server.url))) as client:
        document = (await client.get("/api/overview")).json()
        assert document["status"] == "healthy"
        assert document["types"]["vocabulary"]["keys"] == 4
        assert "memory" in document["keyspace"]["problem"].lower()
        assert "ACL SETUSER app" in document["keyspace"]["problem"]
        rows = await all_keys(client)
        assert {row["bytes"] for row in rows} == {None}
        assert (await client.get(f"/api/key?key={rows[0]['address']}")).json()["bytes"] is None
        server.command("ACL", "SETUSER", "app", "-scan")
        answer = await client.get("/api/keys", headers=BEARER)
        assert answer.status_code == 503
        assert "scan" in answer.json()["error"]


async def test_of_many_keys_a_sample_is_looked_at(open_cache, one_redis):
    script = "for i = 1, ARGV[1] do redis.call('SET', ARGV[2] .. i, string.rep('v', 100)) end"
    one_redis.command("EVAL", script, 0, 15000, "cache:vocabulary:w:")
    one_redis.command("EVAL", script, 0, 5000, "others:")
    async with dashboard(open_cache()) as client:
        document = (await client.get("/api/overview")).json()
    keyspace, words = document["keyspace"], document["types"]["vocabulary"]
    assert not keyspace["exact"]
    assert keyspace["sampled"] == 3000
    assert abs(words["keys"] - 15000) < 3 * words["keys_error"]
    assert 0 < words["keys_error"] < 500
    assert abs(keyspace["other"]["keys"] - 5000) < 1000
    assert 0 < words["bytes_error"] < 0.05 * words["bytes"]
