"""Synchronous code in processes that fork: each has a background loop of its own, and nothing is shared."""

from time import monotonic

import pytest

from tests.harness.polling import eventually
from tests.harness.shared_redis import clients_of
from tests.integration.cache_support import cache_at
from tests.integration.test_fork import run

MODULE = """
import faulthandler, logging, multiprocessing, os, sys, threading, time, warnings
from langcache_cli.caching import *
from langcache_cli.caching import sync

faulthandler.dump_traceback_later(50, exit=True)
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork beside a thread

@cached(key_prefix="vocabulary", tags=("word:{item}",))
def word(item: int) -> int:
    return item

def read_all(rounds=3):
    for turn in range(rounds):
        assert [word(item) for item in range(20)] == list(range(20))
        assert sync.set(f"user_stats:{os.getpid()}", turn)
        assert sync.get(f"user_stats:{os.getpid()}") == turn
        sync.invalidate_tags(f"word:{turn}")

def child(*work):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for one in work:
            one()
        sync.close()
        code = 0
    finally:
        os._exit(code)

def ended(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""

PROGRAMS = {
    "a hundred forks while other threads use the cache": """
stop = threading.Event()
failures = []
def work():
    try:
        while not stop.is_set():
            read_all(1)
    except BaseException as error:
        failures.append(error)
        raise
read_all()
workers = [threading.Thread(target=work) for _ in range(2)]
for worker in workers:
    worker.start()
for turn in range(25):
    pids = [child(lambda: read_all(1)) for _ in range(4)]
    read_all(1)
    for pid in pids:
        ended(pid)
stop.set()
for worker in workers:
    worker.join()
assert not failures
""",
    "a child that forks": """
read_all()
def generation(left):
    read_all(1)
    if left:
        ended(child(lambda: generation(left - 1)))
        read_all(1)
generation(3)
""",
    "a pool of processes": """
def in_pool(item):
    read_all(1)
    return word(item)
if __name__ == "__main__":
    read_all()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(in_pool, range(8)) == list(range(8))
        read_all()
        pool.close()
        pool.join()
""",
    "the loop stands still between two callbacks": """
from langcache_cli.caching._sync.background_loop import background_loop
word(1)
loop, inside, go_on = background_loop.running, False, True
def busy():
    global inside
    inside = True
    time.sleep(0.001)
    inside = False
    if go_on:
        loop.call_soon(busy)
loop.call_soon_threadsafe(busy)
for _ in range(20):
    pid = os.fork()
    if not pid:
        os._exit(inside)
    ended(pid)
go_on = False
""",
    "a function that forks": """
@cached(key_prefix="vocabulary")
def forking(item: int) -> int:
    pid = os.fork()
    return pid and item
read_all()
pid = os.getpid()
found = forking(7)
if os.getpid() != pid:
    assert found == 0
    read_all()
    sync.close()
    os._exit(0)
os.wait()
assert (found, forking(7)) == (7, 7)
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_parent_and_child_go_on(redis_url, redis_server, tmp_path, name):
    done = run(tmp_path, redis_url, MODULE + PROGRAMS[name])
    assert (done.returncode, done.stderr) == (0, "")
    eventually(lambda: clients_of(redis_server) == 0)


ENDS = {
    "returning": "",
    "sys.exit": "sys.exit(0)",
    "in a process of multiprocessing": """
def in_child():
    word(2)
def main():
    process = multiprocessing.get_context("fork").Process(target=in_child)
    process.start()
    process.join()
    assert process.exitcode == 0
main()
""",
    "while a daemon thread calls": """
def work():
    while True:
        word(3)
threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
""",
}


@pytest.mark.parametrize("end", ENDS)
async def test_at_the_end_of_a_process_its_counts_are_delivered_without_a_word(redis_url, tmp_path, end):
    done = run(tmp_path, redis_url, MODULE + "word(1)\n" + ENDS[end])
    assert (done.returncode, done.stderr) == (0, "")
    async with cache_at(redis_url) as cache:
        total = (await cache.report()).types["vocabulary"]
    assert total["misses"] == {"in a process of multiprocessing": 2, "while a daemon thread calls": 2}.get(
        end, 1
    )


HANGS = """
sync.invalidate_tags("word:1")
assert get_default_cache().pending_invalidations == 1
began = time.monotonic()
print(began)
"""


def test_the_end_of_a_process_does_not_wait_for_a_redis_that_hangs(own_redis, tmp_path):
    server = own_redis()
    server.pause()
    try:
        done = run(tmp_path, server.url, MODULE + HANGS, timeout=0.2)
        seconds = monotonic() - float(done.stdout)
    finally:
        server.resume()
    assert done.returncode == 0
    assert "1 invalidations were not delivered" in done.stderr
    assert "rror" not in done.stderr.replace("CacheUnavailableError", "")
    assert seconds < 4.5  # 0.2 s for the deliveries, and the end of Python
