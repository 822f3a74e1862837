"""A cache behind a real Sentinel set: failovers, primaries that come back, sentinels that hang."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from langcache_cli.caching import Cache, CacheUnavailableError
from langcache_cli.caching._wire.connection import SUPPORTS_PUSH
from langcache_cli.caching._wire.sentinel import watch
from tests.harness.polling import aeventually, eventually
from tests.harness.redis_server import RedisServer
from tests.harness.sentinels import SENTINEL_PASSWORD, SERVICE, SentinelSet
from tests.integration.cache_support import ROOT, Database, cache_at, leftover_tasks

IN_TIME = {"operation_timeout": 0.25}
FAILOVER_SECONDS = 30.0
"""On a busy machine; mostly it takes three."""


@pytest.fixture
def own_sentinels() -> Iterator[SentinelSet]:
    """A set for a test that has the primary replaced."""
    with SentinelSet() as sentinels:
        yield sentinels


@pytest.fixture
async def open_cache() -> AsyncIterator[Callable[..., Cache]]:
    """`open_cache(url, **settings)`: caches of this test, closed after it; then no task may be left."""
    caches: list[Cache] = []

    def open_one(url: str, **settings: object) -> Cache:
        caches.append(cache_at(url, **settings))
        return caches[-1]

    yield open_one
    for cache in caches:
        await cache.aclose()
    await asyncio.sleep(0)
    assert leftover_tasks() == []


# -- with all in service --


async def test_values_are_kept_by_the_primary(sentinel_set, open_cache):
    database = Database(open_cache(sentinel_set.url))
    assert [await database.read(1), await database.read(1), database.reads[1]] == [[1, 0], [1, 0], 1]
    assert sentinel_set.primary().command("EXISTS", database.read.key_for(1)) == 1


async def test_the_database_of_the_url_is_used(sentinel_set, open_cache):
    database = Database(open_cache(sentinel_set.url.replace(f"/{SERVICE}/0", f"/{SERVICE}/3")))
    await database.read(1)
    assert b"db3:keys=" in sentinel_set.primary().command("INFO", "keyspace")


async def test_those_who_wait_are_woken_by_the_primary(sentinel_set, open_cache):
    first = Database(open_cache(sentinel_set.url), held=True)
    other_cache = open_cache(sentinel_set.url)
    other = Database(other_cache)
    loading = asyncio.create_task(first.read(1))
    await aeventually(lambda: first.reads[1])
    waiting = asyncio.create_task(other.read(1))
    if SUPPORTS_PUSH:
        await aeventually(lambda: other_cache.runtime().key_watch._node.connection is not None)
    first.gate.open()
    assert await waiting == await loading == [1, 0]
    assert other.reads[1] == 0
    assert [clients_of(node) for node in sentinel_set.replicas()] == [0, 0]


async def test_a_lease_is_prolonged_while_its_event_loop_is_blocked(sentinel_set, open_cache):
    cache = open_cache(sentinel_set.url, lease_seconds=0.3)
    primary = sentinel_set.primary()
    leases = []

    @cache.cached(key_prefix="vocabulary", ttl=600)
    async def word(item: int) -> int:
        time.sleep(1.2)  # noqa: ASYNC251 - four leases long
        leases.append(primary.command("EXISTS", word.key_for(item)))
        return item

    assert await word(1) == 1
    assert leases == [1]
    assert primary.command("STRLEN", word.key_for(1)) > 100  # the entry, not a placeholder


@pytest.mark.parametrize("n_hung", [1, 2])
async def test_one_sentinel_that_answers_is_enough(sentinel_set, open_cache, n_hung):
    database = Database(open_cache(sentinel_set.url, **IN_TIME))
    with stopped(sentinel_set, *sentinel_set.sentinels[:n_hung]):
        await aeventually(lambda: is_stored(database, 1))


# -- failovers --


@pytest.mark.parametrize("how", ["killed", "on demand"])
async def test_a_failover_raises_nothing_and_leaves_nothing_stale(own_sentinels, open_cache, how):
    database = Database(open_cache(own_sentinels.url, **IN_TIME))
    old = own_sentinels.primary()
    async with under_load(database) as failures:
        await asyncio.to_thread(old.kill if how == "killed" else own_sentinels.failover)
        await aeventually(lambda: own_sentinels.primary() is not old, within=FAILOVER_SECONDS)
        await aeventually(lambda: is_stored(database, 1000), within=FAILOVER_SECONDS)
    assert failures == []
    assert own_sentinels.primary().command("EXISTS", database.read.key_for(1000)) == 1


async def test_a_primary_that_wakes_after_it_was_replaced_is_not_read_any_more(own_sentinels, open_cache):
    """It takes itself for the primary for ten seconds, and an idle process had its link to it."""
    idle, busy = (Database(open_cache(own_sentinels.url, **IN_TIME)) for _ in range(2))
    items = range(20)
    assert [await idle.read(item) for item in items] == [[item, 0] for item in items]
    await busy.read(0)
    await aeventually(lambda: all(clients_of(one) == 2 for one in own_sentinels.sentinels))
    link = idle.cache.runtime().node.connection
    old = own_sentinels.primary()
    with stopped(own_sentinels, old):
        await aeventually(lambda: own_sentinels.primary() is not old, within=FAILOVER_SECONDS)
        await aeventually(lambda: is_stored(busy, 1000), within=FAILOVER_SECONDS)
        for item in items:
            idle.versions[item] = busy.versions[item] = 1
            await busy.read.invalidate(item)
        await aeventually(lambda: busy.cache.pending_invalidations == 0)
        await aeventually(lambda: not link.alive)  # a second later where sentinels cannot push
    assert old.command("ROLE")[0] == b"master"
    assert old.command("EXISTS", *(idle.read.key_for(item) for item in items)) == len(items)  # the old values
    assert [await idle.read(item) for item in items] == [[item, 1] for item in items]


async def test_without_push_messages_a_failover_is_noticed_too(own_sentinels, open_cache, monkeypatch):
    monkeypatch.setattr(watch, "SUPPORTS_PUSH", False)
    idle = Database(open_cache(own_sentinels.url, **IN_TIME))
    await idle.read(1)
    old = own_sentinels.primary()
    assert clients_of(old) == 1
    await asyncio.to_thread(own_sentinels.failover)
    await aeventually(lambda: clients_of(old) == 0)


# -- what cannot work --


def with_sentinels(sentinel_set: SentinelSet, login: str = f"sentinel_password={SENTINEL_PASSWORD}") -> str:
    return f"{sentinel_set.url.partition('?')[0]}?{login}"


def at_redis(sentinel_set: SentinelSet) -> str:
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in sentinel_set.nodes)
    return f"redis+sentinel://:{sentinel_set.password}@{hosts}/{SERVICE}"


CASES = {
    "another service": (
        lambda url, s: url.replace(f"/{SERVICE}/", "/nope/"),
        f"the sentinels know no service 'nope'; they know '{SERVICE}'",
    ),
    "wrong password of the sentinels": (
        lambda url, s: url.replace(SENTINEL_PASSWORD, "wrong"),
        "refuses the user or password: check sentinel_username, sentinel_password in REDIS_URL",
    ),
    "no password of the sentinels": (
        lambda url, s: url.partition("?")[0],
        "demands a password: add ?sentinel_password=... to REDIS_URL",
    ),
    "wrong password of Redis": (
        lambda url, s: url.replace(s.password, "wrong"),
        "Redis refused the user or password",
    ),
    "no sentinel": (
        lambda url, s: f"redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/{SERVICE}",
        "none of 3 sentinels answers: ",
    ),
    "servers in place of sentinels": (
        lambda url, s: f"{at_redis(s)}?sentinel_password={s.password}",
        "a Redis answers there: for one Redis write redis://host:6379/0",
    ),
    "servers in place of sentinels, without a password": (
        lambda url, s: at_redis(s),
        "if it is no sentinel but a Redis, write redis://host:6379/0",
    ),
}


@pytest.mark.parametrize(("url_of", "says"), CASES.values(), ids=CASES)
async def test_what_is_wrong_is_named_and_calls_go_on(sentinel_set, open_cache, url_of, says):
    url = url_of(sentinel_set.url, sentinel_set)
    database = Database(open_cache(url, **IN_TIME))
    with pytest.raises(CacheUnavailableError) as caught:
        await database.cache.ping()
    assert says in str(caught.value)
    assert "redis+sentinel://" in caught.value.target
    for secret in ("wrong", sentinel_set.password, SENTINEL_PASSWORD):
        assert secret not in str(caught.value)
    assert await database.read(1) == [1, 0]


async def test_sentinels_that_all_hang_cost_a_call_its_budget(sentinel_set, open_cache):
    database = Database(open_cache(sentinel_set.url, **IN_TIME))
    with stopped(sentinel_set, *sentinel_set.sentinels):
        with pytest.raises(CacheUnavailableError, match="none of 3 sentinels answers in time"):
            await database.cache.ping()
        assert await database.read(1) == [1, 0]
    await aeventually(lambda: is_stored(database, 2))


# -- the end --

PROGRAM = """
import asyncio, gc
from langcache_cli.caching import cached, close_redis_client

