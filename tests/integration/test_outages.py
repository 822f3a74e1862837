"""Whatever Redis does, callers get the function's value, in time, and the cache comes back by itself."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import redis.exceptions

from langcache_cli.caching import (
    AuthenticationFailedError,
    Cache,
    CacheUnavailableError,
    PatternError,
    ServerLoadingError,
    cached_many,
)
from langcache_cli.caching._wire.breaker import LAST_PROBE_SECONDS
from langcache_cli.caching._wire.budget import Budget
from tests.harness.polling import aeventually
from tests.harness.proxy import FaultProxy
from tests.harness.redis_server import RedisServer
from tests.harness.resp import RespError
from tests.integration.cache_support import PATIENCE_SECONDS, Database, clients_of, leftover_tasks

BUDGET = 0.25
MARGIN = 1.0  # of a machine that does other things too; a missing bound would be seconds or for ever
CALLS = 100


@pytest.fixture
def open_cache(open_cache: Callable[..., Cache], redis_url: str) -> Callable[..., Cache]:
    """Caches with the budget that is the default."""
    return lambda url=redis_url, **settings: open_cache(url, **{"operation_timeout": BUDGET, **settings})


@dataclass
class Outage:
    """A server behind a proxy; `fault()` breaks it, `heal()` mends it."""

    server: RedisServer
    proxy: FaultProxy
    name: str

    def fault(self) -> None:
        FAULTS[self.name](self)

    def heal(self) -> None:
        self.proxy.heal()
        REMEDIES.get(self.name, lambda _: None)(self)

    def refuse(self) -> None:
        self.proxy.refuse()
        self.proxy.cut()

    def password(self, password: str) -> None:
        self.server.command("CONFIG", "SET", "requirepass", password)
        self.server.password = password or None
        self.proxy.cut()

    def lose_primary(self, serve_stale_data: str) -> None:
        self.server.command("CONFIG", "SET", "replica-serve-stale-data", serve_stale_data)
        self.server.command("REPLICAOF", "127.0.0.1", "1")

    def be_primary(self) -> None:
        self.server.command("REPLICAOF", "NO", "ONE")

    def maxmemory(self, size: int) -> None:
        self.server.command("CONFIG", "SET", "maxmemory", size)

    def allow(self, *rules: str) -> None:
        self.server.command("ACL", "SETUSER", "default", *rules)


FAULTS: dict[str, Callable[[Outage], object]] = {
    "refused": Outage.refuse,
    "killed": lambda o: o.server.kill(),
    "stopped": lambda o: o.server.pause(),
    "deaf": lambda o: o.proxy.swallow(),
    "mute": lambda o: o.proxy.swallow_replies(),
    "slow": lambda o: o.proxy.delay(30.0),
    "dripping": lambda o: o.proxy.slow_drip(1),
    "password changed": lambda o: o.password("another"),
    "read-only replica": lambda o: o.lose_primary("yes"),
    "replica without data": lambda o: o.lose_primary("no"),
    "out of memory": lambda o: o.maxmemory(1),
    "no permission": lambda o: o.allow("-@all", "+acl", "+ping"),
    "read permission only": lambda o: o.allow("-@all", "+acl", "+mget"),
    "none": lambda o: None,
}
REMEDIES: dict[str, Callable[[Outage], object]] = {
    "killed": lambda o: o.server.start(),
    "stopped": lambda o: o.server.resume(),
    "password changed": lambda o: o.password(""),
    "read-only replica": Outage.be_primary,
    "replica without data": Outage.be_primary,
    "out of memory": lambda o: o.maxmemory(0),
    "no permission": lambda o: o.allow("+@all"),
    "read permission only": lambda o: o.allow("+@all"),
}
SILENT = ["stopped", "deaf", "mute", "slow", "dripping"]
GONE = ["refused", "killed", "password changed", "replica without data"]
REFUSING = ["read-only replica", "out of memory", "no permission", "read permission only"]
ALL = [*SILENT, *GONE, *REFUSING]


@pytest.fixture
def break_it(own_redis, fault_proxy) -> Callable[[str], Outage]:
    def make(name: str) -> Outage:
        server = own_redis()
        return Outage(server, fault_proxy(server.port), name)

    return make


def url_of(outage: Outage) -> str:
    return f"redis://127.0.0.1:{outage.proxy.port}/0"


async def timed(read, item):
    """The value and the seconds it took."""
    clock = asyncio.get_running_loop().time
    started = clock()
    value = await read(item)
    return value, clock() - started


async def is_hit(database, item):
    before = database.reads[item]
    return await database.read(item) == [item, database.versions[item]] and database.reads[item] == before


@pytest.mark.parametrize("name", ALL)
async def test_a_hundred_calls_at_once_get_their_values_in_time_from_one_run_each(open_cache, break_it, name):
    outage = break_it(name)
    database = Database(open_cache(url_of(outage)))
    assert await database.read(0) == [0, 0]
    outage.fault()
    answers = await asyncio.gather(*(timed(database.read, item) for item in range(1, CALLS + 1)))
    assert [value for value, _ in answers] == [[item, 0] for item in range(1, CALLS + 1)]
    assert max(seconds for _, seconds in answers) < BUDGET + MARGIN
    assert [database.reads[item] for item in range(1, CALLS + 1)] == [1] * CALLS
    outage.heal()
    await aeventually(lambda: is_hit(database, 1), within=LAST_PROBE_SECONDS + 10)
    assert await asyncio.gather(*(is_hit(database, item) for item in (1, 1, 1))) == [True] * 3


@pytest.mark.parametrize("name", [*SILENT, *GONE])
async def test_once_the_breaker_is_open_nothing_is_sent_and_nothing_is_waited_for(open_cache, break_it, name):
    outage = break_it(name)
    cache = open_cache(url_of(outage))
    database = Database(cache)
    await database.read(0)
    outage.fault()
    breaker = cache.runtime().node.breaker
    await aeventually(lambda: _opened(database, breaker), within=20)
    await aeventually(lambda: leftover_tasks() == [], within=10)  # no probe is under way
    breaker._next_probe = float("inf")
    sent, opened = outage.proxy.requests.read, outage.proxy.connections
    for item in range(1, CALLS):
        await asyncio.sleep(0)  # calls of one turn of the event loop are spread over many
        assert _result_without_waiting(database.read(item)) == [item, 0]
    assert (outage.proxy.requests.read, outage.proxy.connections) == (sent, opened)
    assert cache.statistics_of(database.read)["bypassed"] >= CALLS - 1
    outage.heal()
    breaker._next_probe = 0.0
    await aeventually(lambda: is_hit(database, 1), within=LAST_PROBE_SECONDS + 10)


def _result_without_waiting(call):
    """The result of a coroutine that awaits nothing."""
    with pytest.raises(StopIteration) as ended:
        call.send(None)
    return ended.value.value


async def _opened(database, breaker):
    await database.read(10_000)
    return breaker.open


@pytest.mark.parametrize("name", REFUSING)
async def test_a_server_that_answers_no_is_not_taken_for_one_that_is_down(open_cache, break_it, name):
    outage = break_it(name)
    cache = open_cache(url_of(outage))
    database = Database(cache)
    assert await database.read(0) == [0, 0]
    outage.fault()
    for item in range(1, 20):
        assert await database.read(item) == [item, 0]
    assert not cache.runtime().node.breaker.open
    if name != "no permission":
        assert await is_hit(database, 0)


async def test_a_server_that_dies_in_mid_reply_gives_no_half_value(open_cache, break_it):
    outage = break_it("dies")
    cache = open_cache(url_of(outage))

    @cache.cached(key_prefix="vocabulary")
    async def long_text(item: int) -> str:
        return f"{item} " * 1000

    expected = [f"{item} " * 1000 for item in range(CALLS)]
    assert await asyncio.gather(*map(long_text, range(CALLS))) == expected
    for n_bytes in (1, 2, 7, 90, 1500, 60_000):
        outage.proxy.cut_reply_after(n_bytes)
        assert await asyncio.gather(*map(long_text, range(CALLS))) == expected
        await aeventually(lambda: cache.runtime().node.connection.alive or long_text(0), within=10)


async def test_connections_killed_by_the_server_harm_no_call(open_cache, own_redis):
    server = own_redis()
    database = Database(open_cache(server.url))
    for _ in range(20):
        calls = [asyncio.create_task(database.read(item)) for item in range(CALLS)]
        await asyncio.sleep(0)
        server.command("CLIENT", "KILL", "TYPE", "normal")
        assert await asyncio.gather(*calls) == [[item, 0] for item in range(CALLS)]
    await aeventually(lambda: is_hit(database, 1), within=10)


async def test_an_idle_connection_that_was_closed_costs_nothing(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=PATIENCE_SECONDS)
    database = Database(cache)
    await database.read(1)
    server.command("CLIENT", "KILL", "TYPE", "normal")
    await aeventually(lambda: not cache.runtime().node.connection.alive)
    assert await is_hit(database, 1)


async def test_a_restart_costs_no_call_its_value(open_cache, own_redis):
    server = own_redis()
    database = Database(open_cache(server.url))
    assert await database.read(1) == [1, 0]
    server.restart()
    assert await database.read(1) == [1, 0]
    await aeventually(lambda: is_hit(database, 1), within=10)


async def test_calls_do_without_a_server_that_is_still_loading_its_data(open_cache, own_redis):
    server = own_redis(config=["key-load-delay 50000", "rdbcompression no"])
    with server.connect() as connection:
        for number in range(40):  # it answers between every two megabytes that it loads
            connection.call("SET", f"filler:{number}", b"x" * 2**20)
    server.command("SAVE")
    server.kill()
    server._spawn()  # `start` would wait until it is ready
    database = Database(open_cache(server.url, defer_invalidations=False))
    await aeventually(lambda: _is_loading(server), within=10)
    answers = await asyncio.gather(*(timed(database.read, item) for item in range(CALLS)))
    assert [value for value, _ in answers] == [[item, 0] for item in range(CALLS)]
    assert max(seconds for _, seconds in answers) < BUDGET + MARGIN
    with pytest.raises((ServerLoadingError, CacheUnavailableError)):
        await database.read.invalidate(1)
    server.wait_ready(30)
    await aeventually(lambda: is_hit(database, 1), within=LAST_PROBE_SECONDS + 10)


def _is_loading(server):
    try:
        return server.command("PING") != "PONG"
    except RespError as error:
        return str(error).startswith("LOADING")
    except ConnectionError:
        return False


async def test_a_wrong_password_costs_no_call_its_value_and_is_named(open_cache, own_redis):
    server = own_redis(password="right")
    cache = open_cache(f"redis://:wrong@127.0.0.1:{server.port}/0")
    database = Database(cache)
    with pytest.raises(AuthenticationFailedError) as failure:
        await cache.ping()
    assert "wrong" not in str(failure.value)
    assert await asyncio.gather(*map(database.read, range(CALLS))) == [[item, 0] for item in range(CALLS)]
    server.command("CONFIG", "SET", "requirepass", "wrong")
    server.password = "wrong"
    await aeventually(lambda: is_hit(database, 1), within=LAST_PROBE_SECONDS + 10)


@pytest.mark.parametrize(
    "command",
    [
        ("RPUSH", "{key}", "x"),
        ("HSET", "{key}", "x", "y"),
        ("SET", "{key}", "{{}}"),
        ("SET", "{key}", ""),
        ("SET", "{key}", b"\xff\xfe" * 200),
        (
            "SET",
            "{key}",
            f"lc1 entry id={7:016x} leased={0:013} created=1 fresh=2 load_us=3 schema=00000000\n[7,7]",
        ),
    ],
    ids=["list", "hash", "JSON", "nothing", "binary", "another schema"],
)
async def test_foreign_data_under_a_key_is_replaced_and_never_returned(open_cache, redis_server, command):
    database = Database(open_cache(operation_timeout=PATIENCE_SECONDS))
    key = database.read.key_for(1)
    name, _, *arguments = command
    redis_server.command(name, key, *arguments)
    assert await asyncio.gather(*(database.read(1) for _ in range(CALLS))) == [[1, 0]] * CALLS
    assert database.reads == {1: 1}
    assert await is_hit(database, 1)


@pytest.mark.parametrize("kept", [0, 12, 29, 60, 100, -1], ids=lambda kept: f"cut at {kept}")
async def test_a_truncated_entry_is_replaced(open_cache, redis_server, kept):
    database = Database(open_cache(operation_timeout=PATIENCE_SECONDS))
    await database.read(1)
    key = database.read.key_for(1)
    whole = redis_server.command("GET", key)
    redis_server.command("SET", key, whole[:kept], "KEEPTTL")
    assert await database.read(1) == [1, 0]
    assert await is_hit(database, 1)


# -- nothing is hidden --


@pytest.mark.parametrize("name", ALL)
async def test_an_invalidation_that_redis_did_not_confirm_raises_if_it_is_not_to_be_kept(
    open_cache, break_it, name
):
    outage = break_it(name)
    cache = open_cache(url_of(outage), defer_invalidations=False)
    database = Database(cache)
    await database.read(1)
    cache.runtime().bulk_node.timeout = 0.2
    outage.fault()
    if name == "out of memory":  # removing needs no memory
        assert await database.read.invalidate(1)
        return
    for attempt in (
        lambda: database.read.invalidate(1),
        lambda: cache.delete("vocabulary:1"),
        lambda: cache.invalidate("cache:*"),
        lambda: cache.invalidate_type("vocabulary"),
        lambda: cache.invalidate_tags("word:1"),
    ):
        with pytest.raises(CacheUnavailableError):
            await attempt()


@pytest.mark.parametrize("name", ALL)
async def test_a_refresh_that_redis_did_not_confirm_raises_and_ran_the_function_at_most_once(
    open_cache, break_it, name
):
    outage = break_it(name)
    database = Database(open_cache(url_of(outage)))
    outage.fault()
    with pytest.raises(CacheUnavailableError):
        await database.read.refresh(1)
    assert database.reads[1] <= 1


@pytest.mark.parametrize("name", ["killed", "stopped", "refused"])
async def test_a_value_loaded_when_redis_goes_away_reaches_its_caller(open_cache, break_it, name):
    outage = break_it(name)
    database = Database(open_cache(url_of(outage)), held=True)
    calls = [asyncio.create_task(timed(database.read, item)) for item in range(20)]
    await database.gate.reached(20)
    outage.fault()
    database.gate.open()
    assert [value for value, _ in await asyncio.gather(*calls)] == [[item, 0] for item in range(20)]
    assert [database.reads[item] for item in range(20)] == [1] * 20


ORIGIN_ERRORS = [
    redis.exceptions.ConnectionError("mine"),
    redis.exceptions.TimeoutError("mine"),
    redis.exceptions.ResponseError("mine"),
    OSError("mine"),
    ConnectionResetError("mine"),
    TimeoutError("mine"),
    CacheUnavailableError("mine", target="elsewhere"),
    ValueError("mine"),
    KeyError("mine"),
    StopAsyncIteration("mine"),
]


@pytest.mark.parametrize(
    "error", ORIGIN_ERRORS, ids=lambda error: type(error).__module__ + type(error).__name__
)
@pytest.mark.parametrize("name", ["none", "killed", "out of memory"])
async def test_an_error_of_the_function_is_never_taken_for_one_of_redis(open_cache, break_it, name, error):
    outage = break_it(name)
    cache = open_cache(url_of(outage))
    database = Database(cache)
    database.error = type(error)(*error.args) if not isinstance(error, CacheUnavailableError) else error
    outage.fault()
    with pytest.raises(type(error)) as raised:
        await database.read(1)
    assert raised.value is database.error
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert database.reads == {1: 1}
    assert not cache.runtime().node.breaker.open
    if name == "none":
        database.error = None
        assert await database.read(1) == [1, 0]
        assert database.reads == {1: 2}


async def test_an_error_of_the_function_after_the_cache_failed_is_not_chained_to_that_failure(
    open_cache, break_it
):
    outage = break_it("killed")
    database = Database(open_cache(url_of(outage)))
    outage.fault()
    database.error = LookupError("no such word")
    for _ in range(10):  # until the breaker is open, and after
        with pytest.raises(LookupError) as raised:
            await database.read(1)
        assert (raised.value.__cause__, raised.value.__context__) == (None, None)


# -- connections --


async def test_a_server_that_sends_what_nobody_asked_for_is_not_listened_to(open_cache):
    """Else every later reply would be taken for that to the next request: another key's value."""

    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                writer.write(b"+PONG\r\n$3\r\nold\r\n")
                await writer.drain()
        writer.close()

    async with serving(chatty) as port:
        cache = open_cache(f"redis://127.0.0.1:{port}/0")
        for _ in range(3):
            with contextlib.suppress(CacheUnavailableError):
                assert await cache.runtime().node.call("GET", "key") != b"old"


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46"])
async def test_what_is_not_a_redis_server_is_a_cache_that_is_down(open_cache, greeting):
    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                writer.write(greeting)
                await writer.drain()
        writer.close()

    async with serving(stranger) as port:
        database = Database(open_cache(f"redis://127.0.0.1:{port}/0"))
        assert await asyncio.gather(*map(database.read, range(10))) == [[item, 0] for item in range(10)]


