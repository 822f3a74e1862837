"""The harness itself: real servers do what a test asks of them, and polling waits for it."""

import asyncio
import socket
import sys
import threading
from pathlib import Path

import asyncpg
import pytest

from tests.harness import binaries
from tests.harness.polling import aeventually, eventually
from tests.harness.ports import LOCALHOST, ReservedPort
from tests.harness.redis_server import RedisServer
from tests.harness.resp import RespConnection, RespError

# -- Redis --


@pytest.mark.parametrize("run", [1, 2])
def test_each_test_finds_the_shared_server_empty(redis_url, redis_server, run):
    assert redis_url == redis_server.url
    assert redis_server.command("DBSIZE") == 0
    redis_server.command("SET", "left over", run)


def test_flushing_drops_the_connections_of_earlier_tests(one_server):
    with one_server.connect() as left_over:
        one_server.flush()
        assert left_over.closed_by_peer()


def test_a_paused_server_accepts_connections_and_answers_after_resume(own_redis):
    server = own_redis()
    server.pause()
    with RespConnection(server.port, timeout=0.2) as client:
        client.send("PING")
        with pytest.raises(TimeoutError):
            client.read()
        server.resume()
        assert eventually(client.read) == "PONG"


def test_a_killed_server_refuses_connections_and_comes_back_empty_on_the_same_port(own_redis):
    server = own_redis()
    port = server.port
    server.command("SET", "key", "value")
    with server.connect() as client:
        server.kill()
        assert client.closed_by_peer()
    assert not server.running
    with pytest.raises(ConnectionRefusedError):
        server.command("PING")
    server.start()
    assert server.port == port
    assert server.command("GET", "key") is None


@pytest.mark.parametrize("options", [{}, {"appendonly": True}], ids=["memory", "appendonly"])
def test_a_restart_keeps_the_data_unless_told_otherwise(own_redis, options):
    server = own_redis(**options)
    server.command("SET", "key", "value")
    pid, port = server.pid, server.port
    server.restart()
    assert (server.pid != pid, server.port == port) == (True, True)
    assert server.command("GET", "key") == b"value"
    server.restart(keep_data=False)
    assert server.command("GET", "key") is None


def test_an_appendonly_server_keeps_its_data_when_killed(own_redis):
    server = own_redis(appendonly=True)
    server.command("SET", "key", "value")
    server.kill()
    server.start()
    assert server.command("GET", "key") == b"value"


def test_what_a_restart_kept_does_not_come_back_after_a_kill(own_redis):
    server = own_redis()
    server.command("SET", "key", "value")
    server.restart()
    server.kill()
    server.start()
    assert server.command("GET", "key") is None


def test_a_paused_server_can_be_stopped(own_redis):
    server = own_redis()
    server.pause()
    server.stop()
    assert not server.running


@pytest.mark.parametrize("password", ["plain", 'sp ace"quo\\te#@:/?%'])
def test_a_password_is_required_and_travels_in_the_url(own_redis, password):
    server = own_redis(password=password)
    with RespConnection(server.port) as client, pytest.raises(RespError, match="NOAUTH"):
        client.call("PING")
    assert server.command("PING") == "PONG"
    assert server.url.startswith("redis://:")
    assert " " not in server.url


def test_a_replica_follows_its_primary(own_redis):
    primary = own_redis(password="secret")
    replica = own_redis(replicaof=primary)
    primary.command("SET", "key", "value")
    eventually(lambda: replica.command("GET", "key") == b"value", within=60.0)


def test_memory_policy_and_further_lines_reach_the_server(own_redis):
    server = own_redis(maxmemory="5mb", policy="allkeys-lru", config=["databases 3"])
    wanted = {"maxmemory": b"5242880", "maxmemory-policy": b"allkeys-lru", "databases": b"3"}
    assert {name: server.command("CONFIG", "GET", name)[1] for name in wanted} == wanted


def test_a_unix_socket_is_there_when_asked_for(own_redis):
    server = own_redis(unix_socket=True)
    assert server.socket_path.is_socket()
    assert server.unix_url == f"unix://{server.socket_path}?db=0"


def test_a_line_the_server_rejects_fails_with_its_log(own_redis):
    with pytest.raises(RuntimeError, match="no-such-setting"):
        own_redis(config=["no-such-setting 1"])


def test_a_server_whose_port_is_taken_at_first_start_takes_another():
    server = RedisServer()
    taken = server.port
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind((LOCALHOST, taken))
        thief.listen()
        with server:
            assert server.port != taken
            assert server.command("PING") == "PONG"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a server bind beside the reservation")
def test_a_reserved_port_refuses_connections_and_goes_to_nobody_else():
    port = ReservedPort()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOCALHOST, port.number), timeout=1.0)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((LOCALHOST, port.number))
    port.release()


def test_a_server_outlives_the_thread_that_started_it():
    server = RedisServer()
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    with server:
        assert server.command("PING") == "PONG"


def test_the_environment_chooses_the_server_program(monkeypatch):
    monkeypatch.setenv(binaries.REDIS_SERVER_VARIABLE, "/some/redis-server")
    assert binaries.redis_server() == Path("/some/redis-server")


# -- PostgreSQL --


async def test_postgres_answers_a_query(postgres_url):
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("SELECT current_setting('fsync')") == "off"
    await connection.close()


@pytest.mark.parametrize("run", [1, 2])
async def test_each_test_has_a_database_of_its_own(postgres_url, run):
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE word (id int)")
    await connection.close()


async def test_a_database_is_dropped_under_a_session_that_was_left_open(postgres_server):
    url = postgres_server.create_database("left_open")
    connection = await asyncpg.connect(url)
    postgres_server.drop_database("left_open")
    with pytest.raises((asyncpg.PostgresError, ConnectionError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()
    assert postgres_server.execute("SELECT 1 FROM pg_database WHERE datname = 'left_open'") == ""


async def test_postgres_listens_on_a_unix_socket_and_through_a_proxy(postgres_server, fault_proxy):
    proxy = fault_proxy(postgres_server.port)
    through_proxy = postgres_server.url.replace(str(postgres_server.port), str(proxy.port))
    for url in (through_proxy, postgres_server.unix_url_of("postgres")):
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    assert proxy.connections > 0


# -- polling --


def test_polling_returns_what_became_true_and_else_shows_the_last_value():
    values = iter([0, 0, 7])
    assert eventually(lambda: next(values)) == 7
    with pytest.raises(AssertionError, match="last value was ''"):
        eventually(lambda: "", within=0.02)


async def test_polling_leaves_the_event_loop_free():
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, event.set)
    assert await aeventually(event.is_set)

    async def never() -> int:
        return 0

    with pytest.raises(AssertionError, match="last value was 0"):
        await aeventually(never, within=0.02)
