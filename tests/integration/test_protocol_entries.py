"""The steps that load the successor of an entry that is served: claim, elect, withdraw."""

from time import monotonic

import pytest

from langcache_cli.caching._clock import new_id, now_ms
from langcache_cli.caching._protocol.entry import Placeholder
from langcache_cli.caching._protocol.lease import new_lease
from langcache_cli.caching._protocol.store import Store
from tests.harness.polling import aeventually
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

# -- withdraw --


async def test_an_old_entry_that_another_has_claimed_is_withdrawn_and_its_claim_stays(
    store, lease, redis_server
):
    await stored_entry(store)
    other = new_lease(KEY)
    await store.claim(lease, budget())
    await store.claim(other, budget())
    assert await store.withdraw(lease, budget())
    assert isinstance(placeholder := await found(store), Placeholder)
    assert placeholder.id == other.token
    assert 0 < redis_server.command("PTTL", KEY) <= store.store.lease_ms
    assert await store.commit(other, entry(), MINUTE_MS, budget())


async def test_what_came_after_a_lost_lease_is_not_withdrawn(store, lease):
    await store.acquire(lease, budget())
    await store.claim(other := new_lease(KEY), budget())
    assert not await store.withdraw(lease, budget())
    assert await store.commit(other, entry(b'"newer"'), MINUTE_MS, budget())
    assert not await store.withdraw(lease, budget())
    assert (await found(store)).payload == b'"newer"'


# -- claim --


async def test_claiming_an_entry_keeps_its_value_and_its_time_to_live(store, lease, redis_server):
    old = await stored_entry(store, b'"an entry\nof two lines"')
    assert await store.claim(lease, budget())
    claimed = await found(store)
    assert claimed.id == lease.token
    assert (claimed.payload, claimed.created_ms, claimed.schema) == (old.payload, old.created_ms, old.schema)
    assert redis_server.command("PTTL", KEY) > MINUTE_MS - 5_000


async def test_a_claimed_entry_is_replaced_by_its_claimant_alone(store, lease):
    await stored_entry(store)
    other = new_lease(KEY)
    assert await store.claim(lease, budget())
    assert await store.claim(other, budget())
    assert not await store.commit(lease, entry(b'"first"'), MINUTE_MS, budget())
    assert await store.commit(other, entry(b'"second"'), MINUTE_MS, budget())
    assert (await found(store)).payload == b'"second"'


async def test_a_claim_takes_the_right_to_store_from_an_earlier_load(store, lease):
    earlier = new_lease(KEY)
    await store.acquire(earlier, budget())
    assert not await store.claim(lease, budget())
    assert not await store.commit(earlier, entry(b'"earlier"'), MINUTE_MS, budget())
    assert await store.commit(lease, entry(b'"claimed"'), MINUTE_MS, budget())


async def test_an_entry_removed_after_it_was_claimed_stays_removed(store, lease, redis_server):
    await stored_entry(store)
    await store.claim(lease, budget())
    await store.invalidate([KEY], budget())
    assert not await store.commit(lease, entry(), MINUTE_MS, budget())
    assert redis_server.command("EXISTS", KEY) == 0


@pytest.mark.parametrize("left_ms", [10_000, 30_000, 58_000], ids=lambda left: f"{left} ms left")
async def test_an_entry_that_would_end_before_the_load_is_kept_for_as_long_as_the_lease(
    cache, lease, redis_server, left_ms
):
    store = OneKey(Store(cache.runtime().server, lease_seconds=60))
    await stored_entry(store)
    for step in (store.claim, store.renew):
        redis_server.command("PEXPIRE", KEY, left_ms)
        started = monotonic()
        assert await step(lease, budget())
        kept_ms = redis_server.command("PTTL", KEY)
        passed_ms = (monotonic() - started) * 1000
        assert 60_000 - passed_ms - 2 <= kept_ms <= 60_000


async def test_an_entry_without_an_end_gets_one_when_it_is_claimed(store, lease, redis_server):
    await stored_entry(store)
    redis_server.command("PERSIST", KEY)
    assert await store.claim(lease, budget())
    assert redis_server.command("PTTL", KEY) > 0


# -- elect --


async def test_one_of_many_is_elected_to_replace_an_entry(store):
    seen = await stored_entry(store)
    leases = [new_lease(KEY) for _ in range(20)]
    elected = [await store.elect(lease, seen.id, budget()) for lease in leases]
    assert elected == [True] + 19 * [False]
    served = await found(store)
    assert (served.id, served.payload) == (leases[0].token, seen.payload)
    assert 0 < served.leased_until_ms - now_ms() <= store.store.lease_ms


async def test_an_election_for_an_entry_that_is_not_there_any_more_is_lost(store, lease):
    seen = await stored_entry(store)
    assert not await store.elect(lease, new_id(), budget())
    await store.invalidate([KEY], budget())
    assert not await store.elect(lease, seen.id, budget())
    assert await found(store) is None


async def test_when_a_lease_has_run_out_the_next_is_elected_and_the_first_cannot_store(redis_url, cache):
    store = OneKey(Store(cache.runtime().server, lease_seconds=0.05))
    seen, first, second = await stored_entry(store), new_lease(KEY), new_lease(KEY)
    assert await store.elect(first, seen.id, budget())

    async def elected() -> bool:
        return await store.elect(second, first.token, budget())

    await aeventually(elected)
    assert not await store.commit(first, entry(b'"first"'), MINUTE_MS, budget())
    assert await store.commit(second, entry(b'"second"'), MINUTE_MS, budget())


async def test_a_heartbeat_keeps_the_lease_of_an_entry(store, lease, redis_server):
    seen = await stored_entry(store)
    await store.elect(lease, seen.id, budget())
    redis_server.command("SETRANGE", KEY, 37, "1000000000001")
    assert await store.renew(lease, budget())
    assert (await found(store)).leased_until_ms > now_ms()
    assert not await store.elect(new_lease(KEY), lease.token, budget())


async def test_a_lease_that_ends_in_a_far_future_was_written_by_another_clock_and_is_no_lease(
    store, lease, redis_server
):
    seen = await stored_entry(store)
    redis_server.command("SETRANGE", KEY, 37, str(now_ms() + 10 * MINUTE_MS))
    assert await store.elect(lease, seen.id, budget())


@pytest.mark.parametrize("data", [b"", *FOREIGN_STRINGS.values()], ids=["nothing", *FOREIGN_STRINGS])
async def test_nobody_is_elected_for_a_foreign_string(store, lease, redis_server, data):
    redis_server.command("SET", KEY, data)
    assert not await store.elect(lease, "0123456789abcdef", budget())
    assert redis_server.command("GET", KEY) == data


@pytest.mark.parametrize("command", FOREIGN_TYPES.values(), ids=FOREIGN_TYPES)
async def test_a_claim_replaces_a_key_of_another_type(store, lease, redis_server, command):
    redis_server.command(*command)
    assert not await store.claim(lease, budget())
    assert await store.commit(lease, entry(), MINUTE_MS, budget())


@pytest.mark.parametrize("data", [b"", *FOREIGN_STRINGS.values()], ids=["nothing", *FOREIGN_STRINGS])
async def test_a_claim_replaces_a_foreign_string(store, lease, redis_server, data):
    redis_server.command("SET", KEY, data)
    assert not await store.claim(lease, budget())
    assert (await found(store)).id == lease.token
