"""After `fork` no connection is shared, and what was counted before it is delivered once."""

import os
import subprocess
import sys

import pytest

from tests.harness.polling import eventually
from tests.harness.shared_redis import clients_of
from tests.integration.cache_support import ROOT, cache_at

MODULE = """
import asyncio, ctypes, logging, multiprocessing, os, sys, traceback
from concurrent.futures import ProcessPoolExecutor
from langcache_cli.caching import *

@cached(key_prefix="vocabulary")
async def word(item: int) -> int:
    return item

async def read_all(rounds=30):
    for turn in range(rounds):
        items = [turn % 50, *range(50)]
        found = await asyncio.gather(*map(word, items))
        assert found == items, (found, items)
        assert await get_default_cache().set(f"user_stats:{os.getpid()}", turn)
        assert await get_default_cache().get(f"user_stats:{os.getpid()}") == turn

async def read_words():
    for turn in range(100):
        items = list(range(turn, turn + 50))
        assert await asyncio.gather(*map(word, items)) == items

def in_pool(_):
    asyncio.run(read_all())
    return os.getpid()

def go_on(*work, fork=os.fork):
    child = fork()
    try:
        for one in work:
            loop.run_until_complete(one)
        loop.run_until_complete(close_redis_client())
    except BaseException:  # SystemExit, too: a child must never go on with the parent's program
        traceback.print_exc()
        os._exit(1)
    if not child:
        os._exit(0)
    ended(child)
    loop.close()

def fork_unknown_to_python():
    told, tell = os.pipe()
    child = ctypes.PyDLL(None).fork()  # calls nothing that `os.register_at_fork` has got
    if not child:
        loop.run_until_complete(word(0))  # only a send notices the fork
        os.write(tell, b"!")
    os.close(tell)
    os.read(told, 1)
    return child

def forked_with_a_fresh_loop():
    child = os.fork()
    if not child:
        asyncio.run(read_all())
        os._exit(0)
    return child

def ended(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""

PROGRAMS = {
    "the child goes on with the loop it inherited": """
loop = asyncio.new_event_loop()
loop.run_until_complete(read_all(1))
go_on(read_all())
""",
    "the child of a fork that Python is not told of goes on with the loop it inherited": """
loop = asyncio.new_event_loop()
loop.run_until_complete(read_all(1))
go_on(read_all(), fork=fork_unknown_to_python)
""",
    "the child goes on while replies are under way": """
loop = asyncio.new_event_loop()
loop.run_until_complete(read_all(1))
calls = [loop.create_task(word(item)) for item in range(50)]
loop.run_until_complete(asyncio.sleep(0))
go_on(asyncio.gather(*calls), read_all(3))
assert [call.result() for call in calls] == list(range(50))
""",
    "the child goes on while a connection is being made": """
logging.disable()  # the child may disturb the attempt of the parent, whose calls then run their functions
loop = asyncio.new_event_loop()
calls = [loop.create_task(word(item)) for item in range(50)]
for _ in range(int(sys.argv[1])):
    loop.run_until_complete(asyncio.sleep(0))
go_on(asyncio.gather(*calls), read_words())
assert [call.result() for call in calls] == list(range(50))
""",
    "a pool forked from a running loop": """
async def main():
    await read_all(1)
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("fork")) as pool:
        work = [asyncio.wrap_future(pool.submit(in_pool, item)) for item in range(8)]
        await read_all()
        await asyncio.gather(*work)
asyncio.run(main())
""",
    "preloaded, then a fresh loop in each child": """
asyncio.run(read_all(1))
children = [forked_with_a_fresh_loop() for _ in range(4)]
asyncio.run(read_all())
for child in children:
    ended(child)
""",
    "preloaded in a loop that was never closed": """
loop = asyncio.new_event_loop()
loop.run_until_complete(read_all(1))
children = [forked_with_a_fresh_loop() for _ in range(4)]
loop.run_until_complete(read_all())
for child in children:
    ended(child)
