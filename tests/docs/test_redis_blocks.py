"""What the README shows of Redis: an entry, and the commands that a user with an ACL needs."""

import json
from pathlib import Path

import pytest

from langcache_cli.caching import Cache
from langcache_cli.caching._config.rights import COMMANDS, setuser_line
from langcache_cli.caching._protocol.entry import Entry, parse
from tests.docs.blocks import DOCUMENTS, ROOT, Block, blocks
from tests.harness.cli import run_cli
from tests.harness.polling import aeventually
from tests.harness.redis_server import RedisServer
from tests.integration.cache_support import Database
from tests.integration.near_support import kept

README = ROOT / "README.md"


def block_with(text: str) -> Block:
    (found,) = [block for block in blocks(README, "text", "console") if text in block.code]
    return found


@pytest.fixture
def restricted(own_redis) -> RedisServer:
    """A server whose user `app` has the rights of the README."""
    server = own_redis()
    server.command(*setuser_line("one").split())
    return server


def acl_lines(document: Path) -> list[str]:
    """The lines of a document that make an ACL user, each as one line."""
    found = [" ".join(block.code.split()) for block in blocks(document, "text", "console")]
    return [line for line in found if line.startswith("ACL SETUSER")]


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_readme_shows_the_smallest_users(kind):
    assert setuser_line(kind) in acl_lines(README)


def test_no_document_shows_other_users():
    shown = {line for document in DOCUMENTS for line in acl_lines(document)}
    assert shown == {setuser_line(kind) for kind in COMMANDS}


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
    assert (report.total["hits"], report.total["misses"]) == (2, 1)


async def test_they_are_enough_for_the_command(restricted):
    for line in (("check", "--roundtrip"), ("warm", "--sample"), ("stats",), ("clear", "--all", "--yes")):
        ended = run_cli(*line, env={"REDIS_URL": url_of_app(restricted)})
        assert ended.code == 0, ended.stderr


async def test_they_are_enough_for_local_ttl(restricted, open_cache):
    database = Database(open_cache(url_of_app(restricted)), local_ttl=60)
    await aeventually(lambda: kept(database, 1))


def test_the_entry_in_the_readme_has_the_form_of_one():
    header, payload = block_with("lc1 entry").code.splitlines()[-2:]
    entry = parse(f"{header}\n{payload}".encode())
    assert isinstance(entry, Entry)
    assert json.loads(entry.payload) == {"text": "Hello world", "translated": "Hallo Welt"}
    assert entry.created_ms < entry.fresh_until_ms
