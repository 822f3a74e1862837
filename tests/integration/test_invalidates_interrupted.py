"""A signal handler raises in a function that writes, or in what follows: its invalidation is not lost."""

import asyncio
import contextlib
import os
import signal
import time

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from langcache_cli.caching import CacheError
from langcache_cli.caching._front.invalidation import CacheInvalidation
from langcache_cli.caching._front.writes import invalidates
from langcache_cli.caching._invalidation.outbox import Outbox
from tests.harness.polling import eventually
from tests.integration.cache_support import cache_at


class SoftTimeLimitExceeded(Exception):  # noqa: N818 - as Celery's, which a signal handler raises
    pass


KINDS = [KeyboardInterrupt, SoftTimeLimitExceeded]


@pytest.fixture
def words(redis_url):
    words = Words(redis_url)
    yield words
    words.cache.sync.close()


class Words:
    def __init__(self, url: str) -> None:
        self.cache = cache_at(url)
        self.stored = {1: "old", 2: "old"}
        self.error: type[BaseException] | None = None
        """What is raised after the commit."""

        @self.cache.cached(key_prefix="vocabulary")
        async def get(item: int) -> str:
            return self.stored[item]

        @self.cache.invalidates(get)
        def write(item: int) -> None:
            self._commit(item)

        @self.cache.invalidates(get)
        async def write_async(item: int) -> None:
            self._commit(item)

        @self.cache.invalidates(get.where(item="{result}"))
        def write_next() -> int:
            self._commit(2)
            return 2

        self.get, self.write, self.write_async, self.write_next = get, write, write_async, write_next

    def _commit(self, item: int) -> None:
        self.stored[item] = "new"
        if self.error is not None:
            raise self.error


def once(monkeypatch, owner, name, kind):
    """Raise before the first call of something."""
    original, raised = getattr(owner, name), []

    def interrupted(*args, **kwargs):
        if not raised:
            raised.append(True)
            raise kind
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, interrupted)


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_commit_in_the_function(words, kind):
    assert words.get.sync(1) == "old"
    words.error = kind
    with pytest.raises(kind):
        words.write(1)
    assert words.get.sync(1) == "new"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (invalidates.inspect, "isawaitable"),
        (invalidates._WriteCall, "has_returned"),
        (invalidates._WriteCall, "_repeat_at_commit"),
        (CacheInvalidation, "remove_apart"),
        (CacheInvalidation, "_loop_elsewhere"),
        (CacheInvalidation, "_begin_on"),
    ],
)
def test_after_the_function_has_returned(words, monkeypatch, kind, owner, name):
    assert words.get.sync(1) == "old"
    once(monkeypatch, owner, name, kind)
    with pytest.raises(kind):
        words.write(1)
    assert words.get.sync(1) == "new"


@pytest.mark.parametrize(
    ("owner", "name"), [(invalidates._Write, "named_after"), (invalidates._WriteCall, "_repeat_at_commit")]
)
def test_what_the_result_names_is_invalidated_too(words, monkeypatch, owner, name):
    assert words.get.sync(2) == "old"
    once(monkeypatch, owner, name, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        words.write_next()
    assert words.get.sync(2) == "new"


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no such signals")
@pytest.mark.parametrize("kind", [*KINDS, None])
def test_while_it_is_put_into_the_outbox(words, monkeypatch, kind):
    put, signalled = Outbox._put, []

    def slow(*args):
        if not signalled:
            signalled.append(True)
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.05)
        return put(*args)

    def handle(*_):
        if kind is not None:
            raise kind
        words.write(2)  # needs the outbox, too

    monkeypatch.setattr(Outbox, "_put", slow)
    assert [words.get.sync(1), words.get.sync(2)] == ["old", "old"]
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with contextlib.nullcontext() if kind is None else pytest.raises(kind):
            words.write(1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert words.get.sync(1) == "new"
    assert words.get.sync(2) == ("new" if kind is None else "old")


@pytest.mark.parametrize("kind", [asyncio.CancelledError, SoftTimeLimitExceeded])
async def test_in_a_coroutine_function(words, kind):
    assert await words.get(1) == "old"
    words.error = kind
    with pytest.raises(kind):
        await words.write_async(1)
    assert await words.get(1) == "new"
    await words.cache.aclose()


async def test_in_a_coroutine_function_that_has_returned(words, monkeypatch):
    assert await words.get(1) == "old"
    once(monkeypatch, CacheInvalidation, "removed", SoftTimeLimitExceeded)
    with pytest.raises(SoftTimeLimitExceeded):
        await words.write_async(1)
    assert await words.get(1) == "new"
    await words.cache.aclose()


def test_a_failure_of_the_function_invalidates_nothing(words):
    assert words.get.sync(1) == "old"
    words.error = CacheError
    with pytest.raises(CacheError):
        words.write(1)
    assert words.get.sync(1) == "old"


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_commit_of_a_session(words, monkeypatch, tmp_path, kind):
    engine = create_engine(f"sqlite:///{tmp_path}/words.db")
    with Session(engine) as session:
        session.execute(text("CREATE TABLE words (id int)"))
        words.cache.after_commit(session, words.get.key_for(1))
        eventually(lambda: words.cache.pending_invalidations == 0)
        assert words.get.sync(1) == "old"  # another caller has stored it once more
        words.stored[1] = "new"
        once(monkeypatch, CacheInvalidation, "remove_apart", kind)
        with pytest.raises(kind):
            session.commit()
    assert words.get.sync(1) == "new"
    engine.dispose()
