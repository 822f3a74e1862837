"""Hits that a thread finds over a connection of its own: as fresh as those that an event loop finds."""

from collections.abc import Sequence
from time import monotonic
from types import SimpleNamespace

import pytest

from langcache_cli.caching._invalidation.delivery import Delivery
from langcache_cli.caching._sync.thread_connection import ThreadConnection
from langcache_cli.caching._sync.thread_connections import CALLS_BEFORE
from langcache_cli.caching._wire.server_identity import ServerIdentity
from tests.harness.polling import eventually
from tests.harness.shared_redis import calls_of, clients_of
from tests.integration.cache_support import make_stale
from tests.integration.sync_support import SECONDS, SyncDatabase, sync_cache, threads


@pytest.fixture
def cache(one_redis):
    with sync_cache(one_redis.url) as cache:
        yield cache


@pytest.fixture
def words(cache):
    words = SyncDatabase(cache)
    connect(words)
    return words


def connect(words: SyncDatabase) -> None:
    """Let this thread connect; item 1 is in the cache then."""
    for _ in range(CALLS_BEFORE + 2):
        words.read(1)
    assert connection_of(words) is not None


def connection_of(words: SyncDatabase) -> ThreadConnection | None:
    connections = words.cache._context._thread_connections
    return connections and connections.current()


def test_a_thread_that_calls_often_connects_and_its_hits_are_counted(words, one_redis):
    assert clients_of(one_redis) == 2
    before = words.cache.statistics_of(words.read.on_loop)
    assert [words.read(1) for _ in range(200)] == [[1, 0]] * 200
    after = words.cache.statistics_of(words.read.on_loop)
    assert after["hits"] - before["hits"] == 200
    assert after["bytes_read"] - before["bytes_read"] == 200 * len("[1,0]")
    assert words.reads == 1
    words.cache.sync.close()
    eventually(lambda: clients_of(one_redis) == 0)
    assert words.cache.sync.stats()["hits"] == after["hits"]
    connect(words)


def test_no_hit_of_many_threads_is_lost_from_the_counts(words):
    def work(_):
        for _ in range(500):
            assert words.read(1) == [1, 0]

    before = words.cache.statistics_of(words.read.on_loop)["hits"]
    with threads(8) as pool:
        list(pool.map(work, range(8)))
    assert words.cache.statistics_of(words.read.on_loop)["hits"] - before == 8 * 500


def test_the_connection_of_a_thread_ends_with_it(words, one_redis):
    with threads(1) as pool:
        pool.submit(connect, words).result(SECONDS)
        assert clients_of(one_redis) == 3
    eventually(lambda: clients_of(one_redis) == 2)


@pytest.mark.parametrize("how", ["key", "tag", "bare"])
def test_an_invalidation_is_seen_by_the_next_hit(words, one_redis, how):
    for version in range(1, 20):
        words.versions[1] = version
        match how:
            case "key":
                words.read.invalidate(1)
            case "tag":
                words.cache.sync.invalidate_tags("word:1")
            case "bare":
                one_redis.command("DEL", words.read.key_for(1))
        assert [words.read(1), words.read(1)] == [[1, version]] * 2
    assert connection_of(words) is not None


def test_other_values_are_what_they_were(cache):
    big, long = "ä" * 20_000, [f"{number:>40}" for number in range(8_000)]

    @cache.cached(key_prefix="vocabulary")
    def load(name: str) -> str | list[str] | None:
        return {"big": big, "long": long}.get(name)

    for _ in range(CALLS_BEFORE + 2):
        assert [load("big"), load("long"), load("none")] == [big, long, None]


def test_a_stale_value_is_left_to_the_loop(cache, one_redis):
    words = SyncDatabase(cache, stale_ttl=600, ttl=600)
    connect(words)
    words.versions[1] = 1
    make_stale(one_redis, words.read.key_for(1))
    assert words.read(1) == [1, 1]


@pytest.mark.parametrize("when", ["before", "during"])
def test_an_unconfirmed_invalidation_keeps_threads_from_reading(words, monkeypatch, when):
    monkeypatch.setattr(Delivery, "soon", lambda _: None)
    look_up, outbox = ThreadConnection.look_up, words.cache._context.outbox

    def overtaken(*arguments):
        found = look_up(*arguments)
        outbox.defer([words.read.key_for(1)])
        return found

    if when == "before":
        outbox.defer([words.read.key_for(1)])
    else:
        monkeypatch.setattr(ThreadConnection, "look_up", overtaken)
    words.versions[1] = 1
    assert words.read(1) == [1, 1]
    monkeypatch.undo()
    assert words.read.invalidate(1)
    eventually(lambda: words.read(1) and words.cache.pending_invalidations == 0, within=SECONDS)
    assert words.read(1) == [1, 1]


