"""What a probe sees of servers that answer in every way but the right one."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from langcache_cli.servers import ProbeResult, ServerSpec, probe
from langcache_cli.servers.probe import server_info
from tests.harness.polling import aeventually
from tests.harness.ports import ReservedPort
from tests.integration.servers_support import SECRET, listening


@pytest.fixture
def unused_port(tmp_path: Path) -> Iterator[ServerSpec]:
    port = ReservedPort()
    yield ServerSpec(host="127.0.0.1", port=port.number, password=SECRET, state_dir=tmp_path)
    port.release()


def to(port: int, password: str | None = None) -> ServerSpec:
    return ServerSpec(host="127.0.0.1", port=port, password=password)


async def test_a_real_server_answers_and_tells_its_version(one_redis):
    spec = to(one_redis.port)

    assert await probe(spec) is ProbeResult.ANSWERING
    assert int((await server_info(spec)).version.split(".")[0]) >= 6


async def test_a_port_without_a_listener_is_nothing(unused_port):
    assert await probe(unused_port) is ProbeResult.NOTHING
    assert await server_info(unused_port) is None


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5])
async def test_a_process_without_processor_time_does_not_take_a_server_for_hung(
    unused_port, one_redis, turns
):
    async def found(spec: ServerSpec) -> ProbeResult:
        probing = asyncio.create_task(probe(spec, 0.05))
        for _ in range(turns):
            await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251 - nothing runs meanwhile
        return await probing

    assert await found(unused_port) is ProbeResult.NOTHING
    assert await found(to(one_redis.port)) is ProbeResult.ANSWERING


async def test_the_right_password_answers_and_others_do_not(own_redis):
    port = own_redis(password=SECRET).port

    assert await probe(to(port, SECRET)) is ProbeResult.ANSWERING
    assert await probe(to(port, "other")) is ProbeResult.WRONG_PASSWORD
    assert await probe(to(port)) is ProbeResult.WRONG_PASSWORD


async def test_a_password_for_a_server_that_has_none_is_not_the_wrong_one(one_redis):
    assert await probe(to(one_redis.port, SECRET)) is ProbeResult.NO_PASSWORD


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"+PONG\r\n", ProbeResult.ANSWERING),
        (b"-NOPERM this user has no permissions to run the 'ping' command\r\n", ProbeResult.ANSWERING),
        (b"-LOADING Redis is loading the dataset in memory\r\n", ProbeResult.LOADING),
        (b"-BUSY Redis is busy running a script\r\n", ProbeResult.BUSY),
        (b"-ERR max number of clients reached\r\n", ProbeResult.BUSY),
        (b"-NOAUTH Authentication required.\r\n", ProbeResult.WRONG_PASSWORD),
        (b"-WRONGPASS invalid username-password pair\r\n", ProbeResult.WRONG_PASSWORD),
        (b"-ERR Client sent AUTH, but no password is set\r\n", ProbeResult.NO_PASSWORD),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ProbeResult.NOT_REDIS),
        (b"SSH-2.0-OpenSSH_9.6\r\n", ProbeResult.NOT_REDIS),
        (b"+OK\r\n", ProbeResult.NOT_REDIS),
        (b"$x\r\n", ProbeResult.NOT_REDIS),
        (b"$99999999999\r\n", ProbeResult.NOT_REDIS),
        (b"+half a li", ProbeResult.NOT_REDIS),
        (b"\xff" * 100_000, ProbeResult.NOT_REDIS),
        (b"", ProbeResult.NOT_REDIS),
    ],
)
async def test_every_reply_has_its_meaning(reply, expected):
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(reply)
        await writer.drain()
        writer.close()

    async with listening(talk) as port:
        assert await probe(to(port)) is expected


async def test_silence_is_hanging_after_the_time_asked_for():
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client closes: newer Pythons wait for open connections
        writer.close()

    async with listening(talk) as port:
        began = time.monotonic()
        assert await probe(to(port), 0.2) is ProbeResult.HANGING
        assert time.monotonic() - began < 2


async def test_a_drip_of_bytes_does_not_extend_the_time():
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"+")
            await writer.drain()
            await asyncio.sleep(0.01)  # each byte comes long before the time is over

    async with listening(talk) as port:
        assert await probe(to(port), 0.2) is ProbeResult.HANGING


async def test_a_server_at_its_client_limit_is_busy_for_those_with_a_password_too(own_redis):
    server = own_redis(password=SECRET)
    with server.connect() as connection:
        connection.call("CONFIG", "SET", "maxclients", 1)
        assert await probe(to(server.port, SECRET)) is ProbeResult.BUSY
        connection.call("CONFIG", "SET", "maxclients", 100)


async def test_a_probe_names_a_database_that_the_server_does_not_have(one_redis):
    spec = ServerSpec(host="127.0.0.1", port=one_redis.port, db=9999)

    assert await probe(spec) is ProbeResult.NO_DATABASE
    assert await server_info(spec) is not None


async def test_a_probe_leaves_no_connection_behind(one_redis):
    def clients() -> int:
        return one_redis.command("CLIENT", "LIST").count(b"\n")

    before = clients()
    await probe(to(one_redis.port))
    await server_info(to(one_redis.port))
    await probe(to(one_redis.port, "wrong"))

    await aeventually(lambda: clients() == before)
