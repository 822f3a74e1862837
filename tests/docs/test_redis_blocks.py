"""What the README shows of Redis: an entry, and the commands that a user with an ACL needs."""

import json

import pytest

from langcache_cli.caching import Cache
from langcache_cli.caching._protocol.entry import Entry, parse
from tests.docs.blocks import ROOT, Block, blocks
from tests.harness.cli import run_cli
from tests.harness.polling import aeventually
from tests.harness.redis_server import RedisServer
from tests.integration.cache_support import Database
from tests.integration.near_support import kept

README = ROOT / "README.md"
FOR_LOCAL_TTL = ("+hello", "+client|tracking")


def block_with(text: str) -> Block:
    (found,) = [block for block in blocks(README, "text", "console") if text in block.code]
    return found


@pytest.fixture
def restricted(own_redis) -> RedisServer:
    """A server whose user `app` has the rights of the README."""
    server = own_redis()
    server.command(*block_with("ACL SETUSER").code.split())
    return server


def url_of_app(server: RedisServer) -> str:
    return f"redis://app:password@127.0.0.1:{server.port}/0"


async def test_the_rights_in_the_readme_are_enough_for_a_backend(restricted, open_cache):
    cache: Cache = open_cache(url_of_app(restricted))
    database = Database(cache, tags=("word:{item}",), stale_ttl=60)
    assert await database.read(1) == await database.read(1) == [1, 0]
    assert await database.read.invalidate(1)
    assert await cache.invalidate_tags("word:1")
    assert await database.read.refresh(1) == [1, 0]
    assert await cache.invalidate("cache:*") == 1
    assert await cache.set("plain", {"a": 1}, ttl=5)
    assert await cache.get("plain") == {"a": 1}
    assert cache.pending_invalidations == 0
    assert database.reads[1] == 2
    await cache.aclose()  # which delivers the statistics
    report = await open_cache(url_of_app(restricted)).report()
    assert (report.total["hits"], report.total["misses"]) == (1, 1)


async def test_they_are_enough_for_the_command(restricted):
    for line in (("check", "--roundtrip"), ("warm", "--sample"), ("stats",), ("clear", "--all", "--yes")):
        ended = run_cli(*line, env={"REDIS_URL": url_of_app(restricted)})
        assert ended.code == 0, ended.stderr


async def test_with_two_more_they_are_enough_for_local_ttl(restricted, open_cache):
    assert f"`{' '.join(FOR_LOCAL_TTL)}` for `local_ttl`" in README.read_text("utf-8")
    restricted.command("ACL", "SETUSER", "app", *FOR_LOCAL_TTL)
    database = Database(open_cache(url_of_app(restricted)), local_ttl=60)
    await aeventually(lambda: kept(database, 1))


def test_the_entry_in_the_readme_has_the_form_of_one():
    header, payload = block_with("lc1 entry").code.splitlines()[-2:]
    entry = parse(f"{header}\n{payload}".encode())
    assert isinstance(entry, Entry)
    assert json.loads(entry.payload) == {"text": "Hello world", "translated": "Hallo Welt"}
    assert entry.created_ms < entry.fresh_until_ms