@contextlib.asynccontextmanager
async def serving(handler) -> AsyncIterator[int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await aeventually(lambda: leftover_tasks() == [], within=10)


async def test_a_connection_made_while_the_breaker_opened_is_not_left_open(open_cache, break_it):
    outage = break_it("late")
    cache = open_cache(url_of(outage))
    server = cache.runtime().node
    outage.proxy.delay(0.03)
    calls = [server.call("PING", budget=Budget(0.01)) for _ in range(3)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [CacheUnavailableError] * 3
    assert server.breaker.open
    await aeventually(lambda: server.connection is not None and server.connection.alive)
    outage.proxy.heal()
    await aeventually(lambda: _pings(cache), within=10)
    await aeventually(lambda: clients_of(outage.server) == 1)


async def _pings(cache: Cache) -> bool:
    try:
        return await cache.ping() > 0
    except CacheUnavailableError:
        return False


async def test_a_user_who_may_not_choose_the_database_does_not_end_up_in_another_one(open_cache, own_redis):
    server = own_redis()
    server.command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-select")
    database = Database(open_cache(f"redis://app:pw@127.0.0.1:{server.port}/3"))
    assert await database.read(1) == [1, 0]
    assert server.command("DBSIZE") == 0


async def test_a_user_who_may_not_ping_can_use_the_cache(open_cache, own_redis):
    server = own_redis()
    server.command("ACL", "SETUSER", "app", "on", ">pw", "~cache:*", "+@all", "-ping", "-@admin")
    url = f"redis://app:pw@127.0.0.1:{server.port}/0"
    database = Database(open_cache(url, operation_timeout=PATIENCE_SECONDS))
    assert await database.read(1) == [1, 0]
    assert await is_hit(database, 1)


@pytest.mark.parametrize("steps", [1, 2, 3], ids=["before it sends", "when it has sent", "before it reads"])
async def test_a_loop_too_busy_to_read_a_reply_in_time_is_no_outage(open_cache, steps):
    cache = open_cache(operation_timeout=1.5)
    database = Database(cache)
    await database.read(1)
    clock = asyncio.get_running_loop().time
    calls = [asyncio.create_task(database.read(1)) for _ in range(10)]
    for _ in range(steps):
        await asyncio.sleep(0)
    until = clock() + 2.0
    while clock() < until:
        pass  # what a heavy request does to its event loop
    assert await asyncio.gather(*calls) == [[1, 0]] * 10
    assert database.reads == {1: 1}
    assert not cache.runtime().node.breaker.open


@pytest.mark.parametrize("count", [3000, 10_000])
async def test_a_burst_of_calls_in_one_turn_of_the_loop_is_no_outage(open_cache, count):
    database = Database(open_cache())
    assert await asyncio.gather(*(database.read(1) for _ in range(count))) == [[1, 0]] * count
    assert database.reads == {1: 1}


async def test_a_burst_of_calls_for_different_keys_is_no_outage(open_cache):
    database = Database(open_cache())
    for _ in range(2):
        values = await asyncio.gather(*(database.read(item) for item in range(3000)))
        assert values == [[item, 0] for item in range(3000)]
        assert not database.cache.runtime().node.breaker.open
    assert database.cache.statistics_of(database.read)["hits"] > 0


async def test_text_that_no_key_can_hold_is_the_callers_error_and_no_outage(cache):
    database = Database(cache)
    for _ in range(5):
        with pytest.raises(PatternError):
            await cache.invalidate("cache:\ud800*")
    assert not cache.runtime().bulk_node.breaker.open
    assert await database.read(1) == [1, 0]


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "a..b", "x" * 80])
async def test_a_host_that_cannot_be_found_is_a_cache_that_is_down(open_cache, host):
    database = Database(open_cache(f"redis://{host}:6379/0"))
    for item in range(5):
        value, seconds = await timed(database.read, item)
        assert value == [item, 0]
        assert seconds < BUDGET + MARGIN
    await aeventually(lambda: leftover_tasks() == [], within=10)


