"""Findings of states that a test cannot bring about: old versions, a disk that fills up, other clocks."""

import pytest

from langcache_cli.caching import ServerReplyError
from langcache_cli.caching.tooling import Numbers, RedisAddress, ServerReport, unavailable
from langcache_cli.operations.diagnosis.contents.calls import load_errors
from langcache_cli.operations.diagnosis.redis_cli import cluster_cli, redis_cli
from langcache_cli.operations.diagnosis.server.state import TIME, state
from langcache_cli.operations.diagnosis.server.unreachable import unreachable, url_of
from langcache_cli.operations.diagnosis.server_facts import INFO, ServerFacts
from langcache_cli.operations.overview.findings import AT_MOST, findings_of
from langcache_cli.operations.overview.summaries import summary_of

ADDRESS = RedisAddress.parse("redis://app:secret@localhost:6380/2")
GIGABYTE = 2**30


def server(time_reply: object = None, **info: object) -> ServerFacts:
    text = "\r\n".join(f"{name}:{value}" for name, value in info.items())
    replies = {INFO: text.encode(), TIME: time_reply}
    return ServerFacts(ADDRESS, 0.001, replies, asked=(1000.0, 1001.0))


@pytest.mark.parametrize(
    ("info", "names"),
    [
        ({"redis_version": "6.0.16"}, ["version-old"]),
        ({"redis_version": "5.0.7"}, ["version-old"]),
        ({"redis_version": "6.2.0"}, []),
        ({"redis_version": "10.0"}, []),
        ({"redis_version": "unknown"}, []),
        ({"aof_last_write_status": "err"}, ["append-failed"]),
        ({"aof_last_bgrewrite_status": "err", "rdb_last_bgsave_status": "ok"}, ["rewrite-failed"]),
        ({"used_memory": 95, "maxmemory": 100}, ["memory-nearly-full"]),
        ({"used_memory": 95, "maxmemory": 100, "evicted_keys": 3}, ["evictions"]),
        ({"used_memory": 50, "maxmemory": 100, "evicted_keys": 3}, []),
        ({"used_memory": 50, "maxmemory": 0}, []),
        ({"connected_clients": 9000, "maxclients": 10000}, ["clients-near-limit"]),
        ({}, []),
    ],
)
def test_the_state_of_a_server(info, names):
    found = list(state([server(**info)]))
    assert [one.name for one in found] == names
    for one in found:
        assert one.severity == "warning"
        assert one.mend
        assert one.why.endswith(".")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(998, None), (1000, None), (1002, None), (995, "5.0 s behind"), (1061, "1.0 min ahead of")],
)
def test_clocks_differ_only_if_no_delay_explains_it(seconds, words):
    found = list(state([server([str(seconds).encode(), b"500"])]))
    assert [one.name for one in found] == (["clock-skew"] if words else [])
    assert words is None or words in found[0].found


def test_a_url_to_write_has_no_secret():
    assert url_of(ADDRESS) == "redis://...@localhost:6380/2"
    tls = RedisAddress.parse("rediss://localhost:6380/2?ssl_keyfile=secret.pem")
    assert url_of(tls) == "rediss://localhost:6380/2?..."
    assert (
        url_of(RedisAddress.parse("unix://:secret@/run/redis.sock?db=1")) == "unix://...@/run/redis.sock?db=1"
    )


@pytest.mark.parametrize("reply", ["DENIED in protected mode", "MASTERDOWN Link is down", "ERR ?"])
def test_every_refusal_has_a_sentence(reply):
    refusal = ServerReplyError(reply)
    (found,) = unreachable(ServerFacts(ADDRESS, error=_unavailable(refusal)))
    assert found.name in {"protected-mode", "replica", "unreachable"}
    assert found.found.startswith("Redis ")


def _unavailable(refusal):
    error = unavailable(refusal, ADDRESS)
    error.__cause__ = refusal
    return error


SUMMARY = {"calls": 9, "bypassed": 2, "load_errors": 1, "misses": 4, "stale": 0, "hit_ratio": 0.5}


def test_failed_loads_are_counted_and_old_values_named_only_where_some_were_served():
    errors = [{"load_errors": 1, "misses": 100}, {"load_errors": 9, "misses": 9, "stale": 4}]
    types = {name: summary_of(Numbers(counts)) for name, counts in zip("ab", errors, strict=True)}
    often, once = load_errors(types, "in the last hour")
    assert (once.found, once.severity) == ("a: 1 load failed in the last hour", "note")
    assert (often.found, often.severity) == ("b: 9 loads failed in the last hour", "warning")
    assert ["Old values were served" in one.why for one in (often, once)] == [True, False]
    assert once.mend == "langcache stats --type a"


def test_findings_of_the_overview_keep_their_shape():
    report = ServerReport("7.0", 95 * GIGABYTE, 100 * GIGABYTE, "allkeys-lru", 1, 65, 1, 1, 1, 7)
    types = {f"type_{number}": {**SUMMARY, "load_errors": number} for number in range(9)}
    problem = ServerReplyError("OOM command not allowed")
    found = findings_of(SUMMARY, types, report, problem, started_in_window=True)
    assert len(found) == AT_MOST
    assert [{*one} for one in found] == AT_MOST * [{"level", "title", "text", "command"}]
    assert [one["level"] for one in found] == ["bad", "warn", "warn", "warn", "warn"]
    assert found[0]["title"] == "Redis cannot hold the cache"
    assert found[1]["title"].startswith("95 % of the memory is used")
    assert found[2]["title"] == "Redis was started 1 min ago"
    assert found[3]["title"] == "2 calls went past the cache"
    assert found[4]["title"] == "type_8: 8 loads failed"
    assert all(one["command"].startswith("langcache ") for one in found)
    assert findings_of({**SUMMARY, "bypassed": 0}, {}, report, None, started_in_window=False)[1:] == []


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("redis://h:1/0", "redis-cli -h h -p 1 INFO"),
        ("rediss://:pw@h:1/0", "redis-cli -h h -p 1 --tls --askpass INFO"),
        ("unix://app:pw@/run/r.sock", "redis-cli -s /run/r.sock --askpass INFO"),
    ],
)
def test_a_line_for_redis_cli_asks_for_a_password_where_there_is_one(url, line):
    address = RedisAddress.parse(url)
    assert redis_cli(address, "INFO") == line
    assert ("--askpass" in cluster_cli(address, "check")) == ("--askpass" in line)
