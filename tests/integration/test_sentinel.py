"""A cache behind a real Sentinel set in service: all connections lead to the primary, and end in time."""

import asyncio
import time

import pytest

from langcache_cli.caching._wire.connection import SUPPORTS_PUSH
from tests.harness.polling import aeventually, eventually
from tests.harness.sentinels import SERVICE
from tests.harness.shared_redis import clients_of
from tests.integration.cache_support import Database, cache_at
from tests.integration.sentinel_support import IN_TIME, is_stored, stopped
from tests.integration.strict_python import complaints_of_python, run_python


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
        await aeventually(lambda: other_cache.runtime().key_watch._nodes)
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
    done = run_python(file, sentinel_set.url)
    assert (done.returncode, done.stdout, complaints_of_python(done.stderr)) == (0, "", [])
    eventually(lambda: sum(map(clients_of, (*sentinel_set.nodes, *sentinel_set.sentinels))) == 0)


async def test_a_closed_cache_has_no_link_to_any_server(sentinel_set):
    cache = cache_at(sentinel_set.url)
    await Database(cache).read(1)
    servers = (*sentinel_set.nodes, *sentinel_set.sentinels)
    await aeventually(lambda: [clients_of(one) for one in sentinel_set.sentinels] == [1, 1, 1])
    await cache.aclose()
    await aeventually(lambda: sum(map(clients_of, servers)) == 0)
