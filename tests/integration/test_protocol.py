"""Each step of the protocol alone, on one key: what it does with ours, theirs, nothing and nonsense."""

from collections.abc import Callable

import pytest

from langcache_cli.caching import Cache
from langcache_cli.caching._protocol.entry import Placeholder, parse
from langcache_cli.caching._protocol.lease import new_lease
from langcache_cli.caching._protocol.store import REJECTED_BYTES
from tests.harness.polling import aeventually
from tests.harness.redis_server import RedisServer
from tests.integration.one_key import OneKey
from tests.integration.protocol_cases import (
    FOREIGN_STRINGS,
    FOREIGN_TYPES,
    KEY,
    MINUTE_MS,
    budget,
    entry,
    found,
    stored_entry,
)

# -- acquire --


async def test_acquiring_an_empty_key_leaves_a_placeholder_that_ends_with_the_lease(
    store, lease, redis_server
):
    assert await store.acquire(lease, budget()) is None
    placeholder = await found(store)
    assert isinstance(placeholder, Placeholder)
    assert placeholder.id == lease.token
    assert 0 < redis_server.command("PTTL", KEY) <= store.store.lease_ms


async def test_a_key_with_an_entry_is_not_acquired_and_the_entry_comes_back(store, lease, redis_server):
    old = await stored_entry(store)
    assert await store.acquire(lease, budget()) == old.to_bytes()
    assert redis_server.command("GET", KEY) == old.to_bytes()


async def test_a_key_under_lease_is_not_acquired_and_the_placeholder_comes_back(store, lease):
    first = new_lease(KEY)
    await store.acquire(first, budget())
    other = await store.acquire(lease, budget())
    assert parse(other) == await found(store)
    assert parse(other).id == first.token


@pytest.mark.parametrize("command", FOREIGN_TYPES.values(), ids=FOREIGN_TYPES)
async def test_a_key_of_another_type_is_replaced_by_a_placeholder(store, lease, redis_server, command):
    redis_server.command(*command)
    assert await store.acquire(lease, budget()) is None
    assert (await found(store)).id == lease.token


async def test_an_empty_string_is_nothing(store, lease, redis_server):
    redis_server.command("SET", KEY, b"")
    assert await store.acquire(lease, budget()) is None
    assert (await found(store)).id == lease.token


@pytest.mark.parametrize("data", FOREIGN_STRINGS.values(), ids=FOREIGN_STRINGS)
async def test_a_foreign_string_is_replaced_only_by_who_has_seen_and_rejected_it(
    store, lease, redis_server, data
):
    redis_server.command("SET", KEY, data)
    assert await store.acquire(lease, budget()) == data
    assert await store.acquire(lease, budget(), rejected=data) is None
    assert (await found(store)).id == lease.token


async def test_what_was_stored_after_the_rejected_value_was_seen_is_kept(store, lease):
    old = await stored_entry(store)
    rejected = old.to_bytes()
    await store.invalidate([KEY], budget())
    new = await stored_entry(store, b'"new"')
    assert await store.acquire(lease, budget(), rejected=rejected) == new.to_bytes()


async def test_a_long_value_is_recognised_by_its_beginning(store, lease, redis_server):
    data = b"x" * REJECTED_BYTES * 10
    redis_server.command("SET", KEY, data)
    assert await store.acquire(lease, budget(), rejected=data) is None


# -- commit --


async def test_the_holder_of_the_lease_stores_its_entry_with_the_ttl_it_asks_for(store, lease, redis_server):
    await store.acquire(lease, budget())
    new = entry()
    assert await store.commit(lease, new, MINUTE_MS, budget())
    assert redis_server.command("GET", KEY) == new.to_bytes()
    assert MINUTE_MS - 5_000 < redis_server.command("PTTL", KEY) <= MINUTE_MS


async def test_a_lease_is_good_for_one_commit(store, lease):
    await store.acquire(lease, budget())
    assert await store.commit(lease, entry(b"1"), MINUTE_MS, budget())
    assert not await store.commit(lease, entry(b"2"), MINUTE_MS, budget())
    assert (await found(store)).payload == b"1"


async def test_a_commit_without_a_placeholder_stores_nothing(store, lease, redis_server):
    assert not await store.commit(lease, entry(), MINUTE_MS, budget())
    assert redis_server.command("EXISTS", KEY) == 0


@pytest.mark.parametrize("command", ["DEL", "UNLINK"])
async def test_a_commit_after_a_bare_delete_stores_nothing(store, lease, redis_server, command):
    await store.acquire(lease, budget())
    assert redis_server.command(command, KEY) == 1
    assert not await store.commit(lease, entry(), MINUTE_MS, budget())
    assert redis_server.command("EXISTS", KEY) == 0


@pytest.mark.parametrize("command", ["FLUSHDB", "FLUSHALL"])
async def test_a_commit_after_the_database_was_emptied_stores_nothing(store, lease, redis_server, command):
    await store.acquire(lease, budget())
    redis_server.command(command)
    assert not await store.commit(lease, entry(), MINUTE_MS, budget())


async def test_a_commit_under_somebody_elses_lease_stores_nothing(store, lease):
    await store.acquire(lease, budget())
    await store.invalidate([KEY], budget())
    other = new_lease(KEY)
    await store.acquire(other, budget())
    assert not await store.commit(lease, entry(), MINUTE_MS, budget())
    assert await found(store) == Placeholder(other.token, (await found(store)).created_ms)


