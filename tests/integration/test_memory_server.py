"""The server of `memory_cache` replies as a real Redis does, command for command."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langcache_cli.caching._protocol.entry import Entry
from langcache_cli.caching._protocol.lease import Lease
from langcache_cli.caching._wire.budget import Budget
from langcache_cli.caching.testing import memory_cache
from langcache_cli.caching.testing._glob import glob
from tests.harness.shared_redis import Shared
from tests.integration.one_key import OneKey

KEYS = ["cache:a:f:1", "cache:a:f:2"]
TAGS = ["cache@tag:x", "cache@tag:y"]
HOUR_MS = 3_600_000
TOKENS = [f"{number:016x}" for number in range(1, 4)]
STEPS = ["versions", "acquire", "claim", "elect", "renew", "commit", "release", "withdraw", "invalidate"]


@dataclass(frozen=True)
class Step:
    name: str
    key: str
    token: str
    rejects: bool

    async def take(self, store: OneKey) -> object:
        """The result of the step, without random ids and times."""
        lease, budget = Lease(self.key, self.token), Budget(5)
        seen = await store.look_up(self.key, budget)
        match self.name:
            case "versions":
                return await store.tag_versions(TAGS, HOUR_MS, budget) == await store.tag_versions(
                    TAGS, 1, budget
                )
            case "acquire":
                rejected = (seen.stored or b"") if self.rejects else b""
                return await store.acquire(lease, budget, rejected=rejected) is None
            case "elect":
                found = seen.parse()
                return await store.elect(lease, found.id if found else "0" * 16, budget)
            case "commit":
                entry = Entry(self.token[::-1], 1, HOUR_MS, 5, "0" * 8, b"1")
                return await store.commit(lease, entry, HOUR_MS, budget)
            case "invalidate":
                return (await store.invalidate([self.key], budget)).removed
            case simple:
                return await getattr(store, simple)(lease, budget)


async def shown(store: OneKey) -> list[object]:
    return [_timeless((await store.look_up(key, Budget(5))).parse()) for key in KEYS]


def _timeless(found):
    """The parts of an entry that do not depend on the time."""
    if found is None:
        return None
    leased = isinstance(found, Entry) and found.leased_until_ms > 0
    return type(found).__name__, found.id, leased, getattr(found, "payload", None)


@pytest.mark.parametrize("seed", range(5))
async def test_every_step_of_the_protocol_has_the_same_result_as_on_redis(open_cache, seed):
    dice = random.Random(seed)
    async with memory_cache(lease_seconds=60) as memory:
        stores = open_cache(lease_seconds=60).runtime().store, memory.runtime().store
        real, twin = map(OneKey, stores)
        for _ in range(300):
            step = Step(dice.choice(STEPS), dice.choice(KEYS), dice.choice(TOKENS), dice.random() < 0.3)
            assert await step.take(twin) == await step.take(real), step
            assert await shown(twin) == await shown(real), step


PATTERNS = st.text("abc*?[]^-\\:", max_size=8)
WORDS = st.text("abc^-:]", min_size=1, max_size=4)


@settings(max_examples=150)
@given(pattern=PATTERNS, words=st.lists(WORDS, min_size=1, max_size=6))
def test_a_pattern_matches_the_same_keys_as_on_redis(redis_server: Shared, pattern, words):
    well_formed = "[" not in pattern or _balanced(pattern)
    if not well_formed:
        return  # its meaning is undefined: Redis guesses
    redis_server.flush()
    for word in words:
        redis_server.command("SET", word, "1")
    real = {key.decode() for key in redis_server.command("KEYS", pattern)}
    assert {word for word in words if glob(pattern).fullmatch(word)} == real


def _balanced(pattern: str) -> bool:
    """True if each `[` has its `]`, with no escape or range between them."""
    inside = pattern.split("[")[1:]
    return all("]" in part and not set("\\-^") & set(part.partition("]")[0]) for part in inside)