async def test_recovery_is_found_by_one_connection_at_a_time(open_cache, own_redis):
    server = own_redis()
    cache = open_cache(server.url)
    database = Database(cache)
    await database.read(1)
    server.pause()
    breaker = cache.runtime().node.breaker
    await aeventually(lambda: _opened(database, breaker), within=20)
    for _ in range(3):
        breaker._next_probe = 0.0
        await asyncio.gather(*(database.read(item) for item in range(CALLS)))
        assert len([name for name in leftover_tasks() if "langcache" in name]) <= 1
    server.resume()
    await aeventually(lambda: is_hit(database, 1), within=LAST_PROBE_SECONDS + 10)
    await aeventually(lambda: clients_of(server) == 1)


@pytest.mark.parametrize("kind", ["function", "many", "get", "set"])
async def test_calls_that_never_suspend_do_not_keep_the_process_from_recovering(open_cache, own_redis, kind):
    server = own_redis()
    cache = open_cache(server.url, operation_timeout=0.5)

    @cache.cached(key_prefix="vocabulary")
    async def word(item: int) -> int:
        return item

    @cached_many(word, each="items")
    async def words(items: list[int]) -> list[int]:
        return items

    calls = {
        "function": lambda: word(1),
        "many": lambda: words([1, 2]),
        "get": lambda: cache.get("user_stats:1"),
        "set": lambda: cache.set("user_stats:1", 1),
    }
    await word(1)
    server.kill()
    breaker = cache.runtime().node.breaker
    while not breaker.open:
        await word(1)
    server.start()
    ends = time.monotonic() + 5
    while breaker.open and time.monotonic() < ends:
        await calls[kind]()
    assert not breaker.open