async def test_a_commit_after_the_lease_ran_out_stores_nothing(store, lease, redis_server):
    await store.acquire(lease, budget())
    redis_server.command("PEXPIRE", KEY, 1)
    await aeventually(lambda: redis_server.command("EXISTS", KEY) == 0)
    assert not await store.commit(lease, entry(), MINUTE_MS, budget())


async def test_a_commit_after_redis_evicted_the_placeholder_stores_nothing(
    open_cache: Callable[..., Cache], own_redis: Callable[..., RedisServer], lease
):
    server = own_redis(maxmemory="4mb", policy="volatile-ttl")  # the placeholder is what goes first
    store = OneKey(open_cache(server.url).runtime().store)
    await store.acquire(lease, budget())
    with server.connect() as other:
        for number in range(10_000):
            other.call("SET", f"filler:{number}", b"x" * 8192, "EX", 3600)
            if other.call("EXISTS", KEY) == 0:
                break
    assert server.command("EXISTS", KEY) == 0
    assert not await store.commit(lease, entry(), MINUTE_MS, budget())
    assert server.command("EXISTS", KEY) == 0


@pytest.mark.parametrize("command", FOREIGN_TYPES.values(), ids=FOREIGN_TYPES)
async def test_no_step_of_a_load_harms_a_key_of_another_type(store, lease, redis_server, command):
    redis_server.command(*command)
    before = redis_server.command("DUMP", KEY)
    assert not await store.commit(lease, entry(), MINUTE_MS, budget())
    assert not await store.renew(lease, budget())
    await store.release(lease, budget())
    assert not await store.withdraw(lease, budget())
    assert redis_server.command("DUMP", KEY) == before


@pytest.mark.parametrize("data", FOREIGN_STRINGS.values(), ids=FOREIGN_STRINGS)
async def test_no_step_of_a_load_harms_a_foreign_string(store, lease, redis_server, data):
    redis_server.command("SET", KEY, data)
    assert not await store.commit(lease, entry(), MINUTE_MS, budget())
    assert not await store.renew(lease, budget())
    await store.release(lease, budget())
    assert not await store.withdraw(lease, budget())
    assert redis_server.command("GET", KEY) == data


# -- renew and release --


async def test_renewing_prolongs_the_lease(store, lease, redis_server):
    await store.acquire(lease, budget())
    redis_server.command("PEXPIRE", KEY, 300)
    assert await store.renew(lease, budget())
    assert redis_server.command("PTTL", KEY) > 300


async def test_a_lost_lease_is_not_renewed_for_its_new_holder(store, lease, redis_server):
    await store.acquire(new_lease(KEY), budget())
    redis_server.command("PEXPIRE", KEY, 1_500)
    assert not await store.renew(lease, budget())
    assert redis_server.command("PTTL", KEY) <= 1_500


async def test_a_lease_that_is_gone_is_not_renewed(store, lease, redis_server):
    assert not await store.renew(lease, budget())
    assert redis_server.command("EXISTS", KEY) == 0


async def test_a_late_renewal_does_not_shorten_the_life_of_the_entry(store, lease, redis_server):
    await store.acquire(lease, budget())
    await store.commit(lease, entry(), MINUTE_MS, budget())
    assert not await store.renew(lease, budget())
    assert redis_server.command("PTTL", KEY) > MINUTE_MS - 5_000


async def test_releasing_removes_the_placeholder(store, lease, redis_server):
    await store.acquire(lease, budget())
    await store.release(lease, budget())
    assert redis_server.command("EXISTS", KEY) == 0


async def test_releasing_a_lost_lease_removes_nothing(store, lease):
    await store.acquire(lease, budget())
    await store.invalidate([KEY], budget())
    new = await stored_entry(store)
    await store.release(lease, budget())
    assert await found(store) == new


# -- invalidate, and the scripts themselves --


async def test_invalidating_says_how_many_keys_there_were(store, lease):
    await stored_entry(store)
    removal = await store.invalidate([KEY, "cache:vocabulary:word:8"], budget())
    assert (removal.removed, list(removal.unreached)) == (1, [])
    assert (await store.invalidate([KEY], budget())).removed == 0


async def test_scripts_are_sent_again_to_a_server_that_has_forgotten_them(store, redis_server):
    for _ in range(2):
        lease = new_lease(KEY)
        redis_server.command("SCRIPT", "FLUSH")
        assert await store.acquire(lease, budget()) is None
        redis_server.command("SCRIPT", "FLUSH")
        assert await store.renew(lease, budget())
        redis_server.command("SCRIPT", "FLUSH")
        assert await store.commit(lease, entry(), MINUTE_MS, budget())
        redis_server.command("SCRIPT", "FLUSH")
        assert await store.claim(lease, budget())
        redis_server.command("SCRIPT", "FLUSH")
        assert await store.elect(new_lease(KEY), lease.token, budget()) is False
        redis_server.command("SCRIPT", "FLUSH")
        assert len(await store.tag_versions(["cache@tag:a", "cache@tag:b"], MINUTE_MS, budget())) == 2
        redis_server.command("SCRIPT", "FLUSH")
        await store.release(lease, budget())
        assert await found(store) is None


async def test_a_script_that_the_server_knows_is_named_and_not_sent(store, redis_server):
    await store.release(new_lease(KEY), budget())
    redis_server.command("CONFIG", "RESETSTAT")
    await store.release(new_lease(KEY), budget())
    commands = redis_server.command("INFO", "commandstats").decode()
    assert "cmdstat_evalsha:calls=1" in commands
    assert "cmdstat_eval:" not in commands
