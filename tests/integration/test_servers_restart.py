"""The server that was started is the one that is restarted; an older one never opens a newer one's data."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from langcache_cli.servers import Backend, NoServerAvailableError, restart, start, stop
from langcache_cli.servers.binaries import ServerBinary
from langcache_cli.servers.last_start import LastStart
from tests.integration.servers_support import LocalServers, client, real_server


@pytest.fixture
def local(tmp_path, monkeypatch) -> Iterator[LocalServers]:
    with LocalServers(tmp_path, monkeypatch) as servers:
        yield servers


def says(local: LocalServers, name: str, version: str) -> Path:
    """Put the real server on PATH, as one that says another version."""
    product = "Valkey" if name.startswith("valkey") else "Redis"
    script = f"""if [ "$1" = --version ]; then echo "{product} server v={version}"; exit; fi
exec "{real_server()}" "$@\""""
    return local.program(name, script)


async def test_restart_starts_the_same_program_whatever_is_on_path_by_then(local):
    says(local, "redis-server", "7.2.4")
    started = await start(local.spec(maxmemory="64mb"), backend=Backend.BINARY)
    async with client(local.spec()) as redis:
        await redis.set("a", "1")
    says(local, "valkey-server", "8.0.0")
    report = await restart(local.spec(), keep_maxmemory=True)
    assert report.stop.pid == started.pid
    assert Path(json.loads(local.spec().folder.record_file.read_text())["program"]).name == "redis-server"
    async with client(local.spec()) as redis:
        assert await redis.get("a") == "1"
        assert (await redis.config_get("maxmemory"))["maxmemory"] == str(64 * 2**20)
    await restart(local.spec(maxmemory="32mb"))
    async with client(local.spec()) as redis:
        assert (await redis.config_get("maxmemory"))["maxmemory"] == str(32 * 2**20)


async def test_a_server_older_than_the_one_that_wrote_the_data_is_not_started(local):
    newer = says(local, "redis-server", "7.4.1")
    await start(local.spec(), backend=Backend.BINARY)
    await stop(local.spec())
    newer.rename(newer.with_name("elsewhere"))
    says(local, "redis-server", "7.2.4")
    for backend in (Backend.AUTO, Backend.BINARY, Backend.EMBEDDED):
        with pytest.raises(NoServerAvailableError, match=r"written by Redis 7\.4\.1"):
            await start(local.spec(), backend=backend)
    assert not local.servers()
    says(local, "redis-server", "7.4.0")  # a patch release changes no format
    assert (await start(local.spec(), backend=Backend.BINARY)).backend is Backend.BINARY


async def test_the_program_that_wrote_the_data_is_taken_when_the_others_are_too_old(local, monkeypatch):
    newer = says(local, "valkey-server", "8.1.0")
    await start(local.spec(), backend=Backend.BINARY)
    await stop(local.spec())
    monkeypatch.setenv("PATH", "/usr/bin-that-is-not-there")
    report = await start(local.spec())
    assert json.loads(local.spec().folder.record_file.read_text())["program"] == str(newer)
    assert report.backend is Backend.BINARY


async def test_a_server_that_an_earlier_langcache_started_is_the_one_that_is_restarted(local):
    says(local, "redis-server", "7.2.4")
    await start(local.spec(), backend=Backend.BINARY)
    local.spec().folder.last_start_file.unlink()
    says(local, "valkey-server", "8.0.0")
    await restart(local.spec())
    assert json.loads(local.spec().folder.record_file.read_text())["program"].endswith("redis-server")


@pytest.mark.parametrize(
    ("wrote", "reads", "may"),
    [
        (("redis", "7.2.4"), ("redis", "6.2.14"), False),
        (("redis", "6.2.14"), ("redis", "7.2.4"), True),
        (("redis", "7.2.4"), ("valkey", "8.0.1"), True),
        (("redis", "7.4.0"), ("valkey", "9.0.1"), False),
        (("valkey", "8.1.0"), ("redis", "7.4.0"), True),
        (("valkey", "8.1.0"), ("redis", "6.2.0"), False),
        (("valkey", "9.0.0"), ("redis", "8.0.0"), False),
        ((None, None), ("redis", "6.2.0"), True),
        ((None, "7.0"), ("redis", "6.2.0"), False),
        (("redis", "7.2.4"), (None, None), True),
    ],
)
def test_which_server_may_open_whose_data(wrote, reads, may):
    data = LastStart(product=wrote[0], version=wrote[1])
    binary = ServerBinary(path=Path("/s"), backend=Backend.BINARY, version=reads[1], product=reads[0])
    assert (data.why_unreadable(binary) == "") is may


def test_data_in_the_folder_of_redis_7_is_known_without_a_record(local):
    folder = local.spec().folder
    (folder.data_dir / "appendonlydir").mkdir(parents=True)
    assert LastStart.of(folder).version == "7.0"