@cached(key_prefix="vocabulary")
async def word(item: int) -> int:
    return item

async def use(*, close):
    assert await asyncio.gather(*map(word, range(10))) == list(range(10))
    await asyncio.sleep(SECONDS)
    if close:
        await close_redis_client()
"""
ENDS = {
    "closed": "asyncio.run(use(close=True))\nasyncio.run(use(close=True))",
    "ended with the loop": "asyncio.run(use(close=False))\nasyncio.run(use(close=False))",
    "closed by hand": """
for _ in range(2):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use(close=False))
    loop.close()
asyncio.run(use(close=True))
""",
}


@pytest.mark.parametrize("seconds", [0, 0.2], ids=["at once", "in service"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_watch_ends_with_its_event_loop_and_says_nothing(sentinel_set, tmp_path, end, seconds):
    file = tmp_path / "program.py"
    file.write_text(f"{PROGRAM.replace('SECONDS', str(seconds))}\n{end}\ngc.collect()\n")
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(file)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "REDIS_URL": sentinel_set.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    expected = ("an event loop ended without", "Executing <")
    said = [line for line in done.stderr.splitlines() if not line.startswith(expected)]
    assert (done.returncode, done.stdout, said) == (0, "", [])
    eventually(lambda: sum(map(clients_of, (*sentinel_set.nodes, *sentinel_set.sentinels))) == 0)


async def test_a_closed_cache_has_no_link_to_any_server(sentinel_set):
    cache = cache_at(sentinel_set.url)
    await Database(cache).read(1)
    servers = (*sentinel_set.nodes, *sentinel_set.sentinels)
    await aeventually(lambda: [clients_of(one) for one in sentinel_set.sentinels] == [1, 1, 1])
    await cache.aclose()
    await aeventually(lambda: sum(map(clients_of, servers)) == 0)


# -- how --


async def is_stored(database: Database, item: int) -> bool:
    """Whether two calls run the function once at most."""
    before = database.reads[item]
    await database.read(item)
    await database.read(item)
    return database.reads[item] <= before + 1


@asynccontextmanager
async def under_load(database: Database) -> AsyncIterator[list[str]]:
    """Readers, and a writer that invalidates; yields a list of stale reads and of calls that raised."""
    failures: list[str] = []
    acknowledged = dict.fromkeys(range(10), 0)

    async def read_on(item: int) -> None:
        while True:
            floor = acknowledged[item]
            try:
                _, version = await database.read(item)
                failures.extend([f"{item}: {version} after {floor}"] if version < floor else [])
            except Exception as error:  # noqa: BLE001 - whatever it is, the test names it
                failures.append(repr(error))
            await asyncio.sleep(0.002)

    async def write_on() -> None:
        while True:
            for item in acknowledged:
                database.versions[item] += 1
                written = database.versions[item]
                await database.read.invalidate(item)
                acknowledged[item] = written
                await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(work) for work in (write_on(), *(read_on(n % 10) for n in range(20)))]
    try:
        yield failures
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@contextmanager
def stopped(sentinels: SentinelSet, *servers: RedisServer) -> Iterator[None]:
    for server in servers:
        sentinels.stop(server)
    try:
        yield
    finally:
        for server in servers:
            sentinels.cont(server)


def clients_of(server: RedisServer) -> int:
    """The clients of a server that belong to no member of the set, but for the one that asks."""
    clients = clients_by_facts(server)
    members = [one for one in clients if one["name"].startswith("sentinel-") or {*one["flags"]} & {"M", "S"}]
    return len(clients) - len(members) - 1


def clients_by_facts(server: RedisServer) -> list[dict[str, str]]:
    lines = server.command("CLIENT", "LIST").decode().splitlines()
    return [dict(word.partition("=")[::2] for word in line.split()) for line in lines]
