"""Redis over TLS: the options of the URL mean what they mean to redis-py."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from langcache_cli.caching import CacheUnavailableError
from langcache_cli.caching._sync.thread_connections import CALLS_BEFORE
from tests.harness.redis_server import RedisServer
from tests.harness.tls import Authority, tls_in_front_of
from tests.integration.cache_support import Database
from tests.integration.sync_support import SyncDatabase


@dataclass(frozen=True)
class TlsServer:
    """A port of 127.0.0.1 with TLS before a Redis, and the files that its clients need."""

    port: int
    authority: Path
    other_authority: Path
    client: Path

    def url(self, *options: str) -> str:
        return f"rediss://localhost:{self.port}/0?{'&'.join(options)}"

    @property
    def trusted(self) -> str:
        return f"ssl_ca_certs={self.authority}"


Open = Callable[..., AbstractAsyncContextManager[TlsServer]]


@pytest.fixture
def tls_server(one_redis: RedisServer, tmp_path: Path) -> Open:
    """`async with tls_server(certificate_of=..., mutual=...)`: TLS before the shared server.

    Not an asynchronous fixture: caches are closed after it, and count the tasks that are left.
    """
    authority = Authority(tmp_path)

    @asynccontextmanager
    async def opened(certificate_of: str = "localhost", *, mutual: bool = False) -> AsyncIterator[TlsServer]:
        context = authority.server(certificate_of, mutual=mutual)
        async with tls_in_front_of(one_redis.port, context) as port:
            yield TlsServer(port, authority.file, authority.other, authority.client)

    return opened


async def test_a_server_whose_authority_is_named_is_used(tls_server, open_cache):
    async with tls_server() as server:
        database = Database(open_cache(server.url(server.trusted)))
        assert await database.read(1) == await database.read(1) == [1, 0]
        assert database.reads[1] == 1


async def test_a_thread_without_an_event_loop_uses_it_too(tls_server, open_cache):
    async with tls_server() as server:
        words = SyncDatabase(open_cache(server.url(server.trusted)))

        def read_often() -> bool:
            for _ in range(CALLS_BEFORE + 2):
                assert words.read(1) == [1, 0]
            connections = words.cache._context._thread_connections
            is_connected = connections is not None and connections.current() is not None
            words.cache.sync.close()
            return is_connected

        assert await asyncio.to_thread(read_often)


@pytest.mark.parametrize("option", ["", "ssl_ca_certs={other}"], ids=["none", "another"])
async def test_a_server_of_an_unknown_authority_is_not_used(tls_server, open_cache, option):
    async with tls_server() as server:
        cache = open_cache(server.url(option.format(other=server.other_authority)))
        with pytest.raises(CacheUnavailableError, match="certificate verify failed"):
            await cache.ping()
        assert await Database(cache).read(1) == [1, 0]


async def test_verification_can_be_switched_off(tls_server, open_cache):
    async with tls_server() as server:
        await open_cache(server.url("ssl_cert_reqs=none")).ping()


async def test_the_name_in_the_certificate_is_compared_unless_that_is_switched_off(tls_server, open_cache):
    async with tls_server(certificate_of="redis.example.org") as server:
        with pytest.raises(CacheUnavailableError, match="Hostname mismatch"):
            await open_cache(server.url(server.trusted)).ping()
        await open_cache(server.url(server.trusted, "ssl_check_hostname=false")).ping()


async def test_a_server_that_demands_a_certificate_is_shown_the_one_of_the_url(tls_server, open_cache):
    async with tls_server(mutual=True) as server:
        with pytest.raises(CacheUnavailableError):
            await open_cache(server.url(server.trusted)).ping()
        await open_cache(server.url(server.trusted, f"ssl_certfile={server.client}")).ping()
