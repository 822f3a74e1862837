"""A server that speaks the protocol but knows no scripts, such as fakeredis, does no harm."""

import threading
from collections.abc import Iterator

import pytest
from fakeredis import TcpFakeServer

from langcache_cli.caching import MISSING, Cache, CacheSettings


@pytest.fixture
def url() -> Iterator[str]:
    with TcpFakeServer(("127.0.0.1", 0), server_type="redis") as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()
        serving.join()


async def test_without_scripts_every_call_gets_its_value_from_its_function(url):
    runs = []
    async with Cache(CacheSettings.load(env_file=None, redis_url=url)) as cache:

        @cache.cached(key_prefix="numbers")
        async def double(number: int) -> int:
            runs.append(number)
            return 2 * number

        assert [await double(1), await double(1), await double(2)] == [2, 2, 4]
    assert runs == [1, 1, 2]


async def test_plain_values_need_no_scripts(url):
    async with Cache(CacheSettings.load(env_file=None, redis_url=url)) as cache:
        assert await cache.set("greeting:de", {"text": "Grüß Gott"})
        assert await cache.get_many(["greeting:de", "greeting:fr"]) == {
            "greeting:de": {"text": "Grüß Gott"},
            "greeting:fr": MISSING,
        }
        assert await cache.delete("greeting:de") == 1
        assert await cache.get("greeting:de", "nothing") == "nothing"
