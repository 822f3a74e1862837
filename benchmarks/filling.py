"""Many entries, stored by `warm`, so that their bytes are those of an application."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.words import Word, word
from langcache_cli.__main__ import OBJECTS_BETWEEN_COLLECTIONS
from langcache_cli.caching import Cache, CachedFunction, CacheSettings
from langcache_cli.caching.tooling import warm
from langcache_cli.operations.overlapping import overlapping
from langcache_cli.operations.warm import BATCHES_AT_ONCE

BATCH = 500

GetWord = CachedFunction[[int], Word]


def patient_cache(url: str) -> Cache:
    """It has time enough: on a busy machine a step of a full server may take long."""
    return Cache(CacheSettings.load(env_file=None, redis_url=url, operation_timeout=10.0))


async def fill(cache: Cache, get_word: GetWord, ids: range, notes: str | None = None) -> float:
    """Keys a second."""

    async def batches() -> AsyncGenerator[range, None]:
        for first in range(ids.start, ids.stop, BATCH):
            yield range(first, min(first + BATCH, ids.stop))

    async def read(calls: Sequence[Any]) -> list[Word]:
        words = (word(call["word_id"]) for call in calls)
        return [one if notes is None else replace(one, notes=notes) for one in words]

    async def store(batch: range) -> None:
        counts = await warm(cache, get_word, [{"word_id": number} for number in batch], read)
        assert counts.written == len(batch), counts

    thresholds = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)  # as the command does
    started = time.perf_counter()
    await overlapping(batches(), store, at_once=BATCHES_AT_ONCE)
    seconds = time.perf_counter() - started
    gc.set_threshold(*thresholds)
    return len(ids) / seconds
