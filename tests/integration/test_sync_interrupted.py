"""A signal in a thread that waits for the cache: the call ends at once, and its lease is given back."""

import os
import signal
import threading
from time import monotonic

import pytest

from langcache_cli.caching._sync.background_loop import background_loop
from tests.harness.polling import eventually
from tests.integration.sync_support import SECONDS, SyncDatabase, sync_cache, threads

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no such signals")


class SoftTimeLimitExceeded(Exception):  # noqa: N818 - as Celery's, which a signal handler raises
    pass


class Interruption:
    """Raises an error once in the main thread, wherever that is."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind
        self._raised = threading.Event()

    def handle(self, *_: object) -> None:
        if not self._raised.is_set():
            self._raised.set()
            raise self.kind

    def send(self) -> None:
        while not self._raised.wait(0.05):  # a signal between two bytecodes does not end a wait that follows
            os.kill(os.getpid(), signal.SIGUSR1)


@pytest.fixture(params=[KeyboardInterrupt, SoftTimeLimitExceeded])
def interruption(request):
    interruption = Interruption(request.param)
    before = signal.signal(signal.SIGUSR1, interruption.handle)
    yield interruption
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def words(redis_url):
    with sync_cache(redis_url) as cache:
        yield SyncDatabase(cache)


def test_in_the_function_it_gives_the_lease_back(words, interruption):
    words.gate.clear()

    def interrupt():
        assert words.begun.acquire(timeout=SECONDS)
        interruption.send()

    with threads(2) as pool:
        pool.submit(interrupt)
        with pytest.raises(interruption.kind):
            words.read(1)
        words.gate.set()
        assert words.read(1) == [1, 0]  # the lease would have lasted ten seconds
    assert words.reads == 2


def test_a_thread_that_waited_for_the_interrupted_one_runs_the_function_itself(words, interruption):
    words.gate.clear()
    with threads(2) as pool:

        def wait_for_it():
            assert words.begun.acquire(timeout=SECONDS)
            waiting = pool.submit(words.read, 1)
            eventually(lambda: waits_for_a_load(words.cache), within=SECONDS)
            interruption.send()
            return waiting

        waiting = pool.submit(wait_for_it)
        with pytest.raises(interruption.kind):
            words.read(1)
        words.gate.set()
        assert waiting.result(SECONDS).result(SECONDS) == [1, 0]
    assert words.reads == 2
    assert words.threads[0] is not words.threads[1]


def waits_for_a_load(cache) -> bool:
    runtime = cache._context.runtimes.of(background_loop.running)
    return any(flight._waiting > 1 for flight in tuple(runtime.running_loads._by_token.values()))


def test_while_it_waits_for_another_thread_that_one_goes_on(words, interruption):
    words.gate.clear()
    with threads(2) as pool:
        loading = pool.submit(words.read, 1)
        assert words.begun.acquire(timeout=SECONDS)
        pool.submit(interruption.send)
        with pytest.raises(interruption.kind):
            words.read(1)
        assert not loading.done()
        words.gate.set()
        assert loading.result(SECONDS) == [1, 0]
    eventually(lambda: words.read(1) == [1, 0])
    assert words.reads == 1


@pytest.mark.parametrize("is_queued", [True, False])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SoftTimeLimitExceeded])
def test_while_it_is_handed_to_the_loop_nothing_is_left_behind(words, monkeypatch, kind, is_queued):
    words.read(0)
    loop = background_loop.loop()
    submit = loop.call_soon_threadsafe
    interrupt, submitted = [True], []

    def interrupted(function, *args, **options):
        if is_queued or not interrupt:
            submit(function, *args, **options)
        submitted.append(function.__name__)
        if interrupt:
            interrupt.pop()
            if is_queued:  # the loop may have begun already
                eventually(lambda: words.cache._context.runtimes.of(loop).running_loads.started > 1)
            raise kind

    monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)
    with pytest.raises(kind):
        words.read(1)
    monkeypatch.undo()
    assert submitted == ["_start", "_cancel"]
    began = monotonic()
    assert words.read(1) == [1, 0]
    assert monotonic() - began < SECONDS / 10
    assert words.reads == 2


def test_a_call_that_was_left_before_it_began_is_never_run(words, monkeypatch):
    words.read(0)
    loop = background_loop.loop()
    submit = loop.call_soon_threadsafe
    blocked, go_on = threading.Event(), threading.Event()

    def interrupted(function, *args, **options):
        monkeypatch.undo()
        submit(function, *args, **options)
        raise KeyboardInterrupt

    submit(lambda: (blocked.set(), go_on.wait(SECONDS)))
    assert blocked.wait(SECONDS)
    monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        words.read(1)
    go_on.set()
    assert words.read(1) == [1, 0]
    assert words.reads == 2
    assert words.cache.statistics_of(words.read.on_loop)["misses"] == 2
