"""A call that interrupts another call of the same thread, as from a signal handler or from `__del__`."""

import gc
import threading

import pytest

from langcache_cli.caching._sync import background_loop as module
from langcache_cli.caching._sync.background_loop import BackgroundLoop
from langcache_cli.caching._sync.thread_connections import CALLS_BEFORE
from langcache_cli.caching._sync.thread_hits import ThreadHits
from tests.integration.sync_support import SECONDS, SyncDatabase, sync_cache


@pytest.fixture
def words(redis_url):
    with sync_cache(redis_url) as cache:
        words = SyncDatabase(cache)
        for _ in range(CALLS_BEFORE + 2):
            assert words.read(1) == [1, 0]
            assert words.read(2) == [2, 0]
        yield words


def connection_of(words):
    connections = words.cache._context._thread_connections
    return connections and connections.current()


class Interrupting:
    """A socket that runs a function once between a command and its reply."""

    def __init__(self, socket, interrupt):
        self._socket, self._interrupt = socket, interrupt

    def __getattr__(self, name):
        return getattr(self._socket, name)

    def recv(self, size):
        interrupt, self._interrupt = self._interrupt, None
        if interrupt is not None:
            interrupt()
        return self._socket.recv(size)


def in_garbage(call):
    class Garbage:
        def __init__(self):
            self.itself = self

        def __del__(self):
            call()

    Garbage()
    gc.collect()


@pytest.mark.parametrize("enter", [lambda call: call(), in_garbage], ids=["signal", "__del__"])
def test_between_a_command_and_its_reply_each_call_gets_its_own_value(words, enter):
    found = []
    connection = connection_of(words)
    connection._socket = Interrupting(
        connection._socket, lambda: enter(lambda: found.append((words.read(2), words.read(2))))
    )
    assert words.read(1) == [1, 0]
    assert found == [([2, 0], [2, 0])]
    assert connection_of(words) is connection
    assert not connection.is_busy
    assert [words.read(1), words.read(2)] == [[1, 0], [2, 0]]
    assert words.reads == 2


def test_before_the_command_each_call_gets_its_own_value(words):
    found = []
    connection = connection_of(words)
    unread = connection._unread

    def interrupted(milliseconds):
        connection._unread = unread
        assert connection.is_busy
        found.append(words.read(2))
        return unread(milliseconds)

    connection._unread = interrupted
    assert words.read(1) == [1, 0]
    assert found == [[2, 0]]
    assert connection_of(words) is connection


def test_an_error_of_the_interrupting_call_drops_the_connection(words):
    def interrupt():
        words.read(2)
        raise KeyboardInterrupt

    connection = connection_of(words)
    connection._socket = Interrupting(connection._socket, interrupt)
    with pytest.raises(KeyboardInterrupt):
        words.read(1)
    assert connection_of(words) is None
    assert [words.read(1), words.read(2)] == [[1, 0], [2, 0]]


@pytest.mark.parametrize("count", [lambda h: h.count("k", 1, 0.1), lambda h: h.count_near("k", 0.1)])
def test_while_a_hit_is_counted(words, count):
    reader = words.read.cache.thread_reads(words.read.spec).reader
    hits = ThreadHits(reader.runtime, reader.label)
    real = hits._tally

    class Tally:
        inside = False

        def __getattr__(self, name):
            if not self.inside:
                self.inside = True
                count(hits)
            return getattr(real, name)

    hits._tally = Tally()
    in_thread(lambda: count(hits))


def test_while_the_loop_is_started(monkeypatch):
    background, found = BackgroundLoop(), []

    class Thread(threading.Thread):
        def start(self):
            super().start()
            if self.name == "langcache-loop" and not found:
                found.append(None)
                found.append(background.loop())

    monkeypatch.setattr(module.threading, "Thread", Thread)
    in_thread(lambda: found.append(background.loop()))
    assert found[1] is found[2] is background.running
    background.end()
    assert found[1].is_closed()


def in_thread(work):
    """In a daemon thread, which a deadlock does not keep from ending."""
    ended = threading.Event()

    def run():
        work()
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    assert ended.wait(SECONDS)