loop.run_until_complete(close_redis_client())
loop.close()
""",
}
CASES = [
    *((name, 0) for name in PROGRAMS if "being made" not in name),
    *(("the child goes on while a connection is being made", steps) for steps in range(1, 13, 2)),
]


@pytest.mark.parametrize(("name", "steps"), CASES)
def test_parent_and_child_get_their_own_values(redis_url, redis_server, tmp_path, name, steps):
    done = run(tmp_path, redis_url, MODULE + PROGRAMS[name], str(steps))
    assert (done.returncode, done.stderr) == (0, "")
    eventually(lambda: clients_of(redis_server) == 0)


UNTOLD = """
import gc
from langcache_cli.caching._wire.connection import RedisConnection

other = Cache(CacheSettings.load(env_file=None, redis_url=os.environ["REDIS_URL"], namespace="other"))
loop = asyncio.new_event_loop()
loop.run_until_complete(asyncio.wait_for(word(0), 10))
loop.run_until_complete(other.set("user_stats:1", 1))
child = ctypes.PyDLL(None).fork()
if not child:
    loop.run_until_complete(word(0))
    made = [one for one in gc.get_objects() if type(one) is RedisConnection]
    os._exit(int(any(one.alive for one in made if one._pid != os.getpid())))
ended(child)
assert loop.run_until_complete(other.get("user_stats:1")) == 1
loop.run_until_complete(other.aclose())
loop.run_until_complete(close_redis_client())
loop.close()
"""


def test_the_first_send_after_a_fork_that_python_is_not_told_of_leaves_all_connections(redis_url, tmp_path):
    done = run(tmp_path, redis_url, MODULE + UNTOLD)
    assert (done.returncode, done.stderr) == (0, "")


COUNTS = """
loop = asyncio.new_event_loop()
for item in range(10):
    loop.run_until_complete(word(item))
for _ in range(3):
    if not os.fork():
        if sys.argv[1] == "fresh":
            asyncio.run(word(0))
            os._exit(0)
        loop.run_until_complete(word(0))
        loop.run_until_complete(close_redis_client())
        os._exit(0)
for _ in range(3):
    os.wait()
loop.run_until_complete(close_redis_client())
loop.close()
"""


@pytest.mark.parametrize("children", ["fresh", "inherited"])
async def test_what_was_counted_before_a_fork_is_delivered_by_the_parent_alone(redis_url, tmp_path, children):
    done = run(tmp_path, redis_url, MODULE + COUNTS, children)
    assert (done.returncode, done.stderr) == (0, "")
    async with cache_at(redis_url) as cache:
        total = (await cache.report()).types["vocabulary"]
        assert (total["misses"], total["hits"]) == (10, 3)


WAITING = """
import redis

admin = redis.Redis.from_url(os.environ["REDIS_URL"])
key = word.key_for(1)

async def deliver():
    while get_default_cache().pending_invalidations:
        await word(2)

loop = asyncio.new_event_loop()
loop.run_until_complete(word(1))
admin.execute_command("ACL SETUSER default -unlink")
assert loop.run_until_complete(word.invalidate(1)) is False
admin.execute_command("ACL SETUSER default +unlink")
child = os.fork()
try:
    assert get_default_cache().pending_invalidations == 1
    if child:
        ended(child)
        assert not admin.exists(key)
        admin.set(key, "stored by a process that had read the old value")
    loop.run_until_complete(deliver())
    assert not admin.exists(key)
    loop.run_until_complete(close_redis_client())
except BaseException:
    traceback.print_exc()
    os._exit(1)
if not child:
    os._exit(0)
loop.close()
"""


async def test_what_waits_in_the_outbox_at_a_fork_is_sent_by_both_and_counted_once(own_redis, tmp_path):
    server = own_redis()
    done = run(tmp_path, server.url, MODULE + WAITING)
    assert done.returncode == 0, done.stderr
    async with cache_at(server.url) as cache:
        total = (await cache.report()).total
        assert (total["deferred"], total["delivered"]) == (1, 1)


def run(
    folder, url: str, program: str, *arguments: str, timeout: float = 2
) -> "subprocess.CompletedProcess[str]":
    file = folder / "program.py"
    file.write_text(program)
    environment = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)), "REDIS_URL": url}
    environment["LANGCACHE_OPERATION_TIMEOUT"] = str(timeout)
    return subprocess.run(
        [sys.executable, str(file), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
