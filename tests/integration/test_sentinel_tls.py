"""Behind Sentinel over TLS: the sentinels and the servers, or the servers alone."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from langcache_cli.caching import Cache, CacheSettings, CacheUnavailableError
from langcache_cli.caching._config.redis_address import RedisAddress
from langcache_cli.caching._wire.connection import RedisConnection
from langcache_cli.caching._wire.externals import Externals
from langcache_cli.caching._wire.handshake import connect
from tests.harness.sentinels import SENTINEL_PASSWORD, SERVICE, SentinelSet
from tests.harness.tls import Authority, tls_in_front_of
from tests.integration.cache_support import Database
from tests.integration.sentinel_support import is_stored


@dataclass(frozen=True)
class Encrypted:
    """A port with TLS in front of each server of a set, and the authority that signed its certificate."""

    sentinels: SentinelSet
    ports: dict[int, int]
    authority: Path

    def url(self, *, sentinel_tls: bool, options: str = "") -> str:
        hosts = ",".join(
            f"127.0.0.1:{self.ports[one.port] if sentinel_tls else one.port}"
            for one in self.sentinels.sentinels
        )
        login = f":{self.sentinels.password}@{hosts}/{SERVICE}?sentinel_password={SENTINEL_PASSWORD}"
        return f"rediss+sentinel://{login}&ssl_ca_certs={self.authority}{options}"

    def cache(self, url: str) -> Cache:
        """A cache that finds a server at its port with TLS, whatever port the sentinels name."""

        async def connect_encrypted(address: RedisAddress) -> RedisConnection:
            servers = {node.port for node in self.sentinels.nodes}
            port = self.ports[address.port] if address.port in servers else address.port
            return await connect(replace(address, port=port))

        settings = CacheSettings.load(env_file=None, redis_url=url, operation_timeout=2.0)
        return Cache(settings, externals=Externals(connect_encrypted))


@pytest.fixture
async def encrypted(sentinel_set, tmp_path) -> AsyncIterator[Encrypted]:
    async with in_front_of(sentinel_set, tmp_path) as one:
        yield one


@asynccontextmanager
async def in_front_of(sentinels: SentinelSet, folder: Path) -> AsyncIterator[Encrypted]:
    authority = Authority(folder)
    context = authority.server("127.0.0.1")
    async with AsyncExitStack() as stack:
        ports = {
            server.port: await stack.enter_async_context(tls_in_front_of(server.port, context))
            for server in (*sentinels.nodes, *sentinels.sentinels)
        }
        yield Encrypted(sentinels, ports, authority.file)


@pytest.mark.parametrize("sentinel_tls", [True, False])
async def test_sentinels_may_have_tls_or_none(encrypted, sentinel_tls):
    options = "" if sentinel_tls else "&sentinel_tls=false"
    async with encrypted.cache(encrypted.url(sentinel_tls=sentinel_tls, options=options)) as cache:
        database = Database(cache)
        assert await is_stored(database, 1)
        assert encrypted.sentinels.primary().command("EXISTS", database.read.key_for(1)) == 1


async def test_tls_to_sentinels_without_it_is_named(encrypted):
    async with encrypted.cache(encrypted.url(sentinel_tls=False)) as cache:
        with pytest.raises(
            CacheUnavailableError, match="answers in time; if they do without TLS, add sentinel_tls"
        ):
            await cache.ping()


async def test_sentinels_of_an_unknown_authority_are_not_asked(encrypted):
    url = encrypted.url(sentinel_tls=True).partition("&ssl_ca_certs")[0]
    async with encrypted.cache(url) as cache:
        with pytest.raises(CacheUnavailableError, match=r"none of 3 sentinels answers: .*certificate"):
            await cache.ping()
