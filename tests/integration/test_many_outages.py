"""Calls for many items while Redis refuses some of its steps: each item has its value, from one run."""

import asyncio

import pytest

from tests.harness.polling import aeventually
from tests.integration.translator import TEXTS, Translator, backwards


class Refusing:
    """A server that refuses commands to everyone, and takes them again."""

    def __init__(self, server) -> None:
        self.server = server

    def refuse(self, *commands: str) -> None:
        self.server.command("ACL", "SETUSER", "default", *(f"-{command}" for command in commands))

    def take_all(self) -> None:
        self.server.command("ACL", "SETUSER", "default", "+@all")


@pytest.fixture
def server(own_redis) -> Refusing:
    return Refusing(own_redis())


def counts(translator: Translator, *names: str) -> dict[str, int]:
    found = translator.one.cache.statistics_of(translator.one).counts
    return {name: found.get(name, 0) for name in names}


async def test_without_leases_the_function_runs_once_and_nothing_is_stored(server, open_cache):
    translator = Translator(open_cache(server.server.url))
    server.refuse("evalsha", "eval")
    assert await translator.many(TEXTS[:5], "en") == backwards(TEXTS[:5])
    assert translator.batches == [TEXTS[:5]]
    assert counts(translator, "bypassed", "misses") == {"bypassed": 5, "misses": 0}
    assert server.server.command("EXISTS", translator.one.key_for(TEXTS[0], "en")) == 0


async def test_what_cannot_be_stored_is_returned_and_its_leases_end(server, open_cache):
    translator = Translator(open_cache(server.server.url, lease_seconds=1), held=True)
    call = asyncio.create_task(translator.many(TEXTS[:5], "en"))
    await translator.gate.reached()
    server.refuse("evalsha", "eval")
    translator.gate.open()
    assert await call == backwards(TEXTS[:5])
    assert counts(translator, "unstored", "misses") == {"unstored": 5, "misses": 5}
    server.take_all()
    await aeventually(lambda: server.server.command("EXISTS", translator.one.key_for(TEXTS[0], "en")) == 0)
    assert await translator.many(TEXTS[:5], "en") == backwards(TEXTS[:5])
    assert translator.batches == [TEXTS[:5], TEXTS[:5]]
