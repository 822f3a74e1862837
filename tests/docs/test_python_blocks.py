"""The Python blocks of README.md and docs/ run, in order, against a real Redis and a real database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from langcache_cli.caching import Cache, set_default_cache
from langcache_cli.caching._front import default
from langcache_cli.caching._front.functions.registry import Registry
from langcache_cli.caching.tooling import default_warmers, warm
from tests.docs.blocks import DOCUMENTS, ROOT, blocks, run
from tests.docs.surroundings import ADMIN, SURROUNDINGS, Names, Word, nothing
from tests.integration.cache_support import cache_at

README, GUIDE = ROOT / "README.md", ROOT / "docs" / "backend.md"
WITH_PYTHON = [document for document in DOCUMENTS if blocks(document, "python")]


@pytest.fixture
async def cache(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cache]:
    """The default cache, as in a process that has read one document only: several define a `get_word`."""
    monkeypatch.setattr(default, "_registry", Registry())
    async with cache_at(redis_url) as cache:
        before = set_default_cache(cache)
        yield cache
        set_default_cache(before)
        await asyncio.to_thread(cache.sync.close)  # blocks may have called it from threads


async def read(document: Path, names: Names, *, section: str | None = None) -> Names:
    """Run the blocks of a document, or of a section, as its reader would; the names that there are then."""
    names = {"__name__": document.stem, **names}
    for block in blocks(document, "python"):
        if block.not_run is None and section in (None, block.section):
            await run(block, names)
    return names


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("document", WITH_PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
async def test_the_python_blocks_of_a_document_run(document, tmp_path):
    async with SURROUNDINGS.get(document, nothing)(tmp_path) as names:
        await read(document, names)


async def test_the_calls_of_the_readme_do_what_their_comments_say(cache, tmp_path):
    async with SURROUNDINGS[README](tmp_path) as names:
        found = await read(README, names)
        assert found["word"] == Word(id=7, lemma="Haus", translation_en="house")
        assert found["get_word"].key_for(word_id=7) == "cache:vocabulary:get_word:7"
        await names["db"].commit()
        assert cache.pending_invalidations == 0


async def test_the_guide_ends_in_a_backend_that_serves_what_was_written_last(cache, tmp_path):
    async with SURROUNDINGS[GUIDE](tmp_path) as names:
        found = await read(GUIDE, names, section="Ten minutes")
        get_word, db = found["get_word"], names["db"]
        assert await get_word(7, db) == Word(id=7, lemma="Haus", translation_en="house")
        await found["edit_word"](7, "building", db)
        assert (await get_word(7, db)).translation_en == "building"


async def test_the_guide_warms_every_word(cache, tmp_path):
    async with SURROUNDINGS[GUIDE](tmp_path) as names:
        get_word = (await read(GUIDE, names, section="Ten minutes"))["get_word"]
        (warmer,) = default_warmers()
        counts = [await warm(cache, warmer.function, calls, warmer.load) async for calls in warmer.calls()]
        assert [count.written for count in counts] == [2]
        assert [await cache.holds(get_word.key_for(word_id=word_id)) for word_id in (7, 8)] == [True, True]


async def test_the_guide_ends_in_an_application_with_pages_to_watch_it(cache, tmp_path):
    async with SURROUNDINGS[GUIDE](tmp_path) as names:
        app = (await read(GUIDE, names, section="Ten minutes"))["app"]
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            assert (await client.get("/health/cache")).json()["status"] == "healthy"
            assert (await client.get("/metrics")).status_code == 200
            clear = "/admin/cache/clear?cache_type=vocabulary"
            assert (await client.post(clear)).status_code == 403
            assert (await client.post(clear, headers=ADMIN)).status_code == 200
