"""The near cache beside a hiredis before 3.2, which cannot tell pushes from replies."""

import logging

import pytest

from langcache_cli.caching._near import tracking
from tests.integration.cache_support import Database


@pytest.fixture(autouse=True)
def _hiredis_without_pushes(monkeypatch) -> None:
    monkeypatch.setattr(tracking, "SUPPORTS_PUSH", False)  # as it is beside an old one: see .ci/oldest.txt


async def test_every_read_goes_to_redis_and_the_log_says_so_once(open_cache, caplog):
    database = Database(open_cache(), local_ttl=60)
    with caplog.at_level(logging.WARNING, "langcache_cli.caching"):
        for _ in range(5):
            assert await database.read(1) == [1, 0]
    counts = database.cache.statistics_of(database.read).counts
    assert (counts["hits"], counts.get("near", 0), database.reads[1]) == (4, 0, 1)
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == ["the near cache is off, and every read goes to Redis: it needs hiredis 3.2 or newer"]


async def test_a_change_by_another_process_shows_at_once(open_cache):
    database, other = Database(open_cache(), local_ttl=60), open_cache()
    assert await database.read(1) == [1, 0]
    database.versions[1] = 1
    await other.delete(database.read.key_for(1).removeprefix("cache:"))
    assert await database.read(1) == [1, 1]