def test_a_redis_that_hangs_costs_the_budget_once_and_the_function_runs_once(own_redis):
    server = own_redis()
    with sync_cache(server.url, operation_timeout=0.5) as cache:
        words = SyncDatabase(cache)
        connect(words)
        server.pause()
        began = monotonic()
        assert words.read(1) == [1, 0]
        assert 0.4 < monotonic() - began < 5
        assert words.reads == 2
        counts = cache.statistics_of(words.read.on_loop)
        assert (counts["bypassed"], counts["hits"]) == (1, CALLS_BEFORE + 1)
        server.resume()
        eventually(lambda: hit(words), within=SECONDS)


def test_a_thread_that_connects_while_redis_hangs_waits_no_longer(own_redis):
    server = own_redis()
    with sync_cache(server.url, operation_timeout=1.0) as cache:
        words = SyncDatabase(cache)
        for _ in range(CALLS_BEFORE):
            words.read(1)
        server.pause()
        began = monotonic()
        assert words.read(1) == [1, 0]
        seconds = monotonic() - began
        server.resume()
    assert 0.9 < seconds < 1.9, "it waited once to connect, and once more through the loop"
    assert words.reads == 2


def hit(words: SyncDatabase) -> bool:
    before = words.reads
    words.read(1)
    return words.reads == before


def test_a_restarted_server_is_asked_through_the_loop_first(own_redis):
    server = own_redis()
    with sync_cache(server.url) as cache:
        words = SyncDatabase(cache)
        connect(words)
        first = connection_of(words)
        words.read.invalidate(1)
        assert words.read(1) == [1, 0]
        words.versions[1] = 1
        words.read.invalidate(1)  # confirmed; the restarted server has it no more
        server.restart(keep_data=False)
        server.command("SET", "unrelated", "1")
        eventually(lambda: words.read(1) == [1, 1] and hit(words), within=SECONDS)
        cache._context._thread_connections._state.not_before = 0.0
        eventually(lambda: words.read(1) and connection_of(words) not in (None, first), within=SECONDS)


def test_a_connection_that_the_server_has_closed_is_no_outage(words, one_redis):
    before = connection_of(words)
    before.end()
    assert words.read(1) == [1, 0]
    assert words.reads == 1
    counts = words.cache.statistics_of(words.read.on_loop)
    assert counts["bypassed"] == 0


STRAY = [b"HTTP/1.1 400 Bad Request\r\n", b"-ERR no\r\n", b"*1\r\n$-1\r\n", b"*1\r\n"]


@pytest.mark.parametrize("stray", STRAY)
def test_a_reply_that_was_not_asked_for_is_not_taken_for_that_of_another_key(cache, stray):
    words = SyncDatabase(cache, tags=())
    connect(words)
    words.read(2)
    connection = connection_of(words)
    connection._reader.feed(stray)
    assert [words.read(item) for item in (1, 2, 1, 2)] == [[1, 0], [2, 0], [1, 0], [2, 0]]
    assert words.reads == 2
    assert connection_of(words) is None


def test_another_server_than_that_of_the_loop_is_not_read(words, monkeypatch):
    connections = words.cache._context._thread_connections
    other = SimpleNamespace(alive=True, server=ServerIdentity("another"))
    monkeypatch.setattr(connections._connector, "current", other)
    assert connections.current() is None
    assert connections._state.not_before > monotonic()
    monkeypatch.undo()
    assert words.read(1) == [1, 0]


def test_over_a_unix_socket_with_a_password(own_redis):
    server = own_redis(password="secret", unix_socket=True)
    with sync_cache(server.unix_url) as cache:
        words = SyncDatabase(cache)
        connect(words)
        assert words.read(1) == [1, 0]


def test_a_signal_during_a_look_up_drops_the_connection(words, monkeypatch):
    reply = ThreadConnection._reply

    def interrupted(connection: ThreadConnection, ends: float) -> Sequence[bytes]:
        reply(connection, ends)
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadConnection, "_reply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        words.read(1)
    monkeypatch.undo()
    assert connection_of(words) is None
    assert words.read(1) == [1, 0]


def test_with_a_near_cache_a_thread_reads_the_memory_of_the_process(one_redis):
    with sync_cache(one_redis.url) as cache:
        words = SyncDatabase(cache, local_ttl=60)

        def near_hit() -> bool:
            asked, before = calls_of(one_redis, "MGET"), near_hits()
            assert words.read(1) == [1, words.versions[1]]
            return calls_of(one_redis, "MGET") == asked and near_hits() > before

        def near_hits() -> int:
            return cache.statistics_of(words.read.on_loop)["near"]

        eventually(near_hit, within=SECONDS)
        for version in range(1, 20):
            words.versions[1] = version
            cache.sync.invalidate_tags("word:1")
            assert words.read(1) == [1, version]
        eventually(near_hit, within=SECONDS)


def test_events_of_hits_are_told(words):
    told = []
    words.cache.events.subscribe(lambda event: told.append((event.name, event.key)))
    words.read(1)
    key = words.read.key_for(1)
    eventually(lambda: told == [("bytes_read", key), ("hits", key)], within=SECONDS)
