"""Each fault of the proxy does what it says, seen by a raw client in front of a real Redis."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable

import pytest

from tests.harness.polling import eventually
from tests.harness.proxy import FaultProxy
from tests.harness.proxy_connection import ProxiedConnection
from tests.harness.redis_server import RedisServer
from tests.harness.resp import RespConnection, encode

PING_BYTES = len(encode("PING"))
PONG_BYTES = len(b"+PONG\r\n")
SHORT = 0.15  # long enough that a reply would have come, short enough to wait for one that must not


@pytest.fixture
def proxy(one_redis: RedisServer, fault_proxy: Callable[..., FaultProxy]) -> FaultProxy:
    return fault_proxy(one_redis.port)


def test_a_healthy_proxy_forwards_and_counts_every_byte(proxy):
    with RespConnection(proxy.port) as client:
        assert [client.call("PING") for _ in range(3)] == ["PONG"] * 3
        assert proxy.open_connections == 1
    proxy.wait_until(lambda p: p.open_connections == 0)
    assert proxy.connections == 1
    assert proxy.requests.read == proxy.requests.forwarded == 3 * PING_BYTES
    assert proxy.replies.read == proxy.replies.forwarded == 3 * PONG_BYTES


def test_a_large_value_passes_unchanged(proxy):
    value = bytes(range(256)) * 8192
    with RespConnection(proxy.port) as client:
        client.call("SET", "large", value)
        assert client.call("GET", "large") == value


def test_a_delay_in_both_directions_makes_a_round_trip_twice_as_long(proxy):
    proxy.delay(0.05)
    with RespConnection(proxy.port) as client:
        assert _seconds(lambda: client.call("PING")) >= 0.1


def test_a_delay_in_one_direction_leaves_the_other_alone(proxy, one_redis):
    with RespConnection(proxy.port) as client:
        proxy.delay(30, direction="replies")
        client.send("SET", "key", "value")
        eventually(lambda: one_redis.command("GET", "key") == b"value")
        assert proxy.replies.forwarded == 0


def test_a_delay_is_latency_and_not_bandwidth(proxy):
    proxy.delay(0.2)
    with RespConnection(proxy.port) as client:
        begin = time.monotonic()
        for number in range(20):
            client.send("PING")
            proxy.wait_until(lambda p, sent=number + 1: p.requests.read == sent * PING_BYTES)
        assert [client.read() for _ in range(20)] == ["PONG"] * 20
        assert time.monotonic() - begin < 20 * 0.4


def test_healing_delivers_at_once_what_was_delayed(proxy):
    proxy.delay(60)
    with RespConnection(proxy.port) as client:
        client.send("PING")
        proxy.wait_until(lambda p: p.requests.read == PING_BYTES)
        proxy.heal()
        assert client.read() == "PONG"


def test_a_swallowing_proxy_accepts_and_reads_and_the_server_sees_nothing(proxy, one_redis):
    with RespConnection(proxy.port) as opened_before:
        assert opened_before.call("PING") == "PONG"
        proxy.swallow()
        with RespConnection(proxy.port, timeout=SHORT) as opened_after:
            for client in (opened_before, opened_after):
                client.send("SET", "key", "value")
            with pytest.raises(TimeoutError):
                opened_after.read()
            sent = PING_BYTES + 2 * len(encode("SET", "key", "value"))
            proxy.wait_until(lambda p: p.requests.read == sent)
            assert proxy.requests.forwarded == PING_BYTES
            assert one_redis.command("GET", "key") is None


def test_a_swallowing_proxy_needs_no_server_behind_it(own_redis, fault_proxy):
    server = own_redis()
    proxy = fault_proxy(server.port)
    proxy.swallow()
    server.kill()
    with RespConnection(proxy.port, timeout=SHORT) as client, pytest.raises(TimeoutError):
        client.call("PING")


def test_swallowed_replies_hide_that_the_command_took_effect(proxy, one_redis):
    proxy.swallow_replies()
    with RespConnection(proxy.port, timeout=SHORT) as client:
        with pytest.raises(TimeoutError):
            client.call("INCR", "counter")
        proxy.wait_until(lambda p: p.replies.read > 0)
        assert one_redis.command("GET", "counter") == b"1"
        assert proxy.replies.forwarded == 0


def test_healing_resets_a_connection_that_has_lost_bytes_and_keeps_the_others(proxy):
    with RespConnection(proxy.port) as idle, RespConnection(proxy.port) as unlucky:
        assert idle.call("PING") == unlucky.call("PING") == "PONG"
        proxy.swallow_replies()
        unlucky.send("PING")
        proxy.wait_until(lambda p: p.replies.read == 3 * PONG_BYTES)
        proxy.heal()
        with pytest.raises(ConnectionResetError):
            unlucky.read()
        assert idle.call("PING") == "PONG"


def test_a_cut_resets_open_connections_and_lets_new_ones_in(proxy):
    with RespConnection(proxy.port) as first, RespConnection(proxy.port) as second:
        assert first.call("PING") == second.call("PING") == "PONG"
        proxy.cut()
        for client in (first, second):
            with pytest.raises(ConnectionResetError):
                client.read()
    with RespConnection(proxy.port) as client:
        assert client.call("PING") == "PONG"


def test_a_refusing_proxy_refuses_new_connections_until_healed_on_the_same_port(proxy):
    port = proxy.port
    with RespConnection(port) as opened_before:
        assert opened_before.call("PING") == "PONG"
        proxy.refuse()
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                RespConnection(port)
        assert opened_before.call("PING") == "PONG"
    proxy.heal()
    with RespConnection(port) as client:
        assert client.call("PING") == "PONG"


@pytest.mark.parametrize("n_bytes", [0, 1, 500])
def test_a_cut_in_mid_reply_lets_exactly_so_many_bytes_through_and_happens_once(proxy, one_redis, n_bytes):
    one_redis.command("SET", "key", b"x" * 1000)
    with RespConnection(proxy.port) as client:
        assert client.call("PING") == "PONG"
        proxy.cut_reply_after(n_bytes)
        with pytest.raises(ConnectionError):
            client.call("GET", "key")
        assert len(client.received) == n_bytes
    with RespConnection(proxy.port) as client:
        assert client.call("GET", "key") == b"x" * 1000


def test_a_slow_drip_delivers_at_its_rate_and_heals_at_once(proxy, one_redis):
    one_redis.command("SET", "key", b"x" * 2000)
    proxy.slow_drip(10_000)
    with RespConnection(proxy.port) as client:
        assert _seconds(lambda: client.call("GET", "key")) >= 0.15
        proxy.slow_drip(1)
        client.send("GET", "key")
        proxy.wait_until(lambda p: p.replies.read > 4000)
        proxy.heal()
        assert client.read() == b"x" * 2000


def test_a_dead_server_behind_the_proxy_resets_the_client(own_redis, fault_proxy):
    server = own_redis()
    proxy = fault_proxy(server.port)
    with RespConnection(proxy.port) as client:
        assert client.call("PING") == "PONG"
        server.kill()
        assert client.closed_by_peer()
    with pytest.raises(ConnectionError), RespConnection(proxy.port) as client:
        client.call("PING")  # the reset may already hit while connecting


def test_a_client_that_leaves_takes_its_connection_to_the_server_along(proxy, one_redis):
    for fault in (lambda: None, proxy.swallow_replies, proxy.swallow):
        with RespConnection(proxy.port) as client:
            client.send("CLIENT", "SETNAME", "leaving")
            proxy.wait_until(lambda p: p.replies.read > 0)
            fault()
        eventually(lambda: b"name=leaving" not in one_redis.command("CLIENT", "LIST"))
        proxy.heal()


async def test_a_proxy_serves_while_the_event_loop_of_the_test_is_blocked(proxy):
    with RespConnection(proxy.port) as client:
        assert client.call("PING") == "PONG"


def test_faults_may_be_switched_from_many_threads(proxy):
    def switch() -> None:
        for fault in (proxy.swallow, proxy.refuse, proxy.cut, proxy.heal) * 5:
            fault()

    threads = [threading.Thread(target=switch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    proxy.heal()
    with RespConnection(proxy.port) as client:
        assert client.call("PING") == "PONG"


def test_a_closed_proxy_leaves_no_thread_and_no_listener(one_redis):
    proxy = FaultProxy(one_redis.port).start()
    with RespConnection(proxy.port) as client:
        assert client.call("PING") == "PONG"
        proxy.close()
        proxy.close()
        assert client.closed_by_peer()
    assert not any(thread.name == "fault-proxy" for thread in threading.enumerate())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((proxy.host, proxy.port), timeout=1.0)


def _seconds(action: Callable[[], object]) -> float:
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


@pytest.mark.parametrize("turns", range(5))
async def test_a_connection_that_sleeps_through_a_delay_can_be_cancelled_whenever_the_faults_change(turns):
    """`asyncio.wait_for` of Python 3.11 loses a cancellation that comes with the end of its wait."""
    with socket.socket() as client:
        connection = ProxiedConnection(client, None)
        sleeping = asyncio.create_task(connection.sleep(60))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        connection.faults_changed()
        for _ in range(turns):
            await asyncio.sleep(0)
        was_asked = sleeping.cancel()
        await asyncio.wait([sleeping])
        assert sleeping.cancelled() == was_asked
