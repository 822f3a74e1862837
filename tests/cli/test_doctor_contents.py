"""``langcache doctor`` and what Redis holds: entries that never end, large ones, none here but elsewhere."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from langcache_cli.caching import Cache, CacheSettings
from tests.cli.cli_support import no_noise, url_of
from tests.cli.doctor_support import PATIENT, findings, langcache_words, new_settings, type_line
from tests.harness.cli import Run
from tests.harness.redis_server import RedisServer

Doctor = Callable[..., Run]
MEGABYTE = 2**20


@pytest.fixture
def doctor(call, sound_redis) -> Doctor:
    """`doctor(REDIS_URL=...)`: of that sound_redis, with these settings."""

    def examine(**settings: str) -> Run:
        ended = call("doctor", "--json", *PATIENT, env={"REDIS_URL": sound_redis.url, **settings})
        no_noise(ended)
        return ended

    return examine


@pytest.fixture
def langcache(call, sound_redis) -> Callable[[str], Run]:
    """`langcache(line)`: type what stands in a line behind `langcache`, and answer yes."""

    def type_it(line: str) -> Run:
        words = langcache_words(line)
        yes = ["--yes"] if words[0] == "clear" else []
        return call(*words, *yes, env={"REDIS_URL": sound_redis.url})

    return type_it


def traffic(
    server: RedisServer, hits: int, misses: int, *, fails: int = 0, db: int = 0, namespace: str = "cache"
):
    """So many hits and misses of the type vocabulary, counted as those of an application."""

    async def run() -> None:
        settings = CacheSettings.load(redis_url=url_of(server, db=db), namespace=namespace)
        async with Cache(settings) as cache:

            @cache.cached(key_prefix="vocabulary")
            async def word(number: int) -> int:
                if number < 0:
                    raise ValueError(number)
                return number

            for number in range(misses):
                await word(number)
            for _ in range(hits):
                await word(0)
            for number in range(fails):
                await asyncio.gather(word(-number - 1), return_exceptions=True)

    asyncio.run(run())


def test_nothing_is_wrong_with_entries_in_use(sound_redis, doctor):
    traffic(sound_redis, hits=300, misses=20)
    ended = doctor()
    assert ended.code == 0, ended
    assert ended.document["findings"] == []


@pytest.mark.parametrize("count", [1, 5])
def test_entries_without_a_ttl(count, sound_redis, doctor, langcache):
    traffic(sound_redis, hits=0, misses=20)
    for key in sorted(sound_redis.command("KEYS", "cache:*"))[:count]:
        sound_redis.command("PERSIST", key)
    ended = doctor()
    assert ended.code == 1
    found = findings(ended)["keys-without-ttl"]
    assert found["found"].startswith(f"{count} entr")
    assert ("--key" in found["mend"]) == (count == 1)
    assert langcache(found["mend"]).code == 0
    assert doctor().code == 0


def test_entries_without_a_ttl_among_many_keys_and_of_a_type_of_no_name(sound_redis, doctor, langcache):
    script = "for i = 1, 6000 do redis.call('SET', 'cache:odd prefix:' .. i, 'v') end"
    sound_redis.command("EVAL", script, 0)
    found = findings(doctor())["keys-without-ttl"]
    assert "keys that were looked at have no TTL" in found["found"]
    assert langcache(found["mend"]).code == 0
    assert doctor().code == 0


def test_a_large_entry(sound_redis, doctor, langcache):
    sound_redis.command("SET", "cache:vocabulary:f:it's large", "x" * 2 * MEGABYTE, "EX", 60)
    ended = doctor()
    assert ended.code == 1
    found = findings(ended)["keys-big"]
    assert "f:it's large" in found["found"]
    assert "2." in found["found"]
    assert langcache(found["mend"]).code == 0
    assert doctor().code == 0


def test_a_type_that_misses_most_calls(sound_redis, doctor, langcache):
    traffic(sound_redis, hits=10, misses=100)
    ended = doctor()
    assert ended.code == 1
    found = findings(ended)["type-cold"]
    assert found["found"] == "vocabulary: 9.1 % of 110 calls in the last hour were hits"
    assert found["why"].startswith("90 of 100 misses: stored and never hit (")
    assert found["mend"] == "langcache keys list --find :word:"
    assert langcache(found["mend"]).stdout.count("cache:vocabulary:") == 50, "a page of them"
    traffic(sound_redis, hits=90, misses=0)
    assert doctor().code == 0


def test_a_type_that_misses_what_it_had_is_sent_to_its_statistics(sound_redis, doctor):
    traffic(sound_redis, hits=10, misses=100, fails=10)
    for key in sound_redis.command("KEYS", "cache:vocabulary:*")[:60]:
        sound_redis.command("UNLINK", key)
    cold, failed = doctor().document["findings"]
    assert (cold["name"], failed["name"]) == ("type-cold", "load-errors"), "what weighs most comes first"
    assert cold["mend"] == failed["mend"] == "langcache stats --type vocabulary"


def test_a_type_of_which_nothing_is_there(sound_redis, doctor, langcache):
    traffic(sound_redis, hits=100, misses=20)
    for key in sound_redis.command("KEYS", "cache:*"):
        sound_redis.command("UNLINK", key)
    found = findings(doctor())["type-empty"]
    assert found["mend"] == "langcache warm --type vocabulary"
    assert langcache(f"{found['mend']} --sample --level A1").code == 0
    assert doctor().code == 0


def test_plain_keys_of_no_type_are_there_although_no_type_has_them(sound_redis, doctor):
    async def use() -> None:
        async with Cache(CacheSettings.load(env_file=None, redis_url=url_of(sound_redis))) as cache:
            await cache.set("settings", 1)
            for _ in range(120):
                await cache.get("settings")

    asyncio.run(use())
    assert "type-empty" not in findings(doctor())


def test_loads_that_fail(sound_redis, doctor):
    traffic(sound_redis, hits=50, misses=5, fails=20)
    found = findings(doctor())["load-errors"]
    assert found["found"] == "vocabulary: 20 loads failed in the last hour"
    assert found["why"] == "The functions behind the cache raised, so nothing was stored."
    assert found["severity"] == "warning"


@pytest.mark.parametrize(
    ("name", "db", "namespace"),
    [("database-other", 3, "cache"), ("namespace-other", 0, "staging"), ("namespace-other", 5, "staging")],
)
def test_nothing_is_here_and_entries_are_elsewhere(name, db, namespace, sound_redis, doctor):
    traffic(sound_redis, hits=1, misses=3, db=db, namespace=namespace)
    sound_redis.command("SET", "other:key", "no entry")
    ended = doctor()
    assert ended.code == 1
    found = findings(ended)[name]
    assert "holds nothing of the namespace cache" in found["found"]
    if name == "namespace-other":
        expected = "If your application uses the namespace staging, this command looks at the wrong one."
        assert found["why"] == expected
        assert found["mend"].startswith("LANGCACHE_NAMESPACE=staging (now: cache)")
    assert doctor(**new_settings(found["mend"])).code == 0


def test_a_database_of_others_and_an_empty_one_are_no_finding(sound_redis, doctor):
    assert doctor().code == 0
    sound_redis.command("SET", "other:key", "no entry")
    sound_redis.command("SET", "cache", "no entry")
    assert doctor().code == 0


def evict(server: RedisServer, policy: str = "allkeys-lru") -> None:
    """Let it evict keys of others: it is full, and takes more."""
    used = int(dict(_info(server))["used_memory"])
    server.command("CONFIG", "SET", "maxmemory-policy", policy)
    server.command("CONFIG", "SET", "maxmemory", used + MEGABYTE)
    script = "for i = 1, 3000 do redis.call('SET', 'other:' .. i, string.rep('x', 1000), 'EX', 60) end"
    server.command("EVAL", script, 0)
    assert int(dict(_info(server))["evicted_keys"]) > 0


def _info(server: RedisServer) -> Iterator[tuple[str, str]]:
    for line in server.command("INFO").decode().splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name, value


def test_keys_are_evicted(sound_redis, doctor):
    evict(sound_redis)
    ended = doctor()
    assert ended.code == 1
    found = findings(ended)["evictions"]
    assert "keys were evicted" in found["found"]
    type_line(found["mend"], [sound_redis])
    assert doctor().code == 0


def test_the_counters_were_evicted(sound_redis, doctor):
    traffic(sound_redis, hits=1, misses=5)
    sound_redis.command("UNLINK", *sound_redis.command("KEYS", "cache@stats*"))
    assert doctor().code == 0  # they may have ended
    evict(sound_redis, "volatile-ttl")  # those of others, which end first
    sound_redis.command("CONFIG", "SET", "maxmemory", "100mb")
    found = findings(doctor())["counters-evicted"]
    assert "cache@stats has no counters" in found["found"]
    type_line(found["mend"], [sound_redis])
    traffic(sound_redis, hits=1, misses=0)
    assert doctor().code == 0
